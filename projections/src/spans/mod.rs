//! The spans that exporters send, kept beside the log so that a trace can be drawn.
//!
//! This is no read model: no event has these spans, and they are deleted after a time. A request writes its spans in few
//! statements before it is acknowledged ([`SpanStore`]); a job deletes them ([`delete_expired`]).

mod calls;
mod contents;
mod tree;

pub use calls::calls_of;
pub use contents::contents_of;
pub use tree::PlacedSpan;

use crate::report::{MAX_REPORT_CALLS, Totals, sums_of_trace};
use crate::rows::agent_ids;
use domain::call::{SpanId, TraceId};
use domain::permissions::{Access, ReadCalls};
use domain::span_contents::{MAX_CONTENT_RECORDS, MAX_RECORD_BYTES, RecordContents};
use domain::telemetry::{ExportedSpan, MAX_KEPT_SPANS, Rank, SpanKind};
use domain::{AgentId, TenantId};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use streams::{DatabaseError, TenantReads, Turns};
use tree::SpanLink;
use uuid::Uuid;

/// The most spans of a statement that writes them.
const BATCH_SPANS: usize = 10_000;
/// The most records of logs of a statement that writes their texts, one after the other.
const BATCH_RECORDS: usize = 500;

/// Which span it is: the agent that the credential of its exporter is bound to, nil if there is none, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanKey {
    /// The agent that the credential of the exporter is bound to; nil if it is bound to none.
    pub sent_by: Uuid,
    /// The id of the span.
    pub span_id: SpanId,
}

/// Keeps spans; cheap to clone.
#[derive(Debug, Clone)]
pub struct SpanStore {
    pool: PgPool,
    /// As many places as connections may write spans at the same time: the others are for commands and workers, also while
    /// exporters of one trace wait for each other. Tenants take turns.
    turns: Turns<TenantId>,
    keeps_contents: bool,
}

impl SpanStore {
    /// Keeps spans in the database of a pool, whose connections see all tenants.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        Self { pool, turns: Turns::new((connections / 4).max(1)), keeps_contents: false }
    }

    /// Keeps the prompts, responses and other texts that spans carry, too.
    #[must_use]
    pub fn with_contents(self) -> Self {
        Self { keeps_contents: true, ..self }
    }

    /// Whether it keeps the texts that spans carry.
    #[must_use]
    pub fn keeps_contents(&self) -> bool {
        self.keeps_contents
    }

    /// Keeps spans of a tenant, which were sent by a credential that may be bound to an agent. Of several exports of a span, now
    /// or before, the one with the highest [`Rank`] is kept. Returns the number of spans that are not kept, because their
    /// traces have more than [`MAX_KEPT_SPANS`]. These traces are truncated, and so are those of which other spans were left
    /// out before.
    ///
    /// # Errors
    /// [`DatabaseError`] if they could not all be written. It is safe to try again.
    pub async fn keep(
        &self,
        tenant: &TenantId,
        sent_by: Option<AgentId>,
        (latest, truncated): (LatestSpans<'_>, &BTreeSet<TraceId>),
    ) -> Result<u64, DatabaseError> {
        if !truncated.is_empty() {
            self.mark_truncated(tenant, truncated).await?;
        }
        let mut left_out = 0;
        for batch in latest.0.chunks(BATCH_SPANS) {
            let omitted = self.keep_batch(tenant, sent_by.map_or(Uuid::nil(), |agent| agent.0), batch).await?;
            left_out += u64::try_from(omitted).unwrap_or(0);
        }
        Ok(left_out)
    }

    /// Notes of traces that spans of them were left out, also of those that have no spans yet.
    async fn mark_truncated(&self, tenant: &TenantId, traces: &BTreeSet<TraceId>) -> Result<(), DatabaseError> {
        let _turn = self.turns.take(|| tenant.clone()).await;
        sqlx::query("select apex.truncate_traces($1, $2)")
            .bind(tenant.as_str())
            .bind(traces.iter().map(|id| trace_column(*id)).collect::<Vec<_>>())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Keeps the texts that records of logs carry for spans, as [`SpanStore::keep`] keeps spans. Returns the number of records that
    /// are not kept, because their spans or traces have too many.
    ///
    /// # Errors
    /// [`DatabaseError`] if they could not all be written. It is safe to try again.
    pub async fn keep_records(
        &self,
        tenant: &TenantId,
        sent_by: Option<AgentId>,
        records: &[RecordContents],
    ) -> Result<u64, DatabaseError> {
        let limit = |limit: usize| i32::try_from(limit).unwrap_or(i32::MAX);
        let mut left_out = 0;
        for batch in records.chunks(BATCH_RECORDS) {
            let _turn = self.turns.take(|| tenant.clone()).await;
            let text = "select apex.keep_span_log_contents($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
            let omitted: i32 = sqlx::query_scalar(text)
                .bind(tenant.as_str())
                .bind(sent_by.map_or(Uuid::nil(), |agent| agent.0))
                .bind(limit(MAX_KEPT_SPANS))
                .bind(limit(MAX_CONTENT_RECORDS))
                .bind(limit(MAX_RECORD_BYTES))
                .bind(batch.iter().map(|record| trace_column(record.trace_id)).collect::<Vec<_>>())
                .bind(batch.iter().map(|record| span_column(record.span_id)).collect::<Vec<_>>())
                .bind(batch.iter().map(RecordContents::record_id).collect::<Vec<_>>())
                .bind(batch.iter().map(|record| record.time_ns).collect::<Vec<_>>())
                .bind(batch.iter().map(|record| record.contents.json()).collect::<Vec<_>>())
                .fetch_one(&self.pool)
                .await?;
            left_out += u64::try_from(omitted).unwrap_or(0);
        }
        Ok(left_out)
    }

    /// In one statement, which is a transaction.
    async fn keep_batch(
        &self,
        tenant: &TenantId,
        sent_by: Uuid,
        spans: &[(&ExportedSpan, Rank)],
    ) -> Result<i32, DatabaseError> {
        let text = "select apex.keep_spans($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
        let _turn = self.turns.take(|| tenant.clone()).await;
        let left_out = sqlx::query_scalar(text)
            .bind(tenant.as_str())
            .bind(sent_by)
            .bind(i32::try_from(MAX_KEPT_SPANS).unwrap_or(i32::MAX))
            .bind(required(spans, |(span, _)| trace_column(span.trace_id)))
            .bind(required(spans, |(span, _)| span_column(span.span_id)))
            .bind(nullable(spans, |(span, _)| span.parent_span_id.map(span_column)))
            .bind(nullable(spans, |(span, _)| span.name.as_ref().map(|name| name.as_str())))
            .bind(nullable(spans, |(span, _)| span.kind.map(SpanKind::number)))
            .bind(nullable(spans, |(span, _)| span.start_ns))
            .bind(nullable(spans, |(span, _)| span.end_ns))
            .bind(required(spans, |(span, _)| span.status.number()))
            .bind(nullable(spans, |(span, _)| span.status_message.as_ref().map(|message| message.as_str())))
            .bind(nullable(spans, |(span, _)| span.agent_id.map(|agent| agent.0)))
            .bind(nullable(spans, |(span, _)| span.resource_agent_id.map(|agent| agent.0)))
            .bind(nullable(spans, |(span, _)| span.service.as_ref().map(|name| name.as_str())))
            .bind(nullable(spans, |(span, _)| span.scope.as_ref().map(|name| name.as_str())))
            .bind(required(spans, |(_, rank)| rank.completeness))
            .bind(required(spans, |(_, rank)| rank.content_id))
            .bind(nullable(spans, |(span, _)| span.contents.as_ref().map(|contents| contents.json())))
            .fetch_one(&self.pool)
            .await?;
        Ok(left_out)
    }
}

type Ranked<'s> = (&'s ExportedSpan, Rank);

/// Of each span of a request the export that is kept, in the order of the traces.
#[derive(Debug)]
pub struct LatestSpans<'s>(Vec<Ranked<'s>>);

impl<'s> LatestSpans<'s> {
    /// Of each of the spans the export with the highest [`Rank`]. It is CPU-bound: each is hashed.
    #[must_use]
    pub fn of(spans: &'s [ExportedSpan]) -> Self {
        let mut latest: BTreeMap<(TraceId, SpanId), Ranked<'s>> = BTreeMap::new();
        for span in spans {
            let rank = span.rank();
            match latest.entry((span.trace_id, span.span_id)) {
                Entry::Vacant(entry) => _ = entry.insert((span, rank)),
                Entry::Occupied(mut entry) if rank > entry.get().1 => _ = entry.insert((span, rank)),
                Entry::Occupied(_) => {}
            }
        }
        Self(latest.into_values().collect())
    }
}

fn required<'s, T>(spans: &'s [Ranked<'s>], column: impl Fn(&'s Ranked<'s>) -> T) -> Vec<T> {
    spans.iter().map(column).collect()
}

/// A column of nulls is an empty array: `unnest` fills shorter arrays up with nulls.
fn nullable<'s, T>(spans: &'s [Ranked<'s>], column: impl Fn(&'s Ranked<'s>) -> Option<T>) -> Vec<Option<T>> {
    let values: Vec<_> = spans.iter().map(column).collect();
    if values.iter().all(Option::is_none) { Vec::new() } else { values }
}

/// The id of a trace as the column of the tables has it.
fn trace_column(id: TraceId) -> Uuid {
    Uuid::from_u128(id.number())
}

/// The id of a span as the columns have it: the same 64 bits.
fn span_column(id: SpanId) -> i64 {
    id.number().cast_signed()
}

fn span_of_column(column: i64) -> Option<SpanId> {
    SpanId::new(column.cast_unsigned())
}

/// A trace, with the spans that a reader may see.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTrace {
    /// The id of the trace.
    pub trace_id: TraceId,
    /// The spans, each before those inside of it, and those of one parent in the order of their start. There is one at least.
    pub spans: Vec<PlacedSpan>,
    /// When the first of them started, in nanoseconds since 1970.
    pub start_ns: Option<i64>,
    /// When the last of them ended.
    pub end_ns: Option<i64>,
    /// Whether spans were left out, because the trace has too many.
    pub is_truncated: bool,
}

/// Reads a trace, as far as its spans are of agents whose calls the reader may see. None if there is no such span.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn trace(
    reads: &TenantReads,
    access: &Access<ReadCalls>,
    trace_id: TraceId,
) -> Result<Option<StoredTrace>, DatabaseError> {
    let select = "select s.sent_by, s.span_id, s.parent_span_id, s.start_ns, s.end_ns, s.agent_id, s.resource_agent_id,
                         t.is_truncated
                  from apex.traces t join apex.spans s on s.tenant_id = t.tenant_id and s.trace_id = t.trace_id
                  where t.tenant_id = $1 and t.trace_id = $2 limit $3";
    let links: Vec<SpanLink> = sqlx::query_as(select)
        .bind(access.tenant().as_str())
        .bind(trace_column(trace_id))
        .bind(i64::try_from(MAX_KEPT_SPANS).unwrap_or(i64::MAX))
        .fetch_all(&mut *reads.acquire(access).await?)
        .await?;
    let is_truncated = links.iter().any(|link| link.is_truncated);
    let spans = tree::arrange(links, access.agents());
    if spans.is_empty() {
        return Ok(None);
    }
    let start_ns = spans.iter().filter_map(|span| span.start_ns).min();
    let end_ns = spans.iter().filter_map(|span| span.end_ns).max();
    Ok(Some(StoredTrace { trace_id, spans, start_ns, end_ns, is_truncated }))
}

/// A span as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct SpanRow {
    sent_by: Uuid,
    span_id: i64,
    parent_span_id: Option<i64>,
    /// The name.
    pub name: Option<String>,
    /// The kind, as [`SpanKind::number`] has it.
    pub kind: Option<i16>,
    /// When the span started, in nanoseconds since 1970.
    pub start_ns: Option<i64>,
    /// When the span ended.
    pub end_ns: Option<i64>,
    /// The status, as [`domain::telemetry::SpanStatus::number`] has it.
    pub status: i16,
    /// The message of the status.
    pub status_message: Option<String>,
    /// The service that exported the span.
    pub service: Option<String>,
    /// The instrumentation that wrote the span.
    pub scope: Option<String>,
}

impl SpanRow {
    /// The id of the parent; none for a root.
    #[must_use]
    pub fn parent_span_id(&self) -> Option<SpanId> {
        self.parent_span_id.and_then(span_of_column)
    }
}

/// Loads spans of a trace that [`trace`] has found, by their keys. Those that were deleted since are missing.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn rows(
    reads: &TenantReads,
    access: &Access<ReadCalls>,
    trace_id: TraceId,
    keys: &[SpanKey],
) -> Result<BTreeMap<SpanKey, SpanRow>, DatabaseError> {
    let select =
        "select sent_by, span_id, parent_span_id, name, kind, start_ns, end_ns, status, status_message, service, scope
                  from apex.spans
                  where tenant_id = $1 and trace_id = $2
                      and (sent_by, span_id) in (select * from unnest($3::uuid[], $4::bigint[]))";
    let rows: Vec<SpanRow> = sqlx::query_as(select)
        .bind(access.tenant().as_str())
        .bind(trace_column(trace_id))
        .bind(keys.iter().map(|key| key.sent_by).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| span_column(key.span_id)).collect::<Vec<_>>())
        .fetch_all(&mut *reads.acquire(access).await?)
        .await?;
    let keyed = rows.into_iter().filter_map(|row| {
        let span_id = span_of_column(row.span_id)?;
        Some((SpanKey { sent_by: row.sent_by, span_id }, row))
    });
    Ok(keyed.collect())
}

/// Sums up the calls of a trace that the reader may see. None if the trace has more than [`MAX_REPORT_CALLS`] calls: any number
/// of records may name one trace.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn totals(
    reads: &TenantReads,
    access: &Access<ReadCalls>,
    trace_id: TraceId,
) -> Result<Option<Totals>, DatabaseError> {
    let (tenant, agents) = (access.tenant(), agent_ids(access.agents()));
    let mut connection = reads.acquire(access).await?;
    Ok(sums_of_trace(&mut connection, tenant, trace_id, agents, MAX_REPORT_CALLS).await?)
}

/// Deletes some of the traces to which no span has come for a number of days, the oldest first; with 0 days, of all. Returns
/// their number, which is 0 once none is left.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn delete_expired(pool: &PgPool, days: u16) -> Result<i32, DatabaseError> {
    let deleted = sqlx::query_scalar("select apex.delete_expired_traces($1, $2)")
        .bind(i32::from(days))
        .bind(i32::try_from(MAX_KEPT_SPANS).unwrap_or(i32::MAX))
        .fetch_one(pool)
        .await?;
    Ok(deleted)
}
