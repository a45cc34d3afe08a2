//! Formats in which a whole document is read before its records: JSON documents, and lists of records.

use crate::error::{InputError, RecordError, Refusal, RefusalReason};
use crate::formats::json;
use crate::formats::lines::{LineRecords, Lines, ParsedLine};
use crate::formats::reader::{RecordReader, Records};
use crate::item::Item;
use crate::record::{Location, Record, SkippedCounts};
use std::io::Read;
use std::ops::Range;

/// The longest document that is read, in bytes, decompressed: 256 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024 * 1024;

/// Reads a document of at most [`MAX_DOCUMENT_BYTES`].
pub(crate) fn read_bytes(reader: &mut dyn Read) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::new();
    reader.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(InputError::DocumentTooLong { limit_bytes: MAX_DOCUMENT_BYTES });
    }
    Ok(bytes)
}

/// Reads a document of text, without a byte order mark.
pub(crate) fn read_text(lines: Lines) -> Result<String, InputError> {
    let mut reader = lines.into_reader();
    as_text(read_bytes(&mut reader)?)
}

/// Bytes as text, without a byte order mark.
pub(crate) fn as_text(bytes: Vec<u8>) -> Result<String, InputError> {
    let mut text = String::from_utf8(bytes)
        .map_err(|error| InputError::NotUtf8 { valid_bytes: error.utf8_error().valid_up_to() })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Records that were all read when the input was opened.
pub(crate) struct ReadyRecords {
    records: std::vec::IntoIter<Result<Record, Refusal>>,
    skipped: SkippedCounts,
}

/// Records of a document as they are found, counted.
#[derive(Default)]
pub(crate) struct Found {
    records: Vec<Result<Record, Refusal>>,
    pub(crate) skipped: SkippedCounts,
    items: u64,
}

/// The maximum number of records of one document: about a gigabyte of memory.
const MAX_RECORDS: usize = 500_000;

impl Found {
    /// The location of the next item of the document.
    pub(crate) fn next_item(&mut self) -> Location {
        self.items += 1;
        Location::Item(self.items)
    }

    /// Adds what an item of the document holds.
    pub(crate) fn add(
        &mut self,
        location: Location,
        item: Result<ParsedLine, RefusalReason>,
    ) -> Result<(), InputError> {
        match item {
            Ok(ParsedLine::NotACall) => self.skipped.not_calls += 1,
            Ok(ParsedLine::OtherFormat) => self.skipped.other_format += 1,
            Ok(ParsedLine::Record(record)) => self.records.push(Ok(*record)),
            Err(reason) => self.records.push(Err(Refusal { location, reason })),
        }
        if self.records.len() > MAX_RECORDS { Err(InputError::TooManyRecords { limit: MAX_RECORDS }) } else { Ok(()) }
    }

    pub(crate) fn into_records(self) -> Records {
        Box::new(ReadyRecords { records: self.records.into_iter(), skipped: self.skipped })
    }
}

impl Iterator for ReadyRecords {
    type Item = Result<Item, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next().map(|record| record.map(Item::from).map_err(RecordError::from))
    }
}

impl RecordReader for ReadyRecords {
    fn skipped(&self) -> SkippedCounts {
        self.skipped
    }
}

/// The records of a list in one document, each parsed when it is asked for.
struct ItemRecords<P> {
    text: String,
    items: std::iter::Enumerate<std::vec::IntoIter<Range<usize>>>,
    parse: P,
    skipped: SkippedCounts,
}

/// The records of a document that is a list of items.
pub(crate) fn list_records<P>(text: String, parse: P) -> Result<Records, InputError>
where
    P: FnMut(Location, &str) -> Result<ParsedLine, RefusalReason> + Send + 'static,
{
    let start = text.as_ptr().addr();
    let range = |item: &serde_json::value::RawValue| {
        let at = item.get().as_ptr().addr() - start;
        at..at + item.get().len()
    };
    let items: Vec<_> = json::items(text.trim()).map_err(InputError::json)?.into_iter().map(range).collect();
    let items = items.into_iter().enumerate();
    Ok(Box::new(ItemRecords { text, items, parse, skipped: SkippedCounts::default() }))
}

/// The records of a document that is a list, or of one item on each line.
pub(crate) fn list_or_line_records<P>(mut lines: Lines, parse: P) -> Result<Records, InputError>
where
    P: FnMut(Location, &str) -> Result<ParsedLine, RefusalReason> + Send + 'static,
{
    if lines.starts_with_list()? {
        list_records(read_text(lines)?, parse)
    } else {
        Ok(LineRecords::boxed(lines, parse))
    }
}

impl<P: FnMut(Location, &str) -> Result<ParsedLine, RefusalReason>> Iterator for ItemRecords<P> {
    type Item = Result<Item, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        for (at, range) in self.items.by_ref() {
            let location = Location::Item(at as u64 + 1);
            match (self.parse)(location, &self.text[range]) {
                Ok(ParsedLine::NotACall) => self.skipped.not_calls += 1,
                Ok(ParsedLine::OtherFormat) => self.skipped.other_format += 1,
                Ok(ParsedLine::Record(record)) => return Some(Ok(Item::Call(record))),
                Err(reason) => return Some(Err(RecordError::Refused(Refusal { location, reason }))),
            }
        }
        None
    }
}

impl<P: FnMut(Location, &str) -> Result<ParsedLine, RefusalReason>> RecordReader for ItemRecords<P> {
    fn skipped(&self) -> SkippedCounts {
        self.skipped
    }
}
