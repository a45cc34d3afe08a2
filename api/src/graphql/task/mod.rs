//! Tasks: the work that agents do.

mod mutation;
mod query;
mod types;

pub(crate) use mutation::{TaskCommandError, TaskMutation};
pub(crate) use query::{TaskQuery, list};
pub(crate) use types::{Task, TaskStatus};
