//! Commands to reservations: each decides over the reservation, the catalogue of budgets and the periods of those that apply, in one
//! append.

use crate::budgets::append_balances;
use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::outcome::Outcome;
use crate::principal::{Principal, Subject};
use crate::states::{NotLoaded, States, Undecided};
use chrono::{DateTime, Utc};
use domain::approval::{Approval, ApprovalEvent};
use domain::approval_queue::ApprovalQueue;
use domain::budget::{Attributes, BudgetDimension};
use domain::budget_balance::BudgetBalance;
use domain::budget_catalogue::BudgetCatalogue;
use domain::permissions::SendCommand;
use domain::reservation::{
    Extend, Holder, Reservation, ReservationError, Reserve, SpendEvents, expire, extend, release, reserve,
};
use domain::{Aggregate, ApprovalId, Name, ReservationId};
use std::cell::RefCell;
use std::sync::Arc;

/// The result of a decision about a reservation.
type Decided = Result<Result<SpendEvents, ReservationError>, NotLoaded>;

impl Principal {
    /// What the credential says of the calls that are made with it, by dimension: its agent, and its API key or user.
    #[must_use]
    pub fn call_attributes(&self) -> Attributes {
        let (dimension, id) = match self.subject() {
            Subject::ServiceAccount { key, .. } => (BudgetDimension::Key, Some(key.to_string())),
            Subject::User { id, .. } => (BudgetDimension::User, Some(id.to_string())),
            Subject::SharedToken { .. } | Subject::CommandLine | Subject::Component(_) => (BudgetDimension::Key, None),
        };
        let agent = self.agent().map(|agent| (BudgetDimension::Agent, agent.to_string()));
        let known = id.map(|id| (dimension, id)).into_iter().chain(agent);
        known.filter_map(|(dimension, id)| Some((dimension, Name::new(id).ok()?))).collect()
    }
}

impl Commands {
    /// Reserves what a call may cost in every budget that applies, or records that it is refused. The state of the reservation
    /// says which.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn reserve_spend(
        &self,
        context: &Context,
        command: &Reserve,
    ) -> Result<Outcome<Reservation>, Error<ReservationError>> {
        self.decide_reservation(context, command.reservation_id, |states, state, catalogue| {
            let states = RefCell::new(states);
            let requests = |budget_id| states.borrow_mut().get::<ApprovalQueue>(ApprovalQueue::id(budget_id));
            reserve(state, catalogue, command, self.part, |id| states.borrow_mut().get(id), requests)
        })
        .await
    }

    /// Reserves more, or for longer, or records that the call was sent.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn extend_reservation(
        &self,
        context: &Context,
        command: &Extend,
    ) -> Result<Outcome<Reservation>, Error<ReservationError>> {
        self.decide_reservation(context, command.reservation_id, |states, state, catalogue| {
            extend(state, catalogue, command, |id| states.get(id))
        })
        .await
    }

    /// Releases a reservation whose call was not made.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn release_reservation(
        &self,
        context: &Context,
        id: ReservationId,
        by: Holder,
        at: DateTime<Utc>,
    ) -> Result<Outcome<Reservation>, Error<ReservationError>> {
        self.decide_reservation(context, id, |states, state, catalogue| {
            release(state, id, by, catalogue, at, |id| states.get(id))
        })
        .await
    }

    /// Expires a reservation that is still held at a time: charges it in full if its call was sent, else releases it.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn expire_reservation(
        &self,
        context: &Context,
        id: ReservationId,
        at: DateTime<Utc>,
    ) -> Result<Outcome<Reservation>, Error<ReservationError>> {
        self.decide_reservation(context, id, |states, state, catalogue| {
            expire(state, id, catalogue, at, |id| states.get(id)).map(Ok)
        })
        .await
    }

    async fn decide_reservation(
        &self,
        context: &Context,
        id: ReservationId,
        decide: impl Fn(&mut States, &Reservation, &BudgetCatalogue) -> Decided + Send + Sync,
    ) -> Result<Outcome<Reservation>, Error<ReservationError>> {
        // Also if no budget applies, so that what a principal may do does not depend on it.
        context.principal.authorise_on::<SendCommand>(BudgetBalance::CATEGORY, id.0)?;
        self.decide::<Reservation, _>(context, id.0, |states| {
            let state: Result<Arc<Reservation>, _> = states.get(id.0);
            let catalogue: Arc<BudgetCatalogue> = states.get(BudgetCatalogue::id())?;
            let state = state?;
            let decided = decide(states, &state, &catalogue)?.map_err(Undecided::Rejected)?;
            append_spend(states, id, decided)
        })
        .await
    }
}

/// Adds the events of a reservation, of its periods and of the request for approval that a refusal opens to a decision.
pub(crate) fn append_spend<E>(states: &mut States, id: ReservationId, events: SpendEvents) -> Result<(), Undecided<E>> {
    states.append::<Reservation, E>(id.0, events.reservation)?;
    append_balances(states, events.balances)?;
    let Some(requested) = events.approval else { return Ok(()) };
    states.append::<ApprovalQueue, E>(ApprovalQueue::id(requested.budget_id), vec![requested.entered()])?;
    states.append::<Approval, E>(ApprovalId::of(id).0, vec![ApprovalEvent::Requested(requested)])
}
