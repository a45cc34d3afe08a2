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

/// The answer to a request that is refused or failed. Internal causes are logged here, once.
pub(in crate::http) fn error(error: &SignInError) -> Response {
    let of = |status, code: &str, message: &str| not_stored(response::error(status, code, message).into_response());
    match error {
        SignInError::Refused => of(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", REFUSED),
        SignInError::CodeRequired => of(StatusCode::UNAUTHORIZED, "CODE_REQUIRED", &error.to_string()),
        SignInError::Invalid { .. } => of(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", &error.to_string()),
        SignInError::Throttled { retry_after } => {
            let mut response = of(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS", &error.to_string());
            let seconds = retry_after.as_secs().saturating_add(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        SignInError::RegistrationFull { .. } => of(StatusCode::FORBIDDEN, "REGISTRATION_FULL", &error.to_string()),
        SignInError::Busy => {
            let mut response = of(StatusCode::SERVICE_UNAVAILABLE, "BUSY", &error.to_string());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        SignInError::Unavailable(cause) => {
            tracing::error!(error = &**cause as &(dyn StdError + 'static), "a person cannot sign in, or become a user");
            let message = "credentials cannot be checked or stored at the moment; retry";
            of(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
        }
    }
}

/// The response to a request: its answer, or why there is none.
pub(super) fn respond(answered: Result<Result<Response, SignInError>, Rejected>) -> Response {
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(refused)) => error(&refused),
        Err(rejected) => not_stored(rejected.into_response()),
    }
}
