//! The bodies of requests, which are small, and what else the handlers read of a request.

use crate::http::body::{self, BodyError};
use crate::http::negotiate;
use crate::http::response;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::TenantId;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The most bytes of a body.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that is rejected before it does anything, as the response to it.
pub(super) struct Rejected(Box<Response>);

impl Rejected {
    pub(super) fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self::of(response::error(status, code, message).into_response())
    }

    pub(super) fn of(response: Response) -> Self {
        Self(Box::new(response))
    }

    pub(super) fn into_response(self) -> Response {
        *self.0
    }

    pub(super) fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }
}

/// Reads a body in JSON. The message about one that is not valid does not repeat it, because it may have secrets.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Rejected> {
    if !negotiate::is_json(request.headers()) {
        let message = "the body must be JSON in UTF-8, with the header `Content-Type: application/json`";
        return Err(Rejected::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    let bytes = body::read(request.into_body(), MAX_BODY_BYTES, BODY_TIMEOUT).await.map_err(|error| match error {
        BodyError::TimedOut => Rejected::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "the body did not arrive in time"),
        BodyError::TooLong | BodyError::Incomplete => {
            let message =
                format!("the body is incomplete, or has more than {MAX_BODY_BYTES} bytes, which is the limit");
            Rejected::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", &message)
        }
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let cause = match error.classify() {
            serde_json::error::Category::Data => "a field is missing, unknown, or has a value of another type",
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => "the body is not JSON",
        };
        Rejected::bad(&format!("{cause}, at {place}"))
    })
}

/// The tenant that a body names, otherwise that of the settings.
pub(super) fn tenant(given: Option<String>, of_settings: Option<&TenantId>) -> Result<TenantId, Rejected> {
    match (given, of_settings) {
        (Some(given), _) => given.parse().map_err(|_| Rejected::bad("`tenant` is not a tenant id")),
        (None, Some(tenant)) => Ok(tenant.clone()),
        (None, None) => Err(Rejected::bad("`tenant` is missing")),
    }
}
