//! A reader whose beginning can be looked at before it is read.

use std::array;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::mem;

/// What UTF-8 may begin with.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How much of a line is read before memory is allocated for a long one.
const USUAL_LINE_BYTES: usize = 1024 * 1024;

/// Appends a line with its line break, or the first `max_bytes` bytes of it, and returns how many bytes that are.
///
/// Memory for a long line is allocated once: to let it grow would copy it again and again, and hold two copies. What is allocated
/// and not written takes none.
pub(super) fn read_line(reader: &mut impl BufRead, max_bytes: usize, line: &mut Vec<u8>) -> io::Result<usize> {
    let first = max_bytes.min(USUAL_LINE_BYTES);
    let read = reader.by_ref().take(first as u64).read_until(b'\n', line)?;
    if read < first || line.ends_with(b"\n") {
        return Ok(read);
    }
    let rest = max_bytes - first;
    line.reserve_exact(rest);
    Ok(read + reader.by_ref().take(rest as u64).read_until(b'\n', line)?)
}

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
        let unread = self.ahead.fill_buf()?.len();
        let mut ahead = mem::take(&mut self.ahead).into_inner();
        ahead.drain(..ahead.len() - unread);
        let (mut start, mut lines, mut is_cut) = (0, Vec::with_capacity(N), false);
        while lines.len() < N && !is_cut {
            // Of this line, a part may have been looked at before.
            let mut end = start + (&ahead[start..ahead.len().min(max_bytes)]).skip_until(b'\n')?;
            if end == ahead.len() && !ahead[start..].ends_with(b"\n") {
                end += read_line(&mut self.rest, max_bytes - end, &mut ahead)?;
            }
            if start == end {
                break;
            }
            let is_blank = ahead[start..end].trim_ascii().is_empty();
            is_cut = end == max_bytes && (is_blank || !ahead[..end].ends_with(b"\n"));
            if start == 0 && ahead.starts_with(BYTE_ORDER_MARK) {
                ahead.drain(..BYTE_ORDER_MARK.len());
                end -= BYTE_ORDER_MARK.len();
            }
            if !ahead[start..end].trim_ascii().is_empty() {
                lines.push(start..end);
            }
            start = end;
        }
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
        let first = reader.ahead.get_ref().as_ptr();
        assert_eq!(reader.peek_lines::<1>(100).unwrap().lines, [b"one\r"]);
        assert_eq!(reader.ahead.get_ref().as_ptr(), first, "what was looked at is not copied to be looked at again");
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
