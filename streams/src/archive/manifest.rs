//! The manifest beside an archive file, and the names of both.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use uuid::Uuid;

/// The version of the format of manifests and files.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The description of an archive file, stored beside it as `NAME.manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format of the manifest and the file: 1.
    pub format_version: u32,
    /// The id of the log that the events are from.
    pub log_id: Uuid,
    /// The name of the file.
    pub file: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The first position.
    pub first_position: u64,
    /// The last position; the file has one event for each position from the first to the last.
    pub last_position: u64,
    /// The number of events.
    pub events: u64,
    /// When the first event was appended.
    pub first_recorded_at: DateTime<Utc>,
    /// When the last event was appended.
    pub last_recorded_at: DateTime<Utc>,
    /// The SHA-256 over the content hashes of the events in order, in hexadecimal.
    pub content_sha256: String,
    /// The SHA-256 over position, version and time (microseconds since 1970) of the events in order, each as eight
    /// big-endian bytes, in hexadecimal: the fields that the content hashes do not cover.
    pub places_sha256: String,
    /// The columns of the file, as a Parquet schema.
    pub columns: String,
}

pub(super) fn file_name(name: &str) -> String {
    format!("{name}.parquet")
}

pub(super) fn manifest_name(name: &str) -> String {
    format!("{name}.manifest.json")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
