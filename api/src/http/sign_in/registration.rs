//! `POST /auth/register`, `/auth/password-reset` and `/auth/password-reset/request`.

use super::answer::{json, respond, tokens};
use super::body::{self, Rejected};
use crate::http::access::client_of;
use crate::http::state::State as Shared;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::Name;
use identity::{Email, NewPasswordText, Registration, SignInError};
use serde::Deserialize;
use serde_json::json as value;
use std::sync::Arc;

/// The body of a request to become a user: with the token of an invitation, or with an address where all people may register.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Register {
    /// The token of an invitation.
    token: Option<String>,
    tenant: Option<String>,
    email: Option<String>,
    password: String,
    display_name: Option<String>,
    /// Whether the tokens are wanted in cookies.
    #[serde(default)]
    cookies: bool,
}

/// The body of a request to set a password by a link.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reset {
    token: String,
    password: String,
}

/// The body of a request for a link.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResetRequest {
    tenant: Option<String>,
    email: String,
}

/// Makes a person a user.
pub(crate) async fn register(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let register: Register = body::read(request).await?;
        let display_name = register.display_name.map(Name::new).transpose();
        let display_name = display_name.map_err(|error| Rejected::bad(&format!("displayName: {error}")))?;
        let registration = Registration { password: NewPasswordText(register.password), display_name };
        let (identities, config) = (&state.deps.identities, &state.config.sign_in);
        if let Some(token) = register.token {
            if register.email.is_some() || register.tenant.is_some() {
                return Err(Rejected::bad("the invitation says the tenant and the address: send `token` without them"));
            }
            let accepted = identities.accept_invitation(&token, &registration, &client).await;
            return Ok(accepted.map(|session| tokens(&session, register.cookies, config.secure_cookies)));
        }
        if !config.open_registration {
            let message = "to register takes the token of an invitation: ask an administrator for one";
            return Err(Rejected::new(StatusCode::FORBIDDEN, "INVITATION_REQUIRED", message));
        }
        let tenant = body::tenant(register.tenant, config.tenant.as_ref())?;
        let email = register.email.ok_or_else(|| Rejected::bad("`email` is missing"))?;
        let email = Email::parse(&email).map_err(|error| Rejected::bad(&format!("email: {error}")))?;
        let registered = identities.register(&tenant, &email, &registration, &client).await;
        // The same if there was a user with the address: it is not told.
        Ok(registered.map(|()| json(StatusCode::ACCEPTED, value!({ "registered": true }))))
    };
    respond(answered.await)
}

/// Sets the password of the user whose link it is.
pub(crate) async fn reset_password(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let Reset { token, password } = body::read(request).await?;
        let set = state.deps.identities.set_password_by_link(&token, &NewPasswordText(password), &client).await;
        Ok::<_, Rejected>(set.map(|()| json(StatusCode::OK, value!({ "passwordSet": true }))))
    };
    respond(answered.await)
}

/// Notes that a person asks for a link. It is not told whether there is such a user.
pub(crate) async fn request_reset(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let ResetRequest { tenant, email } = body::read(request).await?;
        let tenant = body::tenant(tenant, state.config.sign_in.tenant.as_ref())?;
        let requested: Result<(), SignInError> = state.deps.identities.request_reset(&tenant, &email, &client).await;
        Ok::<_, Rejected>(requested.map(|()| json(StatusCode::ACCEPTED, value!({ "requested": true }))))
    };
    respond(answered.await)
}
