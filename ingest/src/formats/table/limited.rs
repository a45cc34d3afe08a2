//! Limits on what a parser of CSV has to hold in memory at a time.

use crate::error::InputError;
use crate::formats::lines::MAX_LINE_BYTES;
use std::io::{self, Read};

/// The separators that are recognised.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The separator of the columns of a header: the one that it has most of.
pub(super) fn separator(header: &[u8]) -> u8 {
    let count = |separator: &u8| header.iter().filter(|byte| *byte == separator).count();
    // Of equal counts, the last is the maximum: the comma is the default.
    SEPARATORS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

/// A reader that fails on rows longer than [`MAX_LINE_BYTES`], such as one with a quote that is never closed.
pub(super) struct LimitedReader<R> {
    inner: R,
    row_bytes: usize,
    is_quoted: bool,
}

impl<R: Read> LimitedReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, row_bytes: 0, is_quoted: false }
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in &buffer[..count] {
            self.row_bytes += 1;
            match byte {
                b'"' => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => self.row_bytes = 0,
                _ => {}
            }
            if self.row_bytes > MAX_LINE_BYTES {
                return Err(io::Error::other(InputError::StringTooLong { limit_bytes: MAX_LINE_BYTES }));
            }
        }
        Ok(count)
    }
}
