//! Why a command to the watches of budgets is rejected.

use super::kind::WatchKind;
use super::limits::{MAX_WATCHES, NO_DATA_MINUTES, RENOTIFY_HOURS};
use crate::ids::BudgetId;
use thiserror::Error;

/// Why a command to the watches of budgets is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlertWatchesError {
    /// The budget is not decided on before calls are made.
    #[error("there is no budget {0} with an enforcement, or it is closed: only those are watched")]
    NotControlled(BudgetId),
    /// The tenant watches as many budgets as it may.
    #[error("the tenant watches {MAX_WATCHES} budgets, and no more may be: set one to no kinds first")]
    TooMany,
    /// The time after which an alert is sent again is not one that is allowed.
    #[error(
        "an alert is sent again after {least} to {most} hours, not {0}",
        least = RENOTIFY_HOURS.start(),
        most = RENOTIFY_HOURS.end()
    )]
    RenotifyHours(u16),
    /// The time without a charge is not one that is allowed.
    #[error(
        "a time without a charge has {least} to {most} minutes, not {0}",
        least = NO_DATA_MINUTES.start(),
        most = NO_DATA_MINUTES.end()
    )]
    NoDataMinutes(u32),
    /// Either the kind or the time is missing.
    #[error("the kind no_data and the minutes without a charge belong together: state both, or none")]
    NoDataIncomplete,
    /// A period of the budget ends before so much time without a charge can be over.
    #[error(
        "every period of the budget can end before {minutes} minutes without a charge are over: at most {most} are allowed"
    )]
    NoDataBeyondPeriod {
        /// The minutes that were given.
        minutes: u32,
        /// The most minutes that are over within every period.
        most: u32,
    },
    /// The periods of the budget have no end to which a pace refers.
    #[error("the period of the budget has no end that {kind} can refer to: leave it out, or use a shorter period", kind = .0.as_str())]
    NeedsEnd(WatchKind),
    /// There is no such alert in a period that runs, or it is resolved.
    #[error("there is no such alert that is firing: its condition does not hold any more, or its period is over")]
    NotFiring,
}
