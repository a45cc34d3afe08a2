//! Requests of exporters: one body in one encoding, within limits.

use super::collector::{SpanCollector, Stop};
use super::json::Level;
use super::proto::{self, BodyError};
use super::records::items_of;
use crate::error::{DecodeError, Refusal};
use crate::format::Defaults;
use crate::record::Item;
use serde::de::DeserializeSeed;
use std::collections::BTreeMap;

/// The maximum memory for the spans of a request, in bytes: 64 MiB, enough for 250,000 spans, or for 50,000 with the
/// attributes of a call.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf.
    Protobuf,
    /// JSON, as OTLP has it.
    Json,
}

/// What a request exports.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) items: Vec<Item>,
    /// The spans or records that cannot be read.
    pub(crate) refusals: Vec<Refusal>,
    /// The names of attributes that say something about usage and are not read, with the number of spans that have them.
    pub(crate) unread: BTreeMap<Box<str>, u64>,
    /// The number of spans or records.
    pub(crate) count: u64,
}

/// Reads the body of a request with spans.
pub(crate) fn decode_traces(body: &[u8], encoding: Encoding) -> Result<Decoded, DecodeError> {
    let mut collector = SpanCollector::new(MAX_HELD_BYTES);
    match encoding {
        Encoding::Protobuf => proto::read_traces(body, &mut collector).map_err(|error| match error {
            BodyError::Malformed(error) => DecodeError::Malformed { encoding: "protobuf", error },
            BodyError::Stopped(stop) => stop.into(),
        })?,
        Encoding::Json => read_json(body, &mut collector)?,
    }
    let refusals = collector.take_refusals().into();
    let (unread, count) = (collector.take_unread(), collector.span_count());
    let mut decoded = Decoded { items: Vec::new(), refusals, unread, count };
    for item in items_of(&collector.into_forest(), &Defaults::default()) {
        match item {
            Ok(item) => decoded.items.push(item),
            Err(refusal) => decoded.refusals.push(refusal),
        }
    }
    Ok(decoded)
}

fn read_json(body: &[u8], collector: &mut SpanCollector) -> Result<(), DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Level { depth: 0, collector: &mut *collector }.deserialize(&mut deserializer);
    read.and_then(|()| deserializer.end()).map_err(|error| match collector.stop.take() {
        Some(stop) => stop.into(),
        None => DecodeError::Malformed { encoding: "JSON", error: error.to_string() },
    })
}

impl From<Stop> for DecodeError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TooManySpans { span, limit_bytes } => Self::TooLarge { span, limit_bytes },
            Stop::NotTraces { found } => Self::NotOfSignal { found, expected: "resourceSpans" },
            Stop::Misspelled { found, expected } => Self::Misspelled { found, expected },
        }
    }
}
