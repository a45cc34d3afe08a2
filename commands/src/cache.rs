//! The aggregates that this process has in memory: the committed state, and decisions that are not committed yet.
//!
//! Commands to one aggregate are decided one after another on the newest state, each as soon as the append of the one
//! before it is submitted, and are committed together. If one of those appends is not written, all later ones that build
//! on it are aborted with it; see [`streams::Chain`]. The log stays correct even if the cache is wrong: the expected
//! versions and the chain reject what was decided on an outdated state.

use crate::loaded::Loaded;
use domain::Aggregate;
use moka::sync::Cache;
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streams::{Chain, Position, StreamKey};
use tokio::sync::watch;

/// A bounded cache of the aggregates that this process used most recently.
#[derive(Clone)]
pub(crate) struct AggregateCache {
    entries: Cache<StreamKey, Arc<dyn Any + Send + Sync>>,
}

impl AggregateCache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { entries: Cache::new(capacity) }
    }

    /// The cache entry of an aggregate; all callers share one entry until it is evicted.
    pub(crate) fn entry<A: Aggregate>(&self, key: &StreamKey) -> Arc<CacheEntry<A>> {
        let entry = self.entries.get_with_by_ref(key, || Arc::new(CacheEntry::<A>::default()));
        // A category belongs to one aggregate type. If the type differs nevertheless, the entry is not shared.
        entry.downcast().unwrap_or_default()
    }
}

/// The cache entry of one aggregate.
pub(crate) struct CacheEntry<A> {
    aggregate: Mutex<CachedAggregate<A>>,
    /// Held while the stream is read, so that concurrent commands that need it read it once.
    pub(crate) reading: tokio::sync::Mutex<()>,
}

impl<A> Default for CacheEntry<A> {
    fn default() -> Self {
        let aggregate = CachedAggregate { committed: None, is_stale: false, pending: None };
        Self { aggregate: Mutex::new(aggregate), reading: tokio::sync::Mutex::default() }
    }
}

impl<A> CacheEntry<A> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, CachedAggregate<A>> {
        self.aggregate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this process knows of one aggregate.
pub(crate) struct CachedAggregate<A> {
    /// The state that was read or committed last. Other processes may have appended since.
    committed: Option<Arc<Loaded<A>>>,
    /// Whether another process is known to have appended since.
    is_stale: bool,
    /// The newest decision that is not committed yet.
    pending: Option<Pending<A>>,
}

/// A decision whose append is submitted and not committed yet.
struct Pending<A> {
    after: Arc<Loaded<A>>,
    chain: Chain,
    /// The position of its last event, once it is committed. Closed without one if it was not written.
    committed_at: watch::Receiver<Option<Position>>,
}

impl<A: Aggregate> CachedAggregate<A> {
    /// The newest state, committed or not: the one to decide on.
    pub(crate) fn newest(&mut self) -> Arc<Loaded<A>> {
        self.drop_aborted();
        match (&self.pending, &self.committed) {
            (Some(pending), _) => pending.after.clone(),
            (None, Some(committed)) => committed.clone(),
            (None, None) => Arc::default(),
        }
    }

    /// The newest committed state: the one to continue reading the stream from.
    pub(crate) fn committed(&self) -> Arc<Loaded<A>> {
        self.committed.clone().unwrap_or_default()
    }

    /// Whether the stream has to be read before the next decision.
    pub(crate) fn needs_refresh(&mut self) -> bool {
        self.drop_aborted();
        self.pending.is_none() && (self.is_stale || self.committed.is_none())
    }

    /// Reports when the state returned by [`CachedAggregate::newest`] is committed; none if it already is.
    pub(crate) fn commit_watch(&self) -> Option<watch::Receiver<Option<Position>>> {
        self.pending.as_ref().map(|pending| pending.committed_at.clone())
    }

    /// The chain to submit the next decision with.
    pub(crate) fn chain(&self) -> Chain {
        self.pending.as_ref().map(|pending| pending.chain.clone()).unwrap_or_default()
    }

    /// Stores a decision whose append was submitted; later decisions build on it. Its position is to be sent once it is
    /// committed, or the sender dropped if it was not written.
    pub(crate) fn push_pending(&mut self, after: Arc<Loaded<A>>, chain: Chain) -> watch::Sender<Option<Position>> {
        let (sender, committed_at) = watch::channel(None);
        self.pending = Some(Pending { after, chain, committed_at });
        sender
    }

    /// Stores a committed state, unless a newer one is known.
    pub(crate) fn update(&mut self, loaded: &Arc<Loaded<A>>) {
        self.pending.take_if(|pending| pending.after.version <= loaded.version);
        if self.committed.as_ref().is_none_or(|known| known.version <= loaded.version) {
            self.committed = Some(loaded.clone());
        }
    }

    /// Stores the state at the end of the stream.
    pub(crate) fn update_from_stream_end(&mut self, loaded: &Arc<Loaded<A>>) {
        self.is_stale = false;
        self.update(loaded);
    }

    /// Drops a pending decision whose chain was aborted. The committed state is stale then: usually another process
    /// appended to the stream.
    fn drop_aborted(&mut self) {
        if self.pending.take_if(|pending| pending.chain.is_aborted()).is_some() {
            self.is_stale = true;
        }
    }
}

#[cfg(test)]
mod tests;
