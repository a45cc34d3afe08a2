//! The trait that every aggregate implements.

use crate::codec::EventCodec;
use crate::ids::AgentId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// How events are written without what their correlation id says already.
#[derive(Debug, Clone, Copy)]
pub struct Abridged<E> {
    /// An event as it is written with a correlation id, from one as it was decided.
    pub abridge: fn(E, Uuid) -> E,
    /// The event as it was decided, from one as it was written.
    pub complete: fn(E, Uuid) -> E,
}

/// A consistency boundary: one stream of events, folded into a state that commands are decided on.
///
/// `decide` and `evolve` are pure and total: they never panic, and `evolve` folds every event that `decide` returns.
/// The state can be written as JSON and read back unchanged, so that it can be stored as a snapshot.
pub trait Aggregate: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first part of the stream's name and of the Kafka topic's.
    const CATEGORY: &'static str;
    /// Restores the state from the last event of the stream alone, for an aggregate whose every event carries the state
    /// after it, such as a running sum. Its streams may have any number of events: no state is folded from the first event
    /// on, and none is stored as a snapshot. `evolve` must return the same state.
    const RESTORE: Option<fn(&Self::Event) -> Self> = None;
    /// How events are written without what their correlation id says already; none if all of an event is written.
    const ABRIDGED: Option<Abridged<Self::Event>> = None;
    /// The commands to the aggregate, named in the imperative.
    type Command: Clone + Send + Sync;
    /// The events of the aggregate, named in the past tense.
    type Event: EventCodec + Clone + Send + Sync;
    /// Why a command is rejected, in terms of the business.
    type Error: std::error::Error + Clone + PartialEq + Send + Sync + 'static;

    /// Decides a command. Returns no events if the aggregate already has the requested state.
    ///
    /// # Errors
    /// The aggregate's own error if it rejects the command.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Folds one event into the state.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// The agent that the aggregate with this id belongs to alone; none if it belongs to none, or is shared. A credential that
    /// is bound to another agent sends no command to it.
    #[must_use]
    fn owner(&self, id: Uuid) -> Option<AgentId> {
        let _ = id;
        None
    }

    /// The agent in whose name an event of the aggregate with this id is, given the state before or after the event; none if
    /// it is in no agent's name. A credential that is bound to an agent appends only events that are in the name of that one.
    #[must_use]
    fn agent(&self, id: Uuid, event: &Self::Event) -> Option<AgentId> {
        let _ = event;
        self.owner(id)
    }
}
