//! Forms: their fields, and that they were sent from a page of this server.

use super::html::{Failure, Page};
use crate::authenticator::{Endpoint, Unauthenticated};
use crate::http::body::{self, BodyError};
use crate::http::sign_in::{answer as answers, cookies};
use crate::http::state::State as Shared;
use crate::http::{auth, negotiate};
use axum::body::Body;
use axum::extract::{Form, FromRequest as _, Request};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use commands::{Principal, Subject};
use identity::SignInError;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a form.
const MAX_FORM_BYTES: usize = 16 * 1024;
/// How long a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest path that a page leads back to, in bytes.
const MAX_RETURN_BYTES: usize = 2048;
/// Where a person is led who came from nowhere.
const NOWHERE: &str = "/auth/sign-in";

/// A response in place of the one that was asked for.
pub(super) struct Stopped(Box<Response>);

impl<R: IntoResponse> From<R> for Stopped {
    fn from(response: R) -> Self {
        Self(Box::new(response.into_response()))
    }
}

impl Stopped {
    pub(super) fn into_response(self) -> Response {
        *self.0
    }
}

/// The response, or the one in its place.
pub(super) fn answer(answered: Result<Response, Stopped>) -> Response {
    answered.unwrap_or_else(Stopped::into_response)
}

/// A page with what went wrong alone.
fn stopped(failure: &Failure) -> Stopped {
    Page::new("This does not work").failed(Some(failure)).into()
}

/// Reads a form, without repeating its text in a message.
///
/// # Errors
/// A status and a message if it is not one.
pub(super) async fn fields<T: DeserializeOwned>(request: Request) -> Result<T, (StatusCode, &'static str)> {
    if !negotiate::is_form(request.headers()) {
        let message = "expected a form, with the header `Content-Type: application/x-www-form-urlencoded`";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, MAX_FORM_BYTES, FORM_TIMEOUT).await.map_err(|error| match error {
        BodyError::TimedOut => (StatusCode::REQUEST_TIMEOUT, "the form did not arrive in time"),
        BodyError::TooLong | BodyError::Incomplete => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the form is incomplete or too large")
        }
    })?;
    let form = Form::<T>::from_request(Request::from_parts(parts, Body::from(bytes)), &()).await;
    let message = "a field of the form is missing, unknown, or occurs twice";
    form.map(|Form(fields)| fields).map_err(|_| (StatusCode::BAD_REQUEST, message))
}

/// Reads a form that was sent from a page of this server.
pub(super) async fn own_fields<T: DeserializeOwned>(request: Request) -> Result<T, Stopped> {
    if !cookies::is_sent_by_own_page(request.headers()) {
        let message = "This form has to be sent from the page itself. Open the page again.";
        return Err(stopped(&Failure::new(StatusCode::FORBIDDEN, message)));
    }
    fields(request).await.map_err(|(status, message)| stopped(&Failure::new(status, message)))
}

/// A user who is signed in with this browser.
pub(super) struct Visitor {
    pub(super) principal: Arc<Principal>,
    /// How the person is called.
    pub(super) name: String,
    /// What forms of the person repeat.
    pub(super) csrf: String,
}

/// Who is signed in with the cookies of a request; none if nobody is, or the session has ended.
pub(super) async fn visitor(
    state: &Shared,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Visitor>, Stopped> {
    let is_secure = state.config.sign_in.secure_cookies;
    let cookies = (cookies::credential(headers, is_secure), cookies::csrf_cookie(headers, is_secure));
    let (Some(credential), Some(csrf)) = cookies else {
        return Ok(None);
    };
    let mut headers = headers.clone();
    headers.insert(header::AUTHORIZATION, credential);
    let requester = match auth::of_headers(state, &headers, extensions, Endpoint::Api).await {
        Ok(requester) => requester,
        Err(auth::Rejection::Unauthenticated(Unauthenticated::Missing | Unauthenticated::Invalid, _)) => {
            return Ok(None);
        }
        Err(rejection) => return Err(failed(&rejection)),
    };
    if !matches!(requester.principal.subject(), Subject::User { .. }) {
        return Ok(None);
    }
    let account = state.deps.identities.own_account(&requester.principal).await;
    let account = account.map_err(|error| error_page(&SignInError::from(error)))?;
    let name = account.and_then(|account| account.email).unwrap_or_else(|| requester.principal.actor());
    Ok(Some(Visitor { principal: requester.principal, name, csrf: csrf.to_owned() }))
}

fn failed(rejection: &auth::Rejection) -> Stopped {
    let (status, _, message) = rejection.parts();
    let retry_after_s = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
    stopped(&Failure::new(status, message).retry_after(retry_after_s))
}

/// The visitor who sends a form, which repeats the value of a cookie.
pub(super) async fn sender(
    state: &Shared,
    (headers, extensions): (&HeaderMap, &Extensions),
    csrf: &str,
    back: &str,
) -> Result<Visitor, Stopped> {
    let visitor = visitor(state, headers, extensions).await?.ok_or_else(|| to_sign_in(back))?;
    if csrf.is_empty() || csrf != visitor.csrf {
        let message = "This form is not of your session. Open the page again.";
        return Err(stopped(&Failure::new(StatusCode::FORBIDDEN, message)));
    }
    Ok(visitor)
}

/// Leads to the page where people sign in, and from there back to a path.
pub(super) fn to_sign_in(back: &str) -> Stopped {
    Redirect::to(&format!("/auth/sign-in?returnTo={}", encoded(back))).into()
}

/// A path as the value of a parameter of a URL.
pub(super) fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A path of this server that a page may lead to.
pub(super) fn local_path(given: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        path.starts_with("/auth/") && plain && path.len() <= MAX_RETURN_BYTES
    };
    given.filter(is_local).unwrap_or(NOWHERE)
}

/// What a person is told about an error.
pub(super) fn told(error: &SignInError) -> Failure {
    let message = match error {
        SignInError::Refused => "That is not right. Check it, and try again.".into(),
        SignInError::CodeRequired => {
            "Your password is right. Type it again, with a one-time code or a recovery code.".into()
        }
        SignInError::Invalid { .. } | SignInError::RegistrationFull { .. } => error.to_string().into(),
        SignInError::Throttled(throttled) => {
            format!("There were too many attempts. Try again in {} seconds.", throttled.retry_after_s()).into()
        }
        SignInError::Busy => "The server is busy. Try again.".into(),
        SignInError::Unavailable(cause) => {
            tracing::error!(error = &**cause as &(dyn StdError + 'static), "a page about signing in cannot be shown");
            "This is not possible at the moment. Try again later.".into()
        }
    };
    told_as(error, message)
}

/// A message about an error.
pub(super) fn told_as(error: &SignInError, message: Cow<'static, str>) -> Failure {
    let (status, retry_after_s) = answers::status(error);
    Failure::new(status, message).retry_after(retry_after_s)
}

/// A page with an error alone.
pub(super) fn error_page(error: &SignInError) -> Stopped {
    stopped(&told(error))
}

/// Whether a person has agreed.
pub(super) fn is_approved(decision: &str) -> Result<bool, Stopped> {
    match decision {
        "approve" => Ok(true),
        "deny" => Ok(false),
        _ => {
            let message = "expected `approve` or `deny`".to_owned();
            Err(error_page(&SignInError::Invalid { field: "decision", message }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::{IdentityError, Throttled};

    #[test]
    fn pages_lead_to_paths_of_this_server_alone() {
        for valid in ["/auth/device?user_code=BCDF-GHJK", "/auth/cli?a=b&c=d"] {
            assert_eq!(local_path(Some(valid)), valid);
        }
        for wrong in [
            "https://evil.example/auth/",
            "//evil.example/auth/",
            "/\\evil.example",
            "/auth/\\..\\",
            "auth/device",
            "/graphql",
            "/auth/a\r\nSet-Cookie: x",
            "",
        ] {
            assert_eq!(local_path(Some(wrong)), NOWHERE, "{wrong:?}");
        }
        assert_eq!(local_path(None), NOWHERE);
        assert_eq!(local_path(Some(&format!("/auth/{}", "x".repeat(MAX_RETURN_BYTES)))), NOWHERE);
    }

    /// As those of the answers in JSON, which are tested with the pages.
    #[test]
    fn a_page_has_the_status_of_the_error_and_says_how_long_to_wait() {
        let throttled = Throttled { retry_after: Duration::from_millis(6_500) };
        let unavailable = || SignInError::Unavailable(Box::new(IdentityError::Unreadable));
        let invalid = SignInError::Invalid { field: "email", message: "is missing".to_owned() };
        for (error, status, wait) in [
            (SignInError::Refused, 401, None),
            (SignInError::CodeRequired, 401, None),
            (invalid, 400, None),
            (SignInError::RegistrationFull { limit: 1, roleless_limit: 1 }, 403, None),
            (throttled.into(), 429, Some("7")),
            (SignInError::Busy, 503, Some("1")),
            (unavailable(), 503, Some("1")),
        ] {
            for response in [error_page(&error).into_response(), answers::error(&error)] {
                let retry_after = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
                assert_eq!((response.status().as_u16(), retry_after), (status, wait), "{error}");
            }
        }
        let rejection = auth::Rejection::Unauthenticated(Unauthenticated::Unavailable, Endpoint::Api);
        let response = failed(&rejection).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
