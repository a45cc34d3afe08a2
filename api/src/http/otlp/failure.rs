//! Why an export is not accepted, for HTTP and gRPC.

use crate::http::auth::Rejection;
use crate::rate_limits::{Limited, seconds};
use axum::http::StatusCode;
use ingest::otlp::DecodeError;

/// The codes of `google.rpc.Code` that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    OutOfRange = 11,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// After how many seconds an exporter should retry if the server is busy.
const RETRY_AFTER_S: u64 = 1;

/// A request that is not accepted.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    pub(super) message: String,
    /// After how many seconds a retry may succeed; none if it does not help.
    pub(super) retry_after_s: Option<u64>,
}

impl Failure {
    pub(super) fn of(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None }
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        let failure = Self::of(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message);
        Self { retry_after_s: Some(RETRY_AFTER_S), ..failure }
    }

    /// The time for the request is over.
    pub(super) fn late() -> Self {
        Self::unavailable("the request took too long; what was recorded of it stays so: retry")
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::of(StatusCode::PAYLOAD_TOO_LARGE, Code::OutOfRange, message)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let (status, _, message) = rejection.parts();
        match status {
            StatusCode::UNAUTHORIZED => Self::of(status, Code::Unauthenticated, message),
            StatusCode::FORBIDDEN => Self::of(status, Code::PermissionDenied, message),
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(message),
            _ => Self::of(status, Code::InvalidArgument, message),
        }
    }
}

impl From<Limited> for Failure {
    fn from(limited: Limited) -> Self {
        let failure = Self::of(StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted, limited.message());
        Self { retry_after_s: limited.retry_after.map(seconds), ..failure }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge { .. } => Self::too_large(error.to_string()),
            DecodeError::Malformed { .. } | DecodeError::NotOfSignal { .. } | DecodeError::Misspelled { .. } => {
                Self::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limits::Scope;
    use domain::rate_limits::{LimitAmount, LimitedResource};
    use std::time::Duration;

    fn limited(retry_after: Option<Duration>) -> Failure {
        let (scope, resource) = (Scope::Tenant, LimitedResource::Requests);
        Limited { scope, resource, limit: LimitAmount::try_from(60).unwrap(), retry_after }.into()
    }

    /// The statuses that say that a retry helps, but not when: exporters give up, or retry at once. What is more than a limit at
    /// once is no such failure.
    fn without_a_time(failures: &[Failure]) -> Vec<u16> {
        let says_retry = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        let lacks_time = |failure: &&Failure| says_retry.contains(&failure.status) && failure.retry_after_s.is_none();
        failures.iter().filter(lacks_time).map(|failure| failure.status.as_u16()).collect()
    }

    #[test]
    fn what_may_be_retried_says_when() {
        let soon = limited(Some(Duration::from_millis(10)));
        assert_eq!(soon.retry_after_s, Some(1), "not 0, which means at once");
        assert_eq!(without_a_time(&[soon, Failure::unavailable("x"), Failure::late()]), [] as [u16; 0]);
        // Control: a refusal that lost its time is found.
        let planted = Failure { retry_after_s: None, ..limited(Some(Duration::from_secs(1))) };
        assert_eq!(without_a_time(&[Failure::late(), planted]), [429]);
    }
}
