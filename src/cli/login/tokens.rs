//! The answers of `/auth/token`.

use crate::client::{Answer, ClientError, Http, StoredSession};
use crate::config::Secret;
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
    expires_in: u32,
    user_id: String,
    session_id: String,
}

/// What a server answers to a code.
pub(super) enum Redeemed {
    /// The session.
    Session(StoredSession),
    /// An error by its name in RFC 6749 or RFC 8628.
    Refused(String),
}

/// The session in an answer, or the error.
pub(super) fn redeemed(http: &Http, answer: Answer) -> Result<Redeemed, ClientError> {
    if answer.status == StatusCode::OK {
        let incomplete = || ClientError::Incomplete { url: http.server(), what: "session".to_owned() };
        let tokens: Tokens = serde_json::from_value(answer.body).map_err(|_| incomplete())?;
        return Ok(Redeemed::Session(StoredSession {
            actor: format!("user:{}/session:{}", tokens.user_id, tokens.session_id),
            access_token: Secret::from(tokens.access_token),
            access_expires_at: Utc::now() + TimeDelta::seconds(tokens.expires_in.into()),
            refresh_token: Secret::from(tokens.refresh_token),
        }));
    }
    match answer.body.get("error").and_then(Value::as_str) {
        Some(error) => Ok(Redeemed::Refused(error.to_owned())),
        None => Err(unexpected(http, &answer)),
    }
}

/// The error of an answer without one in the form of OAuth.
pub(super) fn unexpected(http: &Http, answer: &Answer) -> ClientError {
    match answer.body.pointer("/errors/0/message").and_then(Value::as_str) {
        Some(_) if answer.status == StatusCode::NOT_FOUND || answer.status == StatusCode::METHOD_NOT_ALLOWED => {
            let message = "it cannot sign in programs".to_owned();
            ClientError::OtherVersion { url: http.server(), message }
        }
        Some(message) => ClientError::TooMany { message: message.to_owned() },
        None => ClientError::NotApex { url: http.server(), status: answer.status.as_u16() },
    }
}
