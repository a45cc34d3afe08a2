//! Records of logs that say what a call used: GenAI events, and the telemetry of coding agents.
//!
//! A GenAI event of a span says what the span does: it is reported as that span. The coding agents write one event for each
//! call, under names of their own ([`EVENTS`]); it has no id of a response, so that the call is identified by the content of
//! the record. Other records are no calls.

use super::attributes::{AttributeSink, AttributeValue, Attributes};
use super::collector::SpanCollector;
use super::conventions::Slot;
use super::json::{AttributeList, Fields, JsonItems, span_id, trace_id};
use super::proto::{self, ProtobufItems, Value};
use super::sink::{Sink, Stop};
use super::span::{Span, SpanId, SpanTime};
use crate::error::RefusalReason;
use crate::format::Format;
use crate::formats::values::{informative, minimal_facts, name};
use crate::item::Item;
use crate::record::{AgentRef, Location, Record, TaskRef};
use crate::text::quoted;
use chrono::DateTime;
use domain::Meter;
use domain::call::{CallFacts, CallKey, CallKind, Outcome};
use domain::telemetry::SpanStatus;
use serde::de::{Error, IgnoredAny, MapAccess};

/// The most attributes of a record that are kept.
const MAX_KEPT: usize = 128;
/// The longest name of an attribute that is kept, in bytes.
const MAX_KEY_BYTES: usize = 128;

/// An event of a coding agent, which is one call.
struct VendorEvent {
    /// The name of the event.
    name: &'static str,
    /// An attribute with the value that the event of a call has.
    only_if: Option<(&'static str, &'static str)>,
    agent: &'static str,
    /// Its attributes, with what they say.
    attributes: &'static [(&'static str, Slot)],
    /// Whether cached tokens are beside the input.
    is_cached_beside: bool,
    /// Whether reasoning tokens are beside the output, if no total says so.
    is_reasoning_beside: bool,
}

/// The events of coding agents that are calls.
const EVENTS: [VendorEvent; 3] = [
    VendorEvent {
        name: "claude_code.api_request",
        only_if: None,
        agent: "claude-code",
        attributes: &[
            ("model", Slot::ResponseModel),
            ("input_tokens", Slot::Meter(Meter::Input)),
            ("output_tokens", Slot::Meter(Meter::Output)),
            ("cache_read_tokens", Slot::Meter(Meter::CacheRead)),
            ("cache_creation_tokens", Slot::Meter(Meter::CacheWrite5Min)),
            ("cost_usd", Slot::Cost),
        ],
        is_cached_beside: true,
        is_reasoning_beside: false,
    },
    VendorEvent {
        name: "codex.sse_event",
        only_if: Some(("event.kind", "response.completed")),
        agent: "codex",
        attributes: &[
            ("model", Slot::ResponseModel),
            ("input_token_count", Slot::Meter(Meter::Input)),
            ("output_token_count", Slot::Meter(Meter::Output)),
            ("cached_token_count", Slot::Meter(Meter::CacheRead)),
            ("reasoning_token_count", Slot::Meter(Meter::Reasoning)),
            ("conversation.id", Slot::Conversation),
        ],
        is_cached_beside: false,
        is_reasoning_beside: false,
    },
    VendorEvent {
        name: "gemini_cli.api_response",
        only_if: None,
        agent: "gemini-cli",
        attributes: &[
            ("model", Slot::ResponseModel),
            ("input_token_count", Slot::Meter(Meter::Input)),
            ("output_token_count", Slot::Meter(Meter::Output)),
            ("cached_content_token_count", Slot::Meter(Meter::CacheRead)),
            ("thoughts_token_count", Slot::Meter(Meter::Reasoning)),
            ("total_token_count", Slot::Total),
        ],
        is_cached_beside: false,
        is_reasoning_beside: true,
    },
];

/// Scalar attributes under their own names.
#[derive(Debug, Default)]
pub(crate) struct RawAttributes(Vec<(String, AttributeValue)>);

impl AttributeSink for RawAttributes {
    fn insert(&mut self, key: &str, value: AttributeValue) {
        if self.0.len() < MAX_KEPT && key.len() <= MAX_KEY_BYTES {
            self.0.push((key.to_owned(), value));
        }
    }
}

impl RawAttributes {
    fn get(&self, key: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(AttributeValue::text).filter(|text| !text.trim().is_empty())
    }
}

/// A record of a log, as far as it is read.
#[derive(Debug, Default)]
struct LogRecord {
    trace: Option<u128>,
    span: Option<u64>,
    time: Option<SpanTime>,
    observed: Option<SpanTime>,
    event: Option<String>,
    body: Option<String>,
    attributes: RawAttributes,
}

/// What a record of a log is.
enum Event {
    /// A call of a coding agent.
    Call(Box<Record>),
    /// An event of a span that states usage.
    OfSpan(Box<Span>),
    /// No call.
    Other,
}

/// The memory of the call of a coding agent, in bytes: the record, its entry in a growing list, and its texts.
const CALL_BYTES: usize = size_of::<Record>() + 2 * size_of::<Item>() + 512;

/// Collects the calls of an export of logs.
pub(crate) struct LogCollector {
    /// The number of records.
    pub(crate) count: u64,
    /// The calls of coding agents.
    pub(crate) items: Vec<Item>,
    /// The GenAI events of spans, the refusals of records, the current resource, and the limit of all memory.
    pub(crate) spans: SpanCollector,
}

impl LogCollector {
    /// Collects calls, with those of spans in `spans`.
    pub(crate) fn new(spans: SpanCollector) -> Self {
        Self { count: 0, items: Vec::new(), spans }
    }

    fn push(&mut self, record: Result<LogRecord, RefusalReason>) -> Result<(), &'static str> {
        self.count += 1;
        let location = Location::LogRecord(self.count);
        match record.and_then(|record| self.read(location, record)) {
            Ok(Event::Call(record)) => {
                self.items.push(Item::Call(record));
                self.spans.hold(CALL_BYTES)
            }
            Ok(Event::OfSpan(span)) => self.spans.push_at(location, Ok(*span)),
            Ok(Event::Other) => Ok(()),
            Err(reason) => self.spans.push_at(location, Err(reason)),
        }
    }

    fn read(&self, location: Location, record: LogRecord) -> Result<Event, RefusalReason> {
        let named = [record.event.as_deref(), record.attributes.text("event.name"), record.body.as_deref()];
        let names = |event: &VendorEvent, name: &str| {
            // Claude Code leaves out its prefix in the attribute.
            name == event.name || event.name.split_once('.').is_some_and(|(_, last)| name == last)
        };
        let is_named = |event: &&VendorEvent| {
            named.iter().flatten().any(|name| *name == event.name)
                || (record.body.as_deref() == Some(event.name))
                || (self.is_of(event) && named.iter().flatten().any(|name| names(event, name)))
        };
        let event = EVENTS.iter().find(is_named);
        let event =
            event.filter(|event| event.only_if.is_none_or(|(key, value)| record.attributes.text(key) == Some(value)));
        if let Some(event) = event {
            return self.vendor_call(location, &record, event).map(|call| Event::Call(Box::new(call)));
        }
        let mut attributes = Attributes::default();
        let time = record.time.or(record.observed);
        record.attributes.0.into_iter().for_each(|(key, value)| attributes.insert(&key, value));
        let scope = self.spans.scope();
        if attributes.usage(scope)?.is_none() {
            return Ok(Event::Other);
        }
        let trace = record.trace.ok_or(RefusalReason::Missing("traceId"))?;
        let span = record.span.ok_or(RefusalReason::Missing("spanId"))?;
        Ok(Event::OfSpan(Box::new(Span {
            id: SpanId { trace, span },
            parent: None,
            name: record.event,
            start: time,
            end: None,
            attributes,
            scope,
            kind: None,
            status: SpanStatus::Unset,
            status_error: None,
        })))
    }

    /// What the resource says.
    fn of_resource(&self, slot: Slot) -> Option<&str> {
        self.spans.resource().and_then(|resource| resource.text(slot))
    }

    /// Whether the resource is that of the coding agent.
    fn is_of(&self, event: &VendorEvent) -> bool {
        self.of_resource(Slot::Service).is_some_and(|service| service.contains(event.agent))
    }

    fn vendor_call(
        &self,
        location: Location,
        record: &LogRecord,
        event: &VendorEvent,
    ) -> Result<Record, RefusalReason> {
        let mut attributes = Attributes::default();
        for (key, value) in &record.attributes.0 {
            match event.attributes.iter().find(|(known, _)| known == key) {
                Some((name, slot)) => attributes.set(*slot, name, value.clone()),
                None => attributes.insert(key, value.clone()),
            }
        }
        let missing = RefusalReason::Missing;
        let stated = attributes.usage_of_vendor(event.is_cached_beside, event.is_reasoning_beside)?;
        let usage = stated.ok_or(missing("input_tokens"))?;
        let model = name("model", attributes.model().ok_or(missing("model"))?)?;
        let time_ns = match record.time.as_ref().or(record.observed.as_ref()) {
            Some(SpanTime::UnixNanos(ns)) => *ns,
            Some(SpanTime::Invalid(found)) => {
                return Err(RefusalReason::Time { field: "timeUnixNano", found: found.clone() });
            }
            None => return Err(missing("timeUnixNano")),
        };
        let latency_ms = record.attributes.get("duration_ms").and_then(AttributeValue::whole);
        let latency_ms = latency_ms.and_then(|ms| u64::try_from(ms).ok());
        // The event is written when the call ends.
        let started_ns =
            time_ns.saturating_sub(i64::try_from(latency_ms.unwrap_or(0)).unwrap_or(0).saturating_mul(1_000_000));
        let nearest = |slot| attributes.text(slot).or_else(|| self.of_resource(slot));
        let conversation = nearest(Slot::Conversation);
        let agent = AgentRef::new(Format::Otlp, event.agent, event.agent);
        let task = conversation.and_then(|id| {
            TaskRef::new(Format::Otlp, &["conversation", id], &format!("conversation {id}"), agent.as_ref())
        });
        let facts = CallFacts {
            provider: attributes.provider().map(|named| name("gen_ai.provider.name", &named)).transpose()?,
            model: Some(model),
            usage: usage.usage,
            usage_assumed: usage.is_assumed,
            reported_cost: attributes.cost(),
            conversation: informative(conversation),
            user: informative(nearest(Slot::User)),
            latency_ms,
            outcome: Some(Outcome::Ok),
            request_id: informative(record.attributes.text("request_id")),
            ..minimal_facts(CallKind::Llm, DateTime::from_timestamp_nanos(started_ns), Format::Otlp)?
        };
        facts.check().map_err(RefusalReason::Call)?;
        let sequence = record.attributes.get("event.sequence").map(AttributeValue::display).unwrap_or_default();
        let content = [
            event.name,
            conversation.unwrap_or_default(),
            &time_ns.to_string(),
            &sequence,
            record.attributes.text("request_id").unwrap_or_default(),
            attributes.model().unwrap_or_default(),
            &usage.usage.to_string(),
        ];
        let key = CallKey::of_content("otlp-event", &content, 0);
        Ok(Record::new(location, key.call_id().into(), agent, task, facts))
    }
}

impl Sink for LogCollector {
    fn start_resource(&mut self) {
        self.spans.start_resource();
    }

    fn set_resource(&mut self, attributes: Attributes) -> Result<(), &'static str> {
        self.spans.set_resource(attributes)
    }

    fn start_scope(&mut self) {
        self.spans.start_scope();
    }

    fn set_scope(&mut self, name: &str) {
        self.spans.set_scope(name);
    }

    fn stop(&mut self) -> &mut Option<Stop> {
        self.spans.stop()
    }
}

impl JsonItems for LogCollector {
    const LISTS: [&'static [&'static str]; 3] =
        [&["resourceLogs"], &["scopeLogs", "instrumentationLibraryLogs"], &["logRecords", "logs"]];

    fn item<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut record, mut refusal) = (LogRecord::default(), None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "traceId" => match trace_id("traceId", map.next_value::<Option<AttributeValue>>()?.as_ref()) {
                    Ok(id) => record.trace = id.filter(|id| *id != 0),
                    Err(reason) => refusal = Some(reason),
                },
                "spanId" => match span_id("spanId", map.next_value::<Option<AttributeValue>>()?.as_ref()) {
                    Ok(id) => record.span = id,
                    Err(reason) => refusal = Some(reason),
                },
                "timeUnixNano" => record.time = json_time(map.next_value()?),
                "observedTimeUnixNano" => record.observed = json_time(map.next_value()?),
                "eventName" => {
                    record.event = map.next_value::<Option<AttributeValue>>()?.and_then(AttributeValue::into_text);
                }
                "body" => {
                    let body: Option<Fields> = map.next_value()?;
                    let text = body.as_ref().and_then(|body| body.get("stringValue")?.text());
                    record.body = text.filter(|text| text.len() <= MAX_KEY_BYTES).map(str::to_owned);
                }
                "attributes" => match map.next_value_seed(AttributeList::<RawAttributes>::new())? {
                    Ok(attributes) => record.attributes = attributes,
                    Err(reason) => refusal = Some(reason),
                },
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        self.push(refusal.map_or(Ok(record), Err)).map_err(A::Error::custom)
    }
}

/// A time of 0 means that the exporter did not know it.
fn json_time(value: Option<AttributeValue>) -> Option<SpanTime> {
    let value = value?;
    match value.whole() {
        Some(0) => None,
        Some(ns) if ns > 0 => Some(SpanTime::UnixNanos(ns)),
        _ => Some(SpanTime::Invalid(value.display())),
    }
}

impl ProtobufItems for LogCollector {
    fn item(&mut self, encoded: &[u8]) -> Result<(), &'static str> {
        self.push(protobuf_record(encoded))
    }
}

fn protobuf_record(encoded: &[u8]) -> Result<LogRecord, RefusalReason> {
    let mut record = LogRecord { attributes: proto::attributes(encoded, 6)?, ..LogRecord::default() };
    for field in proto::Fields(encoded) {
        match field.map_err(RefusalReason::Protobuf)? {
            (1, Value::Fixed64(ns)) if ns > 0 => record.time = Some(proto::time(ns)),
            (11, Value::Fixed64(ns)) if ns > 0 => record.observed = Some(proto::time(ns)),
            (5, Value::Bytes(body)) => {
                let text = proto::any_value(body)?.and_then(AttributeValue::into_text);
                record.body = text.filter(|text| text.len() <= MAX_KEY_BYTES);
            }
            (9, value) => {
                record.trace = proto::bytes("traceId", value)?.map(u128::from_be_bytes).filter(|id| *id != 0);
            }
            (10, value) => record.span = proto::bytes("spanId", value)?.map(u64::from_be_bytes).filter(|id| *id != 0),
            (12, value) => record.event = value.text().map(quoted),
            _ => {}
        }
    }
    Ok(record)
}
