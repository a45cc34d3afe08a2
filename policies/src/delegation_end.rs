//! The ends of delegations that no command ends: a policy that writes a job for when the time of each is over, and for each agent that
//! is retired, and the handler that records the ends.
//!
//! Nothing waits for it: a delegation whose time is over holds nothing any more, and a reservation that needs what it did not use takes
//! it. The end is recorded so that the log says why.

use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::policy::{Policy, PolicyError, Reaction};
use chrono::Utc;
use commands::{Commands, Component, Context, Error, Principal};
use domain::agent::{Agent, AgentEvent};
use domain::assignment::BudgetRejection;
use domain::budget::{Budget, BudgetError, BudgetEvent, DelegatedTo, DelegationCommand};
use domain::budget_catalogue::BudgetCatalogue;
use domain::{AgentId, Aggregate as _, Body, BudgetId, DelegationId, Event, derived_id};
use futures::future::BoxFuture;
use projections::Batch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The name of the [`DelegationEnds`] policy, and the kind of its jobs.
pub const DELEGATION_ENDS: &str = "delegation-ends";

/// What a job ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Ending {
    /// A delegation whose time is over.
    Over { budget_id: BudgetId, delegation_id: DelegationId },
    /// The delegations to an agent that is retired.
    Retired { agent_id: AgentId },
}

/// Writes jobs for delegations that begin, and for agents that are retired.
pub struct DelegationEnds;

impl Policy for DelegationEnds {
    fn name(&self) -> &'static str {
        DELEGATION_ENDS
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        Box::pin(std::future::ready(jobs(batch)))
    }
}

fn jobs(batch: &Batch) -> Result<Reaction, PolicyError> {
    let mut reaction = Reaction::default();
    let is_concerned = |category: &str| category == Budget::CATEGORY || category == Agent::CATEGORY;
    for recorded in batch.events.iter().filter(|recorded| is_concerned(&recorded.stream.category)) {
        let (ending, due_at) = match recorded.decode() {
            Ok(Event::Budget(BudgetEvent::Delegated(delegated))) => {
                let (budget_id, delegation) = (BudgetId(recorded.stream.id), delegated.delegation);
                let over = Ending::Over { budget_id, delegation_id: delegation.delegation_id };
                (over, Some(delegation.until))
            }
            Ok(Event::Agent(AgentEvent::Retired(_))) => {
                (Ending::Retired { agent_id: AgentId(recorded.stream.id) }, None)
            }
            Ok(_) => continue,
            Err(error) => {
                let position = recorded.position.get();
                let error = &error as &dyn std::error::Error;
                tracing::error!(%position, error, "an event cannot be decoded; if it ends a delegation later, that is not recorded");
                continue;
            }
        };
        let tenant = &recorded.stream.tenant;
        reaction.jobs.push(NewJob {
            id: derived_id(&[DELEGATION_ENDS, &recorded.event_id.to_string()]),
            kind: DELEGATION_ENDS,
            destination: Some(tenant.to_string()),
            tenant: Some(tenant.clone()),
            payload: serde_json::to_value(ending)?,
            due_at,
        });
    }
    Ok(reaction)
}

/// Records the ends of delegations.
pub struct DelegationEndHandler {
    commands: Commands,
}

impl DelegationEndHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands }
    }

    async fn run_job(&self, job: &Job) -> Result<JobOutcome, PolicyError> {
        let Some(tenant) = job.tenant.clone() else {
            return Ok(JobOutcome::DeadLetter("the job has no tenant".into()));
        };
        let principal = Arc::new(Principal::component(tenant, Component::Policy(DELEGATION_ENDS)));
        match serde_json::from_value(job.payload.clone())? {
            Ending::Over { budget_id, delegation_id } => {
                let (reason, at) = (Body::new("its time is over")?, Utc::now());
                let command = DelegationCommand::Expire { delegation_id, reason, at };
                self.end(job, &principal, budget_id, delegation_id, command).await?;
            }
            Ending::Retired { agent_id } => {
                let catalogue = self.commands.load::<BudgetCatalogue>(&principal, BudgetCatalogue::id()).await?;
                let to = DelegatedTo::Agent { agent_id };
                for (budget_id, entry) in catalogue.state.entries() {
                    for delegation in entry.delegations.iter().filter(|delegation| delegation.to == to) {
                        let (reason, at) = (Body::new("the agent is retired")?, Utc::now());
                        let delegation_id = delegation.delegation_id;
                        let command = DelegationCommand::End { delegation_id, reason, at };
                        self.end(job, &principal, budget_id, delegation_id, command).await?;
                    }
                }
            }
        }
        Ok(JobOutcome::Done)
    }

    async fn end(
        &self,
        job: &Job,
        principal: &Arc<Principal>,
        budget_id: BudgetId,
        delegation_id: DelegationId,
        command: DelegationCommand,
    ) -> Result<(), PolicyError> {
        let command_id = derived_id(&[DELEGATION_ENDS, &job.id.to_string(), &delegation_id.to_string()]);
        let context = Context::new(principal.clone(), command_id);
        // The clock of this process may be behind that of the database, by which the job is due: the delegation would still run.
        let now = Utc::now().max(job.scheduled_at);
        match self.commands.execute_delegation(&context, budget_id, command, now).await {
            Ok(_) => Ok(()),
            // It was ended, or the budget was closed, in the meantime.
            Err(Error::Rejected(BudgetRejection::Budget(BudgetError::UnknownDelegation | BudgetError::Closed))) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl JobHandler for DelegationEndHandler {
    fn kind(&self) -> &'static str {
        DELEGATION_ENDS
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move { self.run_job(job).await.unwrap_or_else(JobOutcome::Retry) })
    }
}
