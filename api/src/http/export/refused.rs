//! Why an export is refused, as a response.

use crate::http::{rate_limit, response};
use crate::rate_limits::Limited;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use projections::{ExportError, ReportError};

/// A request that is refused.
pub(super) struct Refused(pub(super) Box<Response>);

impl Refused {
    pub(super) fn of(status: StatusCode, code: &str, message: &str) -> Self {
        Self(Box::new(response::error(status, code, message).into_response()))
    }

    pub(super) fn bad(message: &str) -> Self {
        Self::of(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", message)
    }

    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        response::set_retry_after(&mut self.0, Some(seconds));
        self
    }
}

impl From<Limited> for Refused {
    fn from(limited: Limited) -> Self {
        Self(Box::new(rate_limit::refused(&limited)))
    }
}

impl From<ExportError> for Refused {
    fn from(error: ExportError) -> Self {
        match &error {
            ExportError::EmptyRange { .. } | ExportError::YearNotAccepted(_) | ExportError::NotADay(_) => {
                Self::bad(&error.to_string())
            }
            ExportError::Database(cause) | ExportError::Report(ReportError::Database(cause)) => unavailable(cause),
            _ => internal(&error),
        }
    }
}

pub(super) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Refused {
    tracing::warn!(error, "an export cannot be made");
    let message = "the database is not reachable, or the server is shutting down; retry";
    Refused::of(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message).retry_after(1)
}

pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Refused {
    tracing::error!(error, "an export cannot be made");
    let message = "internal error; the server log has the details";
    Refused::of(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
}
