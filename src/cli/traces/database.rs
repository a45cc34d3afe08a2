//! Traces on the database.

use super::drawn::{Drawn, DrawnCall, DrawnSpan, DrawnTotals};
use crate::cli::output::time;
use crate::cli::report::catch_up;
use crate::rooms::Rooms;
use chrono::{DateTime, Utc};
use domain::call::TraceId;
use domain::permissions::ReadCalls;
use domain::telemetry::{SpanKind, SpanStatus};
use domain::{Meter, Sum};
use projections::calls::CallRow;
use projections::spans::{self, PlacedSpan, SpanRow};
use std::time::Duration;

/// The number of spans that are read at a time.
const PAGE: usize = 500;
/// How long the command waits for the read model of calls.
const WAIT: Duration = Duration::from_secs(600);

/// Reads a trace; none if there is no such one.
pub(super) async fn read(rooms: &mut Rooms, id: TraceId) -> anyhow::Result<Option<Drawn>> {
    let head = rooms.log.head().await?;
    catch_up(rooms, &["calls"], head, WAIT).await?;
    let (reads, access) = (&rooms.reads, rooms.principal.authorise::<ReadCalls>()?);
    let Some(stored) = spans::trace(reads, &access, id).await? else { return Ok(None) };
    let totals = spans::totals(reads, &access, id).await?.map(|totals| DrawnTotals {
        calls: totals.calls,
        tool_calls: totals.tool_calls,
        input_tokens: totals.quantity(Meter::Input).to_string(),
        output_tokens: totals.quantity(Meter::Output).to_string(),
        cost: totals.known_cost().cloned(),
    });
    let mut drawn = Vec::with_capacity(stored.spans.len());
    for page in stored.spans.chunks(PAGE) {
        let keys: Vec<_> = page.iter().map(|span| span.key).collect();
        let mut rows = spans::rows(reads, &access, id, &keys).await?;
        let of_trace: Vec<_> = keys.iter().map(|key| (id, *key)).collect();
        let mut calls = spans::calls_of(reads, &access, &of_trace).await?;
        drawn.extend(page.iter().filter_map(|placed| {
            let row = rows.remove(&placed.key)?;
            Some(span(placed, row, calls.remove(&(id, placed.key))))
        }));
    }
    Ok(Some(Drawn {
        trace_id: id.to_string(),
        started_at: stored.start_ns.map(at),
        ended_at: stored.end_ns.map(at),
        duration_us: duration_us(stored.start_ns, stored.end_ns),
        is_truncated: stored.is_truncated,
        totals,
        spans: drawn,
    }))
}

fn span(placed: &PlacedSpan, row: SpanRow, call: Option<CallRow>) -> DrawnSpan {
    let kind = row.kind.and_then(|kind| SpanKind::of_number(kind.into()));
    let status = SpanStatus::of_number(row.status.into()).unwrap_or_default();
    DrawnSpan {
        span_id: placed.key.span_id.to_string(),
        parent_span_id: row.parent_span_id().map(|id| id.to_string()),
        depth: placed.depth,
        kind: kind.map(|kind| format!("{kind:?}").to_lowercase()),
        started_at: row.start_ns.map(at),
        duration_us: duration_us(row.start_ns, row.end_ns),
        status: format!("{status:?}").to_lowercase(),
        agent_id: placed.agent_id.map(|agent| agent.0),
        name: row.name,
        status_message: row.status_message,
        service: row.service,
        call: call.map(of_call),
    }
}

fn of_call(row: CallRow) -> DrawnCall {
    DrawnCall {
        id: row.call_id,
        input_tokens: row.usage.get(Meter::Input).get(),
        output_tokens: row.usage.get(Meter::Output).get(),
        cost: row.cost.and_then(|cost| Sum::parse(&cost.to_string()).ok()),
        kind: row.kind,
        model: row.model,
        tool: row.tool,
    }
}

fn at(ns: i64) -> String {
    time(DateTime::<Utc>::from_timestamp_nanos(ns))
}

fn duration_us(start_ns: Option<i64>, end_ns: Option<i64>) -> Option<u64> {
    u64::try_from(end_ns?.checked_sub(start_ns?)?).ok().map(|ns| ns / 1_000)
}
