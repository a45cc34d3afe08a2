//! The page where a person signs in, with a password or by an identity provider: `/auth/sign-in`.

use super::form::{self, Stopped, answer, encoded, local_path, own_fields, told, visitor};
use super::html::{Failure, Input, Page};
use crate::http::access::client_of;
use crate::http::sign_in::{cookies, second_factor_of_form};
use crate::http::state::State as Shared;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use domain::TenantId;
use identity::{Credentials, ProviderSummary};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameters {
    return_to: Option<String>,
}

/// The form. It cannot be formatted, because it holds secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    tenant: String,
    email: String,
    password: String,
    #[serde(default)]
    code: String,
    return_to: String,
}

fn input<'a>(name: &'static str, label: &'static str, kind: &'static str, autocomplete: &'static str) -> Input<'a> {
    Input { name, label, kind, autocomplete, value: "", is_required: true }
}

/// The form, with what was typed before and is no secret.
fn page(state: &Shared, back: &str, (tenant, email): (&str, &str), failure: Option<&Failure>) -> Response {
    let of_settings = state.config.sign_in.tenant.as_ref().map(TenantId::as_str);
    let tenant = Some(tenant).filter(|tenant| !tenant.is_empty()).or(of_settings).unwrap_or_default();
    let inputs = [
        Input { value: email, ..input("email", "E-mail address", "email", "username") },
        input("password", "Password", "password", "current-password"),
        Input {
            is_required: false,
            ..input("code", "One-time code or recovery code, if you have any", "text", "one-time-code")
        },
        Input { value: tenant, ..input("tenant", "Tenant", "text", "organization") },
    ];
    let form = Page::new("Sign in")
        .failed(failure)
        .form(("post", "/auth/sign-in"), &[("return_to", back)], &inputs, &[("", "", "Sign in")])
        .link("/auth/forgot-password", "I do not know my password");
    let providers = state.config.sign_in.providers.list().into_iter();
    let by_providers = providers.fold(form, |page, ProviderSummary { id, name, tenant }| {
        // Users of other tenants may sign in by providers of their own.
        let of_tenant =
            if Some(&tenant) == state.config.sign_in.tenant.as_ref() { String::new() } else { format!(" ({tenant})") };
        page.link(&format!("/auth/login/{id}?returnTo={}", encoded(back)), &format!("Sign in by {name}{of_tenant}"))
    });
    by_providers.into_response()
}

/// Shows the form; to a person who is signed in, who that is.
pub(crate) async fn show(
    State(state): State<Arc<Shared>>,
    Query(parameters): Query<Parameters>,
    parts: Parts,
) -> Response {
    let shown = async {
        let back = local_path(parameters.return_to.as_deref());
        if back == local_path(None)
            && let Some(visitor) = visitor(&state, &parts.headers, &parts.extensions).await?
        {
            let page = Page::new("Signed in").text(&format!("You are signed in as {}.", visitor.name));
            return Ok(page.link("/auth/device", "Let a program sign in with a code").into_response());
        }
        Ok(page(&state, back, ("", ""), None))
    };
    answer(shown.await)
}

/// Signs a person in, and leads back.
pub(crate) async fn send(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let client = client_of(request.headers(), request.extensions());
    let answered = async {
        let Fields { tenant, email, password, code, return_to } = own_fields(request).await?;
        let back = local_path(Some(&return_to));
        let of_settings = state.config.sign_in.tenant.as_ref();
        let named = Some(tenant.trim()).filter(|tenant| !tenant.is_empty());
        let Some(in_tenant) = named.map_or(of_settings.cloned(), |tenant| tenant.parse().ok()) else {
            let failure = Failure::new(StatusCode::BAD_REQUEST, "Name the tenant that you belong to.");
            return Ok(page(&state, back, (&tenant, &email), Some(&failure)));
        };
        let second_factor = second_factor_of_form(code);
        let credentials = Credentials { tenant: in_tenant, email: email.clone(), password, second_factor };
        match state.deps.identities.sign_in(credentials, &client).await {
            Ok(session) => {
                let mut response = Redirect::to(back).into_response();
                cookies::start(&mut response, &session, state.config.sign_in.secure_cookies);
                Ok(response)
            }
            Err(error) => Ok::<_, Stopped>(page(&state, back, (&tenant, &email), Some(&told(&error)))),
        }
    };
    form::answer(answered.await)
}
