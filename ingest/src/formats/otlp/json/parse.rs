//! Parses the JSON of OTLP span by span, however large the document around them is.
//!
//! The objects and lists around spans are traversed, never held. Of each span only the attributes that are read are kept,
//! and of those only short text. Prompts and responses are skipped. A field of another type than it should have concerns its
//! span at most. A name in another spelling than OTLP's JSON has, such as `resource_spans`, would lose what it names: it is
//! refused.

use super::fields::{AttributeList, Fields, misspelled, text_field};
use super::ids::{span_id, trace_id};
use crate::error::RefusalReason;
use crate::formats::otlp::attributes::{AttributeValue, Attributes};
use crate::formats::otlp::collector::SpanCollector;
use crate::formats::otlp::contents::JsonContents;
use crate::formats::otlp::conventions::ScopeBasis;
use crate::formats::otlp::sink::Sink;
use crate::formats::otlp::span::{Span, SpanId, SpanTime};
use domain::telemetry::{SpanKind, SpanStatus};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The fields of a span that are read.
const SPAN_FIELDS: [&str; 8] =
    ["traceId", "spanId", "parentSpanId", "name", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"];

/// A span as JSON has it: ids, times and codes come in several types.
#[derive(Debug, Default)]
struct JsonSpan {
    trace_id: Option<AttributeValue>,
    span_id: Option<AttributeValue>,
    parent_span_id: Option<AttributeValue>,
    name: Option<AttributeValue>,
    kind: Option<AttributeValue>,
    start_time_unix_nano: Option<AttributeValue>,
    end_time_unix_nano: Option<AttributeValue>,
    attributes: Attributes,
    status: Option<Fields>,
    /// The texts that it carries, if they are kept.
    contents: Option<JsonContents>,
    refusal: Option<RefusalReason>,
}

impl JsonSpan {
    fn read<'de, A: MapAccess<'de>>(mut map: A, keeps_contents: bool) -> Result<Self, A::Error> {
        let mut span = Self { contents: keeps_contents.then(JsonContents::default), ..Self::default() };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "traceId" => span.trace_id = map.next_value()?,
                "spanId" => span.span_id = map.next_value()?,
                "parentSpanId" => span.parent_span_id = map.next_value()?,
                "name" => span.name = map.next_value()?,
                "kind" => span.kind = map.next_value()?,
                "startTimeUnixNano" => span.start_time_unix_nano = map.next_value()?,
                "endTimeUnixNano" => span.end_time_unix_nano = map.next_value()?,
                "attributes" => {
                    let attributes = match &mut span.contents {
                        Some(contents) => attributes_with_contents(&mut map, contents)?,
                        None => map.next_value_seed(AttributeList::<Attributes>::new())?,
                    };
                    match attributes {
                        Ok(attributes) => span.attributes = attributes,
                        Err(reason) => span.refusal = Some(reason),
                    }
                }
                "events" => match &mut span.contents {
                    Some(contents) => contents.add_events(&map.next_value::<Box<RawValue>>()?),
                    None => _ = map.next_value::<IgnoredAny>()?,
                },
                "status" => span.status = map.next_value()?,
                other => {
                    if let Some(reason) = misspelled(other, &SPAN_FIELDS) {
                        span.refusal = Some(reason);
                    }
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(span)
    }

    fn into_span(self, scope: ScopeBasis) -> Result<Span, RefusalReason> {
        if let Some(reason) = self.refusal {
            return Err(reason);
        }
        let id = SpanId {
            trace: trace_id("traceId", self.trace_id.as_ref())?.ok_or(RefusalReason::Missing("traceId"))?,
            span: span_id("spanId", self.span_id.as_ref())?.ok_or(RefusalReason::Missing("spanId"))?,
        };
        Ok(Span {
            id,
            parent: span_id("parentSpanId", self.parent_span_id.as_ref())?,
            name: self.name.and_then(AttributeValue::into_text),
            start: self.start_time_unix_nano.as_ref().map(time),
            end: self.end_time_unix_nano.as_ref().map(time),
            attributes: self.attributes,
            scope,
            kind: self.kind.as_ref().and_then(kind),
            status: self.status.as_ref().map(status).unwrap_or_default(),
            status_error: self.status.and_then(status_error),
            contents: self.contents.and_then(JsonContents::finish),
        })
    }
}

/// Reads the attributes of a span, and the texts among them from the same bytes.
fn attributes_with_contents<'de, A: MapAccess<'de>>(
    map: &mut A,
    contents: &mut JsonContents,
) -> Result<Result<Attributes, RefusalReason>, A::Error> {
    let json: Box<RawValue> = map.next_value()?;
    contents.add_attributes(&json);
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    AttributeList::<Attributes>::new().deserialize(&mut deserializer).map_err(A::Error::custom)
}

/// A time of 0 means that the exporter did not know it.
fn time(value: &AttributeValue) -> SpanTime {
    value.whole().filter(|ns| *ns > 0).map_or_else(|| SpanTime::Invalid(value.display()), SpanTime::UnixNanos)
}

/// The names of the kinds of spans and of the codes of statuses, in the order of their numbers. Enums are numbers in OTLP's
/// JSON, and names elsewhere.
const KINDS: [&str; 5] =
    ["SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"];
const STATUSES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

fn kind(value: &AttributeValue) -> Option<SpanKind> {
    let named = || SpanKind::ALL.into_iter().zip(KINDS).find(|(_, name)| value.text() == Some(*name));
    value.whole().map_or_else(|| named().map(|(kind, _)| kind), SpanKind::of_number)
}

fn status(status: &Fields) -> SpanStatus {
    let of = |code: &AttributeValue| {
        let named = || SpanStatus::ALL.into_iter().zip(STATUSES).find(|(_, name)| code.text() == Some(*name));
        code.whole().map_or_else(|| named().map(|(status, _)| status), SpanStatus::of_number)
    };
    status.get("code").and_then(of).unwrap_or_default()
}

/// The message, or `error` if there is none, of a status that is an error.
fn status_error(fields: Fields) -> Option<String> {
    if status(&fields) != SpanStatus::Error {
        return None;
    }
    let message = fields.get("message").and_then(AttributeValue::text).filter(|message| !message.trim().is_empty());
    Some(message.unwrap_or("error").to_owned())
}

impl JsonItems for SpanCollector {
    const LISTS: [&'static [&'static str]; 3] =
        [&["resourceSpans", "batches"], &["scopeSpans", "instrumentationLibrarySpans"], &["spans"]];

    fn item<'de, A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        let span = JsonSpan::read(map, self.keeps_contents())?.into_span(self.scope());
        self.push(span).map_err(A::Error::custom)
    }
}

/// Reads the items of a signal from JSON.
pub(crate) trait JsonItems: Sink {
    /// The lists that contain the items, from the outermost inwards, under their current and former names.
    const LISTS: [&'static [&'static str]; 3];

    /// Reads an item.
    fn item<'de, A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error>;
}

/// Parses an object, or a list of them, at one level: 0 is a request, 1 a resource, 2 a scope, 3 an item such as a span.
pub(crate) struct Level<'a, S> {
    pub(crate) depth: usize,
    pub(crate) collector: &'a mut S,
}

impl<'de, S: JsonItems> DeserializeSeed<'de> for Level<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: JsonItems> Visitor<'de> for Level<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of OTLP")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Level { depth: self.depth, collector: &mut *self.collector })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Level { depth, collector } = self;
        let Some(lists) = S::LISTS.get(depth) else { return collector.item(map) };
        match depth {
            1 => collector.start_resource(),
            2 => collector.start_scope(),
            _ => {}
        }
        let (mut has_spans, mut other_key) = (false, None);
        while let Some(key) = map.next_key::<String>()? {
            if lists.contains(&key.as_str()) {
                has_spans = true;
                map.next_value_seed(Level { depth: depth + 1, collector: &mut *collector })?;
            } else if depth == 0 && key == "trace" {
                // Grafana Tempo wraps its response to a query for one trace in this.
                has_spans = true;
                map.next_value_seed(Level { depth: 0, collector: &mut *collector })?;
            } else if depth == 1 && key == "resource" {
                if let Some(attributes) = map.next_value::<Resource>()?.0 {
                    collector.set_resource(attributes).map_err(A::Error::custom)?;
                }
            } else if depth == 2 && key == "scope" {
                let scope: Option<Fields> = map.next_value()?;
                collector.set_scope(scope.as_ref().and_then(|scope| text_field(scope, "name")).unwrap_or_default());
            } else if let Some(expected) = lists.iter().copied().find(|name| is_spelling(&key, name)) {
                return Err(A::Error::custom(collector.misspelled(&key, expected)));
            } else {
                map.next_value::<IgnoredAny>()?;
                other_key = other_key.or(Some(key));
            }
        }
        match other_key.filter(|_| depth == 0 && !has_spans) {
            Some(key) => Err(A::Error::custom(collector.not_of_signal(&key))),
            None => Ok(()),
        }
    }
}

fn is_spelling(key: &str, name: &'static str) -> bool {
    matches!(misspelled(key, &[name]), Some(RefusalReason::Misspelled { .. }))
}

/// The attributes of a resource; none if it has none that can be read.
struct Resource(Option<Attributes>);

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Resource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a resource")
            }

            fn visit_unit<E: Error>(self) -> Result<Resource, E> {
                Ok(Resource(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Resource, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "attributes" {
                        // Attributes that cannot be read only name the service.
                        found = map.next_value_seed(AttributeList::<Attributes>::new())?.ok();
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Resource(found))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
