//! Reads aggregates from the log, through the cache and snapshots.

use crate::cache::{AggregateCache, CacheEntry};
use crate::kind::{AggregateKey, AnyLoaded};
use crate::loaded::AsOf;
use crate::snapshots::Snapshots;
use domain::DecodeError;
use futures::future::{BoxFuture, try_join_all};
use std::collections::BTreeMap;
use std::sync::Arc;
use streams::{Log, ReadError, Receipt, RecordedEvent, StreamKey, StreamTail, Version};
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The size of the first page that is read. Most streams have fewer events; for those that have more, a snapshot is
/// looked up before the next page.
const FIRST_PAGE_EVENTS: usize = 100;
/// The size of every later page.
const PAGE_EVENTS: usize = 1000;
/// The most events of each stream that are read together with others.
const TOGETHER_EVENTS: usize = 20;

/// Why an aggregate cannot be loaded.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// The cache entries of the aggregates that a decision may rest on, in the order in which they are waited for.
pub(crate) type Entries = BTreeMap<AggregateKey, Arc<CacheEntry>>;

/// An aggregate and its cached state, if there is one.
type Cached<'a> = (&'a AggregateKey, Option<AnyLoaded>);

/// A loaded aggregate, and the version of the cached state or snapshot from which folding started.
struct Folded {
    loaded: AnyLoaded,
    from: Version,
}

/// Reads aggregates from the log; cheap to clone.
///
/// What reads is boxed: those futures are many times as large as all others of a command, and most commands read nothing.
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
    pub(crate) async fn load(&self, key: &AggregateKey) -> Result<AnyLoaded, LoadError> {
        self.refresh(key, &self.cache.entry(key)).await
    }

    /// The aggregate as it was at a point in the log or in time.
    pub(crate) fn load_as_of<'a>(
        &'a self,
        key: &'a AggregateKey,
        as_of: AsOf,
    ) -> BoxFuture<'a, Result<AnyLoaded, LoadError>> {
        Box::pin(async move {
            if key.kind.restores_from_last_event() {
                return self.restore_as_of(key, as_of).await;
            }
            Ok(self.fold(key, key.initial(), Some(as_of)).await?.loaded)
        })
    }

    /// Reads the events that were appended since the cached state, and updates the cache entry.
    pub(crate) fn refresh<'a>(
        &'a self,
        key: &'a AggregateKey,
        entry: &'a CacheEntry,
    ) -> BoxFuture<'a, Result<AnyLoaded, LoadError>> {
        Box::pin(async move {
            let known = entry.lock().committed();
            let Folded { loaded, from } = match known {
                Some(known) => self.fold(key, known, None).await?,
                None if key.kind.restores_from_last_event() => self.restore(key).await?,
                None => self.fold(key, key.initial(), None).await?,
            };
            self.snapshots.offer(key, from, &loaded);
            entry.lock().update_from_stream_end(&loaded);
            Ok(loaded)
        })
    }

    /// Refreshes the cache entry if it needs it. Concurrent callers read the stream once.
    pub(crate) async fn refresh_if_stale(&self, key: &AggregateKey, entry: &CacheEntry) -> Result<(), LoadError> {
        if entry.lock_shared().needs_refresh() {
            let _reading = entry.reading.lock().await;
            if entry.lock_shared().needs_refresh() {
                self.refresh(key, entry).await?;
            }
        }
        Ok(())
    }

    /// The aggregates as of one common moment after the call, which also updates their cache entries.
    ///
    /// In most cases one statement is enough: it reads what was appended after the cached states. Otherwise the moment
    /// is the position of the head, up to which each stream is read in as many pages as it takes.
    pub(crate) async fn load_at_one_moment(
        &self,
        entries: &Entries,
    ) -> Result<BTreeMap<AggregateKey, AnyLoaded>, LoadError> {
        let cached: Vec<_> = entries.iter().map(|(key, entry)| (key, entry.lock().committed())).collect();
        let loaded = match self.add_tails(&cached).await? {
            Some(loaded) => loaded,
            None => self.load_at_head(&cached).await?,
        };
        for (((key, known), entry), loaded) in cached.into_iter().zip(entries.values()).zip(&loaded) {
            self.snapshots.offer(key, known.map_or(Version::ZERO, |known| known.version), loaded);
            entry.lock().update_from_stream_end(loaded);
        }
        Ok(entries.keys().cloned().zip(loaded).collect())
    }

    /// The aggregates with what was appended after their cached states, read by one statement. None if one of them is
    /// not cached, or if more than a page was appended to it or some of that is archived.
    async fn add_tails(&self, cached: &[Cached<'_>]) -> Result<Option<Vec<AnyLoaded>>, LoadError> {
        let known: Option<Vec<_>> = cached.iter().map(|(key, known)| Some((*key, known.as_ref()?))).collect();
        let Some(known) = known else { return Ok(None) };
        let streams: Vec<_> = known.iter().map(|(key, known)| (&key.stream, known.version)).collect();
        let tails = {
            let _permit = self.read_permits.acquire().await;
            self.log.read_tails(&streams, FIRST_PAGE_EVENTS).await?
        };
        let mut loaded = Vec::with_capacity(known.len());
        for ((key, known), tail) in known.into_iter().zip(tails) {
            let Some(newest) = add_tail(key, known, &tail)? else { return Ok(None) };
            loaded.push(newest);
        }
        Ok(Some(loaded))
    }

    /// The aggregates as they are now, in the order of their keys, which also updates their cache entries.
    ///
    /// One statement reads what was appended after the cached states. Streams of which more was appended, or some is archived, are
    /// read one by one.
    pub(crate) async fn load_all(&self, keys: &[AggregateKey]) -> Result<Vec<AnyLoaded>, LoadError> {
        let cached = |key: &AggregateKey| {
            let entry = self.cache.entry(key);
            let known = entry.lock().committed().unwrap_or_else(|| key.initial());
            (entry, known)
        };
        let cached: Vec<_> = keys.iter().map(cached).collect();
        let streams: Vec<_> = keys.iter().zip(&cached).map(|(key, (_, known))| (&key.stream, known.version)).collect();
        let tails = {
            let _permit = self.read_permits.acquire().await;
            self.log.read_tails(&streams, TOGETHER_EVENTS).await?
        };
        let mut loaded = Vec::with_capacity(keys.len());
        for ((key, (entry, known)), tail) in keys.iter().zip(&cached).zip(tails) {
            let newest = match add_tail(key, known, &tail)? {
                Some(newest) => {
                    self.snapshots.offer(key, known.version, &newest);
                    entry.lock().update_from_stream_end(&newest);
                    newest
                }
                None => self.refresh(key, entry).await?,
            };
            loaded.push(newest);
        }
        Ok(loaded)
    }

    /// The aggregates as of the head of the log, which is read after their cached states.
    async fn load_at_head(&self, cached: &[Cached<'_>]) -> Result<Vec<AnyLoaded>, LoadError> {
        let as_of = AsOf::Position(self.log.head().await?);
        let loads = cached.iter().map(async |(key, known)| match known {
            Some(known) if !key.kind.restores_from_last_event() => {
                Ok(self.fold(key, known.clone(), Some(as_of)).await?.loaded)
            }
            Some(_) | None => self.load_as_of(key, as_of).await,
        });
        try_join_all(loads).await
    }

    /// The receipt of a command, if it was executed before.
    pub(crate) async fn receipt(&self, target: &StreamKey, command_id: Uuid) -> Result<Option<Receipt>, ReadError> {
        let _permit = self.read_permits.acquire().await;
        self.log.receipt(target, command_id).await
    }

    /// Folds the events that follow a known state: all of them, or those up to a point in the log or in time.
    async fn fold(&self, key: &AggregateKey, known: AnyLoaded, as_of: Option<AsOf>) -> Result<Folded, LoadError> {
        let is_included =
            |event: &&RecordedEvent| as_of.is_none_or(|as_of| as_of.includes(event.position, event.recorded_at));
        // The semaphore is never closed. One permit for all pages of a stream: a read that holds a permit never waits
        // for another one.
        let _permit = self.read_permits.acquire().await;
        let mut folded = Folded { from: known.version, loaded: known };
        let mut limit = FIRST_PAGE_EVENTS;
        loop {
            let page = self.log.read_stream(&key.stream, folded.loaded.version, limit).await?;
            let included = page.iter().take_while(is_included).count();
            folded.loaded = fold_page(key, folded.loaded, &page[..included])?;
            if included < limit {
                return Ok(folded);
            }
            if limit == FIRST_PAGE_EVENTS {
                limit = PAGE_EVENTS;
                if key.kind.restores_from_last_event() {
                    folded.loaded = before(key, self.log.stream_version(&key.stream).await?);
                } else if let Some(newer) =
                    self.snapshots.load_newer(&self.log, key, folded.loaded.version, as_of).await
                {
                    folded = Folded { from: newer.version, loaded: newer };
                }
            }
        }
    }

    /// The aggregate as its last event restores it, and those that follow it while it is read.
    async fn restore(&self, key: &AggregateKey) -> Result<Folded, LoadError> {
        let last = {
            let _permit = self.read_permits.acquire().await;
            self.log.stream_version(&key.stream).await?
        };
        self.fold(key, before(key, last), None).await
    }

    /// The aggregate as the last event up to a point in the log or in time restores it. A binary search over the versions
    /// finds that event: positions and times rise with them.
    async fn restore_as_of(&self, key: &AggregateKey, as_of: AsOf) -> Result<AnyLoaded, LoadError> {
        let _permit = self.read_permits.acquire().await;
        let (mut included, mut excluded) = (0, self.log.stream_version(&key.stream).await?.get() + 1);
        let mut restored = key.initial();
        while excluded - included > 1 {
            let middle = included + (excluded - included) / 2;
            let page = self.log.read_stream(&key.stream, Version::from(middle - 1), 1).await?;
            match page.first() {
                Some(event) if as_of.includes(event.position, event.recorded_at) => {
                    included = middle;
                    restored = fold_page(key, restored, &page)?;
                }
                _ => excluded = middle,
            }
        }
        Ok(restored)
    }
}

/// What the events from a version on are folded into, where the last of them restores the state.
fn before(key: &AggregateKey, version: Version) -> AnyLoaded {
    AnyLoaded { version: Version::from(version.get().saturating_sub(1)), ..key.initial() }
}

/// An aggregate with the tail of its stream after a known state. None if the tail does not follow that state, or does not reach the
/// end of the stream.
fn add_tail(key: &AggregateKey, known: &AnyLoaded, tail: &StreamTail) -> Result<Option<AnyLoaded>, DecodeError> {
    let follows = tail.events.first().is_none_or(|event| event.version.get() == known.version.get() + 1);
    let last = tail.events.last().map_or(known.version, |event| event.version);
    if !follows || last != tail.version {
        return Ok(None);
    }
    fold_page(key, known.clone(), &tail.events).map(Some)
}

fn fold_page(key: &AggregateKey, loaded: AnyLoaded, page: &[RecordedEvent]) -> Result<AnyLoaded, DecodeError> {
    let Some(last) = page.last() else { return Ok(loaded) };
    let (version, position) = (last.version, last.position);
    Ok(AnyLoaded { state: key.kind.fold(loaded.state, page)?, version, position })
}
