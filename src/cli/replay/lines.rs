//! How events and states are printed.

use super::selection::StreamName;
use crate::cli::output;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{self, Write};
use streams::{Position, Version};
use uuid::Uuid;

/// An event as it is printed.
#[derive(Serialize)]
pub(super) struct EventLine<'a> {
    pub(super) position: Position,
    pub(super) tenant: &'a str,
    pub(super) category: &'a str,
    pub(super) stream_id: Uuid,
    pub(super) version: Version,
    pub(super) event_id: Uuid,
    #[serde(rename = "type")]
    pub(super) name: &'a str,
    pub(super) schema_version: u16,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) content_hash: String,
    pub(super) metadata: &'a RawValue,
    pub(super) payload: &'a RawValue,
}

/// Writes an event on a line.
pub(super) fn write_line(output: &mut impl Write, line: &EventLine<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *output, line)?;
    output.write_all(b"\n")
}

/// Writes the state of a stream.
pub(super) fn write_state(
    stream: &StreamName,
    version: Version,
    position: Position,
    state: &Value,
) -> anyhow::Result<()> {
    output::json(&json!({
        "category": stream.category,
        "stream_id": stream.id,
        "version": version,
        "position": position,
        "state": state,
    }))
}
