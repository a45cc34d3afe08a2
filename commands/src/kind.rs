//! Aggregates of any type, so that one executor, one loader and one cache serve them all.

use crate::loaded::Loaded;
use domain::{Abridged, Aggregate, DecodeError, EventCodec, TenantId};
use std::any::{Any, TypeId};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use streams::{Position, RecordedEvent, StreamKey, Version};
use uuid::Uuid;

/// The state of an aggregate of any type.
pub(crate) type AnyState = Arc<dyn Any + Send + Sync>;

/// As [`Loaded`], for an aggregate of any type.
#[derive(Debug, Clone)]
pub(crate) struct AnyLoaded {
    pub(crate) state: AnyState,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

impl AnyLoaded {
    /// The aggregate as its own type.
    pub(crate) fn typed<A: Aggregate>(&self) -> Loaded<A> {
        Loaded { state: typed(self.state.clone()), version: self.version, position: self.position }
    }
}

impl<A: Aggregate> From<Loaded<A>> for AnyLoaded {
    fn from(loaded: Loaded<A>) -> Self {
        Self { state: loaded.state, version: loaded.version, position: loaded.position }
    }
}

/// A state as its own type.
///
/// # Panics
/// If it is of another type. That never happens, because an aggregate is found by its type: see [`AggregateKey`].
fn typed<A: Aggregate>(state: AnyState) -> Arc<A> {
    state.downcast().unwrap_or_else(|_| unreachable!("an aggregate is found by its type"))
}

/// What has to be known of the type of an aggregate to load it.
pub(crate) trait Kind: Send + Sync {
    fn state_type(&self) -> TypeId;
    /// The state of a stream without events.
    fn initial(&self) -> AnyState;
    /// Whether the last event of a stream is enough to restore the state.
    fn restores_from_last_event(&self) -> bool;
    /// The state after some events.
    fn fold(&self, state: AnyState, events: &[RecordedEvent]) -> Result<AnyState, DecodeError>;
    /// Serializes a state as JSON, the text of a snapshot.
    fn encode(&self, state: &AnyState) -> Result<String, serde_json::Error>;
    /// The state of a snapshot; none if the text is damaged.
    fn decode(&self, text: &str) -> Option<AnyState>;
}

struct KindOf<A>(PhantomData<fn() -> A>);

impl<A: Aggregate> KindOf<A> {
    const KIND: &'static dyn Kind = &Self(PhantomData);
}

impl<A: Aggregate> Kind for KindOf<A> {
    fn state_type(&self) -> TypeId {
        TypeId::of::<A>()
    }

    fn initial(&self) -> AnyState {
        Arc::new(A::default())
    }

    fn restores_from_last_event(&self) -> bool {
        A::RESTORE.is_some()
    }

    fn fold(&self, state: AnyState, events: &[RecordedEvent]) -> Result<AnyState, DecodeError> {
        match (A::RESTORE, events) {
            (_, []) => Ok(state),
            (Some(restore), [.., last]) => Ok(Arc::new(restore(&decode::<A>(last)?))),
            (None, _) => {
                let mut folded = Arc::unwrap_or_clone(typed::<A>(state));
                for event in events {
                    folded = folded.evolve(&decode::<A>(event)?);
                }
                Ok(Arc::new(folded))
            }
        }
    }

    fn encode(&self, state: &AnyState) -> Result<String, serde_json::Error> {
        serde_json::to_string(&*typed::<A>(state.clone()))
    }

    fn decode(&self, text: &str) -> Option<AnyState> {
        let state: A = serde_json::from_str(text).ok()?;
        // Deserializing alone accepts unknown fields and replaces missing ones by defaults.
        (serde_json::to_string(&state).ok()? == text).then(|| Arc::new(state) as AnyState)
    }
}

/// An event as it was decided.
pub(crate) fn decode<A: Aggregate>(event: &RecordedEvent) -> Result<A::Event, DecodeError> {
    let decoded = A::Event::decode(&event.name, event.schema_version, &event.payload)?;
    match A::ABRIDGED {
        Some(Abridged { complete, .. }) => {
            let metadata = event.metadata().map_err(DecodeError::Metadata)?;
            Ok(complete(decoded, metadata.correlation_id))
        }
        None => Ok(decoded),
    }
}

/// The identity of an aggregate: its stream and its type. Aggregates are ordered by their streams.
#[derive(Clone)]
pub(crate) struct AggregateKey {
    pub(crate) stream: StreamKey,
    pub(crate) kind: &'static dyn Kind,
}

impl AggregateKey {
    pub(crate) fn of<A: Aggregate>(tenant: &TenantId, id: Uuid) -> Self {
        let stream = StreamKey { tenant: tenant.clone(), category: A::CATEGORY.into(), id };
        Self { stream, kind: KindOf::<A>::KIND }
    }

    /// The aggregate before its first event.
    pub(crate) fn initial(&self) -> AnyLoaded {
        AnyLoaded { state: self.kind.initial(), version: Version::ZERO, position: Position::ZERO }
    }

    fn identity(&self) -> (&StreamKey, TypeId) {
        (&self.stream, self.kind.state_type())
    }
}

impl PartialEq for AggregateKey {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for AggregateKey {}

impl PartialOrd for AggregateKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AggregateKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for AggregateKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.stream.hash(hasher);
    }
}

impl fmt::Debug for AggregateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}
