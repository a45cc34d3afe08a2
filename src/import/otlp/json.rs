//! Reading the JSON of OTLP: span by span, however large the object around them is.
//!
//! The objects and lists that lead to spans are walked through, never held. Of each span only the attributes that
//! matter are kept, and of those only short text. Prompts and answers are read past.

use super::collect::Collector;
use super::semconv::{Attributes, Scalar};
use crate::import::{ImportError, MAX_LINE_BYTES};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{self, Read};

/// A span as it was read. Ids, times and codes come in several types; they are looked at where they are needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSpan {
    pub(super) trace_id: Option<Scalar>,
    pub(super) span_id: Option<Scalar>,
    pub(super) parent_span_id: Option<Scalar>,
    pub(super) name: Option<Scalar>,
    pub(super) start_time_unix_nano: Option<Scalar>,
    pub(super) end_time_unix_nano: Option<Scalar>,
    pub(super) attributes: Option<Attributes>,
    pub(super) status: Option<Status>,
}

/// How a span ended.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    code: Option<Scalar>,
    message: Option<Scalar>,
}

impl Status {
    /// What went wrong, if the status is that of an error.
    pub(super) fn failure(self) -> Option<String> {
        let code = self.code?;
        if code.whole() != Some(2) && code.text() != Some("STATUS_CODE_ERROR") {
            return None;
        }
        let message = self.message.as_ref().and_then(Scalar::text).filter(|message| !message.trim().is_empty());
        Some(message.unwrap_or("error").to_owned())
    }
}

#[derive(Deserialize)]
struct Resource {
    attributes: Option<Attributes>,
}

#[derive(Deserialize)]
struct Attribute {
    key: Option<Scalar>,
    value: Option<AnyValue>,
}

/// The kinds of value that matter; lists, objects, truth values and bytes are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue {
    string_value: Option<Scalar>,
    int_value: Option<Scalar>,
    double_value: Option<Scalar>,
}

/// The lists that lead to spans, from outside in, under the names they have and had.
const LISTS: [&[&str]; 3] = [&["resourceSpans", "batches"], &["scopeSpans", "instrumentationLibrarySpans"], &["spans"]];

/// Reads an object, or a list of them, at one level: 0 is a request, 1 a resource, 2 a scope, 3 a span.
pub(super) struct Level<'a> {
    pub(super) depth: usize,
    pub(super) collector: &'a mut Collector,
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
            let span = RawSpan::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
            return collector.span(span).map_err(A::Error::custom);
        };
        if depth == 1 {
            collector.resource_begins();
        }
        let (mut leads_on, mut foreign) = (false, None);
        while let Some(key) = map.next_key::<String>()? {
            if lists.contains(&key.as_str()) {
                leads_on = true;
                map.next_value_seed(Level { depth: depth + 1, collector: &mut *collector })?;
            } else if depth == 0 && key == "trace" {
                // Grafana Tempo answers a query for one trace with the request inside of this.
                leads_on = true;
                map.next_value_seed(Level { depth: 0, collector: &mut *collector })?;
            } else if depth == 1 && key == "resource" {
                let resource: Option<Resource> = map.next_value()?;
                collector.resource_is(resource.and_then(|resource| resource.attributes)).map_err(A::Error::custom)?;
            } else {
                map.next_value::<IgnoredAny>()?;
                foreign = foreign.or(Some(key));
            }
        }
        match foreign.filter(|_| depth == 0 && !leads_on) {
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

            // One attribute after the other: a list of them may hold whole conversations.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Attributes, A::Error> {
                let mut attributes = Attributes::default();
                while let Some(Attribute { key, value }) = list.next_element()? {
                    let value = value.and_then(|value| value.string_value.or(value.int_value).or(value.double_value));
                    if let (Some(Scalar::Text(key)), Some(value)) = (key, value) {
                        attributes.put(&key, value);
                    }
                }
                Ok(attributes)
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::short(text))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Whole(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(number).map_or(Scalar::Other, Scalar::Whole))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar::Float(number))
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar, E> {
                Ok(Scalar::Other)
            }
            fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
                Ok(Scalar::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The longest string inside an object that is not on one line, in bytes: as long as a line may be.
const MAX_STRING_BYTES: usize = MAX_LINE_BYTES;
/// How deep JSON may be nested. What serde reads may be nested 128 deep; this bounds what it reads past.
const MAX_DEPTH: usize = 512;

/// As much of JSON as is needed to tell what is inside a string.
#[derive(Debug, Default)]
struct Lexer {
    in_string: bool,
    is_escaped: bool,
    string_bytes: usize,
    depth: usize,
}

impl Lexer {
    fn pass(&mut self, byte: u8) {
        if self.in_string {
            self.string_bytes += 1;
            self.in_string = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return;
        }
        match byte {
            b'"' => (self.in_string, self.string_bytes) = (true, 0),
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Whether JSON is cut off within a string, which no line break can be a part of.
pub(super) fn ends_inside_string(json: &[u8]) -> bool {
    let mut lexer = Lexer::default();
    json.iter().for_each(|byte| lexer.pass(*byte));
    lexer.in_string
}

/// Keeps what a JSON reader has to hold at a time within limits.
pub(super) struct Guard<R> {
    inner: R,
    lexer: Lexer,
}

impl<R: Read> Guard<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, lexer: Lexer::default() }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in &buffer[..count] {
            self.lexer.pass(*byte);
            if self.lexer.string_bytes > MAX_STRING_BYTES {
                return Err(io::Error::other(ImportError::StringTooLong { limit_bytes: MAX_STRING_BYTES }));
            }
            if self.lexer.depth > MAX_DEPTH {
                return Err(io::Error::other(ImportError::TooDeep { limit: MAX_DEPTH }));
            }
        }
        Ok(count)
    }
}
