//! Allocation of costs to cost centres: the rules, and the statements that follow from them.

mod mutation;
mod query;
mod rules;
mod statements;

pub(crate) use mutation::{AllocationCommandError, AllocationMutation};
pub(crate) use query::AllocationQuery;
pub(crate) use statements::{CostStatementPage, StatementQuery};
