//! The cache entries that one decision locks, from its first look at an aggregate until its append is submitted.
//!
//! An aggregate that the command may change is locked exclusively, one that it can only read is locked together with other
//! readers. A thread waits for a lock only in the order of the keys, and only before it decides. What else the
//! decision asks for is locked if it is free at that moment; otherwise the decision is made again with all of it. So no two
//! decisions wait for each other.

use crate::cache::{AggregateCache, CacheEntry, CachedAggregate, CommitWatch, Newest};
use crate::kind::{AggregateKey, AnyLoaded};
use crate::loader::Entries;
use crate::states::MAX_DECISION_AGGREGATES;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::slice::Iter;
use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};
use streams::{Chain, Position};
use tokio::sync::watch;

/// The entries that a decision found in the cache while it was made; they outlive their locks.
pub(crate) struct Found([OnceCell<Arc<CacheEntry>>; MAX_DECISION_AGGREGATES]);

impl Default for Found {
    fn default() -> Self {
        Self([const { OnceCell::new() }; MAX_DECISION_AGGREGATES])
    }
}

enum Guard<'a> {
    Shared(RwLockReadGuard<'a, CachedAggregate>),
    Exclusive(RwLockWriteGuard<'a, CachedAggregate>),
}

impl Guard<'_> {
    fn get(&self) -> &CachedAggregate {
        match self {
            Self::Shared(aggregate) => aggregate,
            Self::Exclusive(aggregate) => aggregate,
        }
    }
}

/// The locked entries of a decision.
pub(crate) struct Locks<'a> {
    cache: &'a AggregateCache,
    /// Whether the command may change an aggregate, so that it is locked exclusively.
    may_change: &'a dyn Fn(&AggregateKey) -> bool,
    /// The aggregates that are taken for new if nothing is known of them.
    assume_new: &'a [AggregateKey],
    /// Room for entries that are found while the decision is made.
    free: Iter<'a, OnceCell<Arc<CacheEntry>>>,
    locked: BTreeMap<AggregateKey, (&'a Arc<CacheEntry>, Guard<'a>)>,
}

impl<'a> Locks<'a> {
    /// Locks entries in the order of their keys, and waits for each.
    pub(crate) fn wait(
        cache: &'a AggregateCache,
        entries: &'a Entries,
        may_change: &'a dyn Fn(&AggregateKey) -> bool,
        assume_new: &'a [AggregateKey],
        found: &'a Found,
    ) -> Self {
        let lock = |(key, entry): (&AggregateKey, &'a Arc<CacheEntry>)| {
            let guard =
                if may_change(key) { Guard::Exclusive(entry.lock()) } else { Guard::Shared(entry.lock_shared()) };
            (key.clone(), (entry, guard))
        };
        let free = found.0.get(entries.len()..).unwrap_or_default().iter();
        Self { cache, may_change, assume_new, free, locked: entries.iter().map(lock).collect() }
    }

    /// The state of an aggregate to decide on. None if it has to be read or waited for.
    pub(crate) fn newest(&mut self, key: &AggregateKey) -> Option<Newest> {
        if !self.locked.contains_key(key) {
            self.lock_if_free(key)?;
        }
        let (_, guard) = self.locked.get(key)?;
        let new = || self.assume_new.contains(key).then(|| Newest { loaded: key.initial(), chain: None });
        guard.get().newest().or_else(new)
    }

    fn lock_if_free(&mut self, key: &AggregateKey) -> Option<()> {
        let entry = self.free.next()?.get_or_init(|| self.cache.entry(key));
        let guard = if (self.may_change)(key) {
            Guard::Exclusive(entry.try_lock()?)
        } else {
            Guard::Shared(entry.try_lock_shared()?)
        };
        if guard.get().needs_refresh() && !self.assume_new.contains(key) {
            return None;
        }
        self.locked.insert(key.clone(), (entry, guard));
        Some(())
    }

    /// Reports when the newest state of a locked aggregate is committed; none if it already is.
    pub(crate) fn commit_watch(&self, key: &AggregateKey) -> Option<CommitWatch> {
        self.locked.get(key).and_then(|(_, guard)| guard.get().commit_watch())
    }

    /// Stores a decision whose append was submitted, as [`CachedAggregate::push_pending`] does. None if the aggregate is not
    /// locked exclusively, which that of a change always is.
    pub(crate) fn push_pending(
        &mut self,
        key: &AggregateKey,
        after: AnyLoaded,
        chain: Chain,
    ) -> Option<(Arc<CacheEntry>, watch::Sender<Option<Position>>)> {
        match self.locked.get_mut(key)? {
            (entry, Guard::Exclusive(aggregate)) => Some((entry.clone(), aggregate.push_pending(after, chain))),
            (_, Guard::Shared(_)) => None,
        }
    }

    /// Unlocks the entries, and returns them.
    pub(crate) fn unlock(self) -> Entries {
        self.locked.into_iter().map(|(key, (entry, _))| (key, entry.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
