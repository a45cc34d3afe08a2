//! The history of a budget: its terms, and what was decided by them.

use super::control::{BudgetEnforcement, amount};
use crate::graphql::ids::Kind;
use crate::graphql::reservation::ReservationRefusal;
use crate::graphql::scalars::{Decimal, Position, Timestamp, Uid};
use crate::graphql::services::{authorise, services};
use crate::graphql::{connection, errors};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use domain::BudgetId;
use domain::budget::BudgetTerms;
use domain::permissions::ReadSpending;
use projections::budgets::{self, HistoryChange, HistoryEntry, HistorySelection, MAX_HISTORY_EVENTS};

/// The complexity of reading the events of a page, in the unit of [`crate::config::Limits::max_complexity`].
const HISTORY_COST: usize = 20 * connection::STATEMENT_COST;
const _: () = assert!(MAX_HISTORY_EVENTS <= 20_000, "HISTORY_COST is that of as many");

/// Part of the history of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BudgetHistoryPart {
    /// That the budget was defined, revised, suspended, resumed, raised or closed.
    Terms,
    /// Reservations that were granted or extended.
    Grants,
    /// Reservations that the budget refused.
    Refusals,
}

/// What happened to a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BudgetHistoryKind {
    /// It was defined.
    Defined,
    /// Its terms were changed.
    Revised,
    /// Its enforcement was suspended.
    Suspended,
    /// It is enforced again.
    Resumed,
    /// Its limit was raised for a time.
    Raised,
    /// A part of the limit of a period was delegated.
    Delegated,
    /// A delegation ended.
    DelegationEnded,
    /// It was closed.
    Closed,
    /// A reservation was granted.
    Granted,
    /// A reservation was extended, or its call was sent.
    Extended,
    /// A reservation was refused.
    Refused,
}

/// Entry of the history of a budget. Amounts are in the unit of the budget's measure.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetHistoryEntry {
    /// Position of the event.
    position: Position,
    /// Time at which it was recorded.
    recorded_at: Timestamp,
    /// Who gave the command. Null if the metadata of the event do not say.
    actor: Option<String>,
    /// Reason that was given. Null if none was; `refusal` has why a reservation was refused.
    reason: Option<String>,
    /// What happened.
    kind: BudgetHistoryKind,
    /// Limit for each period. Null unless `kind` is `DEFINED` or `REVISED`.
    limit: Option<Decimal>,
    /// How strictly the budget is enforced. Null unless `kind` is `DEFINED` or `REVISED`, and of a budget without `enforcement`.
    enforcement: Option<BudgetEnforcement>,
    /// What is added to the limit, delegated of it, or reserved in the budget. Null unless `kind` is `RAISED`, `DELEGATED`, `GRANTED` or
    /// `EXTENDED`.
    amount: Option<Decimal>,
    /// When the raise or the delegation ends. Null unless `kind` is `RAISED` or `DELEGATED`.
    until: Option<Timestamp>,
    /// UUID of the delegation. Null unless `kind` is `DELEGATED` or `DELEGATION_ENDED`.
    delegation: Option<Uid>,
    /// UUID of the reservation. Null unless `kind` is `GRANTED`, `EXTENDED` or `REFUSED`.
    reservation: Option<Uid>,
    /// Global id of the agent of the call. Null unless `kind` is `GRANTED` or `REFUSED`, and if it was not stated.
    agent_id: Option<ID>,
    /// Why the reservation was refused. Null unless `kind` is `REFUSED`.
    refusal: Option<ReservationRefusal>,
}

/// Page of the history of a budget, the last entry first.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetHistory {
    /// Entries. There are fewer than asked for, and perhaps none, if as many events of other budgets were read as a page reads.
    entries: Vec<BudgetHistoryEntry>,
    /// Position for the `before` of the next page. Null if there is none.
    next: Option<Position>,
}

impl BudgetHistoryEntry {
    fn bare(entry: &HistoryEntry, kind: BudgetHistoryKind) -> Self {
        Self {
            position: entry.position.into(),
            recorded_at: entry.recorded_at.into(),
            actor: entry.actor.clone(),
            reason: entry.reason.clone(),
            kind,
            limit: None,
            enforcement: None,
            amount: None,
            until: None,
            delegation: None,
            reservation: None,
            agent_id: None,
            refusal: None,
        }
    }

    fn with_terms(self, terms: &BudgetTerms) -> Self {
        let enforcement = terms.control.as_ref().map(|control| control.enforcement.into());
        Self { limit: Some(terms.limit.into()), enforcement, ..self }
    }
}

impl From<HistoryEntry> for BudgetHistoryEntry {
    fn from(entry: HistoryEntry) -> Self {
        let bare = |kind| Self::bare(&entry, kind);
        let agent_id = |agent: &Option<String>| agent.as_ref().map(|agent| Kind::Agent.id(agent));
        match &entry.change {
            HistoryChange::Defined(terms) => bare(BudgetHistoryKind::Defined).with_terms(terms),
            HistoryChange::Revised(terms) => bare(BudgetHistoryKind::Revised).with_terms(terms),
            HistoryChange::Suspended => bare(BudgetHistoryKind::Suspended),
            HistoryChange::Resumed => bare(BudgetHistoryKind::Resumed),
            HistoryChange::Closed => bare(BudgetHistoryKind::Closed),
            HistoryChange::Raised { amount: raise, until } => {
                Self { amount: Some(amount(*raise)), until: Some((*until).into()), ..bare(BudgetHistoryKind::Raised) }
            }
            HistoryChange::Delegated(delegation) => Self {
                amount: Some(amount(delegation.amount)),
                until: Some(delegation.until.into()),
                delegation: Some(Uid(delegation.delegation_id.0)),
                ..bare(BudgetHistoryKind::Delegated)
            },
            HistoryChange::DelegationEnded(ended) => {
                Self { delegation: Some(Uid(ended.0)), ..bare(BudgetHistoryKind::DelegationEnded) }
            }
            HistoryChange::Granted { reservation_id, amount: reserved, agent } => Self {
                amount: Some(amount(*reserved)),
                reservation: Some(Uid(*reservation_id)),
                agent_id: agent_id(agent),
                ..bare(BudgetHistoryKind::Granted)
            },
            HistoryChange::Extended { reservation_id, amount: reserved } => Self {
                amount: Some(amount(*reserved)),
                reservation: Some(Uid(*reservation_id)),
                ..bare(BudgetHistoryKind::Extended)
            },
            HistoryChange::Refused { reservation_id, refusal, agent } => Self {
                reservation: Some(Uid(*reservation_id)),
                agent_id: agent_id(agent),
                refusal: Some(refusal.into()),
                ..bare(BudgetHistoryKind::Refused)
            },
        }
    }
}

/// The query for the history of a budget.
#[derive(Default)]
pub(crate) struct HistoryQuery;

#[Object]
impl HistoryQuery {
    /// Lists what happened to a budget and what was decided by it, with who did it, when and why, the last entry first, from the log
    /// itself. A page reads at most 20,000 events.
    #[graphql(complexity = "HISTORY_COST + connection::cost(first, child_complexity)")]
    async fn budget_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the budget.")] id: ID,
        #[graphql(desc = "Only these parts. Default: all.")] parts: Option<Vec<BudgetHistoryPart>>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of entries to return at most, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the entries before this position. Default: the last ones.")] before: Option<Position>,
    ) -> Result<BudgetHistory> {
        let access = authorise::<ReadSpending>(ctx)?;
        let size = connection::size(ctx, first)?;
        let budget_id = BudgetId(Kind::Budget.parse(&id)?);
        let has = |part| parts.as_ref().is_none_or(|parts| parts.contains(&part));
        let selection = HistorySelection {
            terms: has(BudgetHistoryPart::Terms),
            grants: has(BudgetHistoryPart::Grants),
            refusals: has(BudgetHistoryPart::Refusals),
        };
        let (log, before) = (&services(ctx)?.events, before.map(|before| before.0));
        let page = budgets::history(log, &access, budget_id, selection, before, size).await;
        let page = page.map_err(|error| errors::history(&error))?;
        let entries = page.entries.into_iter().map(Into::into).collect();
        Ok(BudgetHistory { entries, next: page.before.map(Into::into) })
    }
}
