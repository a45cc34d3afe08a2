//! Commands to budgets: a budget of an agent needs the agent.

use crate::{AgentRefusal, Commands, Context, Error, Outcome};
use domain::budget::{Budget, BudgetCommand, BudgetError, BudgetScope};
use domain::{Aggregate, BudgetId};
use thiserror::Error as ThisError;

/// Why a command to a budget is refused.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum BudgetRefusal {
    /// By the budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// By the agent whose spending it is to count.
    #[error(transparent)]
    Agent(#[from] AgentRefusal),
}

impl Commands {
    /// Executes a command to a budget. Defining one of an agent needs an agent that is registered, whatever its status:
    /// costs of one that is retired may still come in.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_budget(
        &self,
        context: &Context,
        id: BudgetId,
        command: BudgetCommand,
    ) -> Result<Outcome<Budget>, Error<BudgetRefusal>> {
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
        let decide = |budget: &Budget| budget.decide(command.clone()).map_err(BudgetRefusal::Budget);
        self.run(context, id.0, false, decide, guards).await
    }
}
