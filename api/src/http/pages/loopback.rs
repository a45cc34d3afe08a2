//! The loopback flow (RFC 8252, RFC 7636): `/auth/cli`, where a person agrees, and the browser takes a code to a program on the
//! same machine.

use super::form::{Stopped, answer, error_page, is_approved, own_fields, sender, to_sign_in, visitor};
use super::html::Page;
use crate::http::access::client_of;
use crate::http::state::State as Shared;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use identity::{Identities, SignInError};
use serde::Deserialize;
use std::num::NonZeroU16;
use std::sync::Arc;

/// The longest state of a program, in bytes.
const MAX_STATE_BYTES: usize = 128;

/// What the program asks with.
#[derive(Deserialize)]
pub(crate) struct Parameters {
    port: NonZeroU16,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// The form of a decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    port: NonZeroU16,
    state: String,
    code_challenge: String,
    csrf: String,
    decision: String,
}

fn invalid(field: &'static str, message: &str) -> Stopped {
    error_page(&SignInError::Invalid { field, message: message.to_owned() })
}

/// Checks what the program sent, so that it can be put into a URL as it is.
fn check(state: &str, challenge: &str) -> Result<(), Stopped> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if state.is_empty() || state.len() > MAX_STATE_BYTES || !state.bytes().all(is_plain) {
        return Err(invalid("state", "expected letters, digits, hyphens and underscores"));
    }
    Identities::check_challenge(challenge).map_err(|error| error_page(&error))
}

/// Asks whether the program may sign in.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Query<Parameters>,
    parts: Parts,
) -> Response {
    let shown = async {
        let Parameters { port, state, code_challenge, code_challenge_method } = parameters;
        if code_challenge_method != "S256" {
            return Err(invalid("code_challenge_method", "expected S256"));
        }
        check(&state, &code_challenge)?;
        let back = parts.uri.path_and_query().map_or("/auth/cli", |path| path.as_str());
        let visitor = visitor(&shared, &parts.headers, &parts.extensions).await?.ok_or_else(|| to_sign_in(back))?;
        let port = port.to_string();
        let page = Page::new("Sign in the command line")
            .leads_to(format!("http://127.0.0.1:{port}"))
            .text(&format!("Sign in the command line on this machine as {}?", visitor.name))
            .text("It may do everything that you may do. Agree only if you have started `apex login` yourself.")
            .form(
                ("post", "/auth/cli/decision"),
                &[("port", &port), ("state", &state), ("code_challenge", &code_challenge), ("csrf", &visitor.csrf)],
                &[],
                &[("decision", "approve", "Sign it in"), ("decision", "deny", "Refuse")],
            );
        Ok(page.into_response())
    };
    answer(shown.await)
}

/// Leads the browser to the program, with a code if the person has agreed.
pub(crate) async fn decide(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (headers, extensions, client) =
        (request.headers().clone(), request.extensions().clone(), client_of(request.headers(), request.extensions()));
    let answered = async {
        let Decision { port, state, code_challenge, csrf, decision } = own_fields(request).await?;
        check(&state, &code_challenge)?;
        let visitor = sender(&shared, (&headers, &extensions), &csrf, "/auth/sign-in").await?;
        let to_program = |answer: &str| Redirect::to(&format!("http://127.0.0.1:{port}/?state={state}&{answer}"));
        if !is_approved(&decision)? {
            return Ok(to_program("error=access_denied").into_response());
        }
        let identities = &shared.deps.identities;
        let code = identities.approve_loopback_sign_in(&visitor.principal, &code_challenge, &client).await;
        let code = code.map_err(|error| error_page(&error))?;
        Ok(to_program(&format!("code={}", code.reveal())).into_response())
    };
    answer(answered.await)
}
