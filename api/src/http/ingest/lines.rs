//! `POST /v1/ingest`: lines that state calls, tasks and memories, answered line by line while the body is read.

use super::admission::{admit, compression};
use super::answer::{self, NDJSON};
use super::failure::Failure;
use super::permits::{MAX_LINE_REQUESTS, TENANT_SHARE};
use super::upload::{self, Upload};
use crate::http::state::State;
use crate::requester::Requester;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use domain::ImportId;
use ingest::Receiver;
use ingest::ndjson::{WaitingAnswer, answer_queue, receive_lines};
use metrics::counter;
use std::sync::Arc;
use tracing::Instrument as _;

/// The most bytes of lines that were compressed. Lines that were not are read however many they are, because what they take is
/// what their sender sends.
pub(super) const MAX_DECOMPRESSED_BYTES: u64 = 256 * 1024 * 1024;
/// The media types of lines of JSON.
const MEDIA_TYPES: [&str; 4] = [NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines"];

pub(super) async fn receive(
    state: &Arc<State>,
    requester: &Requester,
    import_id: &mut Option<ImportId>,
    request: Request,
) -> Result<Response, Failure> {
    admit(state, requester, Receiver::authorise_any)?;
    if !is_ndjson(request.headers()) {
        let message = "send lines of JSON, with the header `Content-Type: application/x-ndjson`";
        return Err(Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    let compression = compression(request.headers())?;
    let permit = state.ingest_permits.lines(requester.principal.tenant()).ok_or_else(|| {
        let of_tenant = MAX_LINE_REQUESTS / TENANT_SHARE;
        Failure::busy(format!(
            "{MAX_LINE_REQUESTS} requests with lines are being read, or {of_tenant} of this tenant, which is the limit: retry"
        ))
    })?;
    let (importer, upload) =
        upload::begin(state, requester, import_id, request, (compression, MAX_DECOMPRESSED_BYTES)).await?;
    let Upload { reader, fault } = upload;
    let (answers, received) = answer_queue(state.limits().send_timeout);
    let work = async move {
        let _permit = permit;
        let received = receive_lines(importer, reader, answers).await;
        // What ended the body is why it cannot be read.
        received.map_err(|stopped| fault.get().unwrap_or_else(|| Failure::of_lines(&stopped)))
    };
    let worker = tokio::spawn(state.connections.track_future(work.in_current_span()));
    answer::respond(received, worker, count).await
}

fn is_ndjson(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    MEDIA_TYPES.iter().any(|known| media_type.eq_ignore_ascii_case(known))
}

fn count(waiting: &WaitingAnswer) {
    let outcome = waiting.answer.status.as_str();
    counter!("apex_ingest_records_total", "form" => "ndjson", "outcome" => outcome).increment(1);
}
