//! The events of a tenant that are charged, with what is needed to charge them.

use chrono::Utc;
use commands::{Commands, Component, Error, Principal};
use domain::budget_catalogue::{BudgetCatalogue, BudgetCatalogueEvent};
use domain::call::{Call, CallEvent};
use domain::charging::{ChargeBatch, LoggedEvent};
use domain::reservation::{Reservation, ReservationError};
use domain::{Aggregate, Event, ReservationId, TenantId};
use metrics::counter;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streams::RecordedEvent;

/// The name of the [`crate::BudgetCharging`] policy, used for its actor and its checkpoint.
pub const BUDGET_CHARGING: &str = "budget-charging";

pub(crate) fn component(tenant: TenantId) -> Principal {
    Principal::component(tenant, Component::Policy(BUDGET_CHARGING))
}

pub(crate) fn is_read(recorded: &RecordedEvent) -> bool {
    [Call::CATEGORY, BudgetCatalogue::CATEGORY].contains(&&*recorded.stream.category)
}

/// The event as it is charged; none if it charges nothing. Without the catalogue nothing is charged at all, so that only events of
/// calls are undecodable.
pub(crate) fn logged(recorded: &RecordedEvent) -> Option<LoggedEvent> {
    let position = recorded.position.get();
    match recorded.decode() {
        Ok(Event::Call(event)) => Some(LoggedEvent::Call { position, event: Arc::new(event) }),
        Ok(Event::BudgetCatalogue(BudgetCatalogueEvent::Set(set))) => {
            Some(LoggedEvent::BudgetSet { position, budget_id: set.budget_id })
        }
        Ok(_) => None,
        Err(error) => {
            tracing::error!(%position, error = &error as &dyn std::error::Error, "no budget is charged for an event");
            (*recorded.stream.category == *Call::CATEGORY).then_some(LoggedEvent::Undecodable { position })
        }
    }
}

/// Events with the reservations whose calls they state.
pub(crate) async fn batch_of<E: From<Error<ReservationError>>>(
    commands: &Commands,
    principal: &Principal,
    events: Vec<LoggedEvent>,
) -> Result<ChargeBatch, E> {
    let mut reservations = Reservations::new(commands, principal);
    for event in &events {
        // What settled a reservation was charged by its own append, unless that was too much for one.
        if let LoggedEvent::Call { event, .. } = event
            && event.is_charged_by_policy()
        {
            reservations.load(event).await?;
        }
    }
    let Reservations { found, undecodable, .. } = reservations;
    Ok(ChargeBatch { events, reservations: found, undecodable, catches_up_through: None, at: Utc::now() })
}

/// Reservations, each loaded once.
pub(crate) struct Reservations<'a> {
    commands: &'a Commands,
    principal: &'a Principal,
    pub(crate) found: BTreeMap<ReservationId, Arc<Reservation>>,
    /// Those that cannot be decoded.
    pub(crate) undecodable: BTreeSet<ReservationId>,
}

impl<'a> Reservations<'a> {
    pub(crate) fn new(commands: &'a Commands, principal: &'a Principal) -> Self {
        Self { commands, principal, found: BTreeMap::new(), undecodable: BTreeSet::new() }
    }

    /// Loads those whose calls an event states.
    ///
    /// # Errors
    /// That of the load, unless an event of the reservation cannot be decoded: this is noted.
    pub(crate) async fn load(&mut self, event: &CallEvent) -> Result<(), Error<ReservationError>> {
        for id in event.reservations() {
            if self.found.contains_key(&id) || self.undecodable.contains(&id) {
                continue;
            }
            match self.commands.load::<Reservation>(self.principal, id.0).await {
                Ok(loaded) => _ = self.found.insert(id, loaded.state.clone()),
                Err(error @ Error::Decode(_)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%id, error, "a reservation cannot be decoded: calls that settled it are charged later");
                    counter!("apex_charging_undecodable_total").increment(1);
                    self.undecodable.insert(id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
