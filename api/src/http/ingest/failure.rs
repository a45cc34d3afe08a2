//! Why something is not received, as a response or as the last line of one.

use crate::http::auth::Rejection;
use crate::http::response;
use crate::rate_limits::{Limited, seconds};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::permissions::Forbidden;
use ingest::ReceiveError;
use ingest::ndjson::LinesStopped;
use serde_json::json;

/// After how many seconds a client should retry if the server is busy.
const RETRY_AFTER_S: u64 = 1;

/// Why a request, or the rest of one, is not received.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// After how many seconds a retry may succeed; none if it does not help.
    pub(super) retry_after_s: Option<u64>,
}

impl Failure {
    pub(super) fn of(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None }
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        let failure = Self::of(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
        Self { retry_after_s: Some(RETRY_AFTER_S), ..failure }
    }

    /// The server has as many requests of this kind as it can.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        let failure = Self::of(StatusCode::TOO_MANY_REQUESTS, "BUSY", message);
        Self { retry_after_s: Some(RETRY_AFTER_S), ..failure }
    }

    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request could not be recorded");
        let message = "internal error; the server log has the details";
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
    }

    /// What the end of the lines means, if the body was not what ended them.
    pub(super) fn of_lines(stopped: &LinesStopped) -> Self {
        match stopped {
            LinesStopped::Input(error) => Self::of(StatusCode::BAD_REQUEST, "BODY_INCOMPLETE", error.to_string()),
            LinesStopped::Failed(error) => error.into(),
            LinesStopped::Line(error) => Self::internal(error),
            LinesStopped::NotRead => Self::of(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", stopped.to_string()),
        }
    }

    /// The last line of a response that has begun.
    pub(super) fn line(&self) -> String {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(seconds) = self.retry_after_s {
            error["retry_after_s"] = seconds.into();
        }
        format!("{}\n", json!({ "error": error }))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = response::error(self.status, self.code, &self.message).into_response();
        response::set_retry_after(&mut response, self.retry_after_s);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<Limited> for Failure {
    fn from(limited: Limited) -> Self {
        let failure = Self::of(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", limited.message());
        Self { retry_after_s: limited.retry_after.map(seconds), ..failure }
    }
}

impl From<Forbidden> for Failure {
    fn from(forbidden: Forbidden) -> Self {
        let (status, code, message) = Rejection::Forbidden(forbidden).parts();
        Self::of(status, code, message)
    }
}

impl From<&ReceiveError> for Failure {
    fn from(error: &ReceiveError) -> Self {
        match error {
            ReceiveError::Forbidden(forbidden) => Self::of(StatusCode::FORBIDDEN, "FORBIDDEN", forbidden.to_string()),
            ReceiveError::Unavailable(_) => {
                tracing::warn!(error = error as &dyn std::error::Error, "a request was not recorded");
                Self::unavailable(error.to_string())
            }
            ReceiveError::Internal(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_client_is_told_whether_to_retry_and_not_why() {
        let cause = || io::Error::other("the password of the database").into();
        for (error, status, retry_after_s) in [
            (ReceiveError::Unavailable(cause()), StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_AFTER_S)),
            (ReceiveError::Internal(cause()), StatusCode::INTERNAL_SERVER_ERROR, None),
        ] {
            let failure = Failure::from(&error);
            assert_eq!((failure.status, failure.retry_after_s), (status, retry_after_s));
            assert!(!failure.line().contains("password"), "{}", failure.line());
        }
    }
}
