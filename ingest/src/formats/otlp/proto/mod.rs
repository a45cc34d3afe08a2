//! The protobuf front end: reads the body of a request as spans, one at a time.
//!
//! The messages are read field by field, without a copy of the whole: of each span only the attributes that are read are
//! kept. A span that is malformed inside is refused alone; a body whose outer messages are malformed is refused.

mod wire;

use super::attributes::{AttributeSink, AttributeValue, Attributes, MAX_ATTRIBUTES};
use super::collector::SpanCollector;
use super::contents;
use super::conventions::ScopeBasis;
use super::sink::{Sink, Stop};
use super::span::{Span, SpanId, SpanTime};
use crate::error::RefusalReason;
use domain::telemetry::{SpanKind, SpanStatus};
pub(crate) use wire::{Fields, Value};

/// Why a body cannot be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is not the protobuf of OTLP.
    Malformed(String),
    /// A limit is reached.
    Stopped(Stop),
}

/// The field that the outer messages of each signal have in common: the list of the messages inside, from the outermost
/// inwards; and the field with the resource or the scope.
const LISTS: [u32; 3] = [1, 2, 2];
const ABOUT: u32 = 1;

/// Reads the items of a signal from protobuf.
pub(crate) trait ProtobufItems: Sink {
    /// Reads an item. Returns an error to stop with.
    fn item(&mut self, encoded: &[u8]) -> Result<(), &'static str>;
}

impl ProtobufItems for SpanCollector {
    fn item(&mut self, encoded: &[u8]) -> Result<(), &'static str> {
        let mut span = span(encoded, self.scope());
        if let (Ok(span), true) = (&mut span, self.keeps_contents()) {
            span.contents = contents::of_protobuf_span(encoded);
        }
        self.push(span)
    }
}

/// Reads the body of a request of any signal.
pub(crate) fn read(body: &[u8], sink: &mut impl ProtobufItems) -> Result<(), BodyError> {
    for_each(body, LISTS[0], |of_resource| {
        sink.start_resource();
        if let Some(resource) = message(of_resource, ABOUT)? {
            // Attributes that cannot be read only name the service.
            let attributes: Attributes = attributes(resource, 1).unwrap_or_default();
            sink.set_resource(attributes).map_err(|_| stopped(sink))?;
        }
        for_each(of_resource, LISTS[1], |of_scope| {
            sink.start_scope();
            if let Some(scope) = message(of_scope, ABOUT)? {
                sink.set_scope(&text(scope, 1).unwrap_or_default());
            }
            for_each(of_scope, LISTS[2], |encoded| sink.item(encoded).map_err(|_| stopped(sink)))
        })
    })
}

fn stopped(sink: &mut impl ProtobufItems) -> BodyError {
    sink.stop().take().map_or_else(|| BodyError::Malformed("it cannot be read".to_owned()), BodyError::Stopped)
}

/// The number of messages in a repeated field, as far as they can be read.
pub(crate) fn count(message: &[u8], field: u32) -> u64 {
    Fields(message).filter(|found| matches!(found, Ok((number, Value::Bytes(_))) if *number == field)).count() as u64
}

/// Calls `each` for every message in a repeated field.
fn for_each<'b>(
    message: &'b [u8],
    field: u32,
    mut each: impl FnMut(&'b [u8]) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    for found in Fields(message) {
        match found.map_err(BodyError::Malformed)? {
            (number, Value::Bytes(inner)) if number == field => each(inner)?,
            _ => {}
        }
    }
    Ok(())
}

/// The last message in a field.
fn message(message: &[u8], field: u32) -> Result<Option<&[u8]>, BodyError> {
    let mut last = None;
    for found in Fields(message) {
        if let (number, Value::Bytes(inner)) = found.map_err(BodyError::Malformed)?
            && number == field
        {
            last = Some(inner);
        }
    }
    Ok(last)
}

/// The text in a field, if it is there and UTF-8.
pub(crate) fn text(message: &[u8], field: u32) -> Option<String> {
    let found = Fields(message).filter_map(Result::ok).filter(|(number, _)| *number == field).last()?;
    found.1.text().map(str::to_owned)
}

fn malformed(error: String) -> RefusalReason {
    RefusalReason::Protobuf(error)
}

fn span(encoded: &[u8], scope: ScopeBasis) -> Result<Span, RefusalReason> {
    let (mut trace, mut id, mut parent) = (None, None, None);
    let mut span = Span {
        id: SpanId { trace: 0, span: 0 },
        parent: None,
        name: None,
        start: None,
        end: None,
        attributes: Attributes::default(),
        scope,
        kind: None,
        status: SpanStatus::Unset,
        status_error: None,
        contents: None,
    };
    let mut count = 0;
    for field in Fields(encoded) {
        match field.map_err(malformed)? {
            (1, value) => trace = bytes("traceId", value)?.map(u128::from_be_bytes),
            (2, value) => id = bytes("spanId", value)?.map(u64::from_be_bytes),
            (4, value) => parent = bytes("parentSpanId", value)?.map(u64::from_be_bytes),
            (5, value) => span.name = value.text().map(|name| crate::text::clip(name, 1024).to_owned()),
            (7, Value::Fixed64(ns)) => span.start = Some(time(ns)),
            (8, Value::Fixed64(ns)) => span.end = Some(time(ns)),
            (9, Value::Bytes(pair)) => {
                count += 1;
                insert(pair, count, &mut span.attributes)?;
            }
            (6, Value::Varint(number)) => span.kind = i64::try_from(number).ok().and_then(SpanKind::of_number),
            (15, Value::Bytes(status)) => (span.status, span.status_error) = read_status(status)?,
            _ => {}
        }
    }
    if count > MAX_ATTRIBUTES {
        return Err(RefusalReason::TooManyAttributes { found: count, limit: MAX_ATTRIBUTES });
    }
    let missing = RefusalReason::Missing;
    span.id = SpanId {
        trace: trace.filter(|id| *id != 0).ok_or(missing("traceId"))?,
        span: id.filter(|id| *id != 0).ok_or(missing("spanId"))?,
    };
    span.parent = parent.filter(|id| *id != 0);
    Ok(span)
}

/// A time of 0 means that the exporter did not know it.
pub(crate) fn time(ns: u64) -> SpanTime {
    let known = i64::try_from(ns).ok().filter(|ns| *ns > 0);
    known.map_or_else(|| SpanTime::Invalid(ns.to_string()), SpanTime::UnixNanos)
}

/// An id of `N` bytes; none if it is empty.
pub(crate) fn bytes<const N: usize>(field: &'static str, value: Value<'_>) -> Result<Option<[u8; N]>, RefusalReason> {
    let found = match value {
        Value::Bytes([]) => return Ok(None),
        Value::Bytes(found) => found,
        Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32 => return Err(malformed(format!("{field} is a number"))),
    };
    let hex = |found: &[u8]| found.iter().take(24).map(|byte| format!("{byte:02x}")).collect::<String>();
    found.try_into().map(Some).map_err(|_| RefusalReason::Id { field, found: hex(found) })
}

/// The status, and its message if it is an error.
fn read_status(status: &[u8]) -> Result<(SpanStatus, Option<String>), RefusalReason> {
    let (mut code, mut message) = (SpanStatus::Unset, None);
    for field in Fields(status) {
        match field.map_err(malformed)? {
            (2, value) => message = value.text().filter(|message| !message.trim().is_empty()),
            (3, Value::Varint(number)) => {
                code = i64::try_from(number).ok().and_then(SpanStatus::of_number).unwrap_or_default();
            }
            _ => {}
        }
    }
    let text = || crate::text::clip(message.unwrap_or("error"), 1024).to_owned();
    Ok((code, (code == SpanStatus::Error).then(text)))
}

/// The attributes in a repeated field.
pub(crate) fn attributes<T: AttributeSink>(message: &[u8], field: u32) -> Result<T, RefusalReason> {
    let (mut attributes, mut count) = (T::default(), 0);
    for found in Fields(message) {
        if let (number, Value::Bytes(pair)) = found.map_err(malformed)?
            && number == field
        {
            count += 1;
            insert(pair, count, &mut attributes)?;
        }
    }
    if count > MAX_ATTRIBUTES {
        return Err(RefusalReason::TooManyAttributes { found: count, limit: MAX_ATTRIBUTES });
    }
    Ok(attributes)
}

/// Adds an attribute, unless there are too many, whose number is only counted.
fn insert(pair: &[u8], count: usize, attributes: &mut impl AttributeSink) -> Result<(), RefusalReason> {
    if count > MAX_ATTRIBUTES {
        return Ok(());
    }
    if let Some((key, value)) = key_value(pair)? {
        attributes.insert(key, value);
    }
    Ok(())
}

/// The key of an attribute and its value; none if it has none.
pub(crate) fn key_value(pair: &[u8]) -> Result<Option<(&str, AttributeValue)>, RefusalReason> {
    let (mut key, mut value) = (None, None);
    for field in Fields(pair) {
        match field.map_err(malformed)? {
            (1, Value::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes);
                key = Some(text.map_err(|_| malformed("the key of an attribute is not UTF-8".to_owned()))?);
            }
            (2, Value::Bytes(encoded)) => value = any_value(encoded)?,
            _ => {}
        }
    }
    Ok(key.zip(value))
}

pub(crate) fn any_value(encoded: &[u8]) -> Result<Option<AttributeValue>, RefusalReason> {
    let mut value = None;
    for field in Fields(encoded) {
        value = match field.map_err(malformed)? {
            (1, Value::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Some(AttributeValue::clipped(text)),
                // The value may be a prompt, which no error shows.
                Err(error) => {
                    let valid_bytes = error.valid_up_to();
                    return Err(malformed(format!(
                        "the value of an attribute is not UTF-8 after its first {valid_bytes} bytes"
                    )));
                }
            },
            (2, Value::Varint(flag)) => Some(AttributeValue::Flag(flag != 0)),
            // 64 bits in two's complement.
            (3, Value::Varint(number)) => Some(AttributeValue::Whole(number.cast_signed())),
            (4, Value::Fixed64(bits)) => Some(AttributeValue::Float(f64::from_bits(bits))),
            // A list, an object, or bytes.
            (5..=7, Value::Bytes(_)) => Some(AttributeValue::Other),
            _ => value,
        };
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
