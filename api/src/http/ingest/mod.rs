//! Ingest over HTTP: lines of Apex's own form, files of the formats that can be imported, responses as providers send them, and
//! batches of Langfuse's SDKs.
//!
//! Every request is authenticated, authorised and limited before its body is read, and is answered once what it states is in the
//! log. What is beyond a limit is refused with 429, and the client sends it again later: nothing waits in memory.

mod admission;
mod answer;
mod drained;
mod failure;
mod file;
mod import_id;
mod langfuse;
mod lines;
mod permits;
mod upload;

pub(in crate::http) use drained::Drained;
pub(super) use langfuse::present_secret_key;
pub(crate) use permits::IngestPermits;
pub(super) use permits::{Permit, Pool, TENANT_SHARE};

use super::auth;
use super::state::State as Shared;
use crate::authenticator::Endpoint;
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use domain::ImportId;
use std::sync::Arc;

/// What a request sends.
enum Sent {
    Lines,
    File { format: String, pairs: Vec<(String, String)> },
    Batch,
}

/// Receives lines.
pub(super) async fn lines(State(state): State<Arc<Shared>>, request: Request) -> Response {
    answer(&state, request, Sent::Lines).await
}

/// Receives a file of a format.
pub(super) async fn file(
    State(state): State<Arc<Shared>>,
    Path(format): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    answer(&state, request, Sent::File { format, pairs }).await
}

/// Receives a batch of an SDK of Langfuse.
pub(super) async fn langfuse(State(state): State<Arc<Shared>>, mut request: Request) -> Response {
    present_secret_key(request.headers_mut());
    answer(&state, request, Sent::Batch).await
}

/// Says in a response which import the request was.
fn name_import(response: &mut Response, import_id: ImportId) {
    if let Ok(id) = HeaderValue::try_from(import_id.to_string()) {
        response.headers_mut().insert(auth::CORRELATION, id);
    }
}

async fn answer(state: &Arc<Shared>, request: Request, sent: Sent) -> Response {
    let request = Drained::request(request);
    let authenticated = auth::of_headers(state, request.headers(), request.extensions(), Endpoint::Api).await;
    let requester = match authenticated {
        Ok(requester) => requester,
        Err(rejection) => return rejection.into_response(),
    };
    // It is told also where a part of what was sent is recorded before the rest fails.
    let mut import_id = requester.correlation_id.map(ImportId);
    let received = match sent {
        Sent::Lines => lines::receive(state, &requester, &mut import_id, request).await,
        Sent::File { format, pairs } => {
            file::receive(state, &requester, &mut import_id, (&format, pairs), request).await
        }
        Sent::Batch => langfuse::receive(state, &requester, import_id, request).await,
    };
    let mut response = received.unwrap_or_else(IntoResponse::into_response);
    if let Some(import_id) = import_id {
        name_import(&mut response, import_id);
    }
    state.rate_limiter.add_headers(&requester.principal, response.headers_mut());
    response
}
