//! Why a command to a budget is rejected.

use super::dimension::BudgetDimension;
use crate::money::Money;
use crate::text::Name;
use chrono::NaiveDate;
use thiserror::Error;

/// The maximum number of thresholds of a budget.
pub(super) const MAX_THRESHOLDS: usize = 16;

/// The maximum number of values by which a budget selects calls.
pub(super) const MAX_CONDITIONS: usize = 8;

/// Why a command to a budget is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetError {
    /// No budget has this id.
    #[error("the budget is not defined")]
    NotDefined,
    /// A budget with different terms has this id.
    #[error("a budget with different terms is defined under this id")]
    AlreadyDefined,
    /// The budget is closed.
    #[error("the budget is closed")]
    Closed,
    /// The new terms have a different scope. The scope of a budget cannot change.
    #[error("the scope of a budget cannot change; define another budget")]
    ScopeImmutable,
    /// The limit is zero or below.
    #[error("a limit is above 0, not {0}")]
    LimitNotPositive(Money),
    /// The threshold is outside 1 to 1000 percent.
    #[error("a threshold is 1 to 1000 percent, not {0}")]
    InvalidThreshold(u16),
    /// The terms have more than 16 thresholds.
    #[error("the budget has {0} thresholds; the limit is {limit}", limit = MAX_THRESHOLDS)]
    TooManyThresholds(usize),
    /// The text is not a month.
    #[error("{0:?} is not a month; write it like 2023-09")]
    InvalidMonth(String),
    /// The scope has no values by which calls are selected, or more than 8.
    #[error("the scope has {found} conditions; it has 1 to {limit}", limit = MAX_CONDITIONS)]
    NumberOfConditions {
        /// The number of conditions.
        found: usize,
    },
    /// A value of the scope is not an id in the form that calls have.
    #[error("the value {value} of {dimension} is not an id: write a UUID in lower case with hyphens")]
    NotAnId {
        /// The dimension.
        dimension: BudgetDimension,
        /// The value.
        value: Name,
    },
    /// The terms select calls by several values, and do not say how the budget is enforced.
    #[error("a budget that selects calls by conditions needs `enforcement`: hard, soft or shadow")]
    ConditionsWithoutControl,
    /// The anchor is on a day that not every month has.
    #[error("periods begin on a day that every month has, from 1 to 28, not on {0}")]
    AnchorDay(NaiveDate),
    /// The new terms say whether the budget is decided on before calls are made, and the current ones do not, or the reverse.
    #[error("whether and what a budget counts before calls are made cannot change; define another budget")]
    ControlImmutable,
    /// The budget is not decided on before calls are made.
    #[error("the budget has no enforcement: it cannot be suspended, resumed, raised or previewed")]
    NotControlled,
    /// A temporary raise is not above zero.
    #[error("a raise is above 0 and ends after it begins")]
    InvalidRaise,
    /// As many raises are in force as may be.
    #[error("{limit} raises are in force; wait until one of them ends", limit = super::limits::MAX_RAISES)]
    TooManyRaises,
    /// The terms of the period were changed as often as may be.
    #[error("the period of the budget was changed {limit} times; define another budget", limit = super::limits::MAX_SEGMENTS)]
    TooManyPeriodChanges,
    /// As many budgets are decided on before calls are made as may be.
    #[error("the tenant has {limit} budgets with enforcement, and no more may be: close one first", limit = super::limits::MAX_CONTROLLED)]
    TooManyBudgets,
    /// With this budget, a call could exist to which more budgets apply than a decision takes.
    #[error(
        "with this budget, more than {limit} could apply to one call: close one of them, or give this one a condition that they \
         exclude, such as another value of one of their dimensions",
        limit = super::limits::MAX_APPLYING_BUDGETS
    )]
    TooManyApplying,
    /// Only a budget that refuses has something to delegate.
    #[error("only a hard budget that is not suspended delegates: what others refuse nothing of cannot be kept for one")]
    DelegatesNothing,
    /// A delegation is not above zero, or does not end after it begins.
    #[error("a delegation is above 0, and ends after it begins")]
    InvalidDelegation,
    /// Another delegation, of this budget or another one, has the id, or had it.
    #[error("another delegation has this id, or had it: delegate under another id")]
    DelegationExists,
    /// No delegation with the id runs.
    #[error("the budget has no delegation with this id that runs")]
    UnknownDelegation,
    /// As many delegations run as may.
    #[error("{limit} delegations of the budget run; end one of them", limit = super::limits::MAX_DELEGATIONS)]
    TooManyDelegations,
    /// The limit does not hold what is to be delegated.
    #[error("{amount} are to be delegated, and {left} are left of the period")]
    DelegationExceeds {
        /// What is to be delegated.
        amount: super::amount::Amount,
        /// What is left.
        left: super::amount::Amount,
    },
    /// The number of parts is not one that a budget may have.
    #[error("a period has 1 to {limit} parts, not {0}", limit = super::limits::MAX_PARTS)]
    NumberOfParts(i64),
    /// The number of parts is another one.
    #[error("the number of parts of a budget cannot be changed: close it and define another budget")]
    PartsImmutable,
    /// A budget of several parts has thresholds that are decided with what is charged.
    #[error(
        "no one part knows what all of them are charged: leave the thresholds out, and watch the budget, or give it one part"
    )]
    PartsWithThresholds,
    /// What follows a refusal is stated, and the budget refuses nothing.
    #[error("only a hard budget refuses: leave out what follows a refusal, or make the enforcement hard")]
    RefusesNothing,
    /// The budget is hard, and open while Apex cannot be reached.
    #[error("a hard budget is closed while Apex cannot be reached: make the enforcement soft, or leave it closed")]
    HardAndOpen,
    /// More models are named as cheaper ones than a budget may have.
    #[error("{0} cheaper models are named; the limit is {limit}", limit = super::limits::MAX_DEGRADED_MODELS)]
    TooManyModels(usize),
    /// The deadline of approvals is too near or too far.
    #[error("an approval waits for 1 to {limit} minutes, not {0}", limit = super::limits::MAX_APPROVAL_MINUTES)]
    ApprovalMinutes(u32),
}
