//! Lines of bounded length, and formats in which each line is parsed on its own.

use crate::error::{RecordError, Refusal, RefusalReason};
use crate::formats::damaged::Damaged;
use crate::formats::peek::{BYTE_ORDER_MARK, PeekReader, Peeked, read_line};
use crate::formats::reader::{RecordReader, Records};
use crate::item::Item;
use crate::json_error::JsonError;
use crate::record::{Location, Record, SkippedCounts};
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// The longest line that is read, in bytes: 16 MiB. Coding agents log whole files and images on one line. A longer line
/// is refused and skipped without being held in memory.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// What [`Lines::fill`] read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// A whole line, without its line break.
    Line,
    /// The beginning of a line that is too long; the rest is not read yet.
    Prefix,
    /// The end of the input.
    End,
}

/// Lines of bounded length.
pub(crate) struct Lines {
    reader: PeekReader,
    buffer: Vec<u8>,
    number: u64,
    max_line_bytes: usize,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self::with_limit(input, MAX_LINE_BYTES)
    }

    /// As [`Lines::new`], with another limit on the length of a line.
    pub(crate) fn with_limit(input: Box<dyn Read + Send>, max_line_bytes: usize) -> Self {
        Self { reader: PeekReader::new(input), buffer: Vec::new(), number: 0, max_line_bytes }
    }

    /// The first lines that are not blank, of which together no more is looked at than a line may have. They are read again.
    pub(crate) fn peek_lines<const N: usize>(&mut self) -> io::Result<Peeked<'_, N>> {
        self.reader.peek_lines(self.max_line_bytes + 1)
    }

    /// Whether the input begins with a list of JSON.
    pub(crate) fn starts_with_list(&mut self) -> io::Result<bool> {
        let [first] = self.peek_lines()?.lines;
        Ok(first.trim_ascii_start().starts_with(b"["))
    }

    /// The whole input, of which no line was read.
    pub(crate) fn into_reader(self) -> PeekReader {
        self.reader
    }

    /// Reads the next line into the buffer, or the longest allowed prefix of it.
    fn fill(&mut self) -> io::Result<Filled> {
        self.buffer.clear();
        read_line(&mut self.reader, self.max_line_bytes + 1, &mut self.buffer)?;
        if self.buffer.is_empty() {
            return Ok(Filled::End);
        }
        self.number += 1;
        let ended = self.buffer.pop_if(|last| *last == b'\n').is_some();
        let filled = if !ended && self.buffer.len() > self.max_line_bytes { Filled::Prefix } else { Filled::Line };
        if self.number == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(filled)
    }

    /// Skips the rest of a line without holding it in memory.
    fn skip_rest(&mut self) -> io::Result<()> {
        self.reader.skip_until(b'\n').map(|_| ())
    }

    /// The next line that is not blank, with its location.
    pub(crate) fn next(&mut self) -> Option<Result<(Location, &str), RecordError>> {
        loop {
            let filled = self.fill().and_then(|filled| {
                if filled == Filled::Prefix {
                    self.skip_rest()?;
                }
                Ok(filled)
            });
            let location = Location::Line(self.number);
            let refused = |reason| Some(Err(RecordError::Refused(Refusal { location, reason })));
            match filled {
                Err(error) => return Some(Err(RecordError::Input(error.into()))),
                Ok(Filled::End) => return None,
                Ok(Filled::Prefix) => return refused(RefusalReason::LineTooLong { limit_bytes: self.max_line_bytes }),
                Ok(Filled::Line) if self.buffer.trim_ascii().is_empty() => {}
                Ok(Filled::Line) => {
                    return match std::str::from_utf8(&self.buffer) {
                        Ok(line) => Some(Ok((location, line.trim_ascii()))),
                        Err(error) => refused(RefusalReason::NotUtf8 { valid_bytes: error.valid_up_to() }),
                    };
                }
            }
        }
    }
}

/// What a line holds.
pub(crate) enum ParsedLine {
    /// A call.
    Record(Box<Record>),
    /// An item of the format that is not a call.
    NotACall,
    /// An item of another format.
    OtherFormat,
}

impl From<Record> for ParsedLine {
    fn from(record: Record) -> Self {
        Self::Record(Box::new(record))
    }
}

/// The records of a format in which each line is parsed on its own.
pub(crate) struct LineRecords<P> {
    lines: Lines,
    parse: P,
    skipped: SkippedCounts,
    is_done: bool,
    /// The rest of a line that holds several records.
    ready: VecDeque<Result<Item, RecordError>>,
}

impl<P> LineRecords<P>
where
    P: FnMut(Location, &str) -> Result<ParsedLine, RefusalReason> + Send + 'static,
{
    pub(crate) fn boxed(lines: Lines, parse: P) -> Records {
        let (skipped, ready) = (SkippedCounts::default(), VecDeque::new());
        Box::new(Self { lines, parse, skipped, is_done: false, ready })
    }
}

impl<P: FnMut(Location, &str) -> Result<ParsedLine, RefusalReason>> Iterator for LineRecords<P> {
    type Item = Result<Item, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.is_done {
                return None;
            }
            let (location, line) = match self.lines.next() {
                None => {
                    self.is_done = true;
                    return None;
                }
                Some(Err(error)) => {
                    self.is_done = matches!(error, RecordError::Input(_));
                    return Some(Err(error));
                }
                Some(Ok(line)) => line,
            };
            let mut items = LineItems { location, skipped: &mut self.skipped, ready: &mut self.ready };
            match (self.parse)(location, line) {
                Err(RefusalReason::Json(error)) if !error.is_data() => {
                    items.add_complete(line, error, &mut self.parse);
                }
                parsed => items.add(parsed),
            }
        }
    }
}

/// Where the items of one line go.
struct LineItems<'a> {
    location: Location,
    skipped: &'a mut SkippedCounts,
    ready: &'a mut VecDeque<Result<Item, RecordError>>,
}

impl LineItems<'_> {
    fn add(&mut self, item: Result<ParsedLine, RefusalReason>) {
        match item {
            Ok(ParsedLine::NotACall) => self.skipped.not_calls += 1,
            Ok(ParsedLine::OtherFormat) => self.skipped.other_format += 1,
            Ok(ParsedLine::Record(record)) => self.ready.push_back(Ok(Item::Call(record))),
            Err(reason) => self.refuse(reason),
        }
    }

    fn refuse(&mut self, reason: RefusalReason) {
        let location = self.location;
        self.ready.push_back(Err(RecordError::Refused(Refusal { location, reason })));
    }

    /// Adds the complete records of a line that is not JSON, and one refusal for all else that it holds.
    fn add_complete(
        &mut self,
        line: &str,
        error: JsonError,
        mut parse: impl FnMut(Location, &str) -> Result<ParsedLine, RefusalReason>,
    ) {
        let damaged = Damaged::of(line);
        if damaged.records.is_empty() {
            return self.refuse(RefusalReason::Json(error));
        }
        let complete = damaged.records.len();
        for range in damaged.records {
            self.add(parse(self.location, &line[range]));
        }
        if damaged.has_rest {
            self.refuse(RefusalReason::DamagedLine { complete, error });
        }
    }
}

impl<P: FnMut(Location, &str) -> Result<ParsedLine, RefusalReason>> RecordReader for LineRecords<P> {
    fn skipped(&self) -> SkippedCounts {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::InputError;
    use std::io::Cursor;

    fn lines(input: impl Read + Send + 'static) -> Lines {
        Lines::new(Box::new(input))
    }

    /// The lines with their numbers, and the messages of those refused.
    fn all(mut lines: Lines) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            found.push(match line {
                Ok((location, text)) => format!("{location}: {text}"),
                Err(error) => error.to_string(),
            });
        }
        found
    }

    #[test]
    fn lines_are_physical_and_blank_ones_are_skipped() {
        let text = b"\xef\xbb\xbfone\r\n\r\n  \t\ntwo\n\xef\xbb\xbfthree";
        assert_eq!(all(lines(&text[..])), ["line 1: one", "line 4: two", "line 5: \u{feff}three"]);
        assert_eq!(all(lines(io::empty())), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_is_not_utf8_is_refused_and_the_next_is_read() {
        let found = all(lines(&b"ab\xff\ncd"[..]));
        assert_eq!(found, ["line 1: the line is not UTF-8 after its first 2 bytes", "line 2: cd"]);
    }

    #[test]
    fn a_line_of_any_length_takes_no_more_memory_than_the_limit() {
        let long = io::repeat(b'x').take(100 * 1024 * 1024);
        let mut lines = lines(Cursor::new("first\n").chain(long).chain(Cursor::new("\nlast")));
        assert!(matches!(lines.next(), Some(Ok((Location::Line(1), "first")))));
        let refused = lines.next().unwrap().unwrap_err().to_string();
        assert_eq!(refused, "line 2: the line is longer than 16777216 bytes");
        assert!(lines.buffer.capacity() <= 2 * MAX_LINE_BYTES + 2);
        assert!(matches!(lines.next(), Some(Ok((Location::Line(3), "last")))));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit() {
        let exact = || io::repeat(b'x').take(MAX_LINE_BYTES as u64);
        for end in ["", "\n", "\nnext"] {
            let mut lines = lines(exact().chain(Cursor::new(end)));
            assert!(matches!(lines.next(), Some(Ok((_, line))) if line.len() == MAX_LINE_BYTES), "{end:?}");
        }
        let mut lines = lines(Cursor::new(BYTE_ORDER_MARK).chain(exact()));
        assert!(matches!(lines.next(), Some(Err(RecordError::Refused(_)))));
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk failed"))
        }
    }

    #[test]
    fn a_read_error_ends_the_input() {
        let records = |_: Location, _: &str| Ok(ParsedLine::NotACall);
        let mut records = LineRecords::boxed(lines(Cursor::new("one\ntw").chain(Failing)), records);
        let error = records.next().unwrap().unwrap_err();
        assert!(matches!(error, RecordError::Input(InputError::Read(_))), "{error:?}");
        assert!(records.next().is_none());
    }
}
