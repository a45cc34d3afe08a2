//! Parses the JSON of OTLP span by span, however large the document around them is.
//!
//! The objects and lists around spans are traversed, never held. Of each span only the attributes that imports use are
//! kept, and of those only short text. Prompts and responses are skipped.

use super::ids::{span_id, trace_id};
use crate::error::RefusalReason;
use crate::formats::otlp::attributes::{AttributeValue, Attributes};
use crate::formats::otlp::collector::SpanCollector;
use crate::formats::otlp::span::{Span, SpanId, SpanTime};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A span as JSON has it: ids, times and codes come in several types.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSpan {
    trace_id: Option<AttributeValue>,
    span_id: Option<AttributeValue>,
    parent_span_id: Option<AttributeValue>,
    name: Option<AttributeValue>,
    start_time_unix_nano: Option<AttributeValue>,
    end_time_unix_nano: Option<AttributeValue>,
    attributes: Option<Attributes>,
    status: Option<Status>,
}

impl JsonSpan {
    fn into_span(self) -> Result<Span, RefusalReason> {
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
            attributes: self.attributes.unwrap_or_default(),
            status_error: self.status.and_then(Status::error),
        })
    }
}

/// A time of 0 means that the exporter did not know it.
fn time(value: &AttributeValue) -> SpanTime {
    value.whole().filter(|ns| *ns > 0).map_or_else(|| SpanTime::Invalid(value.display()), SpanTime::UnixNanos)
}

/// The status of a span.
#[derive(Debug, Deserialize)]
struct Status {
    code: Option<AttributeValue>,
    message: Option<AttributeValue>,
}

impl Status {
    /// The message, or `error` if there is none, of a status that is an error.
    fn error(self) -> Option<String> {
        let code = self.code?;
        if code.whole() != Some(2) && code.text() != Some("STATUS_CODE_ERROR") {
            return None;
        }
        let message = self.message.as_ref().and_then(AttributeValue::text).filter(|message| !message.trim().is_empty());
        Some(message.unwrap_or("error").to_owned())
    }
}

#[derive(Deserialize)]
struct Resource {
    attributes: Option<Attributes>,
}

#[derive(Deserialize)]
struct Attribute {
    key: Option<AttributeValue>,
    value: Option<AnyValue>,
}

/// The types of value that imports use; lists, objects, booleans and bytes are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue {
    string_value: Option<AttributeValue>,
    int_value: Option<AttributeValue>,
    double_value: Option<AttributeValue>,
}

/// The lists that contain spans, from the outermost inwards, under their current and former names.
const LISTS: [&[&str]; 3] = [&["resourceSpans", "batches"], &["scopeSpans", "instrumentationLibrarySpans"], &["spans"]];

/// Parses an object, or a list of them, at one level: 0 is a request, 1 a resource, 2 a scope, 3 a span.
pub(crate) struct Level<'a> {
    pub(crate) depth: usize,
    pub(crate) collector: &'a mut SpanCollector,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of OTLP traces")
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
        let Some(lists) = LISTS.get(depth) else {
            let span = JsonSpan::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
            return collector.push(span.into_span()).map_err(A::Error::custom);
        };
        if depth == 1 {
            collector.start_resource();
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
                let resource: Option<Resource> = map.next_value()?;
                collector.set_resource(resource.and_then(|resource| resource.attributes)).map_err(A::Error::custom)?;
            } else {
                map.next_value::<IgnoredAny>()?;
                other_key = other_key.or(Some(key));
            }
        }
        match other_key.filter(|_| depth == 0 && !has_spans) {
            Some(key) => Err(A::Error::custom(collector.not_traces(&key))),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of attributes")
            }

            // One attribute at a time: a list of them may hold whole conversations.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Attributes, A::Error> {
                let mut attributes = Attributes::default();
                while let Some(Attribute { key, value }) = list.next_element()? {
                    let value = value.and_then(|value| value.string_value.or(value.int_value).or(value.double_value));
                    if let (Some(AttributeValue::Text(key)), Some(value)) = (key, value) {
                        attributes.insert(&key, value);
                    }
                }
                Ok(attributes)
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AttributeValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AttributeValue, E> {
                Ok(AttributeValue::clipped(text))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Whole(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<AttributeValue, E> {
                Ok(i64::try_from(number).map_or(AttributeValue::Other, AttributeValue::Whole))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Float(number))
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Other)
            }
            fn visit_unit<E: Error>(self) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AttributeValue, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(AttributeValue::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AttributeValue::Other)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
