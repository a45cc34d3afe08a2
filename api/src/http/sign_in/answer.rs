//! The answers: tokens, and errors in the form of the other errors of this server.

use super::body::Rejected;
use super::cookies;
use crate::http::response;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use identity::{SessionTokens, SignInError};
use serde_json::{Value, json};
use std::error::Error as StdError;

/// Who the caller is, told by the answer to a refused credential: the same for everything that is wrong with it.
const REFUSED: &str = "the credential is not valid";

/// Tells caches not to keep an answer.
pub(super) fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer in JSON.
pub(in crate::http) fn json(status: StatusCode, body: Value) -> Response {
    not_stored((status, Json(body)).into_response())
}

/// The tokens of a session: in the body, or in cookies for web pages.
pub(super) fn tokens(tokens: &SessionTokens, in_cookies: bool, is_secure: bool) -> Response {
    let refresh_seconds = (tokens.refresh_expires_at - Utc::now()).num_seconds().max(0);
    let mut body = json!({
        "tenant": tokens.tenant,
        "userId": tokens.user,
        "sessionId": tokens.session,
        "expiresInSeconds": tokens.access_lifetime.as_secs(),
        "refreshExpiresInSeconds": refresh_seconds,
    });
    if !in_cookies {
        body["accessToken"] = tokens.access.reveal().into();
        body["refreshToken"] = tokens.refresh.reveal().into();
        body["tokenType"] = "Bearer".into();
        return json(StatusCode::OK, body);
    }
    let csrf = cookies::csrf_token();
    body["csrfToken"] = csrf.as_str().into();
    let mut response = json(StatusCode::OK, body);
    cookies::add(&mut response, tokens, &csrf, refresh_seconds.unsigned_abs(), is_secure);
    response
}

/// The status of an error, and how many seconds to wait before another attempt, if waiting helps.
pub(in crate::http) fn status(error: &SignInError) -> (StatusCode, Option<u64>) {
    match error {
        SignInError::Refused | SignInError::CodeRequired => (StatusCode::UNAUTHORIZED, None),
        SignInError::Invalid { .. } => (StatusCode::BAD_REQUEST, None),
        SignInError::RegistrationFull { .. } => (StatusCode::FORBIDDEN, None),
        SignInError::Throttled(throttled) => (StatusCode::TOO_MANY_REQUESTS, Some(throttled.retry_after_s())),
        SignInError::Busy | SignInError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
    }
}

/// The answer to a request that is refused or failed. Internal causes are logged here, once.
pub(in crate::http) fn error(error: &SignInError) -> Response {
    let (code, message) = match error {
        SignInError::Refused => ("UNAUTHENTICATED", REFUSED.to_owned()),
        SignInError::CodeRequired => ("CODE_REQUIRED", error.to_string()),
        SignInError::Invalid { .. } => ("BAD_USER_INPUT", error.to_string()),
        SignInError::Throttled(_) => ("TOO_MANY_ATTEMPTS", error.to_string()),
        SignInError::RegistrationFull { .. } => ("REGISTRATION_FULL", error.to_string()),
        SignInError::Busy => ("BUSY", error.to_string()),
        SignInError::Unavailable(cause) => {
            tracing::error!(error = &**cause as &(dyn StdError + 'static), "a person cannot sign in, or become a user");
            ("UNAVAILABLE", "credentials cannot be checked or stored at the moment; retry".to_owned())
        }
    };
    let (status, retry_after_s) = status(error);
    let mut response = not_stored(response::error(status, code, &message).into_response());
    response::set_retry_after(&mut response, retry_after_s);
    response
}

/// The response to a request: its answer, or why there is none.
pub(super) fn respond(answered: Result<Result<Response, SignInError>, Rejected>) -> Response {
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(refused)) => error(&refused),
        Err(rejected) => not_stored(rejected.into_response()),
    }
}
