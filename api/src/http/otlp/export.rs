//! What HTTP and gRPC have in common: limits, decoding and reporting.

use super::failure::{Code, Failure};
use crate::http::access;
use crate::http::computing::is_large;
use crate::http::rate_limit;
use crate::http::state::State;
use crate::requester::Requester;
use axum::http::StatusCode;
use bytes::Bytes;
use domain::rate_limits::LimitedResource;
use domain::{AgentId, ImportId, TenantId};
use ingest::otlp::{Encoding, Export, KeptSpans, Received, Signal, SpanUse};
use ingest::{ReceiveError, Receiver};
use metrics::counter;
use projections::DatabaseError;
use projections::spans::{LatestSpans, SpanStore};

/// The number of spans above which it takes long to find out which exports of them are kept.
const MANY_SPANS: usize = 100;

/// Takes a request from what the caller may send.
pub(super) fn check_request(state: &State, requester: &Requester) -> Result<(), Failure> {
    Ok(rate_limit::take(state, requester, LimitedResource::Requests, 1)?)
}

/// Takes the bytes of a body from what the caller may send.
pub(super) fn check_bytes(state: &State, requester: &Requester, bytes: usize) -> Result<(), Failure> {
    Ok(rate_limit::take(state, requester, LimitedResource::IngestBytes, bytes)?)
}

/// What was sent, after decompression.
pub(super) struct Sent {
    pub(super) signal: Signal,
    pub(super) encoding: Encoding,
    pub(super) body: Bytes,
}

/// Decodes an export and reports it.
pub(super) async fn export(state: &State, requester: &Requester, sent: Sent) -> Result<Received, Failure> {
    let Sent { signal, encoding, body } = sent;
    let import_id = requester.correlation_id.map(ImportId);
    let spans = match &state.deps.span_store {
        Some(store) if store.keeps_contents() => SpanUse::CallsAndContents,
        Some(_) => SpanUse::CallsAndTraces,
        None => SpanUse::Calls,
    };
    let decode = || Export::decode(signal, encoding, &body, (import_id, spans));
    let mut export = state.cpu_permits.run(is_large(body.len()), decode).await?;
    drop(body);
    let receiving = async {
        let spans = export.take_spans();
        let mut received = state.receiver.receive(requester.principal.clone(), export).await?;
        keep(state, requester, &spans, &mut received).await?;
        Ok(received)
    };
    let received = tokio::time::timeout(state.limits().request_timeout, receiving).await;
    match received.map_err(|_| Failure::late())? {
        Ok(received) => {
            note(signal, &received);
            Ok(received)
        }
        Err(ReceiveError::Forbidden(forbidden)) => {
            access::forbidden(state, requester, &forbidden);
            Err(Failure::of(StatusCode::FORBIDDEN, Code::PermissionDenied, forbidden.to_string()))
        }
        Err(error @ ReceiveError::Unavailable(_)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "an export was not recorded");
            Err(Failure::unavailable(error.to_string()))
        }
        Err(error @ ReceiveError::Internal(_)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an export could not be recorded");
            Err(Failure::of(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, error.to_string()))
        }
    }
}

/// Keeps spans, so that their traces can be drawn, and the texts of records of logs. It is done last: a request that is refused
/// leaves none.
async fn keep(
    state: &State,
    requester: &Requester,
    kept: &KeptSpans,
    received: &mut Received,
) -> Result<(), ReceiveError> {
    // If none are kept, none were collected.
    let Some(store) = &state.deps.span_store else { return Ok(()) };
    if kept.spans.is_empty() && kept.records.is_empty() {
        return Ok(());
    }
    let agents = Receiver::agents_of(&requester.principal).map_err(ReceiveError::Forbidden)?;
    // What is not sent in the name of all agents is kept apart by its agent, so that it replaces no span of another one.
    match agents.as_deref() {
        None | Some([_]) => {
            let sent_by = agents.and_then(|agents| agents.first().copied());
            let sender = Sender { tenant: requester.principal.tenant(), sent_by };
            keep_spans(state, store, sender, kept, received).await?;
            keep_records(store, sender, kept, received).await
        }
        Some(_) => {
            let (spans, records) = (kept.spans.len() as u64, kept.records.len() as u64);
            if spans > 0 {
                received.warn_of_several_agents(spans + kept.left_out);
                counter!("apex_otlp_spans_total", "outcome" => "left_out").increment(received.not_kept);
            }
            if records > 0 {
                received.warn_of_records_of_several_agents(records + kept.records_left_out);
            }
            Ok(())
        }
    }
}

/// In whose name spans are kept.
#[derive(Clone, Copy)]
struct Sender<'a> {
    tenant: &'a TenantId,
    /// The agent that the credential is bound to.
    sent_by: Option<AgentId>,
}

async fn keep_spans(
    state: &State,
    store: &SpanStore,
    Sender { tenant, sent_by }: Sender<'_>,
    kept: &KeptSpans,
    received: &mut Received,
) -> Result<(), ReceiveError> {
    let KeptSpans { spans, truncated, left_out: of_request, without_contents, .. } = kept;
    if spans.is_empty() {
        return Ok(());
    }
    let latest = state.cpu_permits.run(spans.len() > MANY_SPANS, || LatestSpans::of(spans)).await;
    let left_out = store.keep(tenant, sent_by, (latest, truncated)).await.map_err(not_kept)?;
    received.warn_of_contents(*without_contents);
    received.warn_of_full_traces(left_out);
    received.warn_of_large_request(*of_request);
    let count = spans.len() as u64;
    counter!("apex_otlp_spans_total", "outcome" => "kept").increment(count.saturating_sub(left_out));
    if received.not_kept > 0 {
        counter!("apex_otlp_spans_total", "outcome" => "left_out").increment(received.not_kept);
    }
    Ok(())
}

async fn keep_records(
    store: &SpanStore,
    Sender { tenant, sent_by }: Sender<'_>,
    kept: &KeptSpans,
    received: &mut Received,
) -> Result<(), ReceiveError> {
    if kept.records.is_empty() {
        return Ok(());
    }
    let left_out = store.keep_records(tenant, sent_by, &kept.records).await.map_err(not_kept)?;
    received.warn_of_records(left_out + kept.records_left_out);
    Ok(())
}

fn not_kept(error: DatabaseError) -> ReceiveError {
    if error.is_retryable() || error.is_unavailable() {
        ReceiveError::Unavailable(error.into())
    } else {
        ReceiveError::Internal(error.into())
    }
}

fn note(signal: Signal, received: &Received) {
    let counts = [
        ("recorded", received.recorded),
        ("amended", received.amended),
        ("duplicate", received.duplicate),
        ("repeat", received.repeats),
        ("rejected", received.rejected),
    ];
    for (outcome, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        counter!("apex_otlp_records_total", "signal" => signal.name(), "outcome" => outcome).increment(count);
    }
    if let Some(message) = received.message() {
        tracing::debug!(
            signal = signal.name(),
            rejected = received.rejected,
            message,
            "an export was accepted in part"
        );
    }
}
