//! Why a command to a budget is rejected.

use crate::money::Money;
use thiserror::Error;

/// The maximum number of thresholds of a budget.
pub(super) const MAX_THRESHOLDS: usize = 16;

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
}
