//! What is charged to a period of a budget, and reserved.
//!
//! Each period is a stream of its own, whose id is derived from the budget, its recurrence and the start of the period: a new
//! period is a new stream, and nothing is ever zeroed. The state is sums only, and each event carries the sums after it.
//!
//! A period may have further parts, each a stream of its own. The stream of the period itself has how much of the limit they hold
//! (`handed`); each has how much it may hold without asking (`allotted`). What is delegated is such a part, too, that nobody takes from.

mod crossing;
mod ledger;
mod pace;
mod sums;

pub(crate) use ledger::limit_in_force;
pub use ledger::{BalanceEvents, Ledger, Move, PeriodRef, Wanted};
pub use pace::{PACE_WINDOW, Pace};
pub use sums::{Alerted, Allotment, Delegated, Sums};

use crate::aggregate::Aggregate;
use crate::budget::{Amount, Threshold};
use crate::codec::events;
use crate::ids::{BudgetId, ReservationId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use thiserror::Error;

/// Why more than the limit of a hard budget is charged and reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExcessCause {
    /// A call used more than was reserved for it.
    Overshoot,
    /// A call was made without a reservation against the budget, or was assigned to it afterwards.
    Unreserved,
    /// A call was amended, corrected or charged again.
    Amendment,
    /// The limit was lowered, or the budget is enforced again.
    LimitLowered,
    /// What was charged before the budget was defined exceeds its limit.
    Opening,
}

/// A growth of what exceeds the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excess {
    /// Why.
    pub cause: ExcessCause,
    /// By how much.
    pub amount: Amount,
}

/// The payload of `budget_balance.opened`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceOpened {
    /// The budget.
    pub budget_id: BudgetId,
    /// The sums after the event.
    #[serde(flatten)]
    pub after: Sums,
}

/// The payload of all other events of a period: what is added to its sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceMoved {
    /// The reservation that it is about; absent if it is about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<ReservationId>,
    /// The position of the event whose difference is charged last; absent if nothing is charged, or by the event's own append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<u64>,
    /// What is added to what is charged.
    #[serde(default, rename = "add_charged", skip_serializing_if = "Amount::is_zero")]
    pub charged: Amount,
    /// What is added to what is assumed.
    #[serde(default, rename = "add_assumed", skip_serializing_if = "Amount::is_zero")]
    pub assumed: Amount,
    /// What is added to what is reserved.
    #[serde(default, rename = "add_reserved", skip_serializing_if = "Amount::is_zero")]
    pub reserved: Amount,
    /// By how much the excess grew, and why; absent if it did not.
    #[serde(default, rename = "grown", skip_serializing_if = "Option::is_none")]
    pub excess: Option<Excess>,
    /// The sums after the event.
    #[serde(flatten)]
    pub after: Sums,
}

/// The payload of `budget_balance.threshold_crossed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceThresholdCrossed {
    /// The budget.
    pub budget_id: BudgetId,
    /// The threshold, in percent of the limit.
    pub threshold_percent: Threshold,
    /// The limit in force, with what is carried over and raises.
    pub limit: Amount,
    /// The sums after the event. It changes none of them.
    #[serde(flatten)]
    pub after: Sums,
}

/// The payload of `budget_balance.rearmed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceRearmed {
    /// The budget.
    pub budget_id: BudgetId,
    /// The sums after the event. It changes none of them, but which thresholds count as crossed.
    #[serde(flatten)]
    pub after: Sums,
}

/// The payload of `budget_balance.allotted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceAllotted {
    /// The budget.
    pub budget_id: BudgetId,
    /// The sums after the event. It changes none of them, but what parts may hold.
    #[serde(flatten)]
    pub after: Sums,
}

events! {
    /// An event of a period of a budget.
    pub enum BudgetBalanceEvent {
        /// The period has its first event.
        "budget_balance.opened" v 1 => Opened(BalanceOpened),
        /// A reservation was granted, or extended.
        "budget_balance.reserved" v 1 => Reserved(BalanceMoved),
        /// A reservation was released, by a command or because it expired and its call was not sent.
        "budget_balance.released" v 1 => Released(BalanceMoved),
        /// A reservation expired whose call was sent: it is charged in full.
        "budget_balance.assumed" v 1 => Assumed(BalanceMoved),
        /// A call settled a reservation, and changed what is charged here.
        "budget_balance.settled" v 1 => Settled(BalanceMoved),
        /// The charging policy added the differences of calls that settled no reservation.
        "budget_balance.charged" v 1 => Charged(BalanceMoved),
        /// What was charged before the budget was defined was counted.
        "budget_balance.counted" v 1 => Counted(BalanceMoved),
        /// The terms of the budget changed so that more than the limit is charged and reserved.
        "budget_balance.exceeded" v 1 => Exceeded(BalanceMoved),
        /// What is charged has reached a threshold of the budget.
        "budget_balance.threshold_crossed" v 1 => ThresholdCrossed(BalanceThresholdCrossed),
        /// The terms of the budget changed the limit that thresholds are shares of: those that a raised one leaves unreached are
        /// armed again.
        "budget_balance.rearmed" v 1 => Rearmed(BalanceRearmed),
        /// What parts of the period may hold of the limit changed: one took from another, or the terms of the budget changed.
        "budget_balance.allotted" v 1 => Allotted(BalanceAllotted),
    }
}

/// A period has no commands of its own: it changes with reservations, calls and budgets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a period of a budget takes no commands")]
pub struct BudgetBalanceError;

/// The state of a period of a budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetBalance {
    /// The sums; none before the first event.
    pub sums: Option<Sums>,
}

impl BudgetBalanceEvent {
    /// The sums after the event.
    #[must_use]
    pub fn after(&self) -> &Sums {
        match self {
            Self::Opened(opened) => &opened.after,
            Self::ThresholdCrossed(crossed) => &crossed.after,
            Self::Rearmed(rearmed) => &rearmed.after,
            Self::Allotted(allotted) => &allotted.after,
            Self::Reserved(moved)
            | Self::Released(moved)
            | Self::Assumed(moved)
            | Self::Settled(moved)
            | Self::Charged(moved)
            | Self::Counted(moved)
            | Self::Exceeded(moved) => &moved.after,
        }
    }

    /// What the event adds; none of the first one, and of those that are about thresholds or parts.
    #[must_use]
    pub fn moved(&self) -> Option<&BalanceMoved> {
        match self {
            Self::Opened(_) | Self::ThresholdCrossed(_) | Self::Rearmed(_) | Self::Allotted(_) => None,
            Self::Reserved(moved)
            | Self::Released(moved)
            | Self::Assumed(moved)
            | Self::Settled(moved)
            | Self::Charged(moved)
            | Self::Counted(moved)
            | Self::Exceeded(moved) => Some(moved),
        }
    }
}

fn restore(event: &BudgetBalanceEvent) -> BudgetBalance {
    BudgetBalance { sums: Some(*event.after()) }
}

impl Aggregate for BudgetBalance {
    const CATEGORY: &'static str = "budget_balance";
    const RESTORE: Option<fn(&BudgetBalanceEvent) -> Self> = Some(restore);
    type Command = Infallible;
    type Event = BudgetBalanceEvent;
    type Error = BudgetBalanceError;

    fn decide(&self, command: Infallible) -> Result<Vec<BudgetBalanceEvent>, BudgetBalanceError> {
        match command {}
    }

    fn evolve(self, event: &BudgetBalanceEvent) -> Self {
        restore(event)
    }
}
