//! Why a command to a reservation is rejected.

use super::event::Refusal;
use super::limits::{MAX_HOLD, MAX_SETTLEMENT_CALLS, MIN_HOLD};
use crate::budget::{BudgetDimension, MAX_APPLYING_BUDGETS};
use crate::call::CallError;
use crate::ids::{CallId, ReservationId};
use crate::money::MoneyError;
use crate::text::Name;
use crate::usage::UsageError;
use thiserror::Error;

/// Why a command to a reservation is rejected. A reservation that a budget refuses is not rejected: its answer is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReservationError {
    /// There is no such reservation.
    #[error("there is no such reservation")]
    NotFound,
    /// A request that says otherwise what is called was answered under this id.
    #[error("a reservation for another call is known under this id: reserve under another id")]
    AlreadyReserved,
    /// The reservation was refused, so that nothing is set aside.
    #[error("the reservation was refused: nothing is set aside for the call")]
    NotGranted,
    /// The reservation is not held any more.
    #[error("the reservation was settled, released or has expired")]
    NotHeld,
    /// It is held by another than the one that settles, extends or releases it.
    #[error("the gateway holds the reservation, and ends it when the call ends: reserve for a call of your own")]
    HeldByGateway,
    /// Another call settled the reservation.
    #[error("the call {0} settled the reservation: reserve for each call")]
    SettledByOther(CallId),
    /// The call settled another reservation before.
    #[error("the call settled the reservation {0} before: release this one")]
    CallHasOther(ReservationId),
    /// The client declares what the credential says otherwise.
    #[error("the credential is for {dimension} {fixed}, not {declared}: leave it out, or use another credential")]
    Fixed {
        /// The dimension.
        dimension: BudgetDimension,
        /// What the credential says.
        fixed: Name,
        /// What the client declares.
        declared: Name,
    },
    /// A call to a model names none, and one to a tool names no tool.
    #[error("a call to a model needs `model`, one to a tool `tool`")]
    NoSubject,
    /// The time of expiry is too near or too far.
    #[error("a reservation is held for {min} s to {max} s, not {found} s", min = MIN_HOLD.num_seconds(), max = MAX_HOLD.num_seconds())]
    HoldTime {
        /// The seconds that it was to be held for.
        found: i64,
    },
    /// The smallest output that would do is more than what is asked for.
    #[error("the smallest output is {min} tokens, and {output} are asked for")]
    MinimumOutput {
        /// The smallest output.
        min: u64,
        /// What is asked for.
        output: u64,
    },
    /// More budgets apply than one decision can rest on.
    #[error("{found} budgets apply to the call; the limit is {limit}: close some", limit = MAX_APPLYING_BUDGETS)]
    TooManyBudgets {
        /// The number of budgets.
        found: usize,
    },
    /// The report ties more calls together than one decision can rest on.
    #[error(
        "the report ties {found} calls and reservations together; the limit is {limit}: report the call under one of its ids first",
        limit = MAX_SETTLEMENT_CALLS
    )]
    TooManyCalls {
        /// The number of calls, with the reservations that they settled.
        found: usize,
    },
    /// The quantities of the usage contradict each other.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// What the call may cost is out of range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The extension does not fit.
    #[error("the extension does not fit into the budget {}", .0.budget_id)]
    Refused(Box<Refusal>),
    /// The call rejects its facts.
    #[error(transparent)]
    Call(#[from] CallError),
}
