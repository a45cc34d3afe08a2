//! Calls of language models and tools.

mod correction;
mod facts;
mod mutation;
mod query;
mod receipt;
mod taking_back;
mod types;

pub(crate) use facts::{TagInput, tags};
pub(crate) use mutation::{CallCommandError, CallMutation};
pub(crate) use query::{CallQuery, list, trace_id};
pub(crate) use taking_back::ImportMutation;
pub(crate) use types::{Call, CallKind};
