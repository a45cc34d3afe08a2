//! `apex login` and `apex logout`

mod device;
mod loopback;
mod tokens;

use super::session::interruptible;
use crate::client::{ClientError, CredentialsError, CredentialsFile, Http, SessionStore};
use crate::config::Common;
use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::json;
use std::process::ExitCode;

/// Sign in to the server of --url as a person.
///
/// Your browser opens a page of the server, where you sign in and agree; or, with --device, you type a code into a browser on any
/// machine. The session is kept in a file that only you can read, and is used by the subcommands while APEX_URL names the server
/// and APEX_TOKEN is not set. It is renewed as long as it is used, for 30 days at most; `apex logout` ends it.
#[derive(Debug, clap::Args)]
pub(super) struct Login {
    /// Show a code to be typed into a browser, for a machine without one
    #[arg(long)]
    device: bool,
    /// Print the address of the page, and do not start a browser
    #[arg(long, conflicts_with = "device")]
    no_browser: bool,
}

/// End the session of `apex login` at the server of --url, and remove it from this machine.
#[derive(Debug, clap::Args)]
pub(super) struct Logout {}

/// The connections to the server of the settings, and the sessions of this machine.
fn open(common: &Common) -> anyhow::Result<(Http, SessionStore)> {
    let remote = &common.remote;
    let url = remote.url.clone().context("name the server: --url https://HOST, or APEX_URL")?;
    let file = remote.credentials_file().ok_or(CredentialsError::NoHome)?;
    Ok((Http::new(url, remote)?, SessionStore::new(CredentialsFile::at(file))))
}

impl Login {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let (http, sessions) = open(common)?;
        // Before a person types anything: that the file can be written.
        drop(sessions.lock().await?);
        let session = interruptible(async {
            match self.device {
                true => device::sign_in(&http).await,
                false => loopback::sign_in(&http, !self.no_browser).await,
            }
        })
        .await?;
        let actor = session.actor.clone();
        let locked = sessions.lock().await?;
        let before = locked.session(&http.server())?;
        locked.store(&http.server(), Some(session))?;
        drop(locked);
        if let Some(before) = before {
            // It would stay open for days otherwise, and nobody has its tokens any more.
            let body = json!({ "refreshToken": before.refresh_token.reveal() });
            if http.post_json("/auth/logout", None, &body).await.is_err() {
                say!("The session that this one replaces could not be ended: it ends within a week.");
            }
        }
        say!("You are signed in at {} as {actor}.", http.server());
        if common.remote.token.is_some() {
            say!("APEX_TOKEN is set, and is used in place of this session: unset it.");
        }
        say!("Set APEX_URL={} for the subcommands to use this server.", http.server());
        Ok(ExitCode::SUCCESS)
    }
}

impl Logout {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let (http, sessions) = open(common)?;
        let locked = sessions.lock().await?;
        let Some(session) = locked.session(&http.server())? else {
            say!("Nobody is signed in at {} on this machine.", http.server());
            return Ok(ExitCode::SUCCESS);
        };
        let body = json!({ "refreshToken": session.refresh_token.reveal() });
        let ended = http.post_json("/auth/logout", None, &body).await;
        // Whatever the server says, the tokens do not stay here.
        locked.store(&http.server(), None)?;
        match ended {
            // It had ended before.
            Ok(answer) if answer.status.is_success() || answer.status == StatusCode::UNAUTHORIZED => {
                say!("You are signed out at {}.", http.server());
                Ok(ExitCode::SUCCESS)
            }
            Ok(answer) => {
                let status = answer.status.as_u16();
                Err(not_ended(ClientError::NotApex { url: http.server(), status }))
            }
            Err(error) => Err(not_ended(error)),
        }
    }
}

fn not_ended(error: ClientError) -> anyhow::Error {
    anyhow::Error::from(error)
        .context("the session is removed from this machine, and may go on at the server for up to a week")
}
