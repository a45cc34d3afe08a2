//! Schedules of reports, statements and exports.

mod definition;
mod mutation;
mod query;
mod runs;
mod types;

pub(crate) use mutation::{ScheduleCommandError, ScheduleMutation};
pub(crate) use query::ScheduleQuery;
pub(crate) use runs::ScheduleRun;
pub(crate) use types::Schedule;
