//! Records of logs that say what a call used: GenAI events, and the telemetry of coding agents.
//!
//! A GenAI event of a span says what the span does: it is reported as that span. The coding agents write one event for each
//! call, under names of their own ([`EVENTS`]). It names the request, by an id that the provider made unique, or else the call is
//! identified by the content of the record. Other records are no calls.

mod record;
#[cfg(test)]
mod tests;

use super::attributes::{AttributeSink as _, AttributeValue, Attributes};
use super::collector::SpanCollector;
use super::conventions::Slot;
use super::decoded::Kept;
use super::exported::KeptSpans;
use super::json::JsonItems;
use super::proto::ProtobufItems;
use super::sink::{Sink, Stop};
use super::span::{Span, SpanId};
use super::vendor_attributes::read_event;
use super::vendors::{EVENTS, GENAI_EVENT, VendorEvent};
use crate::error::RefusalReason;
use crate::format::Format;
use crate::formats::values::{informative, minimal_facts, name};
use crate::item::Item;
use crate::record::{AgentRef, Location, Record, TaskRef};
use chrono::DateTime;
use domain::call::{CallFacts, CallIds, CallKey, CallKind, Outcome};
use domain::telemetry::SpanStatus;
use domain::{Meter, Usage};
use record::LogRecord;
use serde::de::{Error, MapAccess};

/// The time of an event as its agent wrote it, which is the same in all records of the event.
const EVENT_TIMESTAMP: &str = "event.timestamp";

impl LogRecord {
    /// The key of the call of a coding agent by the content of the record. If the agent writes two records of it, it is by what
    /// both of them say.
    fn key(
        &self,
        event: &VendorEvent,
        attributes: &Attributes,
        conversation: Option<&str>,
        time_ns: i64,
        usage: &Usage,
    ) -> CallKey {
        let (session, model) = (conversation.unwrap_or_default(), attributes.model().unwrap_or_default());
        if let (true, Some(time)) = (event.repeats_as_genai_event, self.attributes.text(EVENT_TIMESTAMP)) {
            let counts = [Meter::Input, Meter::Output].map(|meter| attributes.stated_count(meter));
            return CallKey::of_content("otlp-event", &[event.name, session, time, model, &counts[0], &counts[1]], 0);
        }
        let sequence = self.attributes.get("event.sequence").map(AttributeValue::display).unwrap_or_default();
        let request_id = attributes.text(Slot::RequestId).unwrap_or_default();
        let content = [event.name, session, &time_ns.to_string(), &sequence, request_id, model, &usage.to_string()];
        CallKey::of_content("otlp-event", &content, 0)
    }
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
    /// What is kept beside the calls: the texts that records carry for spans.
    pub(crate) exported: KeptSpans,
    keeps_contents: bool,
    content_bytes: usize,
}

impl LogCollector {
    /// Collects calls, with those of spans in `spans`.
    pub(crate) fn new(spans: SpanCollector, kept: Kept) -> Self {
        Self {
            count: 0,
            items: Vec::new(),
            spans,
            exported: KeptSpans::default(),
            keeps_contents: kept == Kept::Contents,
            content_bytes: 0,
        }
    }

    fn push(&mut self, mut record: Result<LogRecord, RefusalReason>) -> Result<(), &'static str> {
        self.count += 1;
        if let Some(contents) = record.as_mut().ok().and_then(LogRecord::take_contents) {
            self.exported.push_record(contents, &mut self.content_bytes);
        }
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

    fn read(&mut self, location: Location, record: LogRecord) -> Result<Event, RefusalReason> {
        if let Some(event) = self.vendor_event(&record) {
            let read = record.attributes.0.iter().map(|(key, value)| (key.as_str(), value));
            let mut attributes = read_event(event, read);
            self.spans.note_not_read(&mut attributes);
            // What a repetition does not state, the event that it repeats does.
            let may_lack_counts = event.is_call_by_counts || record.names().contains(&Some(GENAI_EVENT));
            if may_lack_counts && !attributes.has_count() {
                return Ok(Event::Other);
            }
            let call = self.vendor_call(location, &record, event, &attributes)?;
            return Ok(Event::Call(Box::new(call)));
        }
        let mut attributes = Attributes::default();
        let time = record.time.or(record.observed);
        record.attributes.0.into_iter().for_each(|(key, value)| attributes.insert(&key, value));
        let scope = self.spans.scope();
        if attributes.usage(scope)?.is_none() {
            self.spans.note_not_read(&mut attributes);
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
            contents: None,
        })))
    }

    /// The event of a coding agent that a record is, or repeats as a GenAI event.
    fn vendor_event(&self, record: &LogRecord) -> Option<&'static VendorEvent> {
        let named = record.names();
        // Claude Code leaves out its prefix in the attribute.
        let short = |event: &VendorEvent| event.name.split_once('.').map(|(_, last)| last);
        let is_named = |event: &&VendorEvent| {
            let names_it = |name: &str| name == event.name || self.is_of(event) && Some(name) == short(event);
            named.iter().flatten().any(|name| names_it(name))
        };
        let is_call =
            |event: &&VendorEvent| event.only_if.is_none_or(|(key, value)| record.attributes.text(key) == Some(value));
        let is_repeated = |event: &&VendorEvent| {
            let has_time = record.attributes.text(EVENT_TIMESTAMP).is_some();
            event.repeats_as_genai_event && has_time && named.contains(&Some(GENAI_EVENT)) && self.is_of(event)
        };
        let repeated = || EVENTS.iter().find(is_repeated);
        EVENTS.iter().find(is_named).filter(is_call).or_else(repeated)
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
        attributes: &Attributes,
    ) -> Result<Record, RefusalReason> {
        let missing = RefusalReason::Missing;
        let stated = attributes.usage_of_vendor(event.counting)?;
        let usage = stated.ok_or(missing("input_tokens"))?;
        let model = name("model", attributes.model().ok_or(missing("model"))?)?;
        let provider = attributes.provider();
        let time_ns = record.time_ns()?;
        let latency_ms = attributes.latency_ms();
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
            provider: provider.as_deref().map(|named| name("gen_ai.provider.name", named)).transpose()?,
            model: Some(model),
            usage: usage.usage,
            usage_assumed: usage.is_assumed,
            reported_cost: attributes.cost(),
            speed: informative(attributes.text(Slot::Speed)),
            conversation: informative(conversation),
            user: informative(nearest(Slot::User)),
            latency_ms,
            first_token_ms: attributes.first_token_ms(),
            outcome: Some(Outcome::Ok),
            response_id: informative(attributes.text(Slot::ResponseId)),
            request_id: informative(attributes.text(Slot::RequestId)),
            source: name("source", event.source)?,
            ..minimal_facts(CallKind::Llm, DateTime::from_timestamp_nanos(started_ns), Format::Otlp)?
        };
        facts.check().map_err(RefusalReason::Call)?;
        let own = match attributes.text(Slot::RequestId).and_then(CallKey::of_provider_request) {
            Some(of_request) => of_request,
            None => record.key(event, attributes, conversation, time_ns, &usage.usage),
        };
        let (seller, called) = (provider.unwrap_or_default(), attributes.model().unwrap_or_default());
        let of_response = attributes.text(Slot::ResponseId);
        let of_response = of_response.and_then(|id| CallKey::of_response(&seller, called, id));
        let call_ids = of_response.iter().map(CallKey::call_id).fold(CallIds::from(own.call_id()), CallIds::with);
        Ok(Record::new(location, call_ids, agent, task, facts))
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

    fn item<'de, A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        let record = LogRecord::of_json(map, self.keeps_contents)?;
        self.push(record).map_err(A::Error::custom)
    }
}

impl ProtobufItems for LogCollector {
    fn item(&mut self, encoded: &[u8]) -> Result<(), &'static str> {
        let record = LogRecord::of_protobuf(encoded, self.keeps_contents);
        self.push(record)
    }
}
