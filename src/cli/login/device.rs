//! The device flow (RFC 8628): a person types a code into a browser on any machine.

use super::tokens::{Redeemed, redeemed, unexpected};
use crate::client::{ClientError, Http, StoredSession};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// By how much the interval grows when the server asks for it.
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The bounds of an interval that a server asks for, and the longest that a code is waited for.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(60);
const MAX_LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Started {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// Signs a person in.
pub(super) async fn sign_in(http: &Http) -> anyhow::Result<StoredSession> {
    let answer = http.post_form("/auth/device", &[("client_id", "apex-cli")]).await?;
    if !answer.status.is_success() {
        return Err(unexpected(http, &answer).into());
    }
    let started: Started = serde_json::from_value(answer.body).map_err(|_| incomplete(http))?;
    say!("Open {} in a browser, on any machine, and type the code {}", started.verification_uri, started.user_code);
    if let Some(complete) = &started.verification_uri_complete {
        say!("or open {complete}");
    }
    say!("Waiting for you; Ctrl-C ends this.");
    let deadline = Instant::now() + Duration::from_secs(started.expires_in).min(MAX_LIFETIME);
    let mut interval = Duration::from_secs(started.interval.unwrap_or(5)).clamp(MIN_INTERVAL, MAX_INTERVAL);
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", started.device_code.as_str()),
        ("client_id", "apex-cli"),
    ];
    loop {
        tokio::time::sleep(interval).await;
        anyhow::ensure!(Instant::now() < deadline, EXPIRED);
        let answer = match http.post_form("/auth/token", &form).await {
            // A connection that fails now and then does not end the flow (RFC 8628, section 3.5).
            Err(ClientError::Unreachable { .. } | ClientError::TimedOut { .. }) => {
                interval = (interval * 2).min(MAX_INTERVAL);
                continue;
            }
            answer => answer?,
        };
        match redeemed(http, answer)? {
            Redeemed::Session(session) => return Ok(session),
            Redeemed::Refused(error) => match error.as_str() {
                "authorization_pending" => {}
                "slow_down" => interval = (interval + SLOW_DOWN).min(MAX_INTERVAL),
                "access_denied" => anyhow::bail!("you have refused: nobody is signed in"),
                "expired_token" => anyhow::bail!(EXPIRED),
                error => anyhow::bail!("the server refuses the code ({error}): run `apex login --device` again"),
            },
        }
    }
}

const EXPIRED: &str = "the code has expired before it was typed: run `apex login --device` again";

fn incomplete(http: &Http) -> ClientError {
    ClientError::Incomplete { url: http.server(), what: "device code".to_owned() }
}
