//! Aggregates as they are and as they were.

use crate::Error;
use crate::executor::Commands;
use crate::known::Slot;
use chrono::{DateTime, Utc};
use domain::{Aggregate, EventCodec, TenantId};
use std::sync::Arc;
use streams::{Position, RecordedEvent, StreamKey, Version};

/// Events read at first. Most streams have fewer; where there are more, a snapshot is looked for.
const FIRST_PAGE_EVENTS: usize = 100;
/// Events read at once from then on.
const LOAD_PAGE_EVENTS: usize = 1000;

/// An aggregate as of a place in the log.
#[derive(Debug, Clone, Default)]
pub struct Loaded<A> {
    /// Its state.
    pub state: Arc<A>,
    /// How many events it has.
    pub version: Version,
    /// The position of its last event; zero if it has none.
    pub position: Position,
}

/// As of when an aggregate is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Up to and including a position.
    Position(Position),
    /// Everything recorded up to and including a time.
    Time(DateTime<Utc>),
}

impl AsOf {
    /// Whether an event at a position, recorded at a time, had happened by then.
    pub(crate) fn includes(self, position: Position, recorded_at: DateTime<Utc>) -> bool {
        match self {
            Self::Position(last) => position <= last,
            Self::Time(last) => recorded_at <= last,
        }
    }
}

/// What a stream came to, and from which version on its events were folded one by one.
struct Folded<A> {
    loaded: Loaded<A>,
    from: Version,
}

impl Commands {
    /// The aggregate as it is now.
    ///
    /// # Errors
    /// [`Error::Load`] and [`Error::Decode`].
    pub async fn load<A: Aggregate>(
        &self,
        tenant: &TenantId,
        id: uuid::Uuid,
    ) -> Result<Arc<Loaded<A>>, Error<A::Error>> {
        let key = key::<A>(tenant, id);
        self.refresh(&key, &self.known.slot(&key)).await
    }

    /// The aggregate as it was.
    ///
    /// # Errors
    /// [`Error::Load`] and [`Error::Decode`].
    pub async fn load_as_of<A: Aggregate>(
        &self,
        tenant: &TenantId,
        id: uuid::Uuid,
        as_of: AsOf,
    ) -> Result<Loaded<A>, Error<A::Error>> {
        let key = key::<A>(tenant, id);
        Ok(self.fold(&key, Loaded::default(), Some(as_of)).await?.loaded)
    }

    /// Reads what was appended since.
    pub(crate) async fn refresh<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        slot: &Slot<A>,
    ) -> Result<Arc<Loaded<A>>, Error<E>> {
        let known = slot.lock().committed();
        let Folded { loaded, from } = self.fold(key, Loaded::clone(&known), None).await?;
        let loaded = if loaded.version == known.version { known } else { Arc::new(loaded) };
        self.snapshots.offer(key, from, &loaded);
        slot.lock().learn_all(&loaded);
        Ok(loaded)
    }

    /// Folds what follows on what is known: all of it, or all that had happened by a place or time.
    async fn fold<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        known: Loaded<A>,
        as_of: Option<AsOf>,
    ) -> Result<Folded<A>, Error<E>> {
        let is_within =
            |event: &&RecordedEvent| as_of.is_none_or(|as_of| as_of.includes(event.position, event.recorded_at));
        // Nobody closes it. Held for all pages of a stream: no read waits for another permit while it has one.
        let _permit = self.reads.acquire().await;
        let mut folded = Folded { from: known.version, loaded: known };
        let mut limit = FIRST_PAGE_EVENTS;
        loop {
            let page = self.log.read_stream(key, folded.loaded.version, limit).await?;
            let within = page.iter().take_while(is_within).count();
            folded.loaded = page[..within].iter().try_fold(folded.loaded, fold)?;
            if within < limit {
                return Ok(folded);
            }
            if limit == FIRST_PAGE_EVENTS {
                limit = LOAD_PAGE_EVENTS;
                if let Some(later) = self.snapshots.later_than(&self.log, key, folded.loaded.version, as_of).await {
                    folded = Folded { from: later.version, loaded: later };
                }
            }
        }
    }

    /// Reads what was appended since, if nobody did after it became necessary.
    pub(crate) async fn make_sure<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        slot: &Slot<A>,
    ) -> Result<(), Error<E>> {
        if slot.lock().is_unsure() {
            let _reading = slot.reading.lock().await;
            if slot.lock().is_unsure() {
                self.refresh(key, slot).await?;
            }
        }
        Ok(())
    }
}

pub(crate) fn key<A: Aggregate>(tenant: &TenantId, id: uuid::Uuid) -> StreamKey {
    StreamKey { tenant: tenant.clone(), category: A::CATEGORY.into(), id }
}

fn fold<A: Aggregate>(loaded: Loaded<A>, event: &RecordedEvent) -> Result<Loaded<A>, domain::DecodeError> {
    let decoded = A::Event::decode(&event.name, event.schema_version, &event.payload)?;
    let state = Arc::new(Arc::unwrap_or_clone(loaded.state).evolve(&decoded));
    Ok(Loaded { state, version: event.version, position: event.position })
}
