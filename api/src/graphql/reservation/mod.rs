//! Reservations against budgets.

mod mutation;
mod query;
mod types;

pub(crate) use mutation::{ReservationCommandError, ReservationMutation};
pub(crate) use query::ReservationQuery;
pub(crate) use types::{RefusalReason, ReservationRefusal};
