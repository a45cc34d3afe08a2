//! Cookies of web pages, and the protection against requests of foreign pages that a browser sends them with.
//!
//! The access token is in a cookie that scripts cannot read and that is sent for this site only. A request that is
//! authenticated by it must come from an own page, as far as the browser says, and one that may change something must repeat
//! the value of another cookie in a header: a foreign page can neither read that cookie nor set that header.

use crate::http::response;
use crate::http::state::State as Shared;
use axum::extract::{Request, State};
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use identity::SessionTokens;
use std::sync::Arc;
use uuid::Uuid;

/// The routes to which a credential is presented in the body, or in a cookie that the handler reads itself.
const OWN_CREDENTIAL: [&str; 7] = [
    "/auth/login",
    "/auth/callback",
    "/auth/refresh",
    "/auth/logout",
    "/auth/register",
    "/auth/password-reset",
    "/auth/password-reset/request",
];

/// The names of the cookies, and of the header.
const ACCESS: &str = "apex_access";
const REFRESH: &str = "apex_refresh";
const CSRF: &str = "apex_csrf";
/// The sign-in by a provider that was started in the browser.
const ATTEMPT: &str = "apex_sign_in";
pub(crate) const CSRF_HEADER: &str = "x-apex-csrf";
/// The path that the refresh token is sent to.
const REFRESH_PATH: &str = "/auth";
/// The path that the sign-in by a provider is sent to.
const ATTEMPT_PATH: &str = "/auth/callback";
/// The most bytes of the `Cookie` headers that are looked at.
const MAX_COOKIE_BYTES: usize = 16 * 1024;

/// The value of a cookie; none if there is none, or several.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = all
        .filter(|value| value.len() <= MAX_COOKIE_BYTES)
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    found.next().filter(|_| found.next().is_none())
}

/// The refresh token in the cookies of a request.
pub(super) fn refresh_token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, REFRESH)
}

/// The sign-in by a provider that was started in the browser.
pub(super) fn attempt(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, ATTEMPT)
}

/// Whether a browser says that a request comes from a page of this server, or from none. Other programs say nothing.
fn is_of_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default().parse::<Authority>().ok();
    let is_own_origin = text(header::ORIGIN).is_none_or(|origin| {
        let origin = origin.parse::<Uri>().ok().and_then(|origin| origin.authority().cloned());
        origin.is_some() && origin == host
    });
    let is_own_fetch = text(header::HeaderName::from_static("sec-fetch-site"))
        .is_none_or(|site| site == "same-origin" || site == "none");
    is_own_origin && is_own_fetch
}

/// Whether a request repeats the value of the cookie in the header.
fn has_csrf_header(headers: &HeaderMap) -> bool {
    let repeated = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    cookie(headers, CSRF).is_some_and(|value| !value.is_empty() && repeated == Some(value))
}

/// Whether a request that is authenticated by a cookie may change something.
pub(super) fn may_change(headers: &HeaderMap) -> bool {
    is_of_own_page(headers) && has_csrf_header(headers)
}

/// The response to a request that may not change anything.
pub(super) fn refused() -> Response {
    let message = "a request with the cookies of a session must come from a page of this server, and must have the value of \
                   the cookie `apex_csrf` in the header `X-Apex-Csrf`";
    response::error(StatusCode::FORBIDDEN, "CSRF", message).into_response()
}

/// Presents the access token in the cookie of a request as its credential, where it has no other.
pub(crate) async fn present(State(_): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let has_own = OWN_CREDENTIAL.contains(&request.uri().path());
    let token = cookie(headers, ACCESS).filter(|_| !headers.contains_key(header::AUTHORIZATION) && !has_own);
    let Some(token) = token else { return next.run(request).await };
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe && !is_of_own_page(headers) {
        // As if the browser had not sent the cookie.
        return next.run(request).await;
    }
    if !is_safe && !may_change(headers) {
        return refused();
    }
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    next.run(request).await
}

fn set(name: &str, value: &str, path: &str, max_age_seconds: u64, attributes: &str) -> Option<HeaderValue> {
    // A provider sends the browser back from its own site: with `Strict`, the cookie would not be sent.
    let same_site = if name == ATTEMPT { "Lax" } else { "Strict" };
    let text = format!("{name}={value}; Path={path}; Max-Age={max_age_seconds}; SameSite={same_site}{attributes}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A new value that requests repeat in the header.
pub(super) fn csrf_token() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Adds the cookies of a session to a response.
pub(super) fn add(response: &mut Response, tokens: &SessionTokens, csrf: &str, refresh_seconds: u64, is_secure: bool) {
    let secure = if is_secure { "; Secure" } else { "" };
    let hidden = format!("; HttpOnly{secure}");
    let cookies = [
        set(ACCESS, tokens.access.reveal(), "/", tokens.access_lifetime.as_secs(), &hidden),
        set(REFRESH, tokens.refresh.reveal(), REFRESH_PATH, refresh_seconds, &hidden),
        set(CSRF, csrf, "/", refresh_seconds, secure),
    ];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Adds the cookie of a sign-in by a provider to a response.
pub(super) fn add_attempt(response: &mut Response, text: &str, max_age_seconds: u64, is_secure: bool) {
    let attributes = if is_secure { "; HttpOnly; Secure" } else { "; HttpOnly" };
    if let Some(cookie) = set(ATTEMPT, text, ATTEMPT_PATH, max_age_seconds, attributes) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Removes the cookie of a sign-in by a provider.
pub(super) fn remove_attempt(response: &mut Response, is_secure: bool) {
    add_attempt(response, "", 0, is_secure);
}

/// Removes the cookies of a session.
pub(super) fn remove(response: &mut Response, is_secure: bool) {
    let attributes = if is_secure { "; HttpOnly; Secure" } else { "; HttpOnly" };
    for (name, path) in [(ACCESS, "/"), (REFRESH, REFRESH_PATH), (CSRF, "/")] {
        if let Some(cookie) = set(name, "", path, 0, attributes) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_cookie_is_found_once_or_not_at_all() {
        let of = |value: &str| cookie(&headers(&[("cookie", value)]), ACCESS).map(str::to_owned);
        assert_eq!(of("a=b; apex_access=tea; c=d"), Some("tea".to_owned()));
        for none in ["", "apex_access", "xapex_access=tea", "apex_access=tea; apex_access=coffee", "APEX_ACCESS=tea"] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    #[test]
    fn requests_of_foreign_pages_are_told() {
        let own =
            |pairs: &[(&'static str, &str)]| is_of_own_page(&headers(&[&[("host", "apex.example")], pairs].concat()));
        assert!(own(&[]) && own(&[("origin", "https://apex.example")]) && own(&[("sec-fetch-site", "same-origin")]));
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "https://apex.example:8443"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!own(&[foreign]), "{foreign:?}");
        }
    }

    #[test]
    fn the_header_has_the_value_of_the_cookie() {
        let both = |cookie: &str, header: &str| has_csrf_header(&headers(&[("cookie", cookie), (CSRF_HEADER, header)]));
        assert!(both("apex_csrf=1", "1"));
        assert!(!both("apex_csrf=1", "2") && !both("apex_csrf=", "") && !both("x=1", "1"));
        assert!(!has_csrf_header(&headers(&[("cookie", "apex_csrf=1")])));
    }
}
