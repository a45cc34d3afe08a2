//! Reads aggregates from the log, through the cache and snapshots.

use crate::cache::{AggregateCache, CacheEntry};
use crate::error::Error;
use crate::loaded::{AsOf, Loaded};
use crate::snapshots::Snapshots;
use domain::{Aggregate, DecodeError, EventCodec, TenantId};
use std::sync::Arc;
use streams::{Log, ReadError, Receipt, RecordedEvent, StreamKey, Version};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The size of the first page that is read. Most streams have fewer events; for those that have more, a snapshot is
/// looked up before the next page.
const FIRST_PAGE_EVENTS: usize = 100;
/// The size of every later page.
const PAGE_EVENTS: usize = 1000;

/// A loaded aggregate, and the version of the cached state or snapshot from which folding started.
struct Folded<A> {
    loaded: Loaded<A>,
    from: Version,
}

/// Reads aggregates from the log; cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    pub(crate) log: Log,
    pub(crate) cache: AggregateCache,
    pub(crate) snapshots: Snapshots,
    /// Limits concurrent reads of the log.
    pub(crate) read_permits: Arc<Semaphore>,
}

impl Loader {
    /// The aggregate as it is now.
    pub(crate) async fn load<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
    ) -> Result<Arc<Loaded<A>>, Error<E>> {
        self.refresh(key, &self.cache.entry(key)).await
    }

    /// The aggregate as it was at a point in the log or in time.
    pub(crate) async fn load_as_of<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        as_of: AsOf,
    ) -> Result<Loaded<A>, Error<E>> {
        Ok(self.fold(key, Loaded::default(), Some(as_of)).await?.loaded)
    }

    /// Reads the events that were appended since the cached state, and updates the cache entry.
    pub(crate) async fn refresh<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        entry: &CacheEntry<A>,
    ) -> Result<Arc<Loaded<A>>, Error<E>> {
        let known = entry.lock().committed();
        let Folded { loaded, from } = self.fold(key, Loaded::clone(&known), None).await?;
        let loaded = if loaded.version == known.version { known } else { Arc::new(loaded) };
        self.snapshots.offer(key, from, &loaded);
        entry.lock().update_from_stream_end(&loaded);
        Ok(loaded)
    }

    /// Refreshes the cache entry if it needs it. Concurrent callers read the stream once.
    pub(crate) async fn refresh_if_stale<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        entry: &CacheEntry<A>,
    ) -> Result<(), Error<E>> {
        if entry.lock().needs_refresh() {
            let _reading = entry.reading.lock().await;
            if entry.lock().needs_refresh() {
                self.refresh(key, entry).await?;
            }
        }
        Ok(())
    }

    /// The receipt of a command, if it was executed before.
    pub(crate) async fn receipt(&self, key: &StreamKey, command_id: Uuid) -> Result<Option<Receipt>, ReadError> {
        let _permit = self.read_permits.acquire().await;
        self.log.receipt(key, command_id).await
    }

    /// Folds the events that follow a known state: all of them, or those up to a point in the log or in time.
    async fn fold<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        known: Loaded<A>,
        as_of: Option<AsOf>,
    ) -> Result<Folded<A>, Error<E>> {
        let is_included =
            |event: &&RecordedEvent| as_of.is_none_or(|as_of| as_of.includes(event.position, event.recorded_at));
        // The semaphore is never closed. One permit for all pages of a stream: a read that holds a permit never waits
        // for another one.
        let _permit = self.read_permits.acquire().await;
        let mut folded = Folded { from: known.version, loaded: known };
        let mut limit = FIRST_PAGE_EVENTS;
        loop {
            let page = self.log.read_stream(key, folded.loaded.version, limit).await?;
            let included = page.iter().take_while(is_included).count();
            folded.loaded = page[..included].iter().try_fold(folded.loaded, fold_event)?;
            if included < limit {
                return Ok(folded);
            }
            if limit == FIRST_PAGE_EVENTS {
                limit = PAGE_EVENTS;
                if let Some(newer) = self.snapshots.load_newer(&self.log, key, folded.loaded.version, as_of).await {
                    folded = Folded { from: newer.version, loaded: newer };
                }
            }
        }
    }
}

/// The stream of an aggregate.
pub(crate) fn stream_key<A: Aggregate>(tenant: &TenantId, id: Uuid) -> StreamKey {
    StreamKey { tenant: tenant.clone(), category: A::CATEGORY.into(), id }
}

fn fold_event<A: Aggregate>(loaded: Loaded<A>, event: &RecordedEvent) -> Result<Loaded<A>, DecodeError> {
    let decoded = A::Event::decode(&event.name, event.schema_version, &event.payload)?;
    let state = Arc::new(Arc::unwrap_or_clone(loaded.state).evolve(&decoded));
    Ok(Loaded { state, version: event.version, position: event.position })
}
