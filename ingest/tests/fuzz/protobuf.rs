//! Encodes exports of OTLP's JSON as protobuf, by the numbers of the fields that exporters send.

use serde_json::Value;

/// The type of a field.
enum Kind {
    Text,
    /// Bytes, which are hex in JSON.
    Id,
    Varint,
    Fixed64,
    AnyValue,
    Message(&'static [Field]),
}

/// The name of a field in JSON, its number, and its type.
type Field = (&'static str, u32, Kind);

const KEY_VALUE: &[Field] = &[("key", 1, Kind::Text), ("value", 2, Kind::AnyValue)];
const ANY_VALUE: &[Field] = &[
    ("stringValue", 1, Kind::Text),
    ("boolValue", 2, Kind::Varint),
    ("intValue", 3, Kind::Varint),
    ("doubleValue", 4, Kind::Fixed64),
    ("arrayValue", 5, Kind::Message(&[("values", 1, Kind::AnyValue)])),
    ("kvlistValue", 6, Kind::Message(&[("values", 1, Kind::Message(KEY_VALUE))])),
];
const RESOURCE: Kind = Kind::Message(&[("attributes", 1, Kind::Message(KEY_VALUE))]);
const SCOPE: Kind = Kind::Message(&[("name", 1, Kind::Text), ("version", 2, Kind::Text)]);
const SPAN_EVENT: &[Field] =
    &[("timeUnixNano", 1, Kind::Fixed64), ("name", 2, Kind::Text), ("attributes", 3, Kind::Message(KEY_VALUE))];
const SPAN: &[Field] = &[
    ("traceId", 1, Kind::Id),
    ("spanId", 2, Kind::Id),
    ("parentSpanId", 4, Kind::Id),
    ("name", 5, Kind::Text),
    ("kind", 6, Kind::Varint),
    ("startTimeUnixNano", 7, Kind::Fixed64),
    ("endTimeUnixNano", 8, Kind::Fixed64),
    ("attributes", 9, Kind::Message(KEY_VALUE)),
    ("events", 11, Kind::Message(SPAN_EVENT)),
    ("status", 15, Kind::Message(&[("message", 2, Kind::Text), ("code", 3, Kind::Varint)])),
];
const LOG_RECORD: &[Field] = &[
    ("timeUnixNano", 1, Kind::Fixed64),
    ("observedTimeUnixNano", 11, Kind::Fixed64),
    ("body", 5, Kind::AnyValue),
    ("attributes", 6, Kind::Message(KEY_VALUE)),
    ("traceId", 9, Kind::Id),
    ("spanId", 10, Kind::Id),
    ("eventName", 12, Kind::Text),
];
const DATA: Kind = Kind::Message(&[("dataPoints", 1, Kind::Message(&[("asInt", 6, Kind::Fixed64)]))]);
const METRIC: &[Field] =
    &[("name", 1, Kind::Text), ("gauge", 5, DATA), ("sum", 7, DATA), ("histogram", 9, DATA), ("summary", 11, DATA)];
const EXPORTS: &[Field] = &[
    (
        "resourceSpans",
        1,
        Kind::Message(&[
            ("resource", 1, RESOURCE),
            ("scopeSpans", 2, Kind::Message(&[("scope", 1, SCOPE), ("spans", 2, Kind::Message(SPAN))])),
        ]),
    ),
    (
        "resourceLogs",
        1,
        Kind::Message(&[
            ("resource", 1, RESOURCE),
            ("scopeLogs", 2, Kind::Message(&[("scope", 1, SCOPE), ("logRecords", 2, Kind::Message(LOG_RECORD))])),
        ]),
    ),
    (
        "resourceMetrics",
        1,
        Kind::Message(&[
            ("resource", 1, RESOURCE),
            ("scopeMetrics", 2, Kind::Message(&[("scope", 1, SCOPE), ("metrics", 2, Kind::Message(METRIC))])),
        ]),
    ),
];

/// An export of any signal as protobuf.
pub(crate) fn encoded(export: &Value) -> Vec<u8> {
    message(export, EXPORTS)
}

fn message(value: &Value, fields: &[Field]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, number, kind) in fields {
        let items = match &value[*name] {
            Value::Null => continue,
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        items.iter().for_each(|item| field(item, *number, kind, &mut encoded));
    }
    encoded
}

fn field(value: &Value, number: u32, kind: &Kind, encoded: &mut Vec<u8>) {
    let text = value.as_str();
    let whole =
        text.and_then(|text| text.parse().ok()).or(value.as_i64()).unwrap_or(i64::from(value == &Value::Bool(true)));
    let bytes = match kind {
        Kind::Varint => {
            varint(u64::from(number) << 3, encoded);
            return varint(whole.cast_unsigned(), encoded);
        }
        Kind::Fixed64 => {
            varint(u64::from(number) << 3 | 1, encoded);
            let bits =
                if value.is_f64() { value.as_f64().unwrap_or_default().to_bits() } else { whole.cast_unsigned() };
            return encoded.extend(bits.to_le_bytes());
        }
        Kind::Text => text.unwrap_or_default().as_bytes().to_vec(),
        Kind::Id => hex(text.unwrap_or_default()),
        Kind::AnyValue => message(value, ANY_VALUE),
        Kind::Message(fields) => message(value, fields),
    };
    varint(u64::from(number) << 3 | 2, encoded);
    varint(bytes.len() as u64, encoded);
    encoded.extend(bytes);
}

fn varint(mut number: u64, encoded: &mut Vec<u8>) {
    while number >= 0x80 {
        encoded.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    encoded.push(number.to_le_bytes()[0]);
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).filter_map(byte).collect()
}
