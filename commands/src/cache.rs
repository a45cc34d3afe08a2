//! The aggregates that this process has in memory: the committed state, and decisions that are not committed yet.
//!
//! Commands to one aggregate are decided one after another on the newest state, each as soon as the append of the one
//! before it is submitted, and are committed together. If one of those appends is not written, all later ones that build
//! on it are aborted with it; see [`streams::Chain`]. The log stays correct even if the cache is wrong: the expected
//! versions and the chain reject what was decided on an outdated state.

use crate::kind::{AggregateKey, AnyLoaded};
use foldhash::fast::RandomState;
use moka::sync::Cache;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use streams::{Chain, Position};
use tokio::sync::watch;

/// A bounded cache of the aggregates that this process used most recently.
#[derive(Clone)]
pub(crate) struct AggregateCache {
    entries: Cache<AggregateKey, Arc<CacheEntry>, RandomState>,
}

impl AggregateCache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { entries: Cache::builder().max_capacity(capacity).build_with_hasher(RandomState::default()) }
    }

    /// The cache entry of an aggregate; all callers share one entry until it is evicted.
    pub(crate) fn entry(&self, key: &AggregateKey) -> Arc<CacheEntry> {
        self.entries.get_with_by_ref(key, Arc::default)
    }
}

/// The cache entry of one aggregate.
#[derive(Default)]
pub(crate) struct CacheEntry {
    aggregate: RwLock<CachedAggregate>,
    /// Held while the stream is read, so that concurrent commands that need it read it once.
    pub(crate) reading: tokio::sync::Mutex<()>,
}

impl CacheEntry {
    /// Locks the entry for a change, and waits for it.
    pub(crate) fn lock(&self) -> RwLockWriteGuard<'_, CachedAggregate> {
        self.aggregate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the entry together with others who only read it, and waits for those who change it.
    pub(crate) fn lock_shared(&self) -> RwLockReadGuard<'_, CachedAggregate> {
        self.aggregate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`CacheEntry::lock`]; none if it would have to wait.
    pub(crate) fn try_lock(&self) -> Option<RwLockWriteGuard<'_, CachedAggregate>> {
        unless_it_waits(self.aggregate.try_write())
    }

    /// As [`CacheEntry::lock_shared`]; none if it would have to wait.
    pub(crate) fn try_lock_shared(&self) -> Option<RwLockReadGuard<'_, CachedAggregate>> {
        unless_it_waits(self.aggregate.try_read())
    }
}

fn unless_it_waits<G>(locked: Result<G, TryLockError<G>>) -> Option<G> {
    match locked {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What this process knows of one aggregate.
#[derive(Default)]
pub(crate) struct CachedAggregate {
    /// The state that was read or committed last. Other processes may have appended since.
    committed: Option<AnyLoaded>,
    /// Whether another process is known to have appended since.
    is_stale: bool,
    /// The newest decision that is not committed yet.
    pending: Option<Pending>,
}

/// A decision whose append is submitted and not committed yet.
struct Pending {
    after: AnyLoaded,
    chain: Chain,
    /// The position of its last event, once it is committed. Closed without one if it was not written.
    committed_at: CommitWatch,
}

/// Reports the position of a decision's last event in a stream once it is committed; closed without one if it was not
/// written.
pub(crate) type CommitWatch = watch::Receiver<Option<Position>>;

/// The state of an aggregate to decide on.
#[derive(Clone)]
pub(crate) struct Newest {
    pub(crate) loaded: AnyLoaded,
    /// The chain of the decisions that the state rests on and that are not committed yet; none if there are none.
    pub(crate) chain: Option<Chain>,
}

impl CachedAggregate {
    /// The newest state, committed or not: the one to decide on. None if nothing is known of the stream.
    pub(crate) fn newest(&self) -> Option<Newest> {
        match self.pending.as_ref().filter(|pending| !pending.chain.is_aborted()) {
            Some(pending) => Some(Newest { loaded: pending.after.clone(), chain: Some(pending.chain.clone()) }),
            None => self.committed.clone().map(|loaded| Newest { loaded, chain: None }),
        }
    }

    /// The newest committed state: the one to continue reading the stream from. None if nothing is known of the stream.
    ///
    /// Drops a pending decision whose chain was aborted: what is read takes its place.
    pub(crate) fn committed(&mut self) -> Option<AnyLoaded> {
        self.drop_aborted();
        self.committed.clone()
    }

    /// Whether the stream has to be read before the next decision. If a pending decision was aborted, it has to: usually
    /// another process appended to the stream.
    pub(crate) fn needs_refresh(&self) -> bool {
        match &self.pending {
            Some(pending) => pending.chain.is_aborted(),
            None => self.is_stale || self.committed.is_none(),
        }
    }

    /// Reports when the newest pending decision is committed; none if all are.
    pub(crate) fn commit_watch(&self) -> Option<CommitWatch> {
        self.pending.as_ref().map(|pending| pending.committed_at.clone())
    }

    /// Stores a decision whose append was submitted; later decisions build on it. Its position is to be sent once it is
    /// committed, or the sender dropped if it was not written.
    pub(crate) fn push_pending(&mut self, after: AnyLoaded, chain: Chain) -> watch::Sender<Option<Position>> {
        let (sender, committed_at) = watch::channel(None);
        self.drop_aborted();
        self.pending = Some(Pending { after, chain, committed_at });
        sender
    }

    /// Stores a committed state, unless a newer one is known.
    pub(crate) fn update(&mut self, loaded: &AnyLoaded) {
        self.pending.take_if(|pending| pending.after.version <= loaded.version);
        if self.committed.as_ref().is_none_or(|known| known.version <= loaded.version) {
            self.committed = Some(loaded.clone());
        }
    }

    /// Stores the state at the end of the stream.
    pub(crate) fn update_from_stream_end(&mut self, loaded: &AnyLoaded) {
        self.is_stale = false;
        self.update(loaded);
    }

    /// Marks the committed state as outdated, because an append that rested on it conflicted with another process.
    pub(crate) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    /// Drops a pending decision whose chain was aborted. The committed state is stale then.
    fn drop_aborted(&mut self) {
        if self.pending.take_if(|pending| pending.chain.is_aborted()).is_some() {
            self.is_stale = true;
        }
    }
}

#[cfg(test)]
mod tests;
