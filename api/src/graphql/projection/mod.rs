//! The status of the read models, and how operators maintain them.

mod mutation;
mod query;
mod types;

pub(crate) use mutation::ProjectionMutation;
pub(crate) use query::ProjectionQuery;
