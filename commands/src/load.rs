//! Folding a stream into the state of its aggregate.

use crate::Error;
use crate::snapshots::Snapshots;
use chrono::{DateTime, Utc};
use domain::{Aggregate, EventCodec};
use std::sync::Arc;
use streams::{Log, Position, RecordedEvent, StreamKey, Version};

/// Events read at first. Most streams have fewer; where there are more, a snapshot is looked for.
const FIRST_PAGE_EVENTS: usize = 100;
/// Events read at once from then on.
const PAGE_EVENTS: usize = 1000;

/// An aggregate as of a place in the log.
#[derive(Debug, Clone, Default)]
pub struct Loaded<A> {
    /// Its state.
    pub state: A,
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
    pub(crate) fn includes(self, position: Position, recorded_at: DateTime<Utc>) -> bool {
        match self {
            Self::Position(last) => position <= last,
            Self::Time(last) => recorded_at <= last,
        }
    }
}

/// What a stream came to, and from which version on its events had to be folded.
pub(crate) struct Folded<A> {
    pub(crate) loaded: Arc<Loaded<A>>,
    pub(crate) from: Version,
}

/// Folds what follows on what is known: all of it, or all that was there as of a place or time.
pub(crate) async fn fold<A: Aggregate>(
    log: &Log,
    snapshots: &Snapshots,
    key: &StreamKey,
    known: Arc<Loaded<A>>,
    as_of: Option<AsOf>,
) -> Result<Folded<A>, Error<A::Error>> {
    let is_within =
        |event: &&RecordedEvent| as_of.is_none_or(|as_of| as_of.includes(event.position, event.recorded_at));
    let mut folded = Folded { from: known.version, loaded: known };
    let mut limit = FIRST_PAGE_EVENTS;
    loop {
        let page = log.read_stream(key, folded.loaded.version, limit).await?;
        let within = page.iter().take_while(is_within).count();
        if within > 0 {
            let loaded = Arc::unwrap_or_clone(folded.loaded);
            folded.loaded = Arc::new(page[..within].iter().try_fold(loaded, evolve)?);
        }
        if within < limit {
            return Ok(folded);
        }
        if limit == FIRST_PAGE_EVENTS {
            limit = PAGE_EVENTS;
            if let Some(later) = snapshots.later_than(log, key, folded.loaded.version, as_of).await {
                folded = Folded { from: later.version, loaded: Arc::new(later) };
            }
        }
    }
}

fn evolve<A: Aggregate>(loaded: Loaded<A>, event: &RecordedEvent) -> Result<Loaded<A>, domain::DecodeError> {
    let decoded = A::Event::decode(&event.name, event.schema_version, &event.payload)?;
    Ok(Loaded { state: loaded.state.evolve(&decoded), version: event.version, position: event.position })
}
