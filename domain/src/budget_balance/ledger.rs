//! The periods that one decision changes: they are read together, changed in memory, and become events.

use super::crossing;
use super::{
    BalanceMoved, BalanceOpened, BalanceRearmed, BudgetBalance, BudgetBalanceEvent, Excess, ExcessCause, Sums,
};
use crate::budget::{Amount, Enforcement};
use crate::budget_catalogue::{BudgetCatalogue, CatalogueEntry, Period};
use crate::ids::{BudgetId, ReservationId};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Events of periods by the ids of their streams.
pub type BalanceEvents = Vec<(Uuid, Vec<BudgetBalanceEvent>)>;

/// What is added to the sums of a period.
#[derive(Debug, Clone, Copy, Default)]
pub struct Move {
    /// The reservation that it is about.
    pub reservation_id: Option<ReservationId>,
    /// The position of the event whose difference is charged last.
    pub through: Option<u64>,
    /// What is added to what is charged.
    pub charged: Amount,
    /// What is added to what is assumed.
    pub assumed: Amount,
    /// What is added to what is reserved.
    pub reserved: Amount,
    /// What is added to the number of settled calls without a price.
    pub unpriced: i64,
}

impl Move {
    /// Whether it changes no sum.
    pub(crate) fn is_zero(&self) -> bool {
        self.charged.is_zero() && self.assumed.is_zero() && self.reserved.is_zero() && self.unpriced == 0
    }
}

/// A period that a decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodRef {
    /// One that may have no events yet.
    At(Period),
    /// One that was opened before.
    Existing {
        /// The budget.
        budget_id: BudgetId,
        /// The id of the stream of the period.
        balance_id: Uuid,
    },
}

impl PeriodRef {
    /// The budget.
    #[must_use]
    pub const fn budget_id(&self) -> BudgetId {
        match self {
            Self::At(period) => period.budget_id,
            Self::Existing { budget_id, .. } => *budget_id,
        }
    }

    /// The id of the stream of the period.
    #[must_use]
    pub const fn balance_id(&self) -> Uuid {
        match self {
            Self::At(period) => period.balance_id,
            Self::Existing { balance_id, .. } => *balance_id,
        }
    }
}

/// A period within a decision.
struct Open<'c> {
    budget_id: BudgetId,
    entry: Option<&'c CatalogueEntry>,
    sums: Sums,
    events: Vec<BudgetBalanceEvent>,
    /// Whether the first event is written although nothing is added yet.
    is_opened: bool,
}

impl Open<'_> {
    /// The limit that thresholds are shares of, however the budget is enforced; none if the budget has no thresholds.
    fn alert_limit(&self, at: DateTime<Utc>) -> Option<Amount> {
        let entry = self.entry.filter(|entry| !entry.thresholds.is_empty())?;
        Some(entry.stated_limit_at(at) + self.sums.carried.unwrap_or_default())
    }

    /// Arms thresholds again that a raised limit leaves unreached, before the sums change.
    fn rearm(&mut self, at: DateTime<Utc>) {
        if let (Some(entry), Some(limit)) = (self.entry, self.alert_limit(at)) {
            self.sums.alerted = crossing::rearmed(&self.sums, &entry.thresholds, limit);
        }
    }

    /// Adds an event for each threshold that the sums have reached.
    fn cross(&mut self, at: DateTime<Utc>) {
        if let (Some(entry), Some(limit)) = (self.entry, self.alert_limit(at)) {
            for crossed in crossing::crossed(self.budget_id, &self.sums, &entry.thresholds, limit) {
                self.sums = crossed.after;
                self.events.push(BudgetBalanceEvent::ThresholdCrossed(crossed));
            }
        }
    }
}

/// The periods that one decision changes.
pub struct Ledger<'c> {
    at: DateTime<Utc>,
    periods: BTreeMap<Uuid, Open<'c>>,
}

impl<'c> Ledger<'c> {
    /// Reads periods. All states that are needed are asked for before the first of them is looked at.
    ///
    /// # Errors
    /// The first error of `get`, which returns the state of the period with an id.
    pub fn open<E>(
        catalogue: &'c BudgetCatalogue,
        periods: impl IntoIterator<Item = PeriodRef>,
        at: DateTime<Utc>,
        mut get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
    ) -> Result<Self, E> {
        let wanted: BTreeMap<Uuid, PeriodRef> =
            periods.into_iter().map(|period| (period.balance_id(), period)).collect();
        let states: Vec<_> = wanted
            .into_values()
            .map(|wanted| {
                let entry = catalogue.entry(wanted.budget_id());
                let before = match wanted {
                    // What is carried over is fixed within the period, and not by a call that is dated in the future.
                    PeriodRef::At(period) if at >= period.span.starts_at => {
                        entry.and_then(|entry| entry.carried_from(&period))
                    }
                    PeriodRef::At(_) | PeriodRef::Existing { .. } => None,
                };
                (wanted, entry, get(wanted.balance_id()), before.map(|before| (before, get(before.balance_id))))
            })
            .collect();
        let mut ledger = Self { at, periods: BTreeMap::new() };
        for (wanted, entry, state, before) in states {
            let before = before.map(|(before, state)| state.map(|state| (before, state))).transpose()?;
            ledger.add(wanted, entry, &*state?, before);
        }
        Ok(ledger)
    }

    fn add(
        &mut self,
        wanted: PeriodRef,
        entry: Option<&'c CatalogueEntry>,
        state: &BudgetBalance,
        before: Option<(Period, Arc<BudgetBalance>)>,
    ) {
        let mut sums = match (state.sums, wanted) {
            (Some(sums), _) => sums,
            (None, PeriodRef::At(period)) => Sums::new(period.span),
            // It was opened when it was reserved against.
            (None, PeriodRef::Existing { .. }) => return,
        };
        if let (None, Some(entry), Some((before, balance))) = (sums.carried, entry, before) {
            sums.carried = Some(carried(entry, &before, balance.sums.as_ref()));
        }
        let mut events = Vec::new();
        if state.sums.is_none() {
            events.push(BudgetBalanceEvent::Opened(BalanceOpened { budget_id: wanted.budget_id(), after: sums }));
        }
        let budget_id = wanted.budget_id();
        self.periods.insert(wanted.balance_id(), Open { budget_id, entry, sums, events, is_opened: false });
    }

    /// The sums of a period as they are now; none if it was not read.
    #[must_use]
    pub fn sums(&self, balance_id: Uuid) -> Option<&Sums> {
        self.periods.get(&balance_id).map(|open| &open.sums)
    }

    /// The limit of a period that is in force; none if the budget refuses nothing.
    #[must_use]
    pub fn limit(&self, balance_id: Uuid) -> Option<Amount> {
        let open = self.periods.get(&balance_id)?;
        limit_in_force(open.entry?, &open.sums, self.at)
    }

    /// What may still be reserved in a period; none if the budget refuses nothing.
    #[must_use]
    pub fn left(&self, balance_id: Uuid) -> Option<Amount> {
        let used = self.sums(balance_id)?.used();
        Some((self.limit(balance_id)? - used).or_zero())
    }

    /// Whether an amount does not fit into a period of a shadow budget.
    pub(crate) fn would_refuse(&self, balance_id: Uuid, amount: Amount) -> bool {
        let Some(open) = self.periods.get(&balance_id) else { return false };
        let Some(entry) = open.entry.filter(|entry| entry.enforcement == Enforcement::Shadow) else { return false };
        let limit = entry.stated_limit_at(self.at) + open.sums.carried.unwrap_or_default();
        !entry.suspended && open.sums.used() + amount > limit
    }

    /// Counts a reservation that a shadow budget would have refused. The next event of the period says so.
    pub(crate) fn count_refusal(&mut self, balance_id: Uuid) {
        if let Some(open) = self.periods.get_mut(&balance_id) {
            open.sums.would_refuse += 1;
        }
    }

    /// Adds amounts to the sums of a period. `cause` says why, should they exceed the limit. A threshold that they reach is crossed
    /// in the same append.
    pub(crate) fn apply(
        &mut self,
        balance_id: Uuid,
        change: Move,
        cause: ExcessCause,
        event: impl FnOnce(BalanceMoved) -> BudgetBalanceEvent,
    ) {
        let (limit, at) = (self.limit(balance_id), self.at);
        let Some(open) = self.periods.get_mut(&balance_id) else { return };
        open.rearm(at);
        let over = |sums: &Sums| limit.map_or(Amount::ZERO, |limit| (sums.used() - limit).or_zero());
        let before = over(&open.sums);
        let Move { reservation_id, through, charged, assumed, reserved, unpriced } = change;
        open.sums.charged = open.sums.charged + charged;
        open.sums.assumed = open.sums.assumed + assumed;
        open.sums.reserved = open.sums.reserved + reserved;
        open.sums.unpriced += unpriced;
        open.sums.excess = over(&open.sums);
        let grown = open.sums.excess - before;
        let excess = (grown > Amount::ZERO).then_some(Excess { cause, amount: grown });
        let after = open.sums;
        open.events.push(event(BalanceMoved { reservation_id, through, charged, assumed, reserved, excess, after }));
        open.cross(at);
    }

    /// Changes the terms of the budget of a period that was read under the terms before: what is carried over into it is fixed under
    /// those. Records which thresholds are armed again under the new limit, that more than it is charged and reserved, if it is more
    /// than was known, and which thresholds are reached under the new terms.
    pub(crate) fn revise(&mut self, balance_id: Uuid, entry: &'c CatalogueEntry) {
        if let Some(open) = self.periods.get_mut(&balance_id) {
            open.entry = Some(entry);
            open.is_opened = open.sums.carried.is_some();
        }
        let (limit, at) = (self.limit(balance_id), self.at);
        let Some(open) = self.periods.get_mut(&balance_id) else { return };
        let known = open.sums.alerted;
        open.rearm(at);
        // Otherwise a limit that is lowered again before something is charged would arm nothing.
        if open.sums.alerted != known {
            let rearmed = BalanceRearmed { budget_id: open.budget_id, after: open.sums };
            open.events.push(BudgetBalanceEvent::Rearmed(rearmed));
        }
        let over = limit.map_or(Amount::ZERO, |limit| (open.sums.used() - limit).or_zero());
        let grown = over - open.sums.excess;
        if grown > Amount::ZERO {
            open.sums.excess = over;
            let zero = Amount::ZERO;
            open.events.push(BudgetBalanceEvent::Exceeded(BalanceMoved {
                reservation_id: None,
                through: None,
                charged: zero,
                assumed: zero,
                reserved: zero,
                excess: Some(Excess { cause: ExcessCause::LimitLowered, amount: grown }),
                after: open.sums,
            }));
        }
        open.cross(at);
    }

    /// The events of the periods that were changed, in the order of their ids. One that was only read has none, also if it would
    /// have been its first; one whose terms change is opened if something is carried over into it.
    #[must_use]
    pub fn into_events(self) -> BalanceEvents {
        let is_opening = |event: &BudgetBalanceEvent| matches!(event, BudgetBalanceEvent::Opened(_));
        let is_changed = |open: &Open<'_>| open.events.iter().any(|event| open.is_opened || !is_opening(event));
        self.periods.into_iter().filter(|(_, open)| is_changed(open)).map(|(id, open)| (id, open.events)).collect()
    }
}

/// The limit of a period that is in force at a time; none if the budget refuses nothing.
#[must_use]
pub(crate) fn limit_in_force(entry: &CatalogueEntry, sums: &Sums, at: DateTime<Utc>) -> Option<Amount> {
    Some(entry.limit_at(at)? + sums.carried.unwrap_or_default())
}

/// What of a period is carried over: what is left of it, at most the limit.
fn carried(entry: &CatalogueEntry, before: &Period, sums: Option<&Sums>) -> Amount {
    match sums {
        // Nothing was left: there was no budget. Calls of that time may be amended, so that the period has sums.
        _ if entry.since >= before.span.ends_at => Amount::ZERO,
        Some(sums) => {
            let left = entry.limit + sums.carried.unwrap_or_default() - sums.used();
            left.or_zero().min(entry.limit)
        }
        // Nothing was charged in it.
        None => entry.limit,
    }
}
