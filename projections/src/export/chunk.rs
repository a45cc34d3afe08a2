//! The parts of an export.

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// A part of an export.
#[derive(Debug, Clone)]
pub struct ExportChunk {
    /// The next bytes of the file.
    pub bytes: Bytes,
    /// The number of calls that were read so far.
    pub calls: u64,
    /// The number of rows that were written so far.
    pub rows: u64,
    /// When the last one of the calls started.
    pub reached: Option<DateTime<Utc>>,
}
