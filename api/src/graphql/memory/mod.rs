//! Memories: what agents store, share, recall and forget.

mod mutation;
mod query;
mod types;

pub(crate) use mutation::{MemoryCommandError, MemoryMutation};
pub(crate) use query::MemoryQuery;
pub(crate) use types::Memory;
