//! Cookies of web pages, and the protection against requests of foreign pages that a browser sends them with.
//!
//! The access token is in a cookie that scripts cannot read and that is sent for this site only. A request that is
//! authenticated by it must come from an own page, as far as the browser says, and one that may change something must repeat
//! the value of another cookie in a header: a foreign page can neither read that cookie nor set that header.

use crate::http::access;
use crate::http::origin::is_of_own_page;
use crate::http::response;
use crate::http::state::State as Shared;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use domain::access_log::RefusalReason;
use identity::SessionTokens;
use std::sync::Arc;
use uuid::Uuid;

/// The routes to which a credential is presented in the body, or in a cookie that the handler reads itself.
const OWN_CREDENTIAL: [&str; 15] = [
    "/auth/login",
    "/auth/callback",
    "/auth/refresh",
    "/auth/logout",
    "/auth/register",
    "/auth/password-reset",
    "/auth/password-reset/request",
    "/auth/sign-in",
    "/auth/device",
    "/auth/device/decision",
    "/auth/cli/decision",
    "/auth/token",
    "/auth/forgot-password",
    "/auth/set-password",
    "/auth/invitation",
];

/// The header that repeats the value of a cookie.
pub(crate) const CSRF_HEADER: &str = "x-apex-csrf";

/// The names of the cookies, and the paths that those which not every route needs are sent to.
struct Names {
    access: &'static str,
    refresh: &'static str,
    csrf: &'static str,
    /// The sign-in by a provider that was started in the browser.
    attempt: &'static str,
    refresh_path: &'static str,
    attempt_path: &'static str,
}

/// The names of cookies that browsers send over TLS only. Their prefix tells browsers to accept them from this host alone, and
/// over TLS: a page of a neighbouring host cannot set them. It demands the path of all cookies.
const SECURE: Names = Names {
    access: "__Host-apex_access",
    refresh: "__Host-apex_refresh",
    csrf: "__Host-apex_csrf",
    attempt: "__Host-apex_sign_in",
    refresh_path: "/",
    attempt_path: "/",
};
/// The names of cookies without TLS, as on a loopback address.
const PLAIN: Names = Names {
    access: "apex_access",
    refresh: "apex_refresh",
    csrf: "apex_csrf",
    attempt: "apex_sign_in",
    refresh_path: "/auth",
    attempt_path: "/auth/callback",
};

/// The names of the cookies of a server: others are not looked at, so that none is taken for a secure one.
const fn names(is_secure: bool) -> &'static Names {
    if is_secure { &SECURE } else { &PLAIN }
}

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
pub(super) fn refresh_token(headers: &HeaderMap, is_secure: bool) -> Option<&str> {
    cookie(headers, names(is_secure).refresh)
}

/// Whether a browser says that a form was sent from a page of this server. Each browser says so of a form that is posted.
pub(in crate::http) fn is_sent_by_own_page(headers: &HeaderMap) -> bool {
    let says = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    says && is_of_own_page(headers)
}

/// The credential in the cookie of a request that comes from a page of this server, or from none.
pub(in crate::http) fn credential(headers: &HeaderMap, is_secure: bool) -> Option<HeaderValue> {
    let token = cookie(headers, names(is_secure).access).filter(|_| is_of_own_page(headers))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The value that forms and requests of a session repeat.
pub(in crate::http) fn csrf_cookie(headers: &HeaderMap, is_secure: bool) -> Option<&str> {
    cookie(headers, names(is_secure).csrf).filter(|value| !value.is_empty())
}

/// The sign-in by a provider that was started in the browser.
pub(super) fn attempt(headers: &HeaderMap, is_secure: bool) -> Option<&str> {
    cookie(headers, names(is_secure).attempt)
}

/// Whether a request repeats the value of the cookie in the header.
fn has_csrf_header(headers: &HeaderMap, is_secure: bool) -> bool {
    let repeated = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    cookie(headers, names(is_secure).csrf).is_some_and(|value| !value.is_empty() && repeated == Some(value))
}

/// Whether a request that is authenticated by a cookie may change something.
pub(super) fn may_change(headers: &HeaderMap, is_secure: bool) -> bool {
    is_of_own_page(headers) && has_csrf_header(headers, is_secure)
}

/// Refuses a request that may not change anything.
pub(super) fn refuse(state: &Shared, headers: &HeaderMap, extensions: &Extensions) -> Response {
    access::refused_client(state, RefusalReason::Csrf, access::client_of(headers, extensions));
    let message = "a request with the cookies of a session must come from a page of this server, and must have the value of \
                   the cookie `apex_csrf`, over TLS `__Host-apex_csrf`, in the header `X-Apex-Csrf`";
    response::error(StatusCode::FORBIDDEN, "CSRF", message).into_response()
}

/// Presents the access token in the cookie of a request as its credential, where it has no other.
pub(crate) async fn present(State(state): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let (headers, is_secure) = (request.headers(), state.config.sign_in.secure_cookies);
    let has_own = OWN_CREDENTIAL.contains(&request.uri().path());
    let token = cookie(headers, names(is_secure).access);
    let token = token.filter(|_| !headers.contains_key(header::AUTHORIZATION) && !has_own);
    let Some(token) = token else { return next.run(request).await };
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe && !is_of_own_page(headers) {
        // As if the browser had not sent the cookie.
        return next.run(request).await;
    }
    if !is_safe && !may_change(headers, is_secure) {
        return refuse(&state, headers, request.extensions());
    }
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    next.run(request).await
}

/// A cookie that browsers send for this site only.
fn set(name: &str, value: &str, path: &str, max_age_seconds: u64, attributes: &str) -> Option<HeaderValue> {
    header_value(&format!("{name}={value}; Path={path}; Max-Age={max_age_seconds}; SameSite=Strict{attributes}"))
}

fn header_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A new value that requests repeat in the header.
pub(super) fn csrf_token() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Adds the cookies of a session that begins to a response.
pub(in crate::http) fn start(response: &mut Response, tokens: &SessionTokens, is_secure: bool) {
    let refresh_seconds = (tokens.refresh_expires_at - Utc::now()).num_seconds().max(0).unsigned_abs();
    add(response, tokens, &csrf_token(), refresh_seconds, is_secure);
}

/// Adds the cookies of a session to a response.
pub(super) fn add(response: &mut Response, tokens: &SessionTokens, csrf: &str, refresh_seconds: u64, is_secure: bool) {
    let (secure, names) = (if is_secure { "; Secure" } else { "" }, names(is_secure));
    let hidden = format!("; HttpOnly{secure}");
    let cookies = [
        set(names.access, tokens.access.reveal(), "/", tokens.access_lifetime.as_secs(), &hidden),
        set(names.refresh, tokens.refresh.reveal(), names.refresh_path, refresh_seconds, &hidden),
        set(names.csrf, csrf, "/", refresh_seconds, secure),
    ];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Adds the cookie of a sign-in by a provider to a response. A provider sends the browser back from its own site: a cookie that
/// is `Strict` would not be sent then.
pub(super) fn add_attempt(response: &mut Response, text: &str, max_age_seconds: u64, is_secure: bool) {
    let (secure, Names { attempt, attempt_path, .. }) = (if is_secure { "; Secure" } else { "" }, names(is_secure));
    let cookie =
        format!("{attempt}={text}; Path={attempt_path}; Max-Age={max_age_seconds}; SameSite=Lax; HttpOnly{secure}");
    if let Some(cookie) = header_value(&cookie) {
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
    let names = names(is_secure);
    for (name, path) in [(names.access, "/"), (names.refresh, names.refresh_path), (names.csrf, "/")] {
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
        let of = |value: &str| cookie(&headers(&[("cookie", value)]), PLAIN.access).map(str::to_owned);
        assert_eq!(of("a=b; apex_access=tea; c=d"), Some("tea".to_owned()));
        for none in ["", "apex_access", "xapex_access=tea", "apex_access=tea; apex_access=coffee", "APEX_ACCESS=tea"] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_header_has_the_value_of_the_cookie() {
        let both =
            |cookie: &str, header: &str| has_csrf_header(&headers(&[("cookie", cookie), (CSRF_HEADER, header)]), false);
        assert!(both("apex_csrf=1", "1"));
        assert!(!both("apex_csrf=1", "2") && !both("apex_csrf=", "") && !both("x=1", "1"));
        assert!(!has_csrf_header(&headers(&[("cookie", "apex_csrf=1")]), false));
        // A page of another host, or one without TLS, can set the plain cookie, and not the one of a secure server.
        let plain = headers(&[("cookie", "apex_csrf=1"), (CSRF_HEADER, "1")]);
        let secure = headers(&[("cookie", "__Host-apex_csrf=1"), (CSRF_HEADER, "1")]);
        assert!(has_csrf_header(&secure, true) && !has_csrf_header(&plain, true) && !has_csrf_header(&secure, false));
    }
}
