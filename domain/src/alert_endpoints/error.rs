//! Why a command to the endpoints for alerts is rejected.

use super::limits::{MAX_ENDPOINT_BUDGETS, MAX_ENDPOINTS, MAX_OVERLAP_SECONDS, MAX_QUIET_MINUTES, MAX_SILENCE_DAYS};
use crate::ids::AlertEndpointId;
use thiserror::Error;

/// Why a command to the endpoints for alerts is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlertEndpointsError {
    /// There is no endpoint with the id, or it was removed.
    #[error("there is no endpoint {0}, or it was removed")]
    NotDefined(AlertEndpointId),
    /// Another endpoint has the id.
    #[error("another endpoint has the id {0}: revise it, or use a new id")]
    AlreadyDefined(AlertEndpointId),
    /// The tenant has as many endpoints as it may have.
    #[error("the tenant has {MAX_ENDPOINTS} endpoints, and no more may be defined: remove one first")]
    TooMany,
    /// The endpoint would be limited to too many budgets.
    #[error("an endpoint is limited to at most {MAX_ENDPOINT_BUDGETS} budgets, not {0}: give none to be told of all")]
    TooManyBudgets(usize),
    /// An endpoint keeps its kind.
    #[error("an endpoint keeps its kind: define another one")]
    KindImmutable,
    /// The endpoint has no secret.
    #[error("only endpoints of the kind webhook are signed, and have a secret")]
    NotSigned,
    /// The secret before the last one would be used for too long.
    #[error("both secrets would be used for {0} seconds, at most {MAX_OVERLAP_SECONDS} are allowed")]
    OverlapTooLong(u32),
    /// A silence is over when it begins, or too long.
    #[error("a silence ends after it begins, and at most {MAX_SILENCE_DAYS} days later")]
    SilenceLength,
    /// Quiet hours have no day, a wrong one, or no end.
    #[error(
        "quiet hours begin on 1 to 7 days of the week (1 is Monday), in a minute of the day from 0 to 1439, last 1 to \
         {MAX_QUIET_MINUTES} minutes, and leave a part of the week"
    )]
    QuietHours,
    /// The endpoint is disabled.
    #[error("the endpoint {0} is disabled, and nothing is sent to it: enable it first")]
    Disabled(AlertEndpointId),
}
