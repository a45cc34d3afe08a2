//! Limits on what a parser of CSV has to hold in memory at a time.

use crate::error::InputError;
use crate::formats::lines::MAX_LINE_BYTES;
use std::io::{self, Read};

/// The separators that are recognised.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The separator of the columns of a header: the one that it has most of.
pub(crate) fn separator(header: &[u8]) -> u8 {
    let count = |separator: &u8| header.iter().filter(|byte| *byte == separator).count();
    // Of equal counts, the last is the maximum: the comma is the default.
    SEPARATORS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

/// Where a byte of a row is.
#[derive(Debug, Clone, Copy)]
enum FieldState {
    /// At the start of a field, where alone a quote opens one.
    Start,
    /// In a field without quotes, or behind the quotes of one.
    Unquoted,
    /// In the quotes of a field.
    Quoted,
    /// Behind a quote in the quotes of a field, which closes them unless another one follows.
    Closing,
}

/// A reader that fails on rows longer than [`MAX_LINE_BYTES`], such as one with a quote that is never closed.
pub(crate) struct LimitedReader<R> {
    inner: R,
    separator: u8,
    row_bytes: usize,
    state: FieldState,
}

impl<R: Read> LimitedReader<R> {
    pub(crate) fn new(inner: R, separator: u8) -> Self {
        Self { inner, separator, row_bytes: 0, state: FieldState::Start }
    }

    fn advance(&mut self, byte: u8) {
        self.row_bytes += 1;
        self.state = match (self.state, byte) {
            (FieldState::Quoted, b'"') => FieldState::Closing,
            (FieldState::Start | FieldState::Closing, b'"') | (FieldState::Quoted, _) => FieldState::Quoted,
            (_, b'\n') => {
                self.row_bytes = 0;
                FieldState::Start
            }
            (_, separator) if separator == self.separator => FieldState::Start,
            _ => FieldState::Unquoted,
        };
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in &buffer[..count] {
            self.advance(*byte);
            if self.row_bytes > MAX_LINE_BYTES {
                return Err(io::Error::other(InputError::StringTooLong { limit_bytes: MAX_LINE_BYTES }));
            }
        }
        Ok(count)
    }
}
