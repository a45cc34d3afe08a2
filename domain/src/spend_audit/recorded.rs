//! The sums of periods as their events say, by period and part.

use crate::budget::Amount;
use crate::budget_balance::{Alerted, Delegated, Sums};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Recorded {
    sums: BTreeMap<Uuid, Sums>,
    /// The parts of each period that have events, beside the stream of the period itself.
    parts: BTreeMap<Uuid, BTreeSet<Uuid>>,
}

impl Recorded {
    /// Sets the sums of a stream, and returns those before.
    pub(super) fn insert(&mut self, id: Uuid, sums: Sums) -> Option<Sums> {
        if let Some(part) = sums.part {
            self.parts.entry(part.balance_id).or_default().insert(id);
        }
        self.sums.insert(id, sums)
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&Sums> {
        self.sums.get(&id)
    }

    /// The id of the stream of the period that a stream belongs to.
    pub(super) fn root(&self, id: Uuid) -> Uuid {
        self.get(id).and_then(|sums| sums.part).map_or(id, |part| part.balance_id)
    }

    /// The streams of a period that have events.
    pub(super) fn streams(&self, root: Uuid) -> impl Iterator<Item = (Uuid, &Sums)> {
        let ids = std::iter::once(root).chain(self.parts.get(&root).into_iter().flatten().copied());
        ids.filter_map(|id| Some((id, self.get(id)?)))
    }

    /// What the stream of a period says that its other parts and its delegations hold of the limit, and what they do.
    pub(super) fn handed(&self, root: Uuid) -> [(Amount, Delegated); 2] {
        let stated = self.get(root).map(|sums| (sums.handed, sums.delegated)).unwrap_or_default();
        let parts = self.streams(root).filter(|(id, _)| *id != root).map(|(_, sums)| sums);
        let claimed = parts.fold((Amount::ZERO, Delegated::default()), |(handed, delegated), sums| {
            match sums.part.and_then(|part| part.delegation_id) {
                Some(_) => (handed, delegated + Delegated::by(sums)),
                None => (handed + sums.claimed(), delegated),
            }
        });
        [stated, claimed]
    }
}

/// Whether an event changes what parts hold, and nothing else.
pub(super) fn is_allotted(before: &Sums, after: &Sums) -> bool {
    let percent = |of: &Sums| of.alerted.map_or(0, Alerted::percent);
    let sums = |of: &Sums| Sums {
        handed: Amount::ZERO,
        delegated: Delegated::default(),
        allotted: None,
        carried: None,
        alerted: None,
        ..*of
    };
    percent(after) <= percent(before)
        && sums(before) == sums(after)
        && (before.carried.is_none() || before.carried == after.carried)
}
