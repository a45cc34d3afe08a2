//! Commands of the charging policy: batches of events of calls, and what was charged before a budget was defined.

use crate::budgets::append_balances;
use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::outcome::{Outcome, OutcomeKind};
use crate::states::{NotLoaded, States};
use chrono::{DateTime, Utc};
use domain::BudgetId;
use domain::budget_catalogue::{BudgetCatalogue, BudgetCatalogueError};
use domain::charging::{
    ChargeBatch, ChargeEvents, Charging, ChargingError, Opening, charge, charge_parked, counted, hold,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The result of a batch.
#[derive(Debug, Clone)]
pub struct Charged {
    /// How far the calls of the tenant are charged.
    pub charging: Arc<Charging>,
    /// Whether events of the batch are left for another command, or may be.
    pub has_more: bool,
}

impl Commands {
    /// Charges budgets for events of calls that settled no reservation, in one append that advances the charging.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn charge_calls(&self, context: &Context, batch: &ChargeBatch) -> Result<Charged, Error<ChargingError>> {
        self.charge_by(context, |charging, catalogue, states| charge(charging, catalogue, batch, |id| states.get(id)))
            .await
    }

    /// Charges budgets for an event that is parked, which is the only one of the batch.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn charge_parked(&self, context: &Context, batch: &ChargeBatch) -> Result<Charged, Error<ChargingError>> {
        self.charge_by(context, |charging, catalogue, states| {
            charge_parked(charging, catalogue, batch, |id| states.get(id))
        })
        .await
    }

    /// Puts events off, from the position of the first one up to that of the last one, because what is needed to charge them cannot
    /// be decoded.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn hold_charging(
        &self,
        context: &Context,
        first: u64,
        last: u64,
    ) -> Result<Outcome<Charging>, Error<ChargingError>> {
        self.decide::<Charging, ChargingError>(context, Charging::id(), |states: &mut States| {
            let charging = states.get::<Charging>(Charging::id())?;
            states.append::<Charging, _>(Charging::id(), hold(&charging, first, last))
        })
        .await
    }

    async fn charge_by(
        &self,
        context: &Context,
        decide: impl Fn(&Charging, &BudgetCatalogue, &mut States) -> Result<ChargeEvents, NotLoaded> + Send + Sync,
    ) -> Result<Charged, Error<ChargingError>> {
        let has_more = Mutex::new(false);
        let outcome = self.decide::<Charging, ChargingError>(context, Charging::id(), |states: &mut States| {
            let charging = states.get::<Charging>(Charging::id());
            let catalogue = states.get::<BudgetCatalogue>(BudgetCatalogue::id())?;
            let decided = decide(&*charging?, &catalogue, states)?;
            *has_more.lock().unwrap_or_else(PoisonError::into_inner) = decided.has_more;
            states.append::<Charging, _>(Charging::id(), decided.charging)?;
            states.append::<BudgetCatalogue, _>(BudgetCatalogue::id(), decided.catalogue)?;
            append_balances(states, decided.balances)
        });
        let Outcome { kind, aggregate, .. } = outcome.await?;
        let has_more = has_more.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The reply to an append was lost, and the retry, which decided on what the append had left, was not written.
        let is_duplicate = kind == OutcomeKind::Duplicate;
        Ok(Charged { charging: aggregate.state.clone(), has_more: has_more || is_duplicate })
    }

    /// Counts what was charged before a budget was defined. From then on, a hard budget grants.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn count_budget(
        &self,
        context: &Context,
        budget_id: BudgetId,
        opening: &Opening,
        at: DateTime<Utc>,
    ) -> Result<Outcome<BudgetCatalogue>, Error<BudgetCatalogueError>> {
        self.decide::<BudgetCatalogue, BudgetCatalogueError>(context, BudgetCatalogue::id(), |states: &mut States| {
            let catalogue = states.get::<BudgetCatalogue>(BudgetCatalogue::id())?;
            let (events, balances) = counted(budget_id, &catalogue, opening, at, |id| states.get(id))?;
            states.append::<BudgetCatalogue, _>(BudgetCatalogue::id(), events)?;
            append_balances(states, balances)
        })
        .await
    }
}
