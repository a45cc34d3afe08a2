//! Parsers: files that people already have, as records of calls.
//!
//! A parser turns bytes into [`Record`](crate::Record)s, one after the other and in bounded memory. It knows neither
//! the log nor commands, and [`Importer`](crate::Importer), which does, knows no format. A parser states what a record
//! says, and no more: the domain joins several records of one call and decides its cost.
//!
//! There are two kinds of errors. A [`Refusal`](crate::Refusal) concerns one record, and reading continues. An
//! [`InputError`] concerns the input, and ends it.

mod autogpt;
mod azure_llm;
mod claude_code;
mod input;
mod lines;
mod otlp;
mod reader;
mod recent;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod values;

pub use input::{Input, open_path};
pub use lines::MAX_LINE_BYTES;
pub(crate) use otlp::request as otlp_request;
pub use reader::{RecordReader, Records};

use crate::error::InputError;
use crate::format::{Defaults, Format};
use lines::Lines;
use std::io::Read;

/// Reads records of a format from an input.
///
/// # Errors
/// For `azure-llm`, [`InputError::ModelNeeded`] without a default model, and [`InputError::Header`] or
/// [`InputError::Read`] for a header that is another one or cannot be read. All other errors are items of the reader.
pub fn read_records(format: Format, defaults: Defaults, input: Box<dyn Read + Send>) -> Result<Records, InputError> {
    let lines = Lines::new(input);
    match format {
        Format::AzureLlm => azure_llm::open(lines, defaults),
        Format::Autogpt => Ok(autogpt::open(lines, defaults)),
        Format::ClaudeCode => Ok(claude_code::open(lines, defaults)),
        Format::Otlp => Ok(otlp::open(lines, defaults)),
    }
}
