//! Budgets: how much may be spent per month, by whom, and at which shares of the limit alerts are raised.
//!
//! A budget is one stream. Each of its months is a stream of its own, with an id derived from the budget and the month: a
//! new month is a new stream, and nothing is ever reset to zero.

mod error;
mod month;
mod period;
mod terms;
mod threshold;

pub use error::BudgetError;
pub use month::Month;
pub use period::{
    BudgetPeriod, BudgetPeriodCommand, BudgetPeriodError, BudgetPeriodEvent, ThresholdCrossed, ThresholdCrossedV1,
};
pub use terms::{BudgetScope, BudgetTerms};
pub use threshold::Threshold;

use crate::aggregate::Aggregate;
use crate::codec::events;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command to a budget.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetCommand {
    /// Defines the budget.
    Define {
        /// The terms of the budget.
        terms: BudgetTerms,
        /// When the budget was defined.
        at: DateTime<Utc>,
    },
    /// Changes the terms. Thresholds that are not reached under the new terms are re-armed.
    Revise {
        /// The new terms.
        terms: BudgetTerms,
        /// When the terms were changed.
        at: DateTime<Utc>,
    },
    /// Closes the budget: it counts no further spending.
    Close {
        /// When the budget was closed.
        at: DateTime<Utc>,
    },
}

/// The payload of `budget.defined` and `budget.revised`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetDefined {
    /// The terms of the budget.
    #[serde(flatten)]
    pub terms: BudgetTerms,
    /// When the budget was defined or revised.
    pub at: DateTime<Utc>,
}

/// The payload of `budget.closed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetClosed {
    /// When the budget was closed.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a budget.
    pub enum BudgetEvent {
        /// The budget was defined.
        "budget.defined" v 1 => Defined(BudgetDefined),
        /// The terms were changed.
        "budget.revised" v 1 => Revised(BudgetDefined),
        /// The budget was closed.
        "budget.closed" v 1 => Closed(BudgetClosed),
    }
}

/// The state of a budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The terms; none before the budget is defined.
    pub terms: Option<BudgetTerms>,
    /// Whether the budget is closed.
    pub closed: bool,
}

impl Aggregate for Budget {
    const CATEGORY: &'static str = "budget";
    type Command = BudgetCommand;
    type Event = BudgetEvent;
    type Error = BudgetError;

    fn decide(&self, command: BudgetCommand) -> Result<Vec<BudgetEvent>, BudgetError> {
        match (command, &self.terms) {
            (BudgetCommand::Define { terms, at }, None) => {
                terms.check()?;
                Ok(vec![BudgetEvent::Defined(BudgetDefined { terms, at })])
            }
            // Not idempotent: success would suggest that the closed budget counts spending.
            (BudgetCommand::Define { .. }, Some(_)) if self.closed => Err(BudgetError::Closed),
            (BudgetCommand::Define { terms, .. }, Some(known)) => {
                if *known == terms {
                    Ok(Vec::new())
                } else {
                    Err(BudgetError::AlreadyDefined)
                }
            }
            (BudgetCommand::Revise { .. } | BudgetCommand::Close { .. }, None) => Err(BudgetError::NotDefined),
            (BudgetCommand::Revise { .. }, Some(_)) if self.closed => Err(BudgetError::Closed),
            (BudgetCommand::Revise { terms, at }, Some(known)) => {
                terms.check()?;
                if known.scope != terms.scope {
                    return Err(BudgetError::ScopeImmutable);
                }
                if *known == terms {
                    return Ok(Vec::new());
                }
                Ok(vec![BudgetEvent::Revised(BudgetDefined { terms, at })])
            }
            (BudgetCommand::Close { .. }, Some(_)) if self.closed => Ok(Vec::new()),
            (BudgetCommand::Close { at }, Some(_)) => Ok(vec![BudgetEvent::Closed(BudgetClosed { at })]),
        }
    }

    fn evolve(mut self, event: &BudgetEvent) -> Self {
        match event {
            BudgetEvent::Defined(defined) | BudgetEvent::Revised(defined) => self.terms = Some(defined.terms.clone()),
            BudgetEvent::Closed(_) => self.closed = true,
        }
        self
    }
}

#[cfg(test)]
mod tests;
