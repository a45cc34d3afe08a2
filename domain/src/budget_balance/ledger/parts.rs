//! How the parts of a period share its limit.
//!
//! The stream of the period itself knows what the other parts hold, so that it alone says what is left for all. A part is allotted some
//! of it when it asks for more than it may hold; then it grants without asking. Nothing is allotted beyond the limit without temporary
//! raises: whatever brings more than that to be charged and reserved takes back what is allotted and not used, in the same append.

use super::{Ledger, Open};
use crate::budget::Amount;
use crate::budget_balance::{Allotment, Delegated, Sums};
use crate::budget_catalogue::CatalogueEntry;
use chrono::{DateTime, Utc};
use std::num::NonZeroU64;
use uuid::Uuid;

impl Open<'_> {
    /// The id of the stream of the period itself, of which this may be a part. `own` is its own id.
    pub(super) fn root_id(&self, own: Uuid) -> Uuid {
        self.sums.part.map_or(own, |part| part.balance_id)
    }

    fn is_delegation(&self) -> bool {
        self.sums.part.is_some_and(|part| part.delegation_id.is_some())
    }

    /// What is kept for a delegation that runs, and not used: nobody else takes it. Below zero, if its calls cost more than was reserved.
    /// None of what is no delegation, or over.
    fn kept(&self, at: DateTime<Utc>) -> Option<Amount> {
        let id = self.sums.part.and_then(|part| part.delegation_id);
        let mut delegations = self.entry.into_iter().flat_map(|entry| &entry.delegations);
        let is_kept = delegations.any(|known| Some(known.delegation_id) == id && known.is_running(at));
        let amount = self.sums.allotted.map_or(Amount::ZERO, |allotted| allotted.amount);
        is_kept.then(|| amount - self.sums.used())
    }

    /// Takes back what is allotted and not used. Returns how much that is.
    fn take_back(&mut self) -> Amount {
        let room = self.sums.room();
        self.is_unwritten |= self.sums.allotted.take().is_some();
        room
    }
}

/// The limit without temporary raises.
pub(super) fn lasting_limit(entry: &CatalogueEntry, root: &Sums) -> Amount {
    entry.limit + root.carried.unwrap_or_default()
}

/// Whether a part of a budget can hold more without the other parts being read.
pub(super) fn is_local(entry: Option<&CatalogueEntry>, part: &Sums, more: Amount) -> bool {
    // Nothing rests on what the parts of a closed budget hold.
    let Some(entry) = entry else { return true };
    let is_delegation = part.part.is_some_and(|part| part.delegation_id.is_some());
    let Some(allotted) = part.allotted.filter(|_| !is_delegation) else { return false };
    allotted.revision == entry.revision && part.used() + more.or_zero() <= allotted.amount
}

impl Ledger<'_> {
    pub(super) fn root_id(&self, balance_id: Uuid) -> Uuid {
        self.streams.get(&balance_id).map_or(balance_id, |open| open.root_id(balance_id))
    }

    /// The stream of the period itself that a stream is a part of; none if it was not read.
    pub(super) fn root(&self, balance_id: Uuid) -> Option<&Open<'_>> {
        self.streams.get(&self.root_id(balance_id))
    }

    /// The parts of a period that were read and from which may be taken what they do not use, beside the stream of the period itself:
    /// those with the most room first.
    fn parts_of(&self, root_id: Uuid) -> Vec<Uuid> {
        let is_part = |open: &Open<'_>| open.sums.part.is_some_and(|part| part.balance_id == root_id);
        let is_free = |open: &Open<'_>| is_part(open) && open.kept(self.at).is_none();
        let mut parts: Vec<_> = self.streams.iter().filter(|(_, open)| is_free(open)).collect();
        parts.sort_by_key(|(_, open)| std::cmp::Reverse(open.sums.room()));
        parts.into_iter().map(|(id, _)| *id).collect()
    }

    /// What is charged and reserved in a period, with what delegations that run, and parts that were not read, may hold; none if the
    /// period itself was not read.
    fn held(&self, balance_id: Uuid) -> Option<Amount> {
        let root_id = self.root_id(balance_id);
        let root = self.streams.get(&root_id)?;
        let rooms: Amount = self.parts_of(root_id).iter().filter_map(|id| self.sums(*id)).map(Sums::room).sum();
        Some(root.sums.used() + root.sums.handed + root.sums.delegated.claimed - rooms)
    }

    /// What is left of a limit for what is decided in a stream; below zero if more is held. A delegation that runs has what is kept for
    /// it, as far as the limit holds that.
    pub(super) fn left_under(&self, limit: Amount, balance_id: Uuid) -> Amount {
        let free = limit - self.held(balance_id).unwrap_or_default();
        let kept = self.streams.get(&balance_id).and_then(|open| open.kept(self.at));
        kept.map_or(free, |kept| kept.min(free + kept.or_zero()))
    }

    /// By how much more than the limit is charged and reserved; none if the period itself was not read.
    pub(super) fn excess(&self, balance_id: Uuid) -> Option<Amount> {
        let held = self.held(balance_id)?;
        Some(self.limit(balance_id).map_or(Amount::ZERO, |limit| (held - limit).or_zero()))
    }

    /// The excess that is known of a period: of one with parts, under which the sums change without it, it is computed.
    pub(super) fn known_excess(&self, root_id: Uuid) -> Amount {
        let Some(root) = self.streams.get(&root_id) else { return Amount::ZERO };
        let has_parts = root.entry.is_some_and(|entry| !entry.parts.is_one());
        let is_shared = has_parts || root.sums.delegated != Delegated::default();
        if is_shared { self.excess(root_id).unwrap_or_default() } else { root.sums.excess }
    }

    /// Records what a part claims after its sums have changed, which were others before. A part that asks is allotted more. What is
    /// allotted and not used is taken back as far as the limit demands.
    pub(super) fn hand(&mut self, balance_id: Uuid, before: &Sums, asks: bool) {
        let root_id = self.root_id(balance_id);
        let Some(open) = self.streams.get(&balance_id) else { return };
        let (after, is_delegation, kept) = (open.sums, open.is_delegation(), open.kept(self.at));
        let Some(root) = self.streams.get_mut(&root_id) else { return };
        let Some(entry) = root.entry else { return };
        if is_delegation {
            root.sums.delegated = root.sums.delegated + Delegated::by(&after) - Delegated::by(before);
            root.is_unwritten = true;
        } else if root_id != balance_id {
            root.sums.handed = root.sums.handed + after.claimed() - before.claimed();
            root.is_unwritten |= after.claimed() != before.claimed() || root.is_carried_new;
        }
        if is_delegation && asks && kept.is_none() {
            self.take_back(root_id, balance_id);
        }
        let lasting = self.sums(root_id).map_or(Amount::ZERO, |root| lasting_limit(entry, root));
        // What a delegation leaves that is over is nobody's until it is asked for: it grants nothing without its period being read.
        let is_taken = |ledger: &Self, id: &Uuid| asks || !ledger.streams.get(id).is_some_and(Open::is_delegation);
        let parts: Vec<_> = self.parts_of(root_id).into_iter().filter(|id| is_taken(self, id)).collect();
        for part in parts {
            if self.free(root_id, lasting) >= Amount::ZERO {
                break;
            }
            self.take_back(root_id, part);
        }
        if asks && root_id != balance_id && !is_delegation {
            self.allot(root_id, balance_id, entry, lasting);
        }
    }

    /// What of a limit no part claims.
    fn free(&self, root_id: Uuid, limit: Amount) -> Amount {
        let root = self.sums(root_id).copied();
        root.map_or(Amount::ZERO, |root| limit - root.used() - root.handed - root.delegated.claimed)
    }

    /// Keeps an amount for a delegation that begins. Returns whether none had its id before.
    pub(crate) fn delegate(&mut self, balance_id: Uuid, amount: Amount) -> bool {
        let Some(open) = self.streams.get_mut(&balance_id).filter(|open| !open.events.is_empty()) else { return false };
        let before = open.sums;
        open.sums.allotted = Some(Allotment { amount, revision: open.entry.map_or(0, |entry| entry.revision) });
        open.is_unwritten = true;
        self.hand(balance_id, &before, false);
        true
    }

    /// Takes back what is allotted to all parts of a period, and not used.
    pub(super) fn take_back_all(&mut self, root_id: Uuid) {
        for part in self.parts_of(root_id) {
            self.take_back(root_id, part);
        }
    }

    fn take_back(&mut self, root_id: Uuid, part: Uuid) {
        let Some(open) = self.streams.get_mut(&part) else { return };
        let (is_delegation, room) = (open.is_delegation(), open.take_back());
        if let Some(root) = self.streams.get_mut(&root_id).filter(|_| !room.is_zero()) {
            let claimed = if is_delegation { &mut root.sums.delegated.claimed } else { &mut root.sums.handed };
            *claimed = *claimed - room;
            root.is_unwritten = true;
        }
    }

    /// Allots to a part its share of what no part claims.
    fn allot(&mut self, root_id: Uuid, part: Uuid, entry: &CatalogueEntry, lasting: Amount) {
        let free = self.free(root_id, lasting).or_zero();
        let share = NonZeroU64::new(entry.parts.get().into()).map_or(Amount::ZERO, |parts| free.times(1, parts));
        let Some(root) = self.streams.get_mut(&root_id).filter(|_| !share.is_zero()) else { return };
        root.sums.handed = root.sums.handed + share;
        root.is_unwritten = true;
        if let Some(open) = self.streams.get_mut(&part) {
            open.sums.allotted = Some(Allotment { amount: open.sums.claimed() + share, revision: entry.revision });
            open.is_unwritten = true;
        }
    }
}
