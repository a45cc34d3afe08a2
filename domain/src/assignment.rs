//! Decisions over an agent and what belongs to it: its tasks and its budgets.

use crate::agent::{Agent, AgentStatus};
use crate::aggregate::Aggregate;
use crate::budget::{
    Amount, Budget, BudgetCommand, BudgetDimension, BudgetError, BudgetEvent, DelegatedTo, Delegation,
    DelegationCommand, MAX_CONTROLLED,
};
use crate::budget_balance::{BalanceEvents, BudgetBalance, Ledger, PeriodRef, Wanted};
use crate::budget_catalogue::{
    BudgetCatalogue, BudgetCatalogueEvent, CatalogueBudgetRemoved, CatalogueBudgetSet, CatalogueEntry,
};
use crate::delegating;
use crate::ids::{AgentId, BudgetId};
use crate::task::{Task, TaskCommand, TaskError, TaskEvent};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// Why a command to a task or budget of an agent is rejected because of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AgentRejection {
    /// No agent has this id.
    #[error("the agent {0} is not registered")]
    NotRegistered(AgentId),
    /// The agent's status does not allow the command.
    #[error("the agent is {0} and takes no work")]
    NotAvailable(AgentStatus),
}

/// Why a command to a task is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskRejection {
    /// The task rejects it.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The task's agent is not registered or not available.
    #[error(transparent)]
    Agent(#[from] AgentRejection),
}

/// Why a command to a budget is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetRejection {
    /// The budget rejects it.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The agent whose spending the budget counts is not registered.
    #[error(transparent)]
    Agent(#[from] AgentRejection),
    /// The user, the team or the API key whose spending the budget counts does not exist.
    #[error("there is no {dimension} {id}")]
    UnknownSubject {
        /// What it is.
        dimension: BudgetDimension,
        /// Its id.
        id: Uuid,
    },
}

/// The agent whose state a command to a task depends on, if any.
#[must_use]
pub fn agent_of_task(task: &Task, command: &TaskCommand) -> Option<AgentId> {
    match command {
        TaskCommand::Submit { spec, .. } => Some(spec.agent_id),
        TaskCommand::Start { .. } => task.spec.as_ref().map(|spec| spec.agent_id),
        TaskCommand::Progress { .. }
        | TaskCommand::Complete { .. }
        | TaskCommand::Fail { .. }
        | TaskCommand::Cancel { .. } => None,
    }
}

/// Decides a command to a task, with the agent that [`agent_of_task`] names. Submitting a task requires an agent that is not
/// retired, starting it requires an active agent.
///
/// # Errors
/// [`TaskRejection`] if the task or its agent rejects the command.
pub fn decide_task(
    task: &Task,
    agent: Option<(AgentId, &Agent)>,
    command: TaskCommand,
) -> Result<Vec<TaskEvent>, TaskRejection> {
    let starts = matches!(command, TaskCommand::Start { .. });
    if let Some((id, agent)) = agent {
        let status = agent.status.ok_or(AgentRejection::NotRegistered(id))?;
        let is_accepted = match status {
            AgentStatus::Active => true,
            AgentStatus::Registered | AgentStatus::Paused => !starts,
            AgentStatus::Retired => false,
        };
        if !is_accepted {
            return Err(AgentRejection::NotAvailable(status).into());
        }
    }
    Ok(task.decide(command)?)
}

/// What a command to a budget depends on beside the budget.
pub trait BudgetSubjects {
    /// Why the state of an aggregate cannot be told yet.
    type Error;

    /// Whether an agent is registered, a user or a team exists, or an API key was created.
    ///
    /// # Errors
    /// If the aggregate is not loaded yet.
    fn exists(&mut self, dimension: &BudgetDimension, id: Uuid) -> Result<bool, Self::Error>;

    /// The state of a period by its id.
    ///
    /// # Errors
    /// If the aggregate is not loaded yet.
    fn balance(&mut self, id: Uuid) -> Result<Arc<BudgetBalance>, Self::Error>;
}

/// The events of a decision about a budget.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BudgetEvents {
    /// Those of the budget.
    pub budget: Vec<BudgetEvent>,
    /// Those of the catalogue of the budgets that are decided on before calls are made.
    pub catalogue: Vec<BudgetCatalogueEvent>,
    /// Those of the running period.
    pub balances: BalanceEvents,
}

/// Decides a command to a budget. The agents, users, teams and API keys by which a new budget selects calls must exist. Their
/// status does not matter: costs of a retired agent may still be reported. A budget that is decided on before calls are made is in
/// the catalogue from then on, and what its new terms leave beyond the limit is recorded in the running period.
///
/// `now` is the time of the server. It decides which period runs, from when on the catalogue has the budget, and which raises are in
/// force. The time of the command, which clients state, decides nothing: it is only recorded.
///
/// # Errors
/// The first error of `subjects`; within the result, [`BudgetRejection`] if the budget, or what it counts, rejects the command.
pub fn decide_budget<S: BudgetSubjects>(
    budget_id: BudgetId,
    budget: &Budget,
    catalogue: &BudgetCatalogue,
    command: BudgetCommand,
    now: DateTime<Utc>,
    subjects: &mut S,
) -> Result<Result<BudgetEvents, BudgetRejection>, S::Error> {
    if let BudgetCommand::Define { terms, .. } = &command {
        let conditions = terms.scope.conditions();
        let known: Vec<_> = conditions
            .iter()
            .filter(|(dimension, _)| dimension.is_of_subject())
            .filter_map(|(dimension, value)| {
                let id = Uuid::try_parse(value.as_str()).ok()?;
                Some((dimension, id, subjects.exists(dimension, id)))
            })
            .collect();
        for (dimension, id, exists) in known {
            if !exists? {
                return Ok(Err(match dimension {
                    BudgetDimension::Agent => AgentRejection::NotRegistered(id.into()).into(),
                    other => BudgetRejection::UnknownSubject { dimension: other.clone(), id },
                }));
            }
        }
    }
    let events = match budget.decide(command) {
        Ok(events) => events,
        Err(error) => return Ok(Err(error.into())),
    };
    let followed = followed((budget_id, budget), events, catalogue, now, |id| subjects.balance(id))?;
    Ok(followed.map_err(Into::into))
}

/// Decides a command about what a budget delegates. `now` is the time of the server, as for [`decide_budget`].
///
/// # Errors
/// The first error of `subjects`; within the result, [`BudgetRejection`] if the budget rejects the command, its limit does not hold what is
/// to be delegated, or the agent is not registered.
pub fn decide_delegation<S: BudgetSubjects>(
    budget_id: BudgetId,
    budget: &Budget,
    catalogue: &BudgetCatalogue,
    command: DelegationCommand,
    now: DateTime<Utc>,
    subjects: &mut S,
) -> Result<Result<BudgetEvents, BudgetRejection>, S::Error> {
    if let DelegationCommand::Delegate { to: DelegatedTo::Agent { agent_id }, .. } = command
        && !subjects.exists(&BudgetDimension::Agent, agent_id.0)?
    {
        return Ok(Err(AgentRejection::NotRegistered(agent_id).into()));
    }
    let entry = catalogue.entry(budget_id);
    let running = entry.and_then(|entry| Some((entry, entry.period_at(budget_id, now)?)));
    let events = match delegating::decide(budget, command, running, now) {
        Ok(events) => events,
        Err(error) => return Ok(Err(error.into())),
    };
    let followed = followed((budget_id, budget), events, catalogue, now, |id| subjects.balance(id))?;
    Ok(followed.map_err(Into::into))
}

/// Some events of a budget, with what follows from them: the catalogue has the budget as it is, and all parts of its running period are
/// what the new terms leave of them.
fn followed<E>(
    (budget_id, budget): (BudgetId, &Budget),
    events: Vec<BudgetEvent>,
    catalogue: &BudgetCatalogue,
    now: DateTime<Utc>,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<Result<BudgetEvents, BudgetError>, E> {
    let after = events.iter().fold(budget.clone(), |budget, event| budget.evolve(event));
    let event = match catalogue_event(budget_id, &after, catalogue, now) {
        Ok(event) => event,
        Err(error) => return Ok(Err(error)),
    };
    let mut decided = BudgetEvents { budget: events, ..BudgetEvents::default() };
    let Some(event) = event else { return Ok(Ok(decided)) };
    let changed = catalogue.clone().evolve(&event);
    if let (Some(known), Some(entry)) = (catalogue.entry(budget_id), changed.entry(budget_id))
        && let Some(period) = entry.period_at(budget_id, now)
    {
        let of_period = |of: &'_ CatalogueEntry| -> Vec<_> { of.delegations_of(period.balance_id).copied().collect() };
        let (before, after) = (of_period(known), of_period(entry));
        // Not every one that the catalogue did not have is new: a server whose clock is ahead took one for over that runs by this clock.
        let new = decided.budget.iter().find_map(|event| match event {
            BudgetEvent::Delegated(delegated) => Some(&delegated.delegation),
            BudgetEvent::Defined(_)
            | BudgetEvent::Revised(_)
            | BudgetEvent::Closed(_)
            | BudgetEvent::Suspended(_)
            | BudgetEvent::Resumed(_)
            | BudgetEvent::Raised(_)
            | BudgetEvent::DelegationEnded(_) => None,
        });
        // What is over is taken back.
        let over = before.iter().filter(|delegation| !after.contains(delegation)).chain(new);
        let over = over.map(|delegation| PeriodRef::At(period.in_delegation(delegation.delegation_id)));
        let over = over.map(|period| Wanted { period, more: Amount::ZERO, asks: true });
        let wanted = over.chain([Wanted::whole(PeriodRef::At(period))]);
        let mut ledger = Ledger::open(catalogue, wanted, now, get)?;
        ledger.revise(period.balance_id, entry);
        if let Some(Delegation { delegation_id, amount, .. }) = new {
            let left = ledger.left(period.balance_id).unwrap_or_default();
            if !ledger.delegate(Delegation::stream(*delegation_id), *amount) {
                return Ok(Err(BudgetError::DelegationExists));
            }
            if *amount > left {
                return Ok(Err(BudgetError::DelegationExceeds { amount: *amount, left }));
            }
        }
        decided.balances = ledger.into_events();
    }
    decided.catalogue.push(event);
    Ok(Ok(decided))
}

/// The event by which the catalogue has a budget as it is; none if it has it so.
fn catalogue_event(
    budget_id: BudgetId,
    budget: &Budget,
    catalogue: &BudgetCatalogue,
    now: DateTime<Utc>,
) -> Result<Option<BudgetCatalogueEvent>, BudgetError> {
    let known = catalogue.entry(budget_id);
    if budget.closed {
        let removed = BudgetCatalogueEvent::Removed(CatalogueBudgetRemoved { budget_id });
        return Ok(known.map(|_| removed));
    }
    let Some(entry) = CatalogueEntry::of(budget, known, now)? else { return Ok(None) };
    if known.is_none() && catalogue.len() >= MAX_CONTROLLED {
        return Err(BudgetError::TooManyBudgets);
    }
    // Which calls a budget selects never changes, so that this is decided when it is defined, and when it begins to delegate.
    let has_more = known.is_none_or(|known| known.further_streams() < entry.further_streams());
    if has_more && catalogue.has_no_room_for(budget_id, &entry) {
        return Err(BudgetError::TooManyApplying);
    }
    let stated = |entry: &CatalogueEntry| CatalogueEntry {
        revision: 0,
        counting_from: None,
        counted_through: None,
        ..entry.clone()
    };
    let is_same = known.is_some_and(|known| stated(known) == entry);
    Ok((!is_same).then_some(BudgetCatalogueEvent::Set(CatalogueBudgetSet { budget_id, entry })))
}
