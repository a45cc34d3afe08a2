//! What follows when a budget refuses, and when Apex cannot be reached.

use crate::graphql::input::{self, Invalid};
use async_graphql::{Enum, OneofObject, SimpleObject};
use domain::budget as model;

/// What follows when a call does not fit into what is left of a hard budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BudgetRefusalPolicy {
    /// Nothing: the call is refused.
    Refuse,
    /// The refusal names a cheaper model, a call of which would fit.
    Degrade,
    /// An operator is asked to raise the limit by what the call may use: `approvals`.
    AskForApproval,
    /// The agent of the call is paused.
    PauseAgent,
}

/// What happens to calls that a budget counts while Apex cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "model::OnUnreachable")]
pub(crate) enum BudgetUnreachablePolicy {
    /// Clients and gateways may make them, if their own settings allow that.
    Open,
    /// They are not made.
    Closed,
}

/// What follows when a call does not fit into what is left of a hard budget. Give exactly one.
#[derive(Debug, OneofObject)]
pub(crate) enum BudgetOnRefusalInput {
    /// Nothing: the call is refused. The value is always `true`.
    Refuse(bool),
    /// The refusal names the first of these models, at most 8, a call of which would fit. Of an empty list, the cheapest models of the
    /// same provider that have a price, and cost less.
    Degrade(Vec<String>),
    /// An operator is asked to raise the limit by what the call may use. The value is the number of minutes, 1 to 10,080, after which
    /// the request is denied if it was not answered; at the end of the period it is in any case.
    AskForApproval(i32),
    /// The agent of the call is paused. The value is always `true`.
    PauseAgent(bool),
}

impl BudgetOnRefusalInput {
    pub(super) fn parse(self) -> Result<model::OnRefusal, Invalid> {
        const FIELD: &str = "onRefusal";
        Ok(match self {
            Self::Refuse(true) => model::OnRefusal::Refuse,
            Self::PauseAgent(true) => model::OnRefusal::PauseAgent,
            Self::Refuse(false) | Self::PauseAgent(false) => {
                return Err(Invalid::new(FIELD, "the value must be true"));
            }
            Self::Degrade(models) => model::OnRefusal::Degrade { models: input::names(FIELD, Some(models))? },
            Self::AskForApproval(minutes) => {
                let minutes = u32::try_from(minutes);
                let minutes = minutes.map_err(|_| Invalid::new(FIELD, "the number of minutes is above 0"))?;
                model::OnRefusal::AskForApproval { minutes }
            }
        })
    }
}

/// What follows when a call does not fit into what is left of a budget.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetOnRefusal {
    /// What follows.
    policy: BudgetRefusalPolicy,
    /// Models by preference. Empty unless `policy` is `DEGRADE`, and if the cheapest ones of the provider are named.
    models: Vec<String>,
    /// Minutes after which a request is denied if it was not answered. Null unless `policy` is `ASK_FOR_APPROVAL`.
    minutes: Option<i32>,
}

impl From<&model::OnRefusal> for BudgetOnRefusal {
    fn from(of: &model::OnRefusal) -> Self {
        let bare = |policy| Self { policy, models: Vec::new(), minutes: None };
        match of {
            model::OnRefusal::Refuse => bare(BudgetRefusalPolicy::Refuse),
            model::OnRefusal::Degrade { models } => {
                Self { models: models.iter().map(ToString::to_string).collect(), ..bare(BudgetRefusalPolicy::Degrade) }
            }
            model::OnRefusal::AskForApproval { minutes } => {
                Self { minutes: i32::try_from(*minutes).ok(), ..bare(BudgetRefusalPolicy::AskForApproval) }
            }
            model::OnRefusal::PauseAgent => bare(BudgetRefusalPolicy::PauseAgent),
        }
    }
}
