//! What this process knows of an aggregate: what is committed, and what was decided on top of it but is not committed yet.
//!
//! Commands to one aggregate are decided one after another on the newest state, each as soon as the one before is handed
//! in, and are committed together. Whoever is first to find that a decision rested on something that did not come to be
//! takes all later ones down with it; see [`streams::Chain`]. Nothing here has to be right for the log to be right: the
//! expected versions and the chain find out.

use crate::load::Loaded;
use domain::Aggregate;
use moka::sync::Cache;
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streams::{Chain, Position, StreamKey};
use tokio::sync::watch;

/// The aggregates that this process has seen lately.
#[derive(Clone)]
pub(crate) struct KnownAggregates {
    slots: Cache<StreamKey, Arc<dyn Any + Send + Sync>>,
}

impl KnownAggregates {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { slots: Cache::new(capacity) }
    }

    /// The place of an aggregate; the same for all who ask while anybody holds it or it is remembered.
    pub(crate) fn slot<A: Aggregate>(&self, key: &StreamKey) -> Arc<Slot<A>> {
        let slot = self.slots.get_with_by_ref(key, || Arc::new(Slot::<A>::default()));
        // A category belongs to one type; a slot of another would merely not be shared.
        slot.downcast().unwrap_or_default()
    }
}

/// The place of one aggregate.
pub(crate) struct Slot<A> {
    known: Mutex<Known<A>>,
    /// Held by who reads the stream, so that many who need it read it once.
    pub(crate) reading: tokio::sync::Mutex<()>,
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        let known = Known { committed: None, is_stale: false, tip: None };
        Self { known: Mutex::new(known), reading: tokio::sync::Mutex::default() }
    }
}

impl<A> Slot<A> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Known<A>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Known<A> {
    /// As it was read or written last. Others may have come further.
    committed: Option<Arc<Loaded<A>>>,
    /// Others have come further.
    is_stale: bool,
    tip: Option<Tip<A>>,
}

/// The newest decision.
struct Tip<A> {
    after: Arc<Loaded<A>>,
    chain: Chain,
    /// The position of its last event, once it is committed. Closed without one when it was not written.
    written: watch::Receiver<Option<Position>>,
}

impl<A: Aggregate> Known<A> {
    /// The state to decide on: the newest there is, committed or not.
    pub(crate) fn newest(&mut self) -> Arc<Loaded<A>> {
        self.drop_undone();
        match (&self.tip, &self.committed) {
            (Some(tip), _) => tip.after.clone(),
            (None, Some(committed)) => committed.clone(),
            (None, None) => Arc::default(),
        }
    }

    /// The state to read on from.
    pub(crate) fn committed(&self) -> Arc<Loaded<A>> {
        self.committed.clone().unwrap_or_default()
    }

    /// Whether the stream should be read before anything is decided.
    pub(crate) fn is_unsure(&mut self) -> bool {
        self.drop_undone();
        self.tip.is_none() && (self.is_stale || self.committed.is_none())
    }

    /// When what [`Known::newest`] gave is committed, if it is not yet.
    pub(crate) fn written(&self) -> Option<watch::Receiver<Option<Position>>> {
        self.tip.as_ref().map(|tip| tip.written.clone())
    }

    /// The chain that the next decision is a part of.
    pub(crate) fn chain(&self) -> Chain {
        self.tip.as_ref().map(|tip| tip.chain.clone()).unwrap_or_default()
    }

    /// A decision was handed in: from here on, others build on it. Who waits for it tells where it was written.
    pub(crate) fn decided(&mut self, after: Arc<Loaded<A>>, chain: Chain) -> watch::Sender<Option<Position>> {
        let (sender, written) = watch::channel(None);
        self.tip = Some(Tip { after, chain, written });
        sender
    }

    /// Something was read or written.
    pub(crate) fn learn(&mut self, loaded: &Arc<Loaded<A>>) {
        self.tip.take_if(|tip| tip.after.version <= loaded.version);
        if self.committed.as_ref().is_none_or(|known| known.version <= loaded.version) {
            self.committed = Some(loaded.clone());
        }
    }

    /// The stream was read to its end.
    pub(crate) fn learn_all(&mut self, loaded: &Arc<Loaded<A>>) {
        self.is_stale = false;
        self.learn(loaded);
    }

    /// What was decided on something that did not come to be is forgotten: others have come further.
    fn drop_undone(&mut self) {
        if self.tip.take_if(|tip| tip.chain.is_aborted()).is_some() {
            self.is_stale = true;
        }
    }
}
