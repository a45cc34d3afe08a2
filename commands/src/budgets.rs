//! Commands to budgets, and what follows from them for reservations.

use crate::attempts::Execution;
use crate::context::Context;
use crate::error::Error;
use crate::executor::{Commands, erased};
use crate::kind::AggregateKey;
use crate::outcome::Outcome;
use crate::states::{NotLoaded, States, Undecided};
use chrono::{DateTime, Utc};
use domain::agent::Agent;
use domain::api_key::ApiKey;
use domain::assignment::{BudgetEvents, BudgetRejection, BudgetSubjects, decide_budget, decide_delegation};
use domain::budget::{Budget, BudgetCommand, BudgetDimension, DelegationCommand};
use domain::budget_balance::{BalanceEvents, BudgetBalance};
use domain::budget_catalogue::BudgetCatalogue;
use domain::team::Team;
use domain::user::User;
use domain::{Aggregate, BudgetId};
use std::sync::Arc;
use uuid::Uuid;

/// What a decision about a budget reads beside it.
struct Subjects<'s, 'a>(&'s mut States<'a>);

impl BudgetSubjects for Subjects<'_, '_> {
    type Error = NotLoaded;

    fn exists(&mut self, dimension: &BudgetDimension, id: Uuid) -> Result<bool, NotLoaded> {
        Ok(match dimension {
            BudgetDimension::Agent => self.0.get::<Agent>(id)?.status.is_some(),
            BudgetDimension::User => {
                let user = self.0.get::<User>(id)?;
                user.origin.is_some() && !user.is_deleted
            }
            BudgetDimension::Team => {
                let team = self.0.get::<Team>(id)?;
                team.name.is_some() && !team.is_closed
            }
            BudgetDimension::Key => self.0.get::<ApiKey>(id)?.terms.is_some(),
            BudgetDimension::Task
            | BudgetDimension::Dag
            | BudgetDimension::Conversation
            | BudgetDimension::Provider
            | BudgetDimension::Model
            | BudgetDimension::Tool
            | BudgetDimension::Tag(_) => true,
        })
    }

    fn balance(&mut self, id: Uuid) -> Result<Arc<BudgetBalance>, NotLoaded> {
        self.0.get(id)
    }
}

impl Commands {
    /// Executes a command to a budget, by the rules of [`decide_budget`]. `now` is the time of the server.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_budget(
        &self,
        context: &Context,
        id: BudgetId,
        command: BudgetCommand,
        now: DateTime<Utc>,
    ) -> Result<Outcome<Budget>, Error<BudgetRejection>> {
        let decide = |states: &mut States| append_budget::<BudgetRejection>(states, id, command.clone(), now);
        // A budget that only raises alerts changes nothing else, and one command id may define several.
        let is_alone = matches!(&command, BudgetCommand::Define { terms, .. } if terms.control.is_none());
        if is_alone {
            return self.decide_alone(context, id.0, decide).await;
        }
        self.decide::<Budget, _>(context, id.0, decide).await
    }

    /// Executes a command about what a budget delegates, by the rules of [`decide_delegation`]. `now` is the time of the server.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_delegation(
        &self,
        context: &Context,
        id: BudgetId,
        command: DelegationCommand,
        now: DateTime<Utc>,
    ) -> Result<Outcome<Budget>, Error<BudgetRejection>> {
        self.decide::<Budget, _>(context, id.0, |states: &mut States| {
            let budget = states.get::<Budget>(id.0);
            let catalogue = states.get::<BudgetCatalogue>(BudgetCatalogue::id())?;
            let (budget, command) = (budget?, command.clone());
            let decided = decide_delegation(id, &budget, &catalogue, command, now, &mut Subjects(states))?;
            append_budget_events(states, id, decided.map_err(Undecided::Rejected)?)
        })
        .await
    }

    /// As [`Commands::decide`], for a decision that changes its target only.
    async fn decide_alone<A: Aggregate, E: std::error::Error + Send + Sync + 'static>(
        &self,
        context: &Context,
        id: Uuid,
        decide: impl Fn(&mut States) -> Result<(), Undecided<E>> + Send + Sync,
    ) -> Result<Outcome<A>, Error<E>> {
        let target = AggregateKey::of::<A>(context.principal.tenant(), id);
        let decide = &erased(move |states: &mut States| {
            states.check_expected_version::<A, E>(id)?;
            decide(states)
        });
        let execution = Execution { context, target, may_change_others: false, assume_new: &[], decide };
        self.run(execution).await
    }
}

/// Adds what a command to a budget changes to a decision.
pub(crate) fn append_budget<E: From<BudgetRejection>>(
    states: &mut States,
    id: BudgetId,
    command: BudgetCommand,
    now: DateTime<Utc>,
) -> Result<(), Undecided<E>> {
    let budget = states.get::<Budget>(id.0);
    let catalogue = states.get::<BudgetCatalogue>(BudgetCatalogue::id())?;
    let budget = budget?;
    let decided = decide_budget(id, &budget, &catalogue, command, now, &mut Subjects(states))?;
    append_budget_events(states, id, decided.map_err(|rejection| Undecided::Rejected(E::from(rejection)))?)
}

fn append_budget_events<E>(states: &mut States, id: BudgetId, decided: BudgetEvents) -> Result<(), Undecided<E>> {
    states.append::<Budget, E>(id.0, decided.budget)?;
    states.append::<BudgetCatalogue, E>(BudgetCatalogue::id(), decided.catalogue)?;
    append_balances(states, decided.balances)
}

/// Adds the events of periods to a decision.
pub(crate) fn append_balances<E>(states: &mut States, balances: BalanceEvents) -> Result<(), Undecided<E>> {
    for (id, events) in balances {
        states.append::<BudgetBalance, E>(id, events)?;
    }
    Ok(())
}
