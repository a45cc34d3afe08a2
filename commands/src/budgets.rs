//! Commands to budgets. A budget of an agent requires that the agent is registered.

use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::guards::AgentRejection;
use crate::outcome::Outcome;
use domain::budget::{Budget, BudgetCommand, BudgetError, BudgetScope};
use domain::{Aggregate, BudgetId};
use thiserror::Error as ThisError;

/// Why a command to a budget is rejected.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum BudgetRejection {
    /// The budget rejects it.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The agent whose spending the budget counts is not registered.
    #[error(transparent)]
    Agent(#[from] AgentRejection),
}

impl Commands {
    /// Executes a command to a budget. Defining a budget of an agent requires that the agent is registered. Its status
    /// does not matter: costs of a retired agent may still be reported.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_budget(
        &self,
        context: &Context,
        id: BudgetId,
        command: BudgetCommand,
    ) -> Result<Outcome<Budget>, Error<BudgetRejection>> {
        let agent_id = match &command {
            BudgetCommand::Define { terms, .. } => match terms.scope {
                BudgetScope::Agent { agent_id } => Some(agent_id),
                BudgetScope::Tenant | BudgetScope::Model { .. } => None,
            },
            BudgetCommand::Revise { .. } | BudgetCommand::Close { .. } => None,
        };
        let guards = || async move {
            match agent_id {
                Some(agent_id) => Ok(vec![self.guard_agent(context, agent_id, |_| true).await?]),
                None => Ok(Vec::new()),
            }
        };
        let decide = |budget: &Budget| budget.decide(command.clone()).map_err(BudgetRejection::Budget);
        self.run(context, id.0, false, decide, guards).await
    }
}
