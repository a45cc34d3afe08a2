//! Formats that people already have, turned into commands.
//!
//! - [`formats`] parses files into [`Record`]s; it knows neither commands nor prices.
//! - [`report_call`] is the one way to report a call, with the price of its model looked up in the price book.
//! - [`Importer`] turns records into commands, and [`import`] runs it over an input, many reports at a time.
//! - [`Receiver`] is what receives records over the network: [`otlp`] the requests of OpenTelemetry exporters, [`ndjson`] lines.
//! - [`langfuse`] reads what SDKs of Langfuse send.
//! - [`invoices`] reads the invoices and usage exports of providers.
//! - [`prices`] fills price books: from the prices that Apex ships, and from tables in LiteLLM's format.
//!
//! Deliberately absent: SQL, HTTP, and the command line. Callers pass readers in and get progress by callback.

mod call_id;
mod call_order;
mod client_ids;
mod connection;
mod error;
mod format;
pub mod formats;
mod importer;
pub mod invoices;
mod item;
mod json_error;
pub mod langfuse;
pub mod ndjson;
pub mod otlp;
mod outcome;
mod owners;
pub mod prices;
mod received_file;
mod receiver;
mod record;
mod report;
mod reporting;
mod retry;
mod run;
mod text;
mod traces;
mod unpriced;
mod window;

pub use client_ids::{GivenCall, client_call_ids};
pub use error::{InputError, RecordError, Refusal, RefusalReason};
pub use format::{Defaults, Format};
pub use formats::responses::providers as response_providers;
pub use formats::responses::{Metered, PassedOn, StreamedResponse};
pub use formats::{
    Column, ColumnError, Columns, Input, MAX_DOCUMENT_BYTES, MAX_FILES, MAX_LINE_BYTES, RecordReader, Records,
    files_in, open_path, read_records, recognise,
};
pub use importer::{Importer, PreparedReport};
pub use item::{Item, TraceSpans, TracedSpan};
pub use json_error::JsonError;
pub use outcome::{ImportError, ImportOutcome, Imported};
pub use received_file::{FILE_LINES, FileEnd, FileLine, FileStopped, receive_file};
pub use receiver::{ReceiveError, Receiver, of_content as import_of_content};
pub use record::{AgentRef, Location, Record, SkippedCounts, TaskRef};
pub use report::{CallReport, report_call, settle_call};
pub use retry::OnRetry;
pub use run::{ImportCounts, ImportResult, ImportStopped, Progress, Source, import};
pub use traces::{PreparedTrace, SpanResult, TraceResult};
pub use unpriced::{UnpricedCalls, UnpricedModel};
