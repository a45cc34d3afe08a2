//! Errors of reading: those of one record, and those of a whole input.

use crate::json_error::JsonError;
use crate::record::Location;
use chrono::{DateTime, Utc};
use domain::{MoneyError, QuantityError, TextError};
use std::io;
use thiserror::Error;

/// An item of an input that cannot be turned into a record.
#[derive(Debug, Error)]
pub enum RecordError {
    /// This record is refused; more records may follow.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The input cannot be read any further; nothing follows.
    #[error(transparent)]
    Input(#[from] InputError),
}

/// One record that cannot be imported.
#[derive(Debug, Error)]
#[error("{location}: {reason}")]
pub struct Refusal {
    /// The location of the record in its input.
    pub location: Location,
    /// Why the record is refused.
    pub reason: RefusalReason,
}

/// Why a record is refused. Quoted text is clipped, and is never the content of a conversation.
#[derive(Debug, Error)]
pub enum RefusalReason {
    /// The line is longer than [`MAX_LINE_BYTES`](crate::MAX_LINE_BYTES).
    #[error("the line is longer than {limit_bytes} bytes")]
    LineTooLong {
        /// The maximum length of a line.
        limit_bytes: usize,
    },
    /// The line is not UTF-8.
    #[error("the line is not UTF-8 after its first {valid_bytes} bytes")]
    NotUtf8 {
        /// The length of the part before the first invalid byte.
        valid_bytes: usize,
    },
    /// The JSON is malformed, truncated, or has a field of another type.
    #[error("not the JSON of this format: {0}")]
    Json(JsonError),
    /// The line holds complete records, which are read, and other bytes.
    #[error("beside {complete} complete records, the line is damaged: {error}")]
    DamagedLine {
        /// The number of complete records.
        complete: usize,
        /// The first error in the line.
        error: JsonError,
    },
    /// The record is a call whose usage it does not state.
    #[error("the {0} states no usage")]
    NoUsage(String),
    /// A body cannot be decoded.
    #[error("the body cannot be decoded: {0}")]
    Body(String),
    /// A value that records of this format may leave out, and an option did not give either.
    #[error("{field} is missing: give it with {option}")]
    OptionNeeded {
        /// The field.
        field: &'static str,
        /// The option that gives it.
        option: &'static str,
    },
    /// The row has another number of columns than the header.
    #[error("{found} columns instead of {expected}")]
    Columns {
        /// The number of columns of the row.
        found: usize,
        /// The number of columns of the header.
        expected: usize,
    },
    /// The line holds another object than an export of traces.
    #[error("the object holds {found:?} instead of resourceSpans or batches")]
    NotTraces {
        /// The first key of the object.
        found: String,
    },
    /// A required field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A count is not a whole number.
    #[error("{field} is {found:?}, which is not a whole number")]
    NotACount {
        /// The field.
        field: &'static str,
        /// Its value, clipped.
        found: String,
    },
    /// A quantity is negative or too large.
    #[error("{field}: {cause}")]
    Quantity {
        /// The field.
        field: &'static str,
        /// Why it is no quantity.
        cause: QuantityError,
    },
    /// A name is empty, too long, or has control characters.
    #[error("{field}: {cause}")]
    Text {
        /// The field.
        field: &'static str,
        /// Why it is no name.
        cause: TextError,
    },
    /// A time is not in the notation of the format, or out of range.
    #[error("{field} is {found:?}, which is not a time of this format")]
    Time {
        /// The field.
        field: &'static str,
        /// Its value, clipped.
        found: String,
    },
    /// The call started before 2000, when no model was called.
    #[error("the call would have started at {0}, before 2000: the time is in another unit, or the clock was wrong")]
    Implausible(DateTime<Utc>),
    /// A recorded cost is not an amount.
    #[error("{field}: {cause}")]
    Cost {
        /// The field.
        field: &'static str,
        /// Why it is no amount.
        cause: MoneyError,
    },
    /// A field or value has the name of one of OTLP's JSON in another spelling, so that it would not be read.
    #[error("{found:?} is written {expected} in OTLP's JSON")]
    Misspelled {
        /// The name as found, clipped.
        found: String,
        /// The name as it should be.
        expected: &'static str,
    },
    /// A field is no list.
    #[error("{0} is not a list")]
    NotAList(&'static str),
    /// There are too many attributes.
    #[error("{found} attributes, which is more than the limit of {limit}")]
    TooManyAttributes {
        /// The number of attributes.
        found: usize,
        /// The maximum number.
        limit: usize,
    },
    /// The protobuf of a span or record is malformed.
    #[error("not the protobuf of OTLP: {0}")]
    Protobuf(String),
    /// The trace rejects the span.
    #[error("{0}")]
    Trace(domain::trace::TraceError),
    /// The call rejects what the span says about it.
    #[error("{0}")]
    Call(domain::call::CallError),
    /// The id of a trace or span is neither hex nor base64 of its length.
    #[error("{field} is {found:?}, which is not an id")]
    Id {
        /// The field.
        field: &'static str,
        /// Its value, clipped.
        found: String,
    },
}

/// An error that ends the reading of an input.
#[derive(Debug, Error)]
pub enum InputError {
    /// The format names no model, and no default was given.
    #[error("{0} files name no model: name it with --model")]
    ModelNeeded(&'static str),
    /// The format has no times, and no default was given.
    #[error("{0} files do not say when the calls were made: give the time of the first with --at")]
    StartNeeded(&'static str),
    /// The format says nothing that can be imported.
    #[error("{format} files cannot be imported: {reason}")]
    NothingToImport {
        /// The format.
        format: &'static str,
        /// What the files lack.
        reason: &'static str,
    },
    /// A document is too long to be read as a whole.
    #[error("the document is longer than {limit_bytes} bytes: split it")]
    DocumentTooLong {
        /// The maximum length of a document.
        limit_bytes: usize,
    },
    /// A document has too many records.
    #[error("the document has more than {limit} records: split it")]
    TooManyRecords {
        /// The maximum number of records.
        limit: usize,
    },
    /// A document is not UTF-8.
    #[error("the document is not UTF-8 after its first {valid_bytes} bytes")]
    NotUtf8 {
        /// The length of the part before the first invalid byte.
        valid_bytes: usize,
    },
    /// The document is of another format.
    #[error("the document is not that of {format}: {expected} is missing")]
    NotOfFormat {
        /// The format.
        format: &'static str,
        /// What a document of the format has.
        expected: &'static str,
    },
    /// The archive is damaged, or exceeds a limit.
    #[error("the archive cannot be read: {0}")]
    Archive(String),
    /// The YAML is malformed, or exceeds a limit.
    #[error("the YAML cannot be read: {0}")]
    Yaml(String),
    /// A table lacks a column.
    #[error("the table has no column {column:?} for {field}; its columns are {found}. Name columns with --column")]
    ColumnMissing {
        /// The field that the column is for.
        field: String,
        /// The column.
        column: String,
        /// The columns of the table, clipped.
        found: String,
    },
    /// The header of a CSV file is another one.
    #[error("the header is {found:?} instead of {expected:?}")]
    Header {
        /// The header of the format.
        expected: &'static str,
        /// The header of the file, clipped.
        found: String,
    },
    /// The file is not JSON, or so malformed that nothing after the error can be read.
    #[error("the file is not the JSON of this format")]
    Json(#[source] JsonError),
    /// The file is JSON, but not an export of traces.
    #[error("the file holds {found:?} instead of resourceSpans or batches: it is not an export of traces as OTLP JSON")]
    NotTraces {
        /// The first key of the file's first object.
        found: String,
    },
    /// The first object of the file has the name of one of OTLP's JSON in another spelling, so that it would not be read.
    #[error("{found:?} is written {expected} in OTLP's JSON")]
    Misspelled {
        /// The name as found, clipped.
        found: String,
        /// The name as it should be.
        expected: &'static str,
    },
    /// The spans that must be held in memory together take too much of it.
    #[error("at span {span} the file's spans take more than {limit_bytes} bytes: split it, keeping each trace whole")]
    TooManySpans {
        /// The number of the span that exceeded the limit.
        span: u64,
        /// The maximum memory of all spans.
        limit_bytes: usize,
    },
    /// A string inside a JSON document is too long.
    #[error("a string in the file is longer than {limit_bytes} bytes")]
    StringTooLong {
        /// The maximum length of a string.
        limit_bytes: usize,
    },
    /// A JSON document is nested too deep.
    #[error("the file's JSON is nested more than {limit} deep")]
    TooDeep {
        /// The maximum depth.
        limit: usize,
    },
    /// The gzip stream is damaged or truncated.
    #[error("the gzip stream is damaged or truncated")]
    Gzip(#[source] io::Error),
    /// The operating system failed to read the input.
    #[error("the input cannot be read")]
    Read(#[source] io::Error),
}

impl RefusalReason {
    pub(crate) fn json(error: serde_json::Error) -> Self {
        Self::Json(error.into())
    }
}

impl InputError {
    pub(crate) fn json(error: serde_json::Error) -> Self {
        Self::Json(error.into())
    }
}

/// Marks errors of decompression, to tell them from errors of reading the file.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) struct GzipError(pub(crate) io::Error);

impl From<io::Error> for InputError {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<GzipError>()) {
            Self::Gzip(error)
        } else if error.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            error.downcast::<Self>().unwrap_or_else(Self::Read)
        } else {
            Self::Read(error)
        }
    }
}

/// Why the body of a request of an exporter is refused as a whole.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// It is not of the encoding that it is sent as.
    #[error("the body is not the {encoding} of OTLP: {error}")]
    Malformed {
        /// The name of the encoding.
        encoding: &'static str,
        /// What is malformed.
        error: String,
    },
    /// It is an export of another signal.
    #[error("the body holds {found:?} instead of {expected}")]
    NotOfSignal {
        /// The first key of the body.
        found: String,
        /// The key of the signal.
        expected: &'static str,
    },
    /// A name is written in another spelling than OTLP's JSON has, so that what it names would be lost.
    #[error("{found:?} is written {expected} in OTLP's JSON")]
    Misspelled {
        /// The name as found, clipped.
        found: String,
        /// The name as it should be.
        expected: &'static str,
    },
    /// The spans that must be held in memory together take too much of it.
    #[error("at span {span} the spans of the body take more than {limit_bytes} bytes of memory: export fewer at once")]
    TooLarge {
        /// The number of the span that exceeded the limit.
        span: u64,
        /// The maximum memory.
        limit_bytes: usize,
    },
}
