//! Exports: `GET /v1/exports/calls` and `GET /v1/exports/focus`.
//!
//! A response is sent while the database is read, as fast as the client takes it. What is wrong before its first byte is a status.
//! If the rest cannot be had, the connection is aborted instead of ended, so that no client takes a part for the whole.

mod body;
mod content;
mod parameters;
mod permits;
mod refused;

pub(crate) use permits::Exports;

use self::body::{MAX_DURATION, respond};
use self::content::Content;
use self::parameters::Parameters;
use self::permits::MAX_EXPORTS;
use self::refused::{Refused, unavailable};
use super::ingest::TENANT_SHARE;
use super::state::State as Shared;
use super::{access, auth, rate_limit};
use crate::authenticator::Endpoint;
use crate::graphql::errors;
use crate::requester::Requester;
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::permissions::{Forbidden, ReadCalls, ReadReports};
use domain::price_book::PriceBook;
use domain::rate_limits::LimitedResource;
use projections::{OpenExport, WaitError};
use std::sync::Arc;
use tokio::time::Instant;

/// After how many seconds a client should retry if the server has as many exports as it can.
const BUSY_RETRY_AFTER_S: u64 = 5;
/// The read model of calls.
const CALLS: &str = "calls";

/// Exports a row for each call.
pub(super) async fn calls(
    State(state): State<Arc<Shared>>,
    Query(pairs): Query<Vec<(String, String)>>,
    parts: Parts,
) -> Response {
    handle(&state, Content::Calls, pairs, parts).await
}

/// Exports what calls cost in the form of FOCUS.
pub(super) async fn focus(
    State(state): State<Arc<Shared>>,
    Query(pairs): Query<Vec<(String, String)>>,
    parts: Parts,
) -> Response {
    handle(&state, Content::Focus, pairs, parts).await
}

async fn handle(state: &Arc<Shared>, content: Content, pairs: Vec<(String, String)>, parts: Parts) -> Response {
    let requester = match auth::of_headers(state, &parts.headers, &parts.extensions, Endpoint::Api).await {
        Ok(requester) => requester,
        Err(rejection) => return rejection.into_response(),
    };
    let exported = export(state, &requester, content, pairs).await;
    let mut response = exported.unwrap_or_else(|Refused(response)| *response);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    state.rate_limiter.add_headers(&requester.principal, response.headers_mut());
    response
}

async fn export(
    state: &Arc<Shared>,
    requester: &Requester,
    content: Content,
    pairs: Vec<(String, String)>,
) -> Result<Response, Refused> {
    rate_limit::take(state, requester, LimitedResource::Requests, 1)?;
    let principal = &requester.principal;
    let forbidden = |forbidden: Forbidden| {
        access::forbidden(state, requester, &forbidden);
        let (status, code, message) = auth::Rejection::Forbidden(forbidden).parts();
        Refused::of(status, code, &message)
    };
    let authorised = match content {
        Content::Calls => principal.authorise::<ReadCalls>().map(drop),
        Content::Focus => principal.authorise::<ReadReports>().map(drop),
    };
    authorised.map_err(&forbidden)?;
    let parameters = Parameters::of(content, pairs).map_err(|message| Refused::bad(&message))?;
    let busy = || {
        let message = format!(
            "{MAX_EXPORTS} exports are being made, or 1/{TENANT_SHARE} of that for one tenant, which is the limit: retry"
        );
        Refused::of(StatusCode::TOO_MANY_REQUESTS, "BUSY", &message).retry_after(BUSY_RETRY_AFTER_S)
    };
    // Before the permit, so that clients that wait for the read model keep nobody from exporting.
    wait(state, &parameters).await?;
    let permit = state.exports.permit(principal.tenant()).ok_or_else(busy)?;
    let deadline = Instant::now() + MAX_DURATION;
    let reads = state.exports.reads();
    let open = match content {
        Content::Calls => {
            OpenExport::calls(reads, &principal.authorise::<ReadCalls>().map_err(forbidden)?, &parameters.query).await?
        }
        Content::Focus => {
            let access = principal.authorise::<ReadReports>().map_err(forbidden)?;
            OpenExport::focus(reads, &access, &parameters.query, parameters.version).await?
        }
    };
    // After the snapshot, so that it has every version by which a call of the snapshot was charged.
    let book = state.deps.commands.load::<PriceBook>(&principal.charging(), PriceBook::id()).await;
    let book = book.map_err(|error| unavailable(&error))?;
    requester.note_export(&state.deps.identities, content.data());
    respond(state, requester, (content, &parameters), (open, PriceBook::clone(&book.state)), (permit, deadline)).await
}

/// Waits until the read model has what the client wants to be in the export.
async fn wait(state: &Shared, parameters: &Parameters) -> Result<(), Refused> {
    let Some(position) = parameters.min_position else { return Ok(()) };
    let waited = projections::wait_for(&state.deps.pool, &[CALLS], position, state.limits().projection_wait).await;
    match waited {
        Ok(_) => Ok(()),
        Err(error @ WaitError::TimedOut { .. }) => {
            let code = errors::code(&errors::wait(&error)).unwrap_or_default().to_owned();
            Err(Refused::of(StatusCode::SERVICE_UNAVAILABLE, &code, &error.to_string()).retry_after(1))
        }
        Err(WaitError::Database(error)) => Err(unavailable(&error)),
    }
}
