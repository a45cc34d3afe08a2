//! The device flow (RFC 8628): `/auth/device`, where a program begins it and a person types its code.

use super::form::{Stopped, answer, error_page, is_approved, own_fields, sender, to_sign_in, told, visitor};
use super::html::{Failure, Input, Page};
use super::token::refused as token_refused;
use crate::http::access::client_of;
use crate::http::sign_in::answer as answers;
use crate::http::state::State as Shared;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HOST, HeaderMap};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use identity::SignInError;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The path of the page.
const PATH: &str = "/auth/device";

#[derive(Deserialize)]
pub(crate) struct Parameters {
    user_code: Option<String>,
}

/// The form of a decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    user_code: String,
    csrf: String,
    decision: String,
}

/// The address of this server as the client calls it.
fn base(state: &Shared, headers: &HeaderMap) -> Option<String> {
    if let Some(url) = &state.config.sign_in.public_url {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let scheme = if state.config.tls.is_some() { "https" } else { "http" };
    let host = headers.get(HOST)?.to_str().ok()?;
    let authority: axum::http::uri::Authority = host.parse().ok()?;
    Some(format!("{scheme}://{authority}"))
}

/// Begins the flow of a program.
pub(crate) async fn start(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (client, headers) = (client_of(request.headers(), request.extensions()), request.headers().clone());
    let Some(base) = base(&state, &headers) else {
        return token_refused(StatusCode::BAD_REQUEST, "invalid_request", "the header `Host` is missing");
    };
    match state.deps.identities.start_device_sign_in(&client).await {
        Ok(new) => answers::json(
            StatusCode::OK,
            json!({
                "device_code": new.device_code.reveal(),
                "user_code": new.user_code.reveal(),
                "verification_uri": format!("{base}{PATH}"),
                "verification_uri_complete": format!("{base}{PATH}?user_code={}", new.user_code.reveal()),
                "expires_in": new.lifetime.as_secs(),
                "interval": new.interval.as_secs(),
            }),
        ),
        Err(error) => answers::error(&error),
    }
}

fn code_page(typed: &str, failure: Option<&Failure>) -> Response {
    let input = Input {
        name: "user_code",
        label: "Code that the program shows",
        kind: "text",
        autocomplete: "off",
        value: typed,
        is_required: true,
    };
    Page::new("Let a program sign in")
        .failed(failure)
        .form(("get", PATH), &[], &[input], &[("", "", "Continue")])
        .into_response()
}

/// What a person is told about a code.
fn told_of_code(error: &SignInError) -> Failure {
    match error {
        SignInError::Refused => {
            let message =
                "No program waits with this code. Check it, or begin again: a code is accepted for ten minutes.";
            Failure::new(StatusCode::NOT_FOUND, message)
        }
        error => told(error),
    }
}

/// Asks for the code, and then whether the program may sign in.
pub(crate) async fn show(
    State(state): State<Arc<Shared>>,
    Query(parameters): Query<Parameters>,
    parts: Parts,
) -> Response {
    let shown = async {
        let back = parts.uri.path_and_query().map_or(PATH, |path| path.as_str());
        let visitor = visitor(&state, &parts.headers, &parts.extensions).await?.ok_or_else(|| to_sign_in(back))?;
        let Some(code) = parameters.user_code.filter(|code| !code.trim().is_empty()) else {
            return Ok(code_page("", None));
        };
        let found = match state.deps.identities.device_sign_in(&visitor.principal, &code).await {
            Ok(found) => found,
            Err(error) => return Ok(code_page(&code, Some(&told_of_code(&error)))),
        };
        let asked = found.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let facts = [
            ("Code", code.trim()),
            ("Program, as it calls itself", found.user_agent.as_deref().unwrap_or("not named")),
            ("Address that it connects from", found.address.as_deref().unwrap_or("not known")),
            ("It asked at", &asked),
        ];
        let page = Page::new("Let a program sign in")
            .text(&format!("A program asks to sign in as {}, with everything that you may do.", visitor.name))
            .text("Agree only if you have started it yourself, and it shows this code. Nobody else has a reason to send you one.")
            .facts(&facts)
            .form(
                ("post", "/auth/device/decision"),
                &[("user_code", code.trim()), ("csrf", &visitor.csrf)],
                &[],
                &[("decision", "approve", "Sign it in"), ("decision", "deny", "Refuse")],
            );
        Ok::<_, Stopped>(page.into_response())
    };
    answer(shown.await)
}

/// Notes what a person decided.
pub(crate) async fn decide(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (headers, extensions) = (request.headers().clone(), request.extensions().clone());
    let answered = async {
        let Decision { user_code, csrf, decision } = own_fields(request).await?;
        let visitor = sender(&state, (&headers, &extensions), &csrf, PATH).await?;
        let is_approved = is_approved(&decision)?;
        let decided = state.deps.identities.decide_device_sign_in(&visitor.principal, &user_code, is_approved).await;
        match decided {
            Ok(()) if is_approved => {
                Ok(Page::new("Done").text("The program is signed in. You can close this page.").into_response())
            }
            Ok(()) => {
                Ok(Page::new("Refused").text("The program is not signed in. You can close this page.").into_response())
            }
            Err(error @ SignInError::Refused) => Ok(code_page("", Some(&told_of_code(&error)))),
            Err(error) => Err(error_page(&error)),
        }
    };
    answer(answered.await)
}
