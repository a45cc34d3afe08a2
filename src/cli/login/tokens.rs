//! The answers of `/auth/token`.

use crate::client::{Answer, ClientError, Http, NewTokens, StoredSession};
use reqwest::StatusCode;
use serde_json::Value;

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
        let tokens: NewTokens = serde_json::from_value(answer.body).map_err(|_| incomplete())?;
        return Ok(Redeemed::Session(tokens.into()));
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
