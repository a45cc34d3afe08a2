//! A record of a log, as far as it is read.

use crate::error::RefusalReason;
use crate::formats::otlp::attributes::{AttributeSink, AttributeValue, MAX_ATTRIBUTES};
use crate::formats::otlp::contents;
use crate::formats::otlp::json::{AttributeList, Fields, span_id, trace_id};
use crate::formats::otlp::proto::{self, Value};
use crate::formats::otlp::span::SpanTime;
use crate::text::{clip, quoted};
use domain::call::{SpanId, TraceId};
use domain::span_contents::{ContentSource, RecordContents, SpanContents};
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

/// The longest name of an attribute, or text of a body, that is kept, in bytes.
const MAX_KEY_BYTES: usize = 128;

/// Scalar attributes under their own names.
#[derive(Debug, Default)]
pub(super) struct RawAttributes(pub(super) Vec<(String, AttributeValue)>);

impl AttributeSink for RawAttributes {
    fn insert(&mut self, key: &str, value: AttributeValue) {
        if self.0.len() < MAX_ATTRIBUTES && value != AttributeValue::Null {
            self.0.push((clip(key, MAX_KEY_BYTES).to_owned(), value));
        }
    }
}

impl RawAttributes {
    pub(super) fn get(&self, key: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(AttributeValue::text).filter(|text| !text.trim().is_empty())
    }
}

/// A record of a log, as far as it is read.
#[derive(Debug, Default)]
pub(super) struct LogRecord {
    pub(super) trace: Option<u128>,
    pub(super) span: Option<u64>,
    pub(super) time: Option<SpanTime>,
    pub(super) observed: Option<SpanTime>,
    pub(super) event: Option<String>,
    body: Option<String>,
    pub(super) attributes: RawAttributes,
    /// The texts that it carries, if they are kept.
    contents: Option<SpanContents>,
}

impl LogRecord {
    /// Where the name of an event may be.
    pub(super) fn names(&self) -> [Option<&str>; 3] {
        [self.event.as_deref(), self.attributes.text("event.name"), self.body.as_deref()]
    }

    /// The event that the record is, as far as texts belong to it. A body that is no name of such an event may be a text.
    fn event(&self) -> contents::Event<'_> {
        let [event, attribute, body] = self.names();
        let mut names = [event, attribute, body].into_iter().flatten();
        let name = names.find(|name| contents::is_content_event(name)).or(event).or(attribute);
        contents::Event {
            source: ContentSource::LogRecord,
            name: name.unwrap_or_default(),
            time_ns: self.time_ns().ok(),
        }
    }

    /// The texts that the record carries for its span; none if it names no span.
    pub(super) fn take_contents(&mut self) -> Option<RecordContents> {
        let contents = self.contents.take()?;
        let (trace_id, span_id) = (TraceId::new(self.trace?)?, SpanId::new(self.span?)?);
        Some(RecordContents { trace_id, span_id, time_ns: self.time_ns().ok(), contents })
    }

    /// The time of the record, in nanoseconds since 1970.
    pub(super) fn time_ns(&self) -> Result<i64, RefusalReason> {
        match self.time.as_ref().or(self.observed.as_ref()) {
            Some(SpanTime::UnixNanos(ns)) => Ok(*ns),
            Some(SpanTime::Invalid(found)) => Err(RefusalReason::Time { field: "timeUnixNano", found: found.clone() }),
            None => Err(RefusalReason::Missing("timeUnixNano")),
        }
    }
}

impl LogRecord {
    /// Reads a record in JSON, and the texts that it carries, if they are kept.
    pub(super) fn of_json<'de, A: MapAccess<'de>>(
        mut map: A,
        keeps_contents: bool,
    ) -> Result<Result<Self, RefusalReason>, A::Error> {
        let (mut record, mut refusal) = (LogRecord::default(), None);
        let (mut raw_body, mut raw_attributes) = (None, None);
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
                    let body: Option<Fields> = match keeps_contents {
                        true => read_again(raw_body.insert(map.next_value::<Box<RawValue>>()?))?,
                        false => map.next_value()?,
                    };
                    let text = body.as_ref().and_then(|body| body.get("stringValue")?.text());
                    record.body = text.filter(|text| text.len() <= MAX_KEY_BYTES).map(str::to_owned);
                }
                "attributes" => {
                    let attributes = match keeps_contents {
                        true => {
                            let raw = raw_attributes.insert(map.next_value::<Box<RawValue>>()?);
                            let mut again = serde_json::Deserializer::from_str(raw.get());
                            AttributeList::<RawAttributes>::new().deserialize(&mut again).map_err(A::Error::custom)?
                        }
                        false => map.next_value_seed(AttributeList::<RawAttributes>::new())?,
                    };
                    match attributes {
                        Ok(attributes) => record.attributes = attributes,
                        Err(reason) => refusal = Some(reason),
                    }
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        if keeps_contents {
            let contents = contents::of_json_record(record.event(), raw_body.as_deref(), raw_attributes.as_deref());
            record.contents = contents;
        }
        Ok(refusal.map_or(Ok(record), Err))
    }

    /// Reads a record in protobuf, and the texts that it carries, if they are kept.
    pub(super) fn of_protobuf(encoded: &[u8], keeps_contents: bool) -> Result<Self, RefusalReason> {
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
                (10, value) => {
                    record.span = proto::bytes("spanId", value)?.map(u64::from_be_bytes).filter(|id| *id != 0)
                }
                (12, value) => record.event = value.text().map(quoted),
                _ => {}
            }
        }
        if keeps_contents {
            record.contents = contents::of_protobuf_record(encoded, record.event());
        }
        Ok(record)
    }
}

/// Reads what texts are read from, too.
fn read_again<T: DeserializeOwned, E: Error>(json: &RawValue) -> Result<T, E> {
    serde_json::from_str(json.get()).map_err(E::custom)
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
