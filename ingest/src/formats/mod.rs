//! Parsers: files that people already have, as records of calls.
//!
//! A parser turns bytes into [`Record`](crate::Record)s, one after the other and in bounded memory. It knows neither
//! the log nor commands, and [`Importer`](crate::Importer), which does, knows no format. A parser states what a record
//! says, and no more: the domain joins several records of one call and decides its cost.
//!
//! There are two kinds of errors. A [`Refusal`](crate::Refusal) concerns one record, and reading continues. An
//! [`InputError`] concerns the input, and ends it.

pub(crate) mod autogpt;
pub(crate) mod azure_llm;
pub(crate) mod claude_code;
pub(crate) mod codex;
mod counts;
mod damaged;
mod document;
mod folder;
mod input;
pub(crate) mod inspect;
pub(crate) mod jaeger;
pub(crate) mod json;
pub(crate) mod langfuse;
mod lines;
pub(crate) mod litellm;
pub(crate) mod mooncake;
pub(crate) mod openhands;
pub(crate) mod otlp;
mod peek;
mod reader;
pub(crate) mod recent;
mod registry;
pub(crate) mod responses;
mod sketch;
mod spec;
pub(crate) mod swe_agent;
pub(crate) mod table;
pub(crate) mod tau_bench;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod values;

pub use document::MAX_DOCUMENT_BYTES;
pub(crate) use document::{as_text, read_bytes};
pub use folder::{MAX_FILES, files_in};
pub use input::{Input, open_path};
pub use lines::MAX_LINE_BYTES;
pub use otlp::KeptSpans;
pub(crate) use otlp::{
    MAX_EXPORTED_CONTENT_BYTES, MAX_EXPORTED_RECORDS, MAX_EXPORTED_SPANS, not_counted, request as otlp_request,
};
pub use reader::{RecordReader, Records};
pub use registry::recognise;
pub use table::{Column, ColumnError, Columns};
pub(crate) use table::{LimitedReader, separator};
pub(crate) use values::any_time;

use crate::error::InputError;
use crate::format::{Defaults, Format};
pub(crate) use lines::Lines;
use std::io::Read;

/// Reads records of a format from an input.
///
/// # Errors
/// [`InputError`] if the format needs a default that is not given, or if what must be read first, such as a header or a
/// whole document, is of another format or cannot be read. All other errors are items of the reader.
pub fn read_records(format: Format, defaults: Defaults, input: Box<dyn Read + Send>) -> Result<Records, InputError> {
    (registry::spec(format).open)(Lines::new(input), defaults)
}
