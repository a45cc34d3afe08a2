//! Lines that state a call.

use super::error::LineError;
use super::fields::{LineFields, Named};
use crate::client_ids::{GivenCall, client_call_ids};
use crate::formats::json::{self, Fields};
use crate::formats::values::cost_of;
use crate::json_error::JsonError;
use crate::record::{Location, Record};
use crate::text::quoted;
use domain::call::{CallFacts, CallKind, CallSpan, CostSource, GATEWAY_SOURCE, Outcome, Tags};
use domain::{Meter, Name, Usage};

/// The fields of a call.
pub(super) const FIELDS: [&str; 31] = [
    "type",
    "id",
    "kind",
    "agent",
    "task",
    "dag",
    "conversation",
    "user",
    "team",
    "key",
    "provider",
    "model",
    "tool",
    "service_tier",
    "speed",
    "region",
    "outcome",
    "tags",
    "usage",
    "usage_assumed",
    "started_at",
    "latency_ms",
    "first_token_ms",
    "reported_cost",
    "reported_cost_source",
    "error",
    "source",
    "record_id",
    "span",
    "response_id",
    "request_id",
];
/// The fields of the span of a call.
const SPAN_FIELDS: [&str; 3] = ["trace_id", "span_id", "parent_span_id"];
/// The source of calls that name none.
const SOURCE: &str = "ndjson";

pub(super) fn parse(location: Location, fields: &LineFields<'_>) -> Result<Record, LineError> {
    fields.allow("call", &FIELDS)?;
    let facts = facts(fields)?;
    let given = fields.named("id")?.map(|named| match named {
        Named::Id(id) => GivenCall::Id(id.into()),
        Named::Key(key) => GivenCall::Key(key),
    });
    let call_ids = client_call_ids(given.as_ref(), &facts).ok_or(LineError::NotIdentified)?;
    let (agent_id, agent) = fields.agent()?;
    Ok(Record { location, agent, task: None, call_ids, facts: CallFacts { agent_id, ..facts }, ignored: None })
}

fn facts(fields: &LineFields<'_>) -> Result<CallFacts, LineError> {
    let tool = fields.name("tool")?;
    let default_kind = if tool.is_some() { CallKind::Tool } else { CallKind::Llm };
    let kind = fields.word("kind", &CallKind::ALL, CallKind::as_str)?.unwrap_or(default_kind);
    let source = match fields.name("source")? {
        Some(source) if source.as_str() == GATEWAY_SOURCE => {
            let message = "it is that of calls which the gateway passes on: use another name";
            return Err(LineError::invalid("source", message));
        }
        Some(source) => source,
        None => Name::new(SOURCE).map_err(|error| LineError::invalid("source", error))?,
    };
    let cost_source = fields.word("reported_cost_source", &CostSource::ALL, CostSource::as_str)?;
    let (reported_cost, refused) = cost_of("reported_cost", fields.raw("reported_cost"), cost_source);
    if let Some(reason) = refused {
        return Err(LineFields::without_field("reported_cost", &reason));
    }
    Ok(CallFacts {
        task_id: fields.task("task")?,
        dag_id: fields.named("dag")?.map(dag).transpose()?,
        conversation: fields.name("conversation")?,
        user: fields.name("user")?,
        team: fields.name("team")?,
        key: fields.name("key")?,
        provider: fields.name("provider")?,
        model: fields.name("model")?,
        tool,
        service_tier: fields.name("service_tier")?,
        speed: fields.name("speed")?,
        region: fields.name("region")?,
        outcome: fields.word("outcome", &Outcome::ALL, Outcome::as_str)?,
        tags: tags(fields)?,
        usage: usage(fields)?,
        usage_assumed: fields.flag("usage_assumed")?,
        latency_ms: fields.count("latency_ms")?,
        first_token_ms: fields.count("first_token_ms")?,
        reported_cost,
        error: fields.body("error")?,
        span: span(fields)?,
        response_id: fields.name("response_id")?,
        request_id: fields.name("request_id")?,
        record_id: fields.name("record_id")?,
        ..CallFacts::new(kind, fields.time("started_at")?.unwrap_or(fields.now), source)
    })
}

fn dag(named: Named) -> Result<domain::DagId, LineError> {
    match named {
        Named::Id(id) => Ok(id.into()),
        Named::Key(key) => Err(LineError::invalid("dag", format_args!("{key:?} is not a UUID"))),
    }
}

fn usage(fields: &LineFields<'_>) -> Result<Usage, LineError> {
    let mut usage = Usage::default();
    let Some(given) = fields.object("usage")? else { return Ok(usage) };
    for (name, value) in given.iter().filter(|(_, value)| value.get() != "null") {
        // No meter has a name as long as what is quoted.
        let meter: Meter = quoted(name).parse().map_err(|error| LineError::invalid("usage", error))?;
        usage.set(meter, json::count(meter.name(), value).map_err(|reason| LineError::invalid("usage", reason))?);
    }
    Ok(usage)
}

fn tags(fields: &LineFields<'_>) -> Result<Option<Tags>, LineError> {
    let Some(given) = fields.object("tags")? else { return Ok(None) };
    let mut tags = Vec::new();
    for (key, value) in given.iter() {
        let value = json::text(value);
        let value = value
            .ok_or_else(|| LineError::invalid("tags", format_args!("the value of {:?} is not text", quoted(key))))?;
        tags.push((key, value.into_owned()));
    }
    if tags.is_empty() {
        return Ok(None);
    }
    Tags::new(tags).map(Some).map_err(|error| LineError::invalid("tags", error))
}

fn span(fields: &LineFields<'_>) -> Result<Option<CallSpan>, LineError> {
    let Some(value) = fields.raw("span") else { return Ok(None) };
    // An id under another name would be lost, and with it what is inside of what.
    let given = fields.object("span")?;
    let names = given.iter().flat_map(Fields::iter).map(|(name, _)| name);
    if let Some(unknown) = names.filter(|name| !SPAN_FIELDS.contains(name)).min() {
        return Err(LineError::UnknownField { of: "span", field: quoted(unknown) });
    }
    serde_json::from_str(value.get()).map(Some).map_err(|error| LineError::invalid("span", JsonError::from(error)))
}
