//! A batch of the charging policy.

use super::difference::{CallAmounts, Differences, charged_by_policy};
use super::hold::hold;
use super::{Charging, ChargingEvent, MAX_PARKED, ParkedCharge, PartlyCharged};
use crate::budget_balance::{
    BalanceEvents, BudgetBalance, BudgetBalanceEvent, ExcessCause, Ledger, Move, PeriodRef, Wanted,
};
use crate::budget_catalogue::{BudgetCatalogue, BudgetCatalogueEvent, CatalogueBudgetCounted};
use crate::call::CallEvent;
use crate::ids::{BudgetId, ReservationId};
use crate::reservation::Reservation;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The most periods that one batch changes. Each may rest on the one before it, whose rest is carried over.
pub const MAX_BATCH_PERIODS: usize = 24;
/// The most streams that one batch reads for its periods, with their parts and those of the periods before.
pub(super) const MAX_BATCH_STREAMS: usize = 2 * MAX_BATCH_PERIODS;

/// An event of the log that the policy looks at.
#[derive(Debug, Clone)]
pub enum LoggedEvent {
    /// An event of a call.
    Call {
        /// Its position.
        position: u64,
        /// The event.
        event: Arc<CallEvent>,
    },
    /// A budget entered the catalogue, or its terms were changed.
    BudgetSet {
        /// The position of the event.
        position: u64,
        /// The budget.
        budget_id: BudgetId,
    },
    /// An event of a call that cannot be decoded.
    Undecodable {
        /// Its position.
        position: u64,
    },
}

impl LoggedEvent {
    /// The position of the event.
    #[must_use]
    pub fn position(&self) -> u64 {
        match self {
            Self::Call { position, .. } | Self::BudgetSet { position, .. } | Self::Undecodable { position } => {
                *position
            }
        }
    }
}

/// Events of a tenant that are charged.
#[derive(Debug, Clone, Default)]
pub struct ChargeBatch {
    /// The events in order of position. Those that the charging has passed change nothing.
    pub events: Vec<LoggedEvent>,
    /// The reservations whose calls the events state. What a batch needs of them never changes.
    pub reservations: BTreeMap<ReservationId, Arc<Reservation>>,
    /// Those of them that cannot be decoded: the events are parked.
    pub undecodable: BTreeSet<ReservationId>,
    /// If events were put off: the position up to which the batch has all of the tenant that follow those that are charged.
    pub catches_up_through: Option<u64>,
    /// When they are charged.
    pub at: DateTime<Utc>,
}

impl ChargeBatch {
    fn reservation(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(&id).map(|found| &**found)
    }

    /// Whether what an event needs cannot be decoded.
    pub(super) fn is_undecodable(&self, logged: &LoggedEvent) -> bool {
        match logged {
            LoggedEvent::Undecodable { .. } => true,
            LoggedEvent::BudgetSet { .. } => false,
            LoggedEvent::Call { event, .. } => {
                event.is_charged_by_policy() && event.reservations().any(|id| self.undecodable.contains(&id))
            }
        }
    }
}

/// The events of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChargeEvents {
    /// Those of the charging; none if the batch changes no budget.
    pub charging: Vec<ChargingEvent>,
    /// Those of the catalogue: budgets that are counted from now on.
    pub catalogue: Vec<BudgetCatalogueEvent>,
    /// Those of periods.
    pub balances: BalanceEvents,
    /// Whether events of the batch are left for another one.
    pub has_more: bool,
}

/// What a batch adds to a period.
struct Charge {
    period: PeriodRef,
    amounts: CallAmounts,
    through: u64,
    cause: ExcessCause,
}

impl Charge {
    fn wanted(&self) -> Wanted {
        Wanted { period: self.period, more: self.amounts.charged + self.amounts.assumed, asks: false }
    }
}

/// What events change, up to as many periods as one append may.
pub(super) struct Charges<'c> {
    catalogue: &'c BudgetCatalogue,
    /// The most streams that are read for them.
    streams: usize,
    charges: BTreeMap<Uuid, Charge>,
    pub(super) reached: Charging,
    pub(super) has_more: bool,
}

/// Decides a batch of the charging policy, from the position on that the charging has reached. Events are those of one tenant in
/// order of position; those before that position change nothing. If the charging is held, only what catches up is charged.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id.
pub fn charge<E>(
    charging: &Charging,
    catalogue: &BudgetCatalogue,
    batch: &ChargeBatch,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<ChargeEvents, E> {
    let (first, last) = (batch.events.first(), batch.events.last());
    if charging.held_through.is_some() != batch.catches_up_through.is_some() {
        // The policy reads on, and the events are charged when it is not held any more; or another job was faster.
        let put_off = batch.catches_up_through.is_none().then(|| first.zip(last)).flatten();
        let held = put_off.map(|(first, last)| hold(charging, first.position(), last.position()));
        return Ok(ChargeEvents { charging: held.unwrap_or_default(), ..ChargeEvents::default() });
    }
    let started = started(charging, catalogue, &batch.events);
    let charges = charges(charging, catalogue, batch, &started);
    let reached = charges.reached.through;
    let counting = started.into_iter().filter(|(_, position)| *position <= reached).map(|(budget_id, through)| {
        BudgetCatalogueEvent::CountingStarted(CatalogueBudgetCounted { budget_id, through })
    });
    charges.into_events(charging, counting.collect(), batch.at, get)
}

/// The budgets that enter the catalogue by one of the events, with the positions of those events.
fn started(charging: &Charging, catalogue: &BudgetCatalogue, events: &[LoggedEvent]) -> BTreeMap<BudgetId, u64> {
    let mut started = BTreeMap::new();
    for event in events {
        if let LoggedEvent::BudgetSet { position, budget_id } = event
            && *position > charging.through
            && catalogue.entry(*budget_id).is_some_and(|entry| entry.counting_from.is_none())
        {
            started.entry(*budget_id).or_insert(*position);
        }
    }
    started
}

/// Adds up differences until the periods are as many as one append may change.
fn charges<'c>(
    charging: &Charging,
    catalogue: &'c BudgetCatalogue,
    batch: &ChargeBatch,
    started: &BTreeMap<BudgetId, u64>,
) -> Charges<'c> {
    let mut charges = Charges::new(charging, catalogue);
    for logged in batch.events.iter().filter(|logged| logged.position() > charging.through) {
        let position = logged.position();
        let partly = charging.partly.filter(|partly| partly.position == position).map(|partly| partly.balance_id);
        if batch.is_undecodable(logged) {
            if charges.reached.parked.len() >= MAX_PARKED {
                let last = batch.events.last().map_or(position, LoggedEvent::position);
                charges.reached.held_through = charges.reached.held_through.max(Some(last));
                return charges;
            }
            charges.reached.parked.push(ParkedCharge { position, balance_id: partly });
        } else if let LoggedEvent::Call { event, .. } = logged {
            let changed = changes(event, position, catalogue, batch, started);
            if let Err(last) = charges.add(position, event, changed, partly) {
                charges.reached.partly = last.map(|balance_id| PartlyCharged { position, balance_id });
                charges.has_more = true;
                return charges;
            }
        }
        (charges.reached.through, charges.reached.partly) = (position, None);
    }
    if let Some(through) = batch.catches_up_through {
        charges.reached.through = charges.reached.through.max(through);
        let reached = charges.reached.through;
        charges.reached.held_through = charges.reached.held_through.filter(|held| *held > reached);
    }
    charges
}

/// What an event changes in the budgets that count it. What a call that was made before a budget entered the catalogue costs is
/// counted at once, when the budget opens.
pub(super) fn changes(
    event: &CallEvent,
    position: u64,
    catalogue: &BudgetCatalogue,
    batch: &ChargeBatch,
    started: &BTreeMap<BudgetId, u64>,
) -> Differences {
    let is_counted = |id: &BudgetId, from: Option<u64>| {
        from.or_else(|| started.get(id).copied()).is_some_and(|from| from < position)
    };
    let entries = catalogue.entries().filter(|(id, entry)| is_counted(id, entry.counting_from));
    charged_by_policy(entries, event, |id| batch.reservation(id))
}

impl<'c> Charges<'c> {
    pub(super) fn new(charging: &Charging, catalogue: &'c BudgetCatalogue) -> Self {
        Self { catalogue, streams: 0, charges: BTreeMap::new(), reached: charging.clone(), has_more: false }
    }

    /// Adds what an event changes in the periods after one, in the order of their ids. If not all fit, the error is the last that
    /// did.
    pub(super) fn add(
        &mut self,
        position: u64,
        event: &CallEvent,
        changed: Differences,
        after: Option<Uuid>,
    ) -> Result<(), Option<Uuid>> {
        let (befores, _) = event.befores_and_after();
        let cause = if befores.is_empty() { ExcessCause::Unreserved } else { ExcessCause::Amendment };
        let mut last = after;
        for (balance_id, (period, amounts)) in changed {
            if after.is_some_and(|after| balance_id <= after) {
                continue;
            }
            if !self.charges.contains_key(&balance_id) {
                let streams = self.streams + period.streams(self.catalogue);
                if self.charges.len() >= MAX_BATCH_PERIODS || streams > MAX_BATCH_STREAMS {
                    return Err(last);
                }
                self.streams = streams;
            }
            let new = Charge { period, amounts: CallAmounts::default(), through: position, cause };
            let charge = self.charges.entry(balance_id).or_insert(new);
            (charge.amounts, charge.through, charge.cause) = (charge.amounts + amounts, position, cause);
            last = Some(balance_id);
        }
        Ok(())
    }

    /// The events, if there are any.
    pub(super) fn into_events<E>(
        self,
        charging: &Charging,
        counting: Vec<BudgetCatalogueEvent>,
        at: DateTime<Utc>,
        get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
    ) -> Result<ChargeEvents, E> {
        let Self { catalogue, charges, reached, has_more, .. } = self;
        // Also if the events of the batch cancel each other: another process, whose batch has only some of them, would charge these.
        let has_charges = !charges.is_empty();
        let mut ledger = Ledger::open(catalogue, charges.values().map(Charge::wanted), at, get)?;
        for (balance_id, Charge { amounts, through, cause, .. }) in charges {
            if !amounts.is_zero() {
                let CallAmounts { charged, assumed, unpriced } = amounts;
                let change = Move { through: Some(through), charged, assumed, unpriced, ..Move::default() };
                ledger.apply(balance_id, change, cause, BudgetBalanceEvent::Charged);
            }
        }
        let balances = ledger.into_events();
        // Only how far it has come past events that change no budget is not worth an event, unless what was put off is read again from
        // there.
        let is_same = (&charging.parked, charging.held_through) == (&reached.parked, reached.held_through)
            && (charging.held_through.is_none() || charging.through == reached.through);
        if !has_charges && counting.is_empty() && !has_more && is_same {
            return Ok(ChargeEvents::default());
        }
        Ok(ChargeEvents { charging: vec![reached.advanced()], catalogue: counting, balances, has_more })
    }
}
