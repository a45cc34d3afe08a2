//! Agents: the processes that do the work.

mod mutation;
mod query;
mod types;

pub(crate) use mutation::{AgentCommandError, AgentMutation};
pub(crate) use query::AgentQuery;
pub(crate) use types::Agent;
