//! `GET /auth/session`, and what a user does to its own account: `POST /auth/password` and `/auth/totp…`.

use super::answer::{json, respond};
use super::body::{self, Rejected};
use super::login::second_factor;
use crate::authenticator::Endpoint;
use crate::http::auth::{self, Rejection};
use crate::http::state::State as Shared;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use commands::{Principal, Subject};
use identity::{Client, NewPasswordText, SignInError};
use serde::Deserialize;
use serde_json::json as value;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangePassword {
    current_password: String,
    new_password: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartTotp {
    password: String,
    code: Option<String>,
    recovery_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfirmTotp {
    id: Uuid,
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DisableTotp {
    password: String,
    code: Option<String>,
    recovery_code: Option<String>,
}

/// The principal of a request and where it comes from, if it is a user.
async fn user(
    state: &Shared,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(Arc<Principal>, Client), Rejected> {
    let requester = auth::of_headers(state, headers, extensions, Endpoint::Api).await;
    let requester = requester.map_err(|rejection: Rejection| Rejected::of(rejection.into_response()))?;
    if matches!(requester.principal.subject(), Subject::User { .. }) {
        return Ok((requester.principal, requester.client));
    }
    let message = "only a user has an account: sign in at /auth/login";
    Err(Rejected::new(StatusCode::FORBIDDEN, "FORBIDDEN", message))
}

/// Tells a user who it is, and which roles it has.
pub(crate) async fn session(State(state): State<Arc<Shared>>, parts: Parts) -> Response {
    let answered = async {
        let (principal, _) = user(&state, &parts.headers, &parts.extensions).await?;
        let account = state.deps.identities.own_account(&principal).await.map_err(SignInError::from);
        Ok(account.and_then(|account| {
            let account = account.ok_or(SignInError::Refused)?;
            let roles: Vec<_> = account.roles.iter().map(ToString::to_string).collect();
            Ok(json(
                StatusCode::OK,
                value!({
                    "tenant": principal.tenant(),
                    "userId": account.id,
                    "sessionId": account.session,
                    "email": account.email,
                    "displayName": account.display_name,
                    "roles": roles,
                    "codesRequired": account.has_totp,
                }),
            ))
        }))
    };
    respond(answered.await)
}

/// Changes the password of a user. Its other sessions end.
pub(crate) async fn change_password(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let answered = async {
        let (principal, client) = user(&state, request.headers(), request.extensions()).await?;
        let ChangePassword { current_password, new_password } = body::read(request).await?;
        let new = NewPasswordText(new_password);
        let changed = state.deps.identities.change_password(&principal, &current_password, &new, &client).await;
        Ok(changed.map(|()| json(StatusCode::OK, value!({ "passwordSet": true }))))
    };
    respond(answered.await)
}

/// Creates the secret of one-time codes, which are demanded once one was confirmed.
pub(crate) async fn start_totp(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let answered = async {
        let (principal, client) = user(&state, request.headers(), request.extensions()).await?;
        let StartTotp { password, code, recovery_code } = body::read(request).await?;
        let second_factor = second_factor(code, recovery_code)?;
        let started = state.deps.identities.start_totp(&principal, &password, second_factor, &client).await;
        Ok(started.map(|new| {
            let (secret, url) = (new.secret.reveal(), new.url.reveal());
            json(StatusCode::OK, value!({ "id": new.credential_id, "secret": secret, "url": url }))
        }))
    };
    respond(answered.await)
}

/// Demands one-time codes of a user from now on.
pub(crate) async fn confirm_totp(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let answered = async {
        let (principal, client) = user(&state, request.headers(), request.extensions()).await?;
        let ConfirmTotp { id, code } = body::read(request).await?;
        let confirmed = state.deps.identities.confirm_totp(&principal, id, &code, &client).await;
        Ok(confirmed.map(|codes| json(StatusCode::OK, value!({ "recoveryCodes": codes.reveal() }))))
    };
    respond(answered.await)
}

/// Demands no one-time codes of a user any more.
pub(crate) async fn disable_totp(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let answered = async {
        let (principal, client) = user(&state, request.headers(), request.extensions()).await?;
        let DisableTotp { password, code, recovery_code } = body::read(request).await?;
        let Some(second_factor) = second_factor(code, recovery_code)? else {
            return Err(Rejected::bad("`code` or `recoveryCode` is missing"));
        };
        let disabled = state.deps.identities.disable_totp(&principal, &password, second_factor, &client).await;
        Ok(disabled.map(|()| json(StatusCode::OK, value!({ "codesRequired": false }))))
    };
    respond(answered.await)
}
