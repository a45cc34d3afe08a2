//! A file that is being written, and is passed on in parts.

use super::chunk::ExportChunk;
use super::error::ExportError;
use super::table::Value;
use super::writer::Writer;
use bytes::Bytes;
use chrono::DateTime;
use tokio::sync::mpsc;

/// The size at which what is written is passed on, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file that is being written.
pub(super) struct Output<'c> {
    writer: Writer,
    waiting: Vec<u8>,
    calls: u64,
    rows: u64,
    reached: Option<i64>,
    chunks: &'c mpsc::Sender<Result<Option<ExportChunk>, ExportError>>,
}

/// Why nothing more is written.
pub(super) enum Stop {
    /// The receiver of the export is closed: nobody waits for it any more.
    ReceiverClosed,
    Failed(ExportError),
}

impl From<ExportError> for Stop {
    fn from(error: ExportError) -> Self {
        Self::Failed(error)
    }
}

impl<'c> Output<'c> {
    pub(super) fn new(writer: Writer, chunks: &'c mpsc::Sender<Result<Option<ExportChunk>, ExportError>>) -> Self {
        Self { writer, waiting: Vec::new(), calls: 0, rows: 0, reached: None, chunks }
    }

    /// Notes that a call was read, which started at a time in microseconds since 1970.
    pub(super) fn read(&mut self, started_at: i64) {
        self.calls += 1;
        self.reached = Some(started_at);
    }

    /// Writes a row, with a value for each column.
    pub(super) fn row(&mut self, row: &[Value]) -> Result<(), ExportError> {
        self.rows += 1;
        self.writer.write(row)
    }

    /// Passes on what is written, if it is enough. What is written is in memory until then.
    pub(super) fn pass_on_enough(&mut self) -> Result<(), Stop> {
        // A file whose parts are large, such as a Parquet file, is given up between them too.
        if self.chunks.is_closed() {
            return Err(Stop::ReceiverClosed);
        }
        let written = self.writer.take()?;
        if self.waiting.is_empty() {
            self.waiting = written;
        } else {
            self.waiting.extend(written);
        }
        if self.waiting.len() < CHUNK_BYTES {
            return Ok(());
        }
        let bytes = Bytes::from(std::mem::take(&mut self.waiting));
        let reached = self.reached.and_then(DateTime::from_timestamp_micros);
        let chunk = ExportChunk { bytes, calls: self.calls, rows: self.rows, reached };
        self.chunks.blocking_send(Ok(Some(chunk))).map_err(|_| Stop::ReceiverClosed)
    }

    /// Ends the file, and passes on the rest of it.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        self.pass_on_enough()?;
        let mut bytes = self.waiting;
        bytes.extend(self.writer.finish()?);
        let reached = self.reached.and_then(DateTime::from_timestamp_micros);
        let chunk = ExportChunk { bytes: bytes.into(), calls: self.calls, rows: self.rows, reached };
        self.chunks.blocking_send(Ok(Some(chunk))).map_err(|_| Stop::ReceiverClosed)
    }
}
