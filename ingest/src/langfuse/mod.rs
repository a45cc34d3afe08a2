//! Batches of events that SDKs send to Langfuse's ingestion API: generations are calls.
//!
//! An SDK creates a generation when the call starts, and updates it when the call ends, perhaps in another batch. The events of
//! one generation in a batch are merged, as Langfuse does. An update of one that a former batch created takes the model and
//! the start from the call in the log, and so needs no memory of its own. Names of traces that a former batch had are
//! remembered by the process, as far as there is room: they say whose a call is, never which call it is.
//!
//! Observations nest, also over several batches. The trace in the log decides which of them are calls, as it does for spans.

mod batch;
mod receiver;

pub use batch::{Accepted, Batch, BatchAnswer, BatchError, MAX_EVENTS, Refused};
pub use receiver::{BatchReports, KnownOfBatch};
