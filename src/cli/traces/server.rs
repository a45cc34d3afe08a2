//! Traces at a server.

use super::drawn::{Drawn, DrawnCall, DrawnSpan, DrawnTotals};
use crate::cli::backend::{GlobalId, while_late};
use crate::cli::output::time;
use crate::client::{Client, ClientError, Page};
use chrono::{DateTime, Utc};
use domain::Sum;
use domain::call::TraceId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// The number of spans of a request.
const PAGE: usize = 500;
/// How long the command waits for the read model of calls.
const WAIT: Duration = Duration::from_secs(600);
/// Why a server does not sum up the calls of a trace.
const TOO_MANY_CALLS: &str = "TOO_MANY_CALLS";

/// The documents that it takes.
const TRACE: &str = "query($id: String!, $minPosition: Position, $first: Int!, $after: String) {
    trace(id: $id, minPosition: $minPosition) {
        startedAt endedAt durationUs isTruncated
        spans(first: $first, after: $after) {
            pageInfo { hasNextPage endCursor }
            nodes {
                spanId parentSpanId depth name kind startedAt durationUs status statusMessage service agentId
                call { uuid kind model tool cost usage { input output } }
            }
        }
    }
}";
const TOTALS: &str = "query($id: String!) {
    trace(id: $id) { totals { calls toolCalls inputTokens outputTokens cost } }
}";

/// The documents, for a test that checks each against the schema.
#[cfg(test)]
pub(in crate::cli) const DOCUMENTS: &[(&str, &str)] = &[("TRACE", TRACE), ("TOTALS", TOTALS)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    duration_us: Option<u64>,
    is_truncated: bool,
    spans: Page<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    span_id: String,
    parent_span_id: Option<String>,
    depth: u32,
    name: Option<String>,
    kind: Option<String>,
    started_at: Option<DateTime<Utc>>,
    duration_us: Option<u64>,
    status: String,
    status_message: Option<String>,
    service: Option<String>,
    agent_id: Option<GlobalId>,
    call: Option<Call>,
}

#[derive(Deserialize)]
struct Call {
    uuid: Uuid,
    kind: String,
    model: Option<String>,
    tool: Option<String>,
    cost: Option<Sum>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    input: u64,
    output: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    calls: i64,
    tool_calls: i64,
    input_tokens: String,
    output_tokens: String,
    cost: Option<Sum>,
}

impl From<Span> for DrawnSpan {
    fn from(span: Span) -> Self {
        Self {
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            depth: span.depth,
            name: span.name,
            kind: span.kind.map(|kind| kind.to_lowercase()),
            started_at: span.started_at.map(time),
            duration_us: span.duration_us,
            status: span.status.to_lowercase(),
            status_message: span.status_message,
            service: span.service,
            agent_id: span.agent_id.map(|id| id.0),
            call: span.call.map(|call| DrawnCall {
                id: call.uuid,
                kind: call.kind.to_lowercase(),
                model: call.model,
                tool: call.tool,
                input_tokens: call.usage.input,
                output_tokens: call.usage.output,
                cost: call.cost,
            }),
        }
    }
}

/// Reads a trace, page by page; none if there is no such one.
pub(super) async fn read(client: &Client, id: TraceId) -> anyhow::Result<Option<Drawn>> {
    let head = client.head().await?.to_string();
    let late = "the calls of the server's read model are behind the log: see `apex projections list`";
    let (mut drawn, mut after): (Option<Drawn>, Option<String>) = (None, None);
    loop {
        let variables = json!({ "id": id.to_string(), "minPosition": head, "first": PAGE, "after": after });
        let ask =
            async || -> anyhow::Result<Option<Trace>> { Ok(client.get(TRACE, variables.clone(), "/trace").await?) };
        let Some(page) = while_late(WAIT, late, ask).await? else { return Ok(None) };
        let Trace { started_at, ended_at, duration_us, is_truncated, spans } = page;
        let Page { nodes, page_info } = spans;
        let drawn = drawn.get_or_insert_with(|| Drawn {
            trace_id: id.to_string(),
            started_at: None,
            ended_at: None,
            duration_us: None,
            is_truncated,
            totals: None,
            spans: Vec::new(),
        });
        // The trace may have grown since the page before.
        (drawn.started_at, drawn.ended_at) = (started_at.map(time), ended_at.map(time));
        (drawn.duration_us, drawn.is_truncated) = (duration_us, is_truncated);
        drawn.spans.extend(nodes.into_iter().map(DrawnSpan::from));
        after = page_info.next();
        if after.is_none() {
            break;
        }
    }
    if let Some(drawn) = &mut drawn {
        drawn.totals = totals(client, id).await?;
    }
    Ok(drawn)
}

/// The sums over the calls of a trace; none if there are too many of them.
async fn totals(client: &Client, id: TraceId) -> anyhow::Result<Option<DrawnTotals>> {
    let found: Result<Option<Value>, ClientError> = client.get(TOTALS, json!({ "id": id.to_string() }), "/trace").await;
    let mut found = match found {
        Err(ClientError::Refused { reason: Some(reason), .. }) if reason == TOO_MANY_CALLS => return Ok(None),
        found => found?.unwrap_or_default(),
    };
    let Totals { calls, tool_calls, input_tokens, output_tokens, cost } = client.take(&mut found, "/totals")?;
    Ok(Some(DrawnTotals { calls, tool_calls, input_tokens, output_tokens, cost }))
}
