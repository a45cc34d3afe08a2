//! The texts of a span in protobuf.

use super::{BODY, Collected, Event, Owner, Text, is_content_event};
use crate::formats::otlp::proto::{Fields, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::span_contents::{ContentSource, MAX_CONTENT_BYTES, SpanContents};
use std::fmt;

/// How deep values may be inside of each other. What is deeper is not shown.
const MAX_DEPTH: usize = 64;
/// What is shown in place of what is deeper.
const TOO_DEEP: &str = "\"(nested deeper than 64 levels)\"";

/// The texts of a span, which can be read.
pub(in crate::formats::otlp) fn of_span(encoded: &[u8]) -> Option<SpanContents> {
    let mut collected = Collected::default();
    for (number, value) in Fields(encoded).filter_map(Result::ok) {
        match (number, value) {
            (9, Value::Bytes(pair)) => attribute(&mut collected, Owner::Span, pair),
            (11, Value::Bytes(event)) => of_event(&mut collected, event),
            _ => {}
        }
    }
    collected.finish()
}

/// The texts of a record of a log, which can be read.
pub(in crate::formats::otlp) fn of_record(encoded: &[u8], event: Event<'_>) -> Option<SpanContents> {
    let mut collected = Collected::default();
    for (number, value) in Fields(encoded).filter_map(Result::ok) {
        match (number, value) {
            (5, Value::Bytes(body)) if is_content_event(event.name) => {
                collected.push(Owner::Event(event), BODY, text(body));
            }
            (6, Value::Bytes(pair)) => attribute(&mut collected, Owner::Event(event), pair),
            _ => {}
        }
    }
    collected.finish()
}

fn of_event(collected: &mut Collected, encoded: &[u8]) {
    let (mut name, mut time_ns) = ("", None);
    for (number, value) in Fields(encoded).filter_map(Result::ok) {
        match (number, value) {
            (1, Value::Fixed64(ns)) => time_ns = i64::try_from(ns).ok().filter(|ns| *ns > 0),
            (2, value) => name = value.text().unwrap_or_default(),
            _ => {}
        }
    }
    for (number, value) in Fields(encoded).filter_map(Result::ok) {
        if let (3, Value::Bytes(pair)) = (number, value) {
            attribute(collected, Owner::Event(Event { source: ContentSource::SpanEvent, name, time_ns }), pair);
        }
    }
}

/// Adds an attribute, if it is a text.
fn attribute(collected: &mut Collected, owner: Owner<'_>, pair: &[u8]) {
    let Some((key, value)) = key_value(pair) else { return };
    if owner.has_content(key) {
        collected.push(owner, key, text(value));
    }
}

fn key_value(pair: &[u8]) -> Option<(&str, &[u8])> {
    let (mut key, mut value) = (None, None);
    for (number, found) in Fields(pair).filter_map(Result::ok) {
        match (number, found) {
            (1, found) => key = found.text(),
            (2, Value::Bytes(encoded)) => value = Some(encoded),
            _ => {}
        }
    }
    key.zip(value)
}

/// A value as text: a text as it is, another value as JSON.
fn text(encoded: &[u8]) -> Text {
    let last = Fields(encoded).filter_map(Result::ok).filter(|(number, _)| (1..=7).contains(number)).last();
    match last {
        Some((1, value)) => value.text().map(Text::of).unwrap_or_default(),
        Some(field) => {
            let mut written = Text::default();
            write(&mut written, field, MAX_DEPTH);
            written
        }
        None => Text::default(),
    }
}

/// Bytes as text, with a replacement character for what is no UTF-8.
struct Lossy<'a>(&'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

fn write_value(to: &mut Text, encoded: &[u8], depth: usize) {
    match Fields(encoded).filter_map(Result::ok).filter(|(number, _)| (1..=7).contains(number)).last() {
        Some(field) => write(to, field, depth),
        None => to.write("null"),
    }
}

fn write(to: &mut Text, field: (u32, Value<'_>), depth: usize) {
    match field {
        (1, Value::Bytes(bytes)) => to.write_json(&Lossy(bytes)),
        (2, Value::Varint(flag)) => to.write(if flag == 0 { "false" } else { "true" }),
        (3, Value::Varint(number)) => to.write(&number.cast_signed().to_string()),
        (4, Value::Fixed64(bits)) => match serde_json::Number::from_f64(f64::from_bits(bits)) {
            Some(number) => to.write(&number.to_string()),
            None => to.write_json(&f64::from_bits(bits).to_string()),
        },
        (5 | 6, _) if depth == 0 => to.write(TOO_DEEP),
        (5, Value::Bytes(list)) => {
            to.write("[");
            each(to, list, |to, value| write_value(to, value, depth - 1));
            to.write("]");
        }
        (6, Value::Bytes(list)) => {
            to.write("{");
            each(to, list, |to, pair| {
                let (key, value) = key_value(pair).unwrap_or_default();
                to.write_json(key);
                to.write(":");
                write_value(to, value, depth - 1);
            });
            to.write("}");
        }
        // Base64 has four characters for three bytes.
        (7, Value::Bytes(bytes)) if bytes.len() <= MAX_CONTENT_BYTES => to.write_json(&STANDARD.encode(bytes)),
        (7, Value::Bytes(bytes)) => to.write_json(&format!("({} bytes)", bytes.len())),
        _ => to.write("null"),
    }
}

/// Writes the messages in the first field of a list, with commas between them.
fn each(to: &mut Text, list: &[u8], mut write: impl FnMut(&mut Text, &[u8])) {
    let mut is_first = true;
    for (number, value) in Fields(list).filter_map(Result::ok) {
        if let (1, Value::Bytes(encoded)) = (number, value) {
            if !std::mem::take(&mut is_first) {
                to.write(",");
            }
            write(to, encoded);
        }
    }
}
