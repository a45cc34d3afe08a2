//! A reader whose beginning can be looked at before it is read.

use std::array;
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// What UTF-8 may begin with.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader whose beginning can be looked at before it is read.
pub(crate) struct PeekReader {
    /// What was looked at and is not read yet.
    ahead: Cursor<Vec<u8>>,
    rest: BufReader<Box<dyn Read + Send>>,
}

/// The beginning of an input.
pub(crate) struct Peeked<'a, const N: usize> {
    /// The first lines that are not blank, without their line breaks; empty where there is none.
    pub(crate) lines: [&'a [u8]; N],
    /// Whether the limit was reached before all of these lines were read to their ends.
    pub(crate) is_cut: bool,
}

impl PeekReader {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { ahead: Cursor::default(), rest: BufReader::with_capacity(64 * 1024, input) }
    }

    /// The first lines of an input that are not blank, within its first `max_bytes` bytes, however few of them it gives at a
    /// time. All of it is read again, but a byte order mark.
    pub(super) fn peek_lines<const N: usize>(&mut self, max_bytes: usize) -> io::Result<Peeked<'_, N>> {
        let (mut ahead, mut lines, mut is_cut) = (Vec::new(), Vec::with_capacity(N), false);
        while lines.len() < N && !is_cut {
            let start = ahead.len();
            let limit = (max_bytes - start) as u64;
            if self.by_ref().take(limit).read_until(b'\n', &mut ahead)? == 0 {
                break;
            }
            let is_blank = ahead[start..].trim_ascii().is_empty();
            is_cut = ahead.len() == max_bytes && (is_blank || !ahead.ends_with(b"\n"));
            if start == 0 && ahead.starts_with(BYTE_ORDER_MARK) {
                ahead.drain(..BYTE_ORDER_MARK.len());
            }
            if !ahead[start..].trim_ascii().is_empty() {
                lines.push(start..ahead.len());
            }
        }
        // Not read yet, after having been looked at before.
        ahead.extend_from_slice(self.ahead.fill_buf()?);
        self.ahead = Cursor::new(ahead);
        let line = |at: usize| {
            let range = lines.get(at).cloned().unwrap_or_default();
            let line = self.ahead.get_ref().get(range).unwrap_or_default();
            line.strip_suffix(b"\n").unwrap_or(line)
        };
        Ok(Peeked { lines: array::from_fn(line), is_cut })
    }
}

impl Read for PeekReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for PeekReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead.fill_buf()?.is_empty() {
            // The memory of what was looked at is no longer needed.
            self.ahead = Cursor::default();
            return self.rest.fill_buf();
        }
        self.ahead.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if self.ahead.get_ref().is_empty() { self.rest.consume(count) } else { self.ahead.consume(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives one byte at a time.
    struct Slow(Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }

    fn reader(content: &[u8]) -> PeekReader {
        PeekReader::new(Box::new(Slow(Cursor::new(content.to_vec()))))
    }

    fn rest(mut reader: PeekReader) -> String {
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        rest
    }

    #[test]
    fn lines_that_are_looked_at_are_read_again() {
        let mut reader = reader(b"\xef\xbb\xbf\r\n \none\r\n\ntwo\nthree");
        for _ in 0..2 {
            let peeked = reader.peek_lines::<2>(100).unwrap();
            assert_eq!((peeked.lines, peeked.is_cut), ([&b"one\r"[..], b"two"], false));
        }
        assert_eq!(reader.peek_lines::<1>(100).unwrap().lines, [b"one\r"]);
        assert_eq!(reader.peek_lines::<4>(100).unwrap().lines[2..], [&b"three"[..], b""]);
        assert_eq!(rest(reader), "\r\n \none\r\n\ntwo\nthree");
    }

    #[test]
    fn what_is_looked_at_is_bounded() {
        for (content, line, is_cut) in [
            ("abc", "abc", false),
            ("abc\nd", "abc", false),
            ("abcd", "abcd", true),
            ("abcdef", "abcd", true),
            ("\n\n\n\na", "", true),
            ("\n\n\n", "", false),
        ] {
            let mut reader = reader(content.as_bytes());
            let peeked = reader.peek_lines::<1>(4).unwrap();
            assert_eq!((peeked.lines, peeked.is_cut), ([line.as_bytes()], is_cut), "{content:?}");
            assert_eq!(rest(reader), content);
        }
    }
}
