//! Bytes in, lines out: unpacking, counting, and lines of bounded length.

use super::{Place, Problem, Record, Records, Refusal, RefusalReason};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// The longest line that is read, in bytes: 16 MiB. Coding agents log whole files and images on one line, so the
/// limit is generous; a longer line is refused and skipped without being held in memory.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// An input, with what a progress bar needs.
pub struct Input {
    /// The content, unpacked if it is gzip.
    pub reader: Box<dyn Read + Send>,
    /// The size of the file as it lies on disk, in bytes; none for what is no regular file.
    pub total_bytes: Option<u64>,
    /// How many of those bytes were read until now.
    pub read_bytes: Arc<AtomicU64>,
}

/// Opens a file, or standard input for `-`. Gzip is told by its first bytes, not by the name.
///
/// # Errors
/// When the file cannot be opened, or its first bytes cannot be read.
pub fn open_path(path: &Path) -> io::Result<Input> {
    let (raw, total_bytes): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        (Box::new(file), metadata.is_file().then_some(metadata.len()))
    };
    let read_bytes = Arc::new(AtomicU64::new(0));
    let reader = unpacked(Counting { inner: raw, read_bytes: Arc::clone(&read_bytes) })?;
    Ok(Input { reader, total_bytes, read_bytes })
}

/// The first bytes of every gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn unpacked(mut raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::with_capacity(GZIP_MAGIC.len());
    raw.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let packed = start == GZIP_MAGIC;
    let whole = BufReader::new(io::Cursor::new(start).chain(raw));
    if packed { Ok(Box::new(Gunzip(MultiGzDecoder::new(whole)))) } else { Ok(Box::new(whole)) }
}

/// Counts the bytes that pass.
struct Counting<R> {
    inner: R,
    read_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Marks the errors of unpacking, so that they can be told from those of reading what is not packed.
#[derive(Debug, Error)]
#[error(transparent)]
pub(super) struct GzipError(io::Error);

struct Gunzip<R>(R);

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, GzipError(error)),
        })
    }
}

/// What [`Lines::fill`] came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// A line, whole, without its line break.
    Line,
    /// The first [`MAX_LINE_BYTES`] of a longer line; the rest is not read yet.
    Part,
    /// The end of the input.
    End,
}

/// Lines of bounded length.
pub(super) struct Lines {
    pub(super) reader: BufReader<Box<dyn Read + Send>>,
    pub(super) buffer: Vec<u8>,
    number: u64,
    is_unread: bool,
}

impl Lines {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { reader: BufReader::with_capacity(64 * 1024, input), buffer: Vec::new(), number: 0, is_unread: false }
    }

    /// Reads the next line into the buffer, or as much of it as is allowed.
    pub(super) fn fill(&mut self) -> io::Result<Filled> {
        if std::mem::take(&mut self.is_unread) {
            return Ok(Filled::Line);
        }
        self.buffer.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.is_empty() {
            return Ok(Filled::End);
        }
        self.number += 1;
        let ended = self.buffer.pop_if(|last| *last == b'\n').is_some();
        let filled = if !ended && self.buffer.len() > MAX_LINE_BYTES { Filled::Part } else { Filled::Line };
        if self.number == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(filled)
    }

    /// Makes the line that was read last the next one again.
    pub(super) fn unread(&mut self) {
        self.is_unread = true;
    }

    /// Passes over the rest of a line without holding it.
    fn skip_rest(&mut self) -> io::Result<()> {
        self.reader.skip_until(b'\n').map(|_| ())
    }

    /// The next line that is not blank, with its number.
    pub(super) fn next(&mut self) -> Option<Result<(Place, &str), Problem>> {
        loop {
            let filled = self.fill().and_then(|filled| {
                if filled == Filled::Part {
                    self.skip_rest()?;
                }
                Ok(filled)
            });
            let place = Place::Line(self.number);
            let refused = |reason| Some(Err(Problem::Refused(Refusal { place, reason })));
            match filled {
                Err(error) => return Some(Err(Problem::Broken(error.into()))),
                Ok(Filled::End) => return None,
                Ok(Filled::Part) => return refused(RefusalReason::LineTooLong { limit_bytes: MAX_LINE_BYTES }),
                Ok(Filled::Line) if self.buffer.trim_ascii().is_empty() => {}
                Ok(Filled::Line) => {
                    return match std::str::from_utf8(&self.buffer) {
                        Ok(line) => Some(Ok((place, line.trim_ascii()))),
                        Err(error) => refused(RefusalReason::NotUtf8 { valid_bytes: error.valid_up_to() }),
                    };
                }
            }
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Records of a format in which each line stands for itself.
pub(super) struct PerLine<P> {
    lines: Lines,
    parse: P,
    ended: bool,
}

impl<P> PerLine<P>
where
    P: FnMut(Place, &str) -> Result<Option<Record>, RefusalReason> + Send + 'static,
{
    pub(super) fn boxed(lines: Lines, parse: P) -> Records {
        Box::new(Self { lines, parse, ended: false })
    }
}

impl<P: FnMut(Place, &str) -> Result<Option<Record>, RefusalReason>> Iterator for PerLine<P> {
    type Item = Result<Record, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.lines.next() {
                None => self.ended = true,
                Some(Err(problem)) => {
                    self.ended = matches!(problem, Problem::Broken(_));
                    return Some(Err(problem));
                }
                Some(Ok((place, line))) => match (self.parse)(place, line) {
                    Ok(None) => {}
                    Ok(Some(record)) => return Some(Ok(record)),
                    Err(reason) => return Some(Err(Problem::Refused(Refusal { place, reason }))),
                },
            }
        }
        None
    }
}
