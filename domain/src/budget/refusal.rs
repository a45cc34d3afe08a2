//! What follows when a budget refuses a call, and when Apex cannot be reached.

use super::error::BudgetError;
use super::limits::{MAX_APPROVAL_MINUTES, MAX_DEGRADED_MODELS};
use crate::text::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What follows when a call does not fit into what is left of a hard budget.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnRefusal {
    /// Nothing: the call is refused.
    #[default]
    Refuse,
    /// The refusal names a cheaper model, a call of which would fit.
    Degrade {
        /// The models by preference, at most 8. If there are none, those of the same provider that have a price, the cheapest first.
        #[schemars(extend("maxItems" = 8))]
        models: Vec<Name>,
    },
    /// An approval is requested, which raises the limit by what the call may use.
    AskForApproval {
        /// The minutes after which a request that was not answered is denied: 1 to 10,080, and at most to the end of the period.
        minutes: u32,
    },
    /// The agent of the call is paused.
    PauseAgent,
}

impl OnRefusal {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::Refuse
    }

    pub(super) fn check(&self) -> Result<(), BudgetError> {
        match self {
            Self::Degrade { models } if models.len() > MAX_DEGRADED_MODELS => {
                Err(BudgetError::TooManyModels(models.len()))
            }
            Self::AskForApproval { minutes } if !(1..=MAX_APPROVAL_MINUTES).contains(minutes) => {
                Err(BudgetError::ApprovalMinutes(*minutes))
            }
            Self::Refuse | Self::Degrade { .. } | Self::AskForApproval { .. } | Self::PauseAgent => Ok(()),
        }
    }
}

/// What clients do with a call that a budget counts while Apex cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnreachable {
    /// They may make it, if their own settings allow that.
    Open,
    /// They do not make it.
    Closed,
}
