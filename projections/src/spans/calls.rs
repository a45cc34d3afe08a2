//! The calls that spans were.

use crate::calls::CallRow;
use crate::rows::agent_ids;
use domain::call::{SpanId, TraceId};
use domain::permissions::{Access, ReadCalls};
use std::collections::HashMap;
use streams::{DatabaseError, TenantReads};

/// The calls that spans were, as far as the reader may see them. Of a span that was several calls, the one of a language
/// model, and of these the one with the lowest id.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn calls_of(
    reads: &TenantReads,
    access: &Access<ReadCalls>,
    spans: &[(TraceId, SpanId)],
) -> Result<HashMap<(TraceId, SpanId), CallRow>, DatabaseError> {
    let rows: Vec<CallRow> = sqlx::query_as(include_str!("calls.sql"))
        .bind(access.tenant().as_str())
        .bind(spans.iter().map(|(trace_id, _)| trace_id.to_string()).collect::<Vec<_>>())
        .bind(spans.iter().map(|(_, span_id)| span_id.to_string()).collect::<Vec<_>>())
        .bind(agent_ids(access.agents()))
        .fetch_all(&mut *reads.acquire(access).await?)
        .await?;
    let keyed = rows.into_iter().filter_map(|row| {
        let (trace_id, span_id) = (row.trace_id.as_ref()?.parse().ok()?, row.span_id.as_ref()?.parse().ok()?);
        Some(((trace_id, span_id), row))
    });
    Ok(keyed.collect())
}
