//! Decisions over an agent and what belongs to it: its tasks and its budgets.

use crate::agent::{Agent, AgentStatus};
use crate::aggregate::Aggregate;
use crate::budget::{Budget, BudgetCommand, BudgetError, BudgetEvent, BudgetScope};
use crate::ids::AgentId;
use crate::task::{Task, TaskCommand, TaskError, TaskEvent};
use thiserror::Error;

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

/// The agent whose state a command to a budget depends on, if any.
#[must_use]
pub fn agent_of_budget(command: &BudgetCommand) -> Option<AgentId> {
    match command {
        BudgetCommand::Define { terms, .. } => match terms.scope {
            BudgetScope::Agent { agent_id } => Some(agent_id),
            BudgetScope::Tenant | BudgetScope::Model { .. } => None,
        },
        BudgetCommand::Revise { .. } | BudgetCommand::Close { .. } => None,
    }
}

/// Decides a command to a budget, with the agent that [`agent_of_budget`] names. Defining a budget of an agent requires that
/// the agent is registered. Its status does not matter: costs of a retired agent may still be reported.
///
/// # Errors
/// [`BudgetRejection`] if the budget or its agent rejects the command.
pub fn decide_budget(
    budget: &Budget,
    agent: Option<(AgentId, &Agent)>,
    command: BudgetCommand,
) -> Result<Vec<BudgetEvent>, BudgetRejection> {
    if let Some((id, agent)) = agent
        && agent.status.is_none()
    {
        return Err(AgentRejection::NotRegistered(id).into());
    }
    Ok(budget.decide(command)?)
}
