//! Aggregates as they are and as they were.

use crate::Error;
use crate::executor::Commands;
use crate::known::Slot;
use chrono::{DateTime, Utc};
use domain::{Aggregate, EventCodec, TenantId};
use std::sync::Arc;
use streams::{Position, RecordedEvent, StreamKey, Version};

/// Events read at once when an aggregate is loaded.
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
        let within = |event: &RecordedEvent| match as_of {
            AsOf::Position(position) => event.position <= position,
            AsOf::Time(time) => event.recorded_at <= time,
        };
        let mut loaded = Loaded::default();
        loop {
            let page = self.log.read_stream(&key, loaded.version, LOAD_PAGE_EVENTS).await?;
            for event in page.iter().take_while(|event| within(event)) {
                loaded = fold(loaded, event)?;
            }
            if page.len() < LOAD_PAGE_EVENTS || !page.last().is_some_and(within) {
                return Ok(loaded);
            }
        }
    }

    /// Reads what was appended since.
    pub(crate) async fn refresh<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        slot: &Slot<A>,
    ) -> Result<Arc<Loaded<A>>, Error<E>> {
        let known = slot.lock().committed();
        let mut page = self.log.read_stream(key, known.version, LOAD_PAGE_EVENTS).await?;
        let mut loaded = Loaded::clone(&known);
        while !page.is_empty() {
            for event in &page {
                loaded = fold(loaded, event)?;
            }
            if page.len() < LOAD_PAGE_EVENTS {
                break;
            }
            page = self.log.read_stream(key, loaded.version, LOAD_PAGE_EVENTS).await?;
        }
        let loaded = if loaded.version == known.version { known } else { Arc::new(loaded) };
        slot.lock().learn_all(&loaded);
        Ok(loaded)
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
