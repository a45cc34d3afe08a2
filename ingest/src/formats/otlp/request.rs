//! Requests of exporters: one body in one encoding, within limits.

use super::collector::SpanCollector;
pub use super::decoded::Encoding;
pub(crate) use super::decoded::{Decoded, Kept};
use super::json::{JsonItems, Level};
use super::logs::LogCollector;
use super::metrics::MetricCollector;
use super::proto::{self, BodyError, ProtobufItems};
use super::records::items_of;
use super::sink::Stop;
use crate::error::DecodeError;
use crate::format::Defaults;
use crate::json_error::JsonError;
use serde::de::DeserializeSeed;

/// The maximum memory for the spans of a request, in bytes: 64 MiB, enough for 250,000 spans, or for 50,000 with the
/// attributes of a call.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Reads the body of a request with spans. They are collected as they are kept, too.
pub(crate) fn decode_traces(body: &[u8], encoding: Encoding, kept: Kept) -> Result<Decoded, DecodeError> {
    let mut collector = SpanCollector::keeping(kept, MAX_HELD_BYTES);
    read(body, encoding, &mut collector, "resourceSpans")?;
    let count = collector.span_count();
    let exported = collector.take_exported();
    Ok(Decoded { count, exported, ..of_spans(collector, "spans") })
}

fn of_spans(mut collector: SpanCollector, items: &str) -> Decoded {
    let (refusals, not_read) = (collector.take_refusals().into(), collector.take_not_read().messages(items));
    let forest = collector.into_forest();
    let mut decoded = Decoded { refusals, not_read, unmeasured: forest.count_unmeasured(), ..Decoded::default() };
    for item in items_of(&forest, &Defaults::default()) {
        match item {
            Ok(item) => decoded.items.push(item),
            Err(refusal) => decoded.refusals.push(refusal),
        }
    }
    decoded
}

/// Reads the body of a request with records of logs.
pub(crate) fn decode_logs(body: &[u8], encoding: Encoding, kept: Kept) -> Result<Decoded, DecodeError> {
    // An event says nothing of its span that is drawn, but for its texts.
    let mut collector = LogCollector::new(SpanCollector::new(MAX_HELD_BYTES), kept);
    read(body, encoding, &mut collector, "resourceLogs")?;
    let LogCollector { count, mut items, spans, exported, .. } = collector;
    let of_spans = of_spans(spans, "records");
    items.extend(of_spans.items);
    Ok(Decoded { items, count, exported, ..of_spans })
}

/// Reads the body of a request with metrics.
pub(crate) fn decode_metrics(body: &[u8], encoding: Encoding) -> Result<Decoded, DecodeError> {
    let mut collector = MetricCollector::default();
    read(body, encoding, &mut collector, "resourceMetrics")?;
    Ok(Decoded { count: collector.count, usage_metrics: collector.usage, ..Decoded::default() })
}

fn read<C: JsonItems + ProtobufItems>(
    body: &[u8],
    encoding: Encoding,
    collector: &mut C,
    expected: &'static str,
) -> Result<(), DecodeError> {
    match encoding {
        Encoding::Protobuf => proto::read(body, collector).map_err(|error| match error {
            BodyError::Malformed(error) => DecodeError::Malformed { encoding: "protobuf", error },
            BodyError::Stopped(stop) => stopped(stop, expected),
        }),
        Encoding::Json => {
            let malformed = |error| DecodeError::Malformed { encoding: "JSON", error };
            // Also where nothing is read: what of a body is read depends on what is kept, whether it is JSON does not.
            let body = std::str::from_utf8(body).map_err(|error| malformed(error.to_string()))?;
            let mut deserializer = serde_json::Deserializer::from_str(body);
            let read = Level { depth: 0, collector: &mut *collector }.deserialize(&mut deserializer);
            read.and_then(|()| deserializer.end()).map_err(|error| match collector.stop().take() {
                Some(stop) => stopped(stop, expected),
                None => malformed(JsonError::from(error).to_string()),
            })
        }
    }
}

fn stopped(stop: Stop, expected: &'static str) -> DecodeError {
    match stop {
        Stop::TooManySpans { span, limit_bytes } => DecodeError::TooLarge { span, limit_bytes },
        Stop::NotTraces { found } => DecodeError::NotOfSignal { found, expected },
        Stop::Misspelled { found, expected } => DecodeError::Misspelled { found, expected },
    }
}
