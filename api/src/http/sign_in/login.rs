//! `POST /auth/login`, `/auth/refresh` and `/auth/logout`.

use super::answer::{json, respond, tokens};
use super::body::{self, Rejected};
use super::cookies;
use crate::authenticator::Endpoint;
use crate::http::access::client_of;
use crate::http::auth;
use crate::http::state::State as Shared;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use identity::{Credentials, SecondFactor, SignInError};
use serde::Deserialize;
use serde_json::json as value;
use std::sync::Arc;

/// The body of a request to sign in. It cannot be formatted, because it holds secrets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Login {
    tenant: Option<String>,
    email: String,
    password: String,
    code: Option<String>,
    recovery_code: Option<String>,
    /// Whether the tokens are wanted in cookies.
    #[serde(default)]
    cookies: bool,
}

/// The body of a request to renew a session. Without a token, that of the cookie is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Refresh {
    refresh_token: Option<String>,
}

/// The second factor in a body that has at most one.
pub(super) fn second_factor(
    code: Option<String>,
    recovery_code: Option<String>,
) -> Result<Option<SecondFactor>, Rejected> {
    match (code, recovery_code) {
        (Some(_), Some(_)) => Err(Rejected::bad("send either `code` or `recoveryCode`")),
        (Some(code), None) => Ok(Some(SecondFactor::Code(code))),
        (None, Some(code)) => Ok(Some(SecondFactor::RecoveryCode(code))),
        (None, None) => Ok(None),
    }
}

/// The second factor that a person typed into a form: a recovery code, unless it has the form of a one-time code.
pub(in crate::http) fn second_factor_of_form(typed: String) -> Option<SecondFactor> {
    let code: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let is_one_time = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    match code.is_empty() {
        true => None,
        false if is_one_time => Some(SecondFactor::Code(code)),
        false => Some(SecondFactor::RecoveryCode(code)),
    }
}

/// Signs a person in.
pub(crate) async fn login(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let login: Login = body::read(request).await?;
        let (email, password, in_cookies) = (login.email, login.password, login.cookies);
        let config = &state.config.sign_in;
        let tenant = body::tenant(login.tenant, config.tenant.as_ref())?;
        let second_factor = second_factor(login.code, login.recovery_code)?;
        let credentials = Credentials { tenant, email, password, second_factor };
        let signed_in = state.deps.identities.sign_in(credentials, &client).await;
        Ok(signed_in.map(|session| tokens(&session, in_cookies, config.secure_cookies)))
    };
    respond(answered.await)
}

/// Replaces the tokens of a session. Those of a cookie are replaced in cookies.
pub(crate) async fn refresh(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (headers, extensions) = (request.headers().clone(), request.extensions().clone());
    let client = client_of(&headers, &extensions);
    let answered = async {
        let refresh: Refresh = body::read(request).await?;
        let (token, in_cookies) = presented(&state, refresh, &headers, &extensions)?;
        let renewed = state.deps.identities.renew_session(&token, &client).await;
        Ok(renewed.map(|session| tokens(&session, in_cookies, state.config.sign_in.secure_cookies)))
    };
    respond(answered.await)
}

/// The refresh token of a request, and whether it is that of the cookie.
fn presented(
    state: &Shared,
    body: Refresh,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(String, bool), Rejected> {
    let is_secure = state.config.sign_in.secure_cookies;
    if let Some(token) = body.refresh_token {
        return Ok((token, false));
    }
    let Some(token) = cookies::refresh_token(headers, is_secure) else {
        return Err(Rejected::bad("`refreshToken` is missing, and there is no cookie with one"));
    };
    match cookies::may_change(headers, is_secure) {
        true => Ok((token.to_owned(), true)),
        false => Err(Rejected::of(cookies::refuse(state, headers, extensions))),
    }
}

/// Ends a session: that of the refresh token in the body or the cookie, otherwise that of the access token.
pub(crate) async fn logout(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (headers, extensions) = (request.headers().clone(), request.extensions().clone());
    let answered = async {
        let refresh: Refresh = body::read(request).await?;
        let has_token = refresh.refresh_token.is_some()
            || cookies::refresh_token(&headers, state.config.sign_in.secure_cookies).is_some();
        let ended = if has_token {
            let (token, _) = presented(&state, refresh, &headers, &extensions)?;
            state.deps.identities.end_session(&token).await
        } else {
            let requester = auth::of_headers(&state, &headers, &extensions, Endpoint::Api).await;
            let requester = requester.map_err(|rejection| Rejected::of(rejection.into_response()))?;
            let ended = state.deps.identities.end_own_session(&requester.principal).await;
            ended.map_err(SignInError::from).and_then(|ended| if ended { Ok(()) } else { Err(SignInError::Refused) })
        };
        Ok(ended.map(|()| {
            let mut response = json(StatusCode::OK, value!({ "ended": true }));
            cookies::remove(&mut response, state.config.sign_in.secure_cookies);
            response
        }))
    };
    respond(answered.await)
}
