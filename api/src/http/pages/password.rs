//! The pages that links lead to: to set a password, and to accept an invitation; and the page that asks for such a link.

use super::form::{Stopped, answer, local_path, own_fields, told, told_as};
use super::html::{Failure, Input, Page};
use crate::http::access::client_of;
use crate::http::sign_in::cookies;
use crate::http::state::State as Shared;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use domain::{Name, TenantId};
use identity::{NewPasswordText, Registration, SignInError};
use serde::Deserialize;
use std::sync::Arc;

/// What a link has.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

/// The form of a new password. It cannot be formatted, because it holds secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    token: String,
    password: String,
    #[serde(default)]
    display_name: String,
}

/// The form that asks for a link.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forgot {
    #[serde(default)]
    tenant: String,
    email: String,
}

fn input<'a>(name: &'static str, label: &'static str, kind: &'static str, autocomplete: &'static str) -> Input<'a> {
    Input { name, label, kind, autocomplete, value: "", is_required: true }
}

/// What a person is told about a link.
fn told_of_link(error: &SignInError) -> Failure {
    match error {
        SignInError::Refused => {
            let message = "This link is not valid: it was used, has expired or was replaced. Ask for another one.";
            told_as(error, message.into())
        }
        error => told(error),
    }
}

fn new_password<'a>() -> Input<'a> {
    input("password", "New password, of 12 characters or more", "password", "new-password")
}

fn set_page(token: &str, failure: Option<&Failure>) -> Response {
    let button = [("", "", "Set the password")];
    let form = Page::new("Set your password").failed(failure);
    form.form(("post", "/auth/set-password"), &[("token", token)], &[new_password()], &button).into_response()
}

/// Shows the form of a new password.
pub(crate) async fn show_set(Query(link): Query<Link>) -> Response {
    set_page(&link.token, None)
}

/// Sets the password of the user whose link it is.
pub(crate) async fn send_set(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let NewPassword { token, password, .. } = own_fields(request).await?;
        let set = state.deps.identities.set_password_by_link(&token, &NewPasswordText(password), &client).await;
        Ok::<_, Stopped>(match set {
            Ok(()) => Page::new("Done")
                .text("Your password is set. Your sessions have ended.")
                .link("/auth/sign-in", "Sign in")
                .into_response(),
            Err(error) => set_page(&token, Some(&told_of_link(&error))),
        })
    };
    answer(answered.await)
}

fn invitation_page(token: &str, name: &str, failure: Option<&Failure>) -> Response {
    let name = Input {
        value: name,
        is_required: false,
        ..input("display_name", "Your name, as others see it", "text", "name")
    };
    let button = [("", "", "Accept the invitation")];
    let form = Page::new("Accept your invitation").failed(failure);
    form.form(("post", "/auth/invitation"), &[("token", token)], &[name, new_password()], &button).into_response()
}

/// Shows the form of an invitation.
pub(crate) async fn show_invitation(Query(link): Query<Link>) -> Response {
    invitation_page(&link.token, "", None)
}

/// Makes a person a user, who is signed in.
pub(crate) async fn send_invitation(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let NewPassword { token, password, display_name } = own_fields(request).await?;
        let named = Some(display_name.trim()).filter(|name| !name.is_empty()).map(Name::new).transpose();
        let name = match named {
            Ok(name) => name,
            Err(error) => {
                let failure = Failure::new(StatusCode::BAD_REQUEST, format!("Your name: {error}"));
                return Ok(invitation_page(&token, &display_name, Some(&failure)));
            }
        };
        let registration = Registration { password: NewPasswordText(password), display_name: name };
        match state.deps.identities.accept_invitation(&token, &registration, &client).await {
            Ok(session) => {
                let mut response = Redirect::to(local_path(None)).into_response();
                cookies::start(&mut response, &session, state.config.sign_in.secure_cookies);
                Ok(response)
            }
            Err(error) => Ok::<_, Stopped>(invitation_page(&token, &display_name, Some(&told_of_link(&error)))),
        }
    };
    answer(answered.await)
}

fn forgot_page(state: &Shared, (tenant, email): (&str, &str), failure: Option<&Failure>) -> Response {
    let of_settings = state.config.sign_in.tenant.as_ref().map(TenantId::as_str);
    let tenant = Some(tenant).filter(|tenant| !tenant.is_empty()).or(of_settings).unwrap_or_default();
    let inputs = [
        Input { value: email, ..input("email", "E-mail address", "email", "username") },
        Input { value: tenant, ..input("tenant", "Tenant", "text", "organization") },
    ];
    Page::new("Set a new password")
        .failed(failure)
        .form(("post", "/auth/forgot-password"), &[], &inputs, &[("", "", "Ask for a link")])
        .into_response()
}

/// Shows the form that asks for a link.
pub(crate) async fn show_forgot(State(state): State<Arc<Shared>>) -> Response {
    forgot_page(&state, ("", ""), None)
}

/// Notes that a person asks for a link. It is not told whether there is such a user.
pub(crate) async fn send_forgot(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let Forgot { tenant, email } = own_fields(request).await?;
        let of_settings = state.config.sign_in.tenant.as_ref();
        let named = Some(tenant.trim()).filter(|tenant| !tenant.is_empty());
        let Some(in_tenant) = named.map_or(of_settings.cloned(), |tenant| tenant.parse().ok()) else {
            let failure = Failure::new(StatusCode::BAD_REQUEST, "Name the tenant that you belong to.");
            return Ok(forgot_page(&state, (&tenant, &email), Some(&failure)));
        };
        match state.deps.identities.request_reset(&in_tenant, &email, &client).await {
            Ok(()) => {
                let text = "If there is a user with this address, a link is on its way: by mail where this server sends mail, \
                            otherwise an administrator hands it over.";
                Ok(Page::new("Asked for a link").text(text).into_response())
            }
            Err(error) => Ok::<_, Stopped>(forgot_page(&state, (&tenant, &email), Some(&told(&error)))),
        }
    };
    answer(answered.await)
}
