//! Commands to the tasks and budgets of an agent, which depend on the agent.

use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::outcome::Outcome;
use crate::states::{NotLoaded, OtherStates, Undecided};
use domain::agent::Agent;
use domain::assignment::{BudgetRejection, TaskRejection, agent_of_budget, agent_of_task, decide_budget, decide_task};
use domain::budget::{Budget, BudgetCommand};
use domain::task::{Task, TaskCommand};
use domain::{AgentId, BudgetId, TaskId};
use std::sync::Arc;

impl Commands {
    /// Executes a command to a task, by the rules of [`decide_task`]. The append depends on the agent's version, so that a
    /// concurrent pause is not missed.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_task(
        &self,
        context: &Context,
        id: TaskId,
        command: TaskCommand,
    ) -> Result<Outcome<Task>, Error<TaskRejection>> {
        self.decide_on(context, id.0, |task: &Task, mut others| {
            let agent = agent(&mut others, agent_of_task(task, &command))?;
            decide_task(task, agent.as_ref().map(|(id, agent)| (*id, &**agent)), command.clone())
                .map_err(Undecided::Rejected)
        })
        .await
    }

    /// Executes a command to a budget, by the rules of [`decide_budget`].
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_budget(
        &self,
        context: &Context,
        id: BudgetId,
        command: BudgetCommand,
    ) -> Result<Outcome<Budget>, Error<BudgetRejection>> {
        self.decide_on(context, id.0, |budget: &Budget, mut others| {
            let agent = agent(&mut others, agent_of_budget(&command))?;
            decide_budget(budget, agent.as_ref().map(|(id, agent)| (*id, &**agent)), command.clone())
                .map_err(Undecided::Rejected)
        })
        .await
    }
}

fn agent(others: &mut OtherStates, id: Option<AgentId>) -> Result<Option<(AgentId, Arc<Agent>)>, NotLoaded> {
    id.map(|id| Ok((id, others.get::<Agent>(id.0)?))).transpose()
}
