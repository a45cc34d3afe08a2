//! Bytes in, lines out: unpacking, counting, and lines of bounded length.

use super::{PassedOver, Place, Problem, Reading, Record, Records, Refusal, RefusalReason};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
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
pub async fn open_path(path: PathBuf) -> io::Result<Input> {
    // Whoever types, and a pipe that nobody writes to, may take for ever: an interruption must not wait for them.
    tokio::task::spawn_blocking(move || open(&path)).await?
}

fn open(path: &Path) -> io::Result<Input> {
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

/// What a line is.
pub(super) enum Parsed {
    /// A call.
    Record(Box<Record>),
    /// A line of the format that is no call.
    NoCall,
    /// A line of something else.
    Foreign,
}

impl From<Record> for Parsed {
    fn from(record: Record) -> Self {
        Self::Record(Box::new(record))
    }
}

/// Records of a format in which each line stands for itself.
pub(super) struct PerLine<P> {
    lines: Lines,
    parse: P,
    passed_over: PassedOver,
    ended: bool,
}

impl<P> PerLine<P>
where
    P: FnMut(Place, &str) -> Result<Parsed, RefusalReason> + Send + 'static,
{
    pub(super) fn boxed(lines: Lines, parse: P) -> Records {
        Box::new(Self { lines, parse, passed_over: PassedOver::default(), ended: false })
    }
}

impl<P: FnMut(Place, &str) -> Result<Parsed, RefusalReason>> Iterator for PerLine<P> {
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
                    Ok(Parsed::NoCall) => self.passed_over.no_calls += 1,
                    Ok(Parsed::Foreign) => self.passed_over.foreign += 1,
                    Ok(Parsed::Record(record)) => return Some(Ok(*record)),
                    Err(reason) => return Some(Err(Problem::Refused(Refusal { place, reason }))),
                },
            }
        }
        None
    }
}

impl<P: FnMut(Place, &str) -> Result<Parsed, RefusalReason>> Reading for PerLine<P> {
    fn passed_over(&self) -> PassedOver {
        self.passed_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::{Cursor, Write};

    fn lines(input: impl Read + Send + 'static) -> Lines {
        Lines::new(Box::new(input))
    }

    /// The lines with their numbers, and the messages of those refused.
    fn all(mut lines: Lines) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            found.push(match line {
                Ok((place, text)) => format!("{place}: {text}"),
                Err(problem) => problem.to_string(),
            });
        }
        found
    }

    #[test]
    fn lines_are_physical_and_blank_ones_are_passed_over() {
        let text = b"\xef\xbb\xbfone\r\n\r\n  \t\ntwo\n\xef\xbb\xbfthree";
        assert_eq!(all(lines(&text[..])), ["line 1: one", "line 4: two", "line 5: \u{feff}three"]);
        assert_eq!(all(lines(io::empty())), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_text_is_refused_and_the_rest_goes_on() {
        let found = all(lines(&b"ab\xff\ncd"[..]));
        assert_eq!(found, ["line 1: the line is not UTF-8 after its first 2 bytes", "line 2: cd"]);
    }

    #[test]
    fn a_line_of_any_length_costs_no_more_than_the_limit() {
        let long = io::repeat(b'x').take(100 * 1024 * 1024);
        let mut lines = lines(Cursor::new("first\n").chain(long).chain(Cursor::new("\nlast")));
        assert!(matches!(lines.next(), Some(Ok((Place::Line(1), "first")))));
        let refused = lines.next().unwrap().unwrap_err().to_string();
        assert_eq!(refused, "line 2: the line is longer than 16777216 bytes");
        assert!(lines.buffer.capacity() <= 2 * MAX_LINE_BYTES + 2);
        assert!(matches!(lines.next(), Some(Ok((Place::Line(3), "last")))));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit() {
        let exact = || io::repeat(b'x').take(MAX_LINE_BYTES as u64);
        for end in ["", "\n", "\nnext"] {
            let mut lines = lines(exact().chain(Cursor::new(end)));
            assert!(matches!(lines.next(), Some(Ok((_, line))) if line.len() == MAX_LINE_BYTES), "{end:?}");
        }
        let mut lines = lines(Cursor::new(BYTE_ORDER_MARK).chain(exact()));
        assert!(matches!(lines.next(), Some(Err(Problem::Refused(_)))));
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }

    #[test]
    fn an_error_of_reading_ends_the_file() {
        let records = |_: Place, _: &str| Ok(Parsed::NoCall);
        let mut records = PerLine::boxed(lines(Cursor::new("one\ntw").chain(Failing)), records);
        let error = records.next().unwrap().unwrap_err();
        assert!(matches!(error, Problem::Broken(crate::import::ImportError::Read(_))), "{error:?}");
        assert!(records.next().is_none());
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn gzip_is_told_by_its_bytes_and_progress_counts_packed_ones() {
        let text = "{}\n".repeat(10_000);
        // Two members in a row are one stream (RFC 1952, 2.2).
        let packed = [gzip(&text), gzip(&text)].concat();
        for (content, unpacked) in [(packed, text.repeat(2)), (text.clone().into_bytes(), text)] {
            let file = file(&content);
            let mut input = open(file.path()).unwrap();
            let mut read = String::new();
            input.reader.read_to_string(&mut read).unwrap();
            assert_eq!(read, unpacked);
            assert_eq!(input.total_bytes, Some(content.len() as u64));
            assert_eq!(input.read_bytes.load(Ordering::Relaxed), content.len() as u64);
        }
    }

    #[test]
    fn short_and_empty_files_are_read_as_they_are() {
        for content in ["", "x", "\n"] {
            let file = file(content.as_bytes());
            let mut read = String::new();
            open(file.path()).unwrap().reader.read_to_string(&mut read).unwrap();
            assert_eq!(read, content);
        }
        assert_eq!(open(Path::new("/no/such/file")).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_broken_or_cut_off_gzip_stream_ends_the_file_as_such() {
        let random: String = (0..5_000_u64).map(|n| format!("{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let packed = gzip(&random);
        let cut = packed[..packed.len() / 2].to_vec();
        let mut damaged = packed.clone();
        damaged[packed.len() / 2..][..64].fill(0xff);
        for content in [cut, damaged, vec![0x1f, 0x8b]] {
            let file = file(&content);
            let input = open(file.path()).unwrap();
            let mut records = PerLine::boxed(lines(input.reader), |_, _| Ok(Parsed::NoCall));
            let error = records.next().unwrap().unwrap_err();
            assert!(matches!(error, Problem::Broken(crate::import::ImportError::Gzip(_))), "{error:?}");
            assert!(records.next().is_none());
        }
    }
}
