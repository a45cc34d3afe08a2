//! Traces: the spans that exporters sent, with the calls that they were. They are kept beside the log, for a time.

use super::agent::Agent;
use super::call::{Call, trace_id};
use super::entity::{self, Entity};
use super::freshness::await_projections;
use super::ids::Kind;
use super::loaders::{self, Rows};
use super::report_totals::UsageTotals;
use super::scalars::{Long, Position, Timestamp};
use super::services::{authorise, services};
use super::span_contents::{self, SpanContents};
use super::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::AgentId;
use domain::call::TraceId;
use domain::permissions::ReadCalls;
use projections::calls::CallRow;
use projections::spans::{self, PlacedSpan, SpanKey, SpanRow, StoredTrace};
use projections::{DatabaseError, MAX_REPORT_CALLS};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The complexity of reading where the spans of a trace are in it, of which there are up to 10,000.
const TREE_COST: usize = 100;
/// The complexity of summing up the calls of a trace, of which there are up to [`MAX_REPORT_CALLS`].
const TOTALS_COST: usize = 1_000;

/// The complexity of reading the texts of a span: up to 64 KiB of its own, and 128 KiB of records of logs.
const CONTENTS_COST: usize = 3 * connection::LARGE_TEXT_COST;
/// The number of texts that a span has usually, by which the complexity of reading them is estimated. It has at most
/// [`MAX_CONTENTS`](domain::span_contents::MAX_CONTENTS).
const USUAL_TEXTS: usize = 8;

/// What a span is in the communication with other services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::telemetry::SpanKind")]
pub(crate) enum SpanKind {
    /// Work inside of a service.
    Internal,
    /// The handling of a request.
    Server,
    /// A request to another service.
    Client,
    /// The sending of a message, which is handled later.
    Producer,
    /// The handling of a message.
    Consumer,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::telemetry::SpanStatus")]
pub(crate) enum SpanStatus {
    /// The exporter does not say.
    Unset,
    /// The exporter says that it succeeded.
    Ok,
    /// The exporter says that it failed.
    Error,
}

/// A trace as it was read.
#[derive(Debug)]
pub(crate) struct Trace {
    stored: StoredTrace,
}

/// A trace: the spans of one run, from however many exporters, requests and processes. It is kept for a time after its last
/// span has arrived.
#[Object]
impl Trace {
    /// Id of the trace: 32 hexadecimal digits.
    async fn trace_id(&self) -> String {
        self.stored.trace_id.to_string()
    }

    /// Time at which its first span started. Null if no span states a time.
    async fn started_at(&self) -> Option<Timestamp> {
        self.stored.start_ns.map(time)
    }

    /// Time at which the last of its spans ended that have ended. Null if none has.
    async fn ended_at(&self) -> Option<Timestamp> {
        self.stored.end_ns.map(time)
    }

    /// Time from its start to its end, in microseconds.
    async fn duration_us(&self) -> Option<Long> {
        duration_us(self.stored.start_ns, self.stored.end_ns)
    }

    /// Number of its spans that the requester may see.
    async fn span_count(&self) -> usize {
        self.stored.spans.len()
    }

    /// Whether spans were left out, because a trace has at most 10,000 of them, and a request 50,000. Its calls are complete.
    async fn is_truncated(&self) -> bool {
        self.stored.is_truncated
    }

    /// Totals of the calls of the trace, also of calls whose spans are no longer kept or were not sent. They are read, at most
    /// 100000, of any agent: with more, this is null, with an error that has the reason `TOO_MANY_CALLS`. It has a complexity of
    /// 1000.
    #[graphql(complexity = "TOTALS_COST + child_complexity")]
    async fn totals(&self, ctx: &Context<'_>) -> Result<Option<UsageTotals>> {
        let access = authorise::<ReadCalls>(ctx)?;
        let totals = spans::totals(&services(ctx)?.reads, &access, self.stored.trace_id).await;
        match totals.map_err(|error| errors::database(&error))? {
            Some(totals) => Ok(Some(totals.into())),
            None => Err(errors::bad_input("TOO_MANY_CALLS", too_many_calls(self.stored.trace_id))),
        }
    }

    /// Lists its spans in the order in which a tree is drawn: each before those inside of it, and those of one parent in the
    /// order of their start.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn spans(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of spans to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the spans after this cursor. Default: from the first span on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, TraceSpan>> {
        let size = connection::size(ctx, first)?;
        let (trace_id, placed) = (self.stored.trace_id, &self.stored.spans);
        let start = match &after {
            Some(cursor) => {
                let is_last = |key: SpanKey| placed.iter().position(|span| span.key == key);
                parse_cursor(cursor).and_then(is_last).ok_or_else(|| connection::bad_cursor(cursor))? + 1
            }
            None => 0,
        };
        // One more than the page has tells whether there is a next one.
        let page: Vec<_> = placed.iter().skip(start).take(size + 1).collect();
        let keys: Vec<_> = page.iter().map(|span| span.key).collect();
        let rows = spans::rows(&services(ctx)?.reads, &authorise::<ReadCalls>(ctx)?, trace_id, &keys).await;
        let mut rows = rows.map_err(|error| errors::database(&error))?;
        let found =
            page.into_iter().filter_map(|placed| Some(Found { trace_id, row: rows.remove(&placed.key)?, placed }));
        connection::connect_by(found.collect(), size, start > 0, |found| cursor(found.placed.key))
    }
}

/// A span that is in a page.
struct Found<'a> {
    trace_id: TraceId,
    placed: &'a PlacedSpan,
    row: SpanRow,
}

/// A span of a trace. Of several exports of a span the one with the latest end is kept.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct TraceSpan {
    /// Id of the span: 16 hexadecimal digits.
    span_id: String,
    /// Id of the span around it. Null for the root of a trace.
    parent_span_id: Option<String>,
    /// Number of spans around it that are in the trace and that the requester may see.
    depth: u32,
    /// Name of the span, clipped to 256 bytes.
    name: Option<String>,
    /// Kind of the span. Null if it is not stated.
    kind: Option<SpanKind>,
    /// Time at which the span started.
    started_at: Option<Timestamp>,
    /// Time at which the span ended. Null if it had not when it was exported last.
    ended_at: Option<Timestamp>,
    /// Duration, in microseconds. Null if it is not known.
    duration_us: Option<Long>,
    /// How the span ended.
    status: SpanStatus,
    /// Message of the status, clipped to 1024 bytes.
    status_message: Option<String>,
    /// Global id of the agent that the span belongs to: the one that the key of its exporter is bound to, else the one that it
    /// or the nearest span around it names, else that of the service.
    agent_id: Option<ID>,
    /// Name of the service that exported the span.
    service: Option<String>,
    /// Name of the instrumentation that wrote the span.
    scope: Option<String>,
    #[graphql(skip)]
    call: (TraceId, SpanKey),
    #[graphql(skip)]
    agent: Option<AgentId>,
}

impl TryFrom<Found<'_>> for TraceSpan {
    type Error = Error;

    fn try_from(found: Found<'_>) -> Result<Self> {
        use domain::telemetry::{SpanKind, SpanStatus};
        let Found { trace_id, placed, row } = found;
        let status = SpanStatus::of_number(row.status.into()).unwrap_or_default();
        Ok(Self {
            span_id: placed.key.span_id.to_string(),
            parent_span_id: row.parent_span_id().map(|id| id.to_string()),
            depth: placed.depth,
            kind: row.kind.and_then(|kind| SpanKind::of_number(kind.into())).map(Into::into),
            started_at: row.start_ns.map(time),
            ended_at: row.end_ns.map(time),
            duration_us: duration_us(row.start_ns, row.end_ns),
            status: status.into(),
            agent_id: placed.agent_id.map(|agent| Kind::Agent.id(agent)),
            name: row.name,
            status_message: row.status_message,
            service: row.service,
            scope: row.scope,
            call: (trace_id, placed.key),
            agent: placed.agent_id,
        })
    }
}

#[ComplexObject]
impl TraceSpan {
    /// The call that the span was. Null if it was none, such as a span that repeats what those inside of it used, or if the
    /// call has another span, since a response that several spans state is one call.
    async fn call(&self, ctx: &Context<'_>) -> Result<Option<Call>> {
        let row = loaders::of::<ReadCalls>(ctx)?.load_one(self.call).await.map_err(errors::loader)?;
        row.map(Call::try_from).transpose()
    }

    /// Prompts, responses and other texts that the span carries, where the server keeps them (`APEX_SPAN_CONTENTS`). Null if none
    /// are kept. Takes the permission `read:contents`.
    #[graphql(complexity = "CONTENTS_COST + USUAL_TEXTS * child_complexity")]
    async fn contents(&self, ctx: &Context<'_>) -> Result<Option<SpanContents>> {
        span_contents::of_span(ctx, self.call, self.agent).await
    }

    /// The agent that the span belongs to, as it is now. Null if it is unknown or was never registered.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<Agent>> {
        entity::by_id_opt(ctx, self.agent.map(|id| id.0)).await
    }
}

impl Loader<(TraceId, SpanKey)> for Rows {
    type Value = CallRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[(TraceId, SpanKey)]) -> Result<HashMap<(TraceId, SpanKey), CallRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        Ok(spans::calls_of(&self.reads, &access, keys).await?)
    }
}

fn too_many_calls(trace_id: TraceId) -> String {
    format!(
        "the trace {trace_id} has more than {MAX_REPORT_CALLS} calls, which is the most that are summed up: leave `totals` out, or \
         read `usageReport` for the time of the trace"
    )
}

fn time(ns: i64) -> Timestamp {
    DateTime::<Utc>::from_timestamp_nanos(ns).into()
}

fn duration_us(start_ns: Option<i64>, end_ns: Option<i64>) -> Option<Long> {
    let ns = u64::try_from(end_ns?.checked_sub(start_ns?)?).ok()?;
    Some(Long::from_unsigned(ns / 1_000))
}

/// The id of the span, and who sent it if that is an agent.
fn cursor(key: SpanKey) -> String {
    if key.sent_by.is_nil() { key.span_id.to_string() } else { format!("{}:{}", key.span_id, key.sent_by) }
}

fn parse_cursor(text: &str) -> Option<SpanKey> {
    let (span_id, sent_by) = match text.split_once(':') {
        Some((span_id, sent_by)) => (span_id, Uuid::try_parse(sent_by).ok()?),
        None => (text, Uuid::nil()),
    };
    Some(SpanKey { sent_by, span_id: span_id.parse().ok()? })
}

/// Queries for traces.
#[derive(Default)]
pub(crate) struct TraceQuery;

#[Object]
impl TraceQuery {
    /// Returns a trace that exporters of OpenTelemetry sent, as far as its spans belong to agents whose calls the requester may
    /// read. Null if there is no such span, or if it is no longer kept.
    #[graphql(complexity = "TREE_COST + child_complexity")]
    async fn trace(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the trace, as exporters and W3C Trace Context have it: 32 hexadecimal digits.")]
        id: String,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Trace>> {
        let access = authorise::<ReadCalls>(ctx)?;
        let id = trace_id(&id)?;
        await_projections(ctx, Call::PROJECTIONS, min_position).await?;
        let stored = spans::trace(&services(ctx)?.reads, &access, id).await;
        Ok(stored.map_err(|error| errors::database(&error))?.map(|stored| Trace { stored }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::call::SpanId;

    #[test]
    fn a_cursor_names_the_span_and_who_sent_it() {
        for sent_by in [Uuid::nil(), Uuid::from_u128(7)] {
            let key = SpanKey { sent_by, span_id: SpanId::new(u64::MAX).unwrap() };
            assert_eq!(parse_cursor(&cursor(key)), Some(key));
        }
        for bad in ["", "x", "0000000000000000", "00000000000000a1:", "00000000000000a1:x"] {
            assert_eq!(parse_cursor(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_duration_is_known_if_the_end_is_not_before_the_start() {
        assert_eq!(duration_us(Some(1_000), Some(5_999)), Some(Long(4)));
        assert_eq!(duration_us(Some(5_000), Some(1_000)), None);
        assert_eq!(duration_us(None, Some(1)), None);
        assert!(duration_us(Some(i64::MIN), Some(i64::MAX)).is_none());
    }
}
