//! Budgets: how much may be spent per month, by whom, and at which shares of the limit alerts are raised.
//!
//! A budget is one stream. Each of its months is a stream of its own, with an id derived from the budget and the month: a
//! new month is a new stream, and nothing is ever reset to zero.

mod amount;
mod control;
mod delegation;
mod dimension;
mod error;
mod limits;
mod month;
mod parts;
mod period;
mod preview;
mod recurrence;
mod refusal;
mod terms;
mod threshold;

pub use amount::{Amount, AmountError};
pub use control::{BudgetControl, Enforcement, Measure};
pub use delegation::{BudgetDelegated, BudgetDelegationEnded, DelegatedTo, Delegation, DelegationCommand};
pub use dimension::{Attributes, BudgetDimension, BudgetDimensionError, attributes_of};
pub use recurrence::{PeriodUnit, Recurrence, Span};
pub(crate) use recurrence::{balance_id, part_id};

pub use error::BudgetError;
pub use limits::{
    MAX_APPLYING_BUDGETS, MAX_APPROVAL_MINUTES, MAX_CONTROLLED, MAX_DEGRADED_MODELS, MAX_DELEGATIONS,
    MAX_FURTHER_PARTS, MAX_PARTS, MAX_RAISES, MAX_SEGMENTS,
};
pub use month::Month;
pub use parts::Parts;
pub use period::{
    BudgetPeriod, BudgetPeriodCommand, BudgetPeriodError, BudgetPeriodEvent, ThresholdCrossed, ThresholdCrossedV1,
};
pub use preview::{Preview, PreviewedCall, PreviewedPeriod};
pub use refusal::{OnRefusal, OnUnreachable};
pub use terms::{BudgetScope, BudgetTerms};
pub use threshold::Threshold;

use crate::aggregate::Aggregate;
use crate::call::DataClass;
use crate::codec::events;
use crate::text::Body;
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
        /// Why the terms are changed.
        reason: Option<Body>,
        /// When the terms were changed.
        at: DateTime<Utc>,
    },
    /// Suspends the enforcement of the budget: it counts, and refuses nothing.
    Suspend {
        /// Why it is suspended.
        reason: Body,
        /// When it was suspended.
        at: DateTime<Utc>,
    },
    /// Enforces a suspended budget again.
    Resume {
        /// Why it is resumed.
        reason: Option<Body>,
        /// When it was resumed.
        at: DateTime<Utc>,
    },
    /// Raises the limit for a time.
    Raise {
        /// What is added to the limit, in its unit; above zero.
        amount: Amount,
        /// When the raise ends.
        until: DateTime<Utc>,
        /// Why it is raised.
        reason: Body,
        /// When it was raised.
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
    /// Why the terms were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Option<Body>,
    /// When the budget was defined or revised.
    pub at: DateTime<Utc>,
}

/// The payload of `budget.suspended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetSuspended {
    /// Why the budget was suspended.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Body,
    /// When the budget was suspended.
    pub at: DateTime<Utc>,
}

/// The payload of `budget.resumed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetResumed {
    /// Why the budget was resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Option<Body>,
    /// When the budget was resumed.
    pub at: DateTime<Utc>,
}

/// The payload of `budget.raised`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetRaised {
    /// What is added to the limit, in its unit.
    pub amount: Amount,
    /// When the raise ends.
    pub until: DateTime<Utc>,
    /// Why the limit was raised.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Body,
    /// When the limit was raised.
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
        /// The enforcement was suspended.
        "budget.suspended" v 1 => Suspended(BudgetSuspended),
        /// The budget is enforced again.
        "budget.resumed" v 1 => Resumed(BudgetResumed),
        /// The limit was raised for a time.
        "budget.raised" v 1 => Raised(BudgetRaised),
        /// A part of the limit of a period was delegated.
        "budget.delegated" v 1 => Delegated(BudgetDelegated),
        /// A delegation ended: what it did not use is the budget's again.
        "budget.delegation_ended" v 1 => DelegationEnded(BudgetDelegationEnded),
    }
}

/// The state of a budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The terms; none before the budget is defined.
    pub terms: Option<BudgetTerms>,
    /// Whether the budget is closed.
    pub closed: bool,
    /// Whether the enforcement is suspended.
    #[serde(default)]
    pub suspended: bool,
    /// The temporary raises that had not ended when the last one began: what they add, by when they end. Those that end at the same
    /// time, as approvals of one period do, are one.
    #[serde(default)]
    pub raises: Vec<(Amount, DateTime<Utc>)>,
    /// The delegations that were not ended, and ran when the last one began.
    #[serde(default)]
    pub delegations: Vec<Delegation>,
    /// The version of the stream that set the terms, or raised the limit: alerts are raised once for each.
    #[serde(default)]
    pub terms_version: u64,
    /// The version of the stream.
    #[serde(default)]
    version: u64,
}

impl Budget {
    /// The terms of a budget that is not closed.
    fn open_terms(&self) -> Result<&BudgetTerms, BudgetError> {
        let terms = self.terms.as_ref().ok_or(BudgetError::NotDefined)?;
        if self.closed { Err(BudgetError::Closed) } else { Ok(terms) }
    }

    /// The terms of a budget that is decided on before calls are made.
    pub(crate) fn controlled(&self) -> Result<&BudgetTerms, BudgetError> {
        let terms = self.open_terms()?;
        if terms.control.is_some() { Ok(terms) } else { Err(BudgetError::NotControlled) }
    }

    fn revise(
        &self,
        terms: BudgetTerms,
        reason: Option<Body>,
        at: DateTime<Utc>,
    ) -> Result<Vec<BudgetEvent>, BudgetError> {
        let known = self.open_terms()?;
        terms.check()?;
        if known.scope != terms.scope {
            return Err(BudgetError::ScopeImmutable);
        }
        let measure = |terms: &BudgetTerms| terms.control.as_ref().map(|control| control.measure);
        if measure(known) != measure(&terms) {
            return Err(BudgetError::ControlImmutable);
        }
        if known.parts() != terms.parts() {
            return Err(BudgetError::PartsImmutable);
        }
        if *known == terms {
            return Ok(Vec::new());
        }
        Ok(vec![BudgetEvent::Revised(BudgetDefined { terms, reason, at })])
    }

    fn raise(
        &self,
        amount: Amount,
        until: DateTime<Utc>,
        reason: Body,
        at: DateTime<Utc>,
    ) -> Result<Vec<BudgetEvent>, BudgetError> {
        self.controlled()?;
        if amount <= Amount::ZERO || until <= at {
            return Err(BudgetError::InvalidRaise);
        }
        let others = self.raises.iter().filter(|(_, other)| *other > at && *other != until);
        if others.count() >= MAX_RAISES {
            return Err(BudgetError::TooManyRaises);
        }
        Ok(vec![BudgetEvent::Raised(BudgetRaised { amount, until, reason, at })])
    }
}

impl Aggregate for Budget {
    const CATEGORY: &'static str = "budget";
    type Command = BudgetCommand;
    type Event = BudgetEvent;
    type Error = BudgetError;

    fn decide(&self, command: BudgetCommand) -> Result<Vec<BudgetEvent>, BudgetError> {
        match command {
            BudgetCommand::Define { terms, at } => match &self.terms {
                None => {
                    terms.check()?;
                    Ok(vec![BudgetEvent::Defined(BudgetDefined { terms, reason: None, at })])
                }
                // Not idempotent: success would suggest that the closed budget counts spending.
                Some(_) if self.closed => Err(BudgetError::Closed),
                Some(known) if *known == terms => Ok(Vec::new()),
                Some(_) => Err(BudgetError::AlreadyDefined),
            },
            BudgetCommand::Revise { terms, reason, at } => self.revise(terms, reason, at),
            BudgetCommand::Close { .. } if self.terms.is_none() => Err(BudgetError::NotDefined),
            BudgetCommand::Close { .. } if self.closed => Ok(Vec::new()),
            BudgetCommand::Close { at } => Ok(vec![BudgetEvent::Closed(BudgetClosed { at })]),
            BudgetCommand::Suspend { reason, at } => {
                self.controlled()?;
                let event = BudgetEvent::Suspended(BudgetSuspended { reason, at });
                Ok((!self.suspended).then_some(event).into_iter().collect())
            }
            BudgetCommand::Resume { reason, at } => {
                self.controlled()?;
                let event = BudgetEvent::Resumed(BudgetResumed { reason, at });
                Ok(self.suspended.then_some(event).into_iter().collect())
            }
            BudgetCommand::Raise { amount, until, reason, at } => self.raise(amount, until, reason, at),
        }
    }

    fn evolve(mut self, event: &BudgetEvent) -> Self {
        self.version += 1;
        if matches!(event, BudgetEvent::Defined(_) | BudgetEvent::Revised(_) | BudgetEvent::Raised(_)) {
            self.terms_version = self.version;
        }
        match event {
            BudgetEvent::Defined(defined) | BudgetEvent::Revised(defined) => self.terms = Some(defined.terms.clone()),
            BudgetEvent::Delegated(BudgetDelegated { delegation, from, .. }) => {
                self.delegations.retain(|known| known.is_running(*from));
                self.delegations.push(*delegation);
            }
            BudgetEvent::DelegationEnded(ended) => {
                self.delegations.retain(|known| known.delegation_id != ended.delegation_id);
            }
            BudgetEvent::Closed(_) => self.closed = true,
            BudgetEvent::Suspended(_) => self.suspended = true,
            BudgetEvent::Resumed(_) => self.suspended = false,
            BudgetEvent::Raised(raised) => {
                self.raises.retain(|(_, until)| *until > raised.at);
                match self.raises.iter_mut().find(|(_, until)| *until == raised.until) {
                    Some((amount, _)) => *amount = *amount + raised.amount,
                    None => self.raises.push((raised.amount, raised.until)),
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
