//! Charging what was parked.

use super::plan::{ChargeBatch, ChargeEvents, Charges, LoggedEvent, changes};
use super::{Charging, ParkedCharge};
use crate::budget_balance::BudgetBalance;
use crate::budget_catalogue::BudgetCatalogue;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Decides to charge an event that is parked, which is the only one of a batch. Nothing, if it is not, or cannot be decoded yet.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id.
pub fn charge_parked<E>(
    charging: &Charging,
    catalogue: &BudgetCatalogue,
    batch: &ChargeBatch,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<ChargeEvents, E> {
    let Some(logged) = batch.events.first() else { return Ok(ChargeEvents::default()) };
    let LoggedEvent::Call { position, event } = logged else { return Ok(ChargeEvents::default()) };
    let index = charging.parked.iter().position(|parked| parked.position == *position);
    let Some(index) = index.filter(|_| !batch.is_undecodable(logged)) else { return Ok(ChargeEvents::default()) };
    let mut charges = Charges::new(charging, catalogue);
    let changed = changes(event, *position, catalogue, batch, &BTreeMap::new());
    let parked = charges.reached.parked.remove(index);
    if let Err(last) = charges.add(*position, event, changed, parked.balance_id) {
        charges.reached.parked.insert(index, ParkedCharge { balance_id: last, ..parked });
        charges.has_more = true;
    }
    charges.into_events(charging, Vec::new(), batch.at, get)
}
