//! One JSON object a line.

use super::decimal::plain;
use super::error::ExportError;
use super::table::{Column, Kind, Value, time_text};
use std::io::Write as _;

/// Writes lines. Every line has every key, so that a reader that looks at the first lines knows all of them; a value that is
/// missing is null. Decimal numbers are strings, because many readers parse numbers as floats.
pub(super) struct NdjsonWriter {
    /// For each column, its kind and what precedes its value.
    columns: Vec<(Kind, String)>,
    bytes: Vec<u8>,
}

impl NdjsonWriter {
    pub(super) fn new(columns: &[Column]) -> Self {
        let key = |(n, column): (usize, &Column)| {
            let before = if n == 0 { '{' } else { ',' };
            (column.kind, format!("{before}\"{}\":", column.name))
        };
        Self { columns: columns.iter().enumerate().map(key).collect(), bytes: Vec::new() }
    }

    pub(super) fn write(&mut self, row: &[Value]) -> Result<(), ExportError> {
        let bytes = &mut self.bytes;
        for ((kind, key), value) in self.columns.iter().zip(row) {
            bytes.extend_from_slice(key.as_bytes());
            match (value, kind) {
                (Value::Null, _) => bytes.extend_from_slice(b"null"),
                // What the database stores as JSON is JSON.
                (Value::Text(json), Kind::Json) => bytes.extend_from_slice(json),
                (Value::Text(text), _) => serde_json::to_writer(&mut *bytes, &String::from_utf8_lossy(text))?,
                (Value::Uuid(id), _) => write!(bytes, "\"{id}\"")?,
                (Value::Time(micros), _) => write!(bytes, "\"{}\"", time_text(*micros))?,
                (Value::Integer(number), _) => write!(bytes, "{number}")?,
                (Value::Boolean(is), _) => write!(bytes, "{is}")?,
                (Value::Decimal(number), Kind::Decimal(scale)) => write!(bytes, "\"{}\"", plain(*number, *scale))?,
                (Value::Decimal(number), _) => write!(bytes, "\"{number}\"")?,
            }
        }
        bytes.extend_from_slice(b"}\n");
        Ok(())
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}
