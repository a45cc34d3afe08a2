//! Exports: the calls of a tenant, or what they cost in the form of FOCUS, as a file in CSV, NDJSON or Parquet.
//!
//! An export is read in one snapshot, in the order of the calls' start, and written while it is read: what is in memory at the
//! same time is bounded, whatever the number of calls. Reading and writing are two tasks, so that the database does not wait
//! for the compression of what it has sent. An export that fails midway has no end: its receiver gets the error in its
//! place, and must not take what came before for the whole.

mod call;
mod calls;
mod charges;
mod chunk;
mod copy;
mod csv;
mod decimal;
mod error;
mod focus;
mod ndjson;
mod output;
mod parquet;
mod producer;
mod read_calls;
mod reader;
mod run;
mod table;
mod writer;

pub(crate) use call::{Call, Priced};
pub(crate) use decimal::plain_money;
pub(crate) use read_calls::{ReadBatches, read_calls};
pub(crate) use reader::Reader;

pub use self::csv::without_formula;
pub use charges::ChargesError;
pub(crate) use charges::OpenCharges;
pub use chunk::ExportChunk;
pub use error::ExportError;
pub use focus::FocusVersion;
pub use reader::{Expected, ExportQuery, ExportRange};
pub use run::{ExportStream, OpenExport};
pub use writer::ExportFormat;
