//! Limits on what a JSON parser has to hold in memory at a time.

use crate::error::InputError;
use crate::formats::lines::MAX_LINE_BYTES;
use std::io::{self, Read};

/// The longest string inside a JSON document that is not on one line, in bytes: the same as the longest line.
const MAX_STRING_BYTES: usize = MAX_LINE_BYTES;
/// The maximum nesting of JSON. Serde limits what it deserializes to a depth of 128; this limits what it skips.
const MAX_DEPTH: usize = 512;

/// The part of JSON's grammar that is needed to know what is inside a string.
#[derive(Debug, Default)]
struct Lexer {
    in_string: bool,
    is_escaped: bool,
    string_bytes: usize,
    depth: usize,
}

impl Lexer {
    fn advance(&mut self, byte: u8) {
        if self.in_string {
            self.string_bytes += 1;
            self.in_string = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return;
        }
        match byte {
            b'"' => (self.in_string, self.string_bytes) = (true, 0),
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Whether JSON is truncated inside a string, which cannot contain a line break.
pub(crate) fn ends_inside_string(json: &[u8]) -> bool {
    let mut lexer = Lexer::default();
    json.iter().for_each(|byte| lexer.advance(*byte));
    lexer.in_string
}

/// A reader that fails on strings longer than [`MAX_STRING_BYTES`] and nesting deeper than [`MAX_DEPTH`].
pub(crate) struct LimitedReader<R> {
    inner: R,
    lexer: Lexer,
}

impl<R: Read> LimitedReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, lexer: Lexer::default() }
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in &buffer[..count] {
            self.lexer.advance(*byte);
            if self.lexer.string_bytes > MAX_STRING_BYTES {
                return Err(io::Error::other(InputError::StringTooLong { limit_bytes: MAX_STRING_BYTES }));
            }
            if self.lexer.depth > MAX_DEPTH {
                return Err(io::Error::other(InputError::TooDeep { limit: MAX_DEPTH }));
            }
        }
        Ok(count)
    }
}
