//! The calls that spans were.

use super::SpanKey;
use crate::calls::{CallRow, with_columns};
use crate::rows::agent_ids;
use domain::call::TraceId;
use domain::permissions::{Access, ReadCalls};
use sqlx::FromRow;
use std::collections::HashMap;
use streams::{DatabaseError, TenantReads};

/// A call, with the number of its span in the list, from 1.
#[derive(FromRow)]
struct OfSpan {
    place: i64,
    #[sqlx(flatten)]
    call: CallRow,
}

/// The calls that spans were, as far as the reader may see them. What a credential sent that is bound to an agent was no call
/// of another one. Of a span that was several calls, the one of a language model, and of these the one with the lowest id.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn calls_of(
    reads: &TenantReads,
    access: &Access<ReadCalls>,
    spans: &[(TraceId, SpanKey)],
) -> Result<HashMap<(TraceId, SpanKey), CallRow>, DatabaseError> {
    let rows: Vec<OfSpan> = sqlx::query_as(with_columns(include_str!("calls.sql")))
        .bind(access.tenant().as_str())
        .bind(spans.iter().map(|(trace_id, _)| trace_id.to_string()).collect::<Vec<_>>())
        .bind(spans.iter().map(|(_, key)| key.span_id.to_string()).collect::<Vec<_>>())
        .bind(spans.iter().map(|(_, key)| key.sent_by).collect::<Vec<_>>())
        .bind(agent_ids(access.agents()))
        .fetch_all(&mut *reads.acquire(access).await?)
        .await?;
    let keyed = rows.into_iter().filter_map(|OfSpan { place, call }| {
        let at = usize::try_from(place).ok()?.checked_sub(1)?;
        Some((*spans.get(at)?, call))
    });
    Ok(keyed.collect())
}
