//! Reading the periods of a decision: a part alone if that is enough, else the stream of its period, else all of them.

use super::parts::{is_local, lasting_limit};
use super::{Ledger, Open, PeriodRef, Wanted};
use crate::budget::{Amount, MAX_DELEGATIONS, Span};
use crate::budget_balance::{BalanceOpened, BudgetBalance, BudgetBalanceEvent, Sums};
use crate::budget_catalogue::{BudgetCatalogue, CatalogueEntry, PartOf, Period};
use crate::ids::BudgetId;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// A stream that is read.
#[derive(Clone, Copy)]
struct Read {
    budget_id: BudgetId,
    balance_id: Uuid,
    part: Option<PartOf>,
    /// From when to when the period is; none if the stream has events.
    span: Option<Span>,
    /// Whether what is carried over into the period is fixed by the decision.
    fixes_carried: bool,
}

impl Read {
    fn of(period: PeriodRef, at: DateTime<Utc>) -> Self {
        let (budget_id, balance_id) = (period.budget_id(), period.balance_id());
        match period {
            // What is carried over is fixed within the period, and not by a call that is dated in the future.
            PeriodRef::At(Period { part, span, .. }) => {
                let fixes_carried = part.is_none() && at >= span.starts_at;
                Self { budget_id, balance_id, part, span: Some(span), fixes_carried }
            }
            PeriodRef::Existing { .. } => Self { budget_id, balance_id, part: None, span: None, fixes_carried: false },
        }
    }

    /// The period before, if what is left of it is to be carried over.
    fn before(&self, entry: Option<&CatalogueEntry>, state: Option<&BudgetBalance>) -> Option<Period> {
        let Self { budget_id, balance_id, span, .. } = *self;
        let is_known = state.and_then(|state| state.sums).is_some_and(|sums| sums.carried.is_some());
        let span = span.filter(|_| self.fixes_carried && !is_known)?;
        entry?.carried_from(&Period { budget_id, balance_id, span, part: None })
    }
}

/// The period before another one, with the states of its parts, the first of which is that of the period itself.
type Before = (Period, Vec<Arc<BudgetBalance>>);

impl<'c> Ledger<'c> {
    /// Reads periods. All states that are known to be needed are asked for before the first of them is looked at.
    ///
    /// # Errors
    /// The first error of `get`, which returns the state of the period, or of the part of one, with an id.
    pub fn open<E>(
        catalogue: &'c BudgetCatalogue,
        wanted: impl IntoIterator<Item = Wanted>,
        at: DateTime<Utc>,
        mut get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
    ) -> Result<Self, E> {
        let wanted: BTreeMap<Uuid, Wanted> =
            wanted.into_iter().map(|wanted| (wanted.period.balance_id(), wanted)).collect();
        let mut ledger = Self { at, streams: BTreeMap::new() };
        ledger.read(catalogue, wanted.values().map(|wanted| Read::of(wanted.period, at)).collect(), &mut get)?;
        ledger.read(catalogue, ledger.roots_needed(&wanted), &mut get)?;
        ledger.read(catalogue, ledger.parts_needed(&wanted), &mut get)?;
        Ok(ledger)
    }

    fn read<E>(
        &mut self,
        catalogue: &'c BudgetCatalogue,
        wanted: Vec<Read>,
        get: &mut impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
    ) -> Result<(), E> {
        let asked: Vec<_> = wanted
            .into_iter()
            .filter(|wanted| !self.streams.contains_key(&wanted.balance_id))
            .map(|wanted| {
                let entry = catalogue.entry(wanted.budget_id);
                let state = get(wanted.balance_id);
                let before = wanted.before(entry, state.as_deref().ok());
                let parts = entry.map(|entry| entry.parts).unwrap_or_default();
                let before = before.map(|before| (before, before.streams(parts).map(&mut *get).collect::<Vec<_>>()));
                (wanted, entry, state, before)
            })
            .collect();
        for (wanted, entry, state, before) in asked {
            let before = match before {
                Some((before, states)) => Some((before, states.into_iter().collect::<Result<Vec<_>, E>>()?)),
                None => None,
            };
            self.add(wanted, entry, &*state?, before);
        }
        Ok(())
    }

    fn add(&mut self, wanted: Read, entry: Option<&'c CatalogueEntry>, state: &BudgetBalance, before: Option<Before>) {
        let mut sums = match (state.sums, wanted.span) {
            (Some(sums), _) => sums,
            (None, Some(span)) => Sums { part: wanted.part, ..Sums::new(span) },
            // It was opened when it was reserved against.
            (None, None) => return,
        };
        let mut is_carried_new = false;
        if let (None, Some(entry), Some((before, states))) = (sums.carried, entry, before) {
            sums.carried = Some(carried(entry, &before, &states));
            is_carried_new = true;
        }
        let Read { budget_id, balance_id, .. } = wanted;
        let mut events = Vec::new();
        if state.sums.is_none() {
            events.push(BudgetBalanceEvent::Opened(BalanceOpened { budget_id, after: sums }));
        }
        let open = Open { budget_id, entry, sums, events, is_opened: false, is_carried_new, is_unwritten: false };
        self.streams.insert(balance_id, open);
    }

    /// The periods of the parts that do not hold what may be added to them.
    fn roots_needed(&self, wanted: &BTreeMap<Uuid, Wanted>) -> Vec<Read> {
        let root = |(id, Wanted { period, more, .. }): (&Uuid, &Wanted)| {
            let open = self.streams.get(id)?;
            let part = open.sums.part.filter(|_| !is_local(open.entry, &open.sums, *more))?;
            let (budget_id, span) = (open.budget_id, open.sums.span);
            let root = Period { budget_id, balance_id: part.balance_id, span, part: None };
            let read = Read::of(PeriodRef::At(root), self.at);
            Some(Read { fixes_carried: read.fixes_carried && matches!(period, PeriodRef::At(_)), ..read })
        };
        wanted.iter().filter_map(root).collect()
    }

    /// The other parts of the periods whose limit does not hold what may be added to them, with all that is allotted. What delegations
    /// whose time is over do not use is among that, as far as a decision reads as many of them.
    fn parts_needed(&self, wanted: &BTreeMap<Uuid, Wanted>) -> Vec<Read> {
        let mut of_roots: BTreeMap<Uuid, (Amount, bool)> = BTreeMap::new();
        for (id, Wanted { more, asks, .. }) in wanted {
            let Some(open) = self.streams.get(id) else { continue };
            let (sum, is_asked_for) = of_roots.entry(open.root_id(*id)).or_default();
            let is_part = open.sums.part.is_some();
            let claims = if is_part { open.sums.used() + *more - open.sums.claimed() } else { *more };
            (*sum, *is_asked_for) = (*sum + claims.or_zero(), *is_asked_for || *asks);
        }
        let (mut parts, mut delegations) = (Vec::new(), Vec::new());
        for (root_id, (more, is_asked_for)) in of_roots {
            let Some(root) = self.streams.get(&root_id) else { continue };
            let Some(entry) = root.entry else { continue };
            let held = root.sums.used() + root.sums.handed + root.sums.delegated.claimed + more;
            if held <= lasting_limit(entry, &root.sums) {
                continue;
            }
            let period = Period { budget_id: root.budget_id, balance_id: root_id, span: root.sums.span, part: None };
            parts.extend(entry.parts.further().map(|number| period.in_part(number)));
            let over = entry.delegations_of(root_id).filter(|known| is_asked_for && !known.is_running(self.at));
            delegations.extend(over.map(|known| period.in_delegation(known.delegation_id)));
        }
        let streams = parts.into_iter().chain(delegations.into_iter().take(MAX_DELEGATIONS));
        streams.map(|period| Read::of(PeriodRef::At(period), self.at)).collect()
    }
}

/// What of a period is carried over: what is left of it, at most the limit.
fn carried(entry: &CatalogueEntry, before: &Period, states: &[Arc<BudgetBalance>]) -> Amount {
    // Nothing was left: there was no budget. Calls of that time may be amended, so that the period has sums.
    if entry.since >= before.span.ends_at {
        return Amount::ZERO;
    }
    let sums = || states.iter().filter_map(|state| state.sums);
    let carried: Amount = sums().filter_map(|sums| sums.carried).sum();
    let of_delegations = |sums: Sums| sums.delegated.charged + sums.delegated.assumed + sums.delegated.reserved;
    let used: Amount = sums().map(|sums| sums.used() + of_delegations(sums)).sum();
    (entry.limit + carried - used).or_zero().min(entry.limit)
}
