//! What every aggregate is, and the register of all of them.

use crate::codec::{DecodeError, EventCodec, EventType};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a snapshot of a state says of itself: the code that folded it. It is another one after any change of the code
/// of this crate, so a state of other code is never taken for one of this code's.
pub const SNAPSHOT_FORMAT: &str = env!("APEX_DOMAIN_CODE");

/// A consistency boundary: one stream of events, folded into a state that commands are decided against.
///
/// `decide` and `evolve` are pure and total: neither panics on any input, and whatever `decide` accepts
/// `evolve` can fold.
///
/// A state can be written as JSON and read back as itself.
pub trait Aggregate: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first part of the stream's name, and the Kafka topic's.
    const CATEGORY: &'static str;
    /// What may be asked of it, in the imperative.
    type Command: Clone + Send + Sync;
    /// What may have happened to it, in the past tense.
    type Event: EventCodec + Clone + Send + Sync;
    /// Why a command is refused, in business words.
    type Error: std::error::Error + Clone + PartialEq + Send + Sync + 'static;

    /// Decides a command. No events means that what was asked for already holds.
    ///
    /// # Errors
    /// The aggregate's own refusal; the state is unchanged.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Folds one event that happened into the state.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;
}

/// An event type with the category whose streams hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTypeInfo {
    /// The aggregate's category.
    pub category: &'static str,
    /// Wire name and current schema version.
    pub event_type: EventType,
}

/// Registers the aggregates: one line each gives the event its place in [`Event`].
macro_rules! register {
    ($($variant:ident($aggregate:ty)),+ $(,)?) => {
        /// Any event of any aggregate.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "events are decoded, folded and dropped; a box would only add an allocation")]
        pub enum Event {
            $(#[doc = concat!("An event of [`", stringify!($aggregate), "`].")]
            $variant(<$aggregate as Aggregate>::Event)),+
        }

        impl Event {
            /// Every category, in order of registration.
            pub const CATEGORIES: &'static [&'static str] = &[$(<$aggregate as Aggregate>::CATEGORY),+];

            /// Decodes an event as it was stored.
            ///
            /// # Errors
            /// [`DecodeError`] for an unknown category or type, a schema version newer than this code, or a
            /// payload that does not fit its type.
            pub fn decode(category: &str, name: &str, schema_version: u16, payload: &str) -> Result<Self, DecodeError> {
                match category {
                    $(<$aggregate as Aggregate>::CATEGORY => {
                        <$aggregate as Aggregate>::Event::decode(name, schema_version, payload).map(Self::$variant)
                    })+
                    _ => Err(DecodeError::UnknownCategory(category.to_owned())),
                }
            }

            /// Every event type this code can write.
            pub fn types() -> Vec<EventTypeInfo> {
                let mut types = Vec::new();
                $(types.extend(<$aggregate as Aggregate>::Event::TYPES.iter().map(|&event_type| EventTypeInfo {
                    category: <$aggregate as Aggregate>::CATEGORY,
                    event_type,
                }));)+
                types
            }

            /// The shape of every version of every event type that was ever written.
            pub fn schemas() -> Vec<crate::EventSchema> {
                let mut schemas = Vec::new();
                $(schemas.extend(<$aggregate as Aggregate>::Event::schemas());)+
                schemas
            }

            /// Encodes the payload.
            ///
            /// # Errors
            /// [`crate::EncodeError`] when the payload cannot be written as JSON.
            pub fn encode(&self) -> Result<String, crate::EncodeError> {
                match self { $(Self::$variant(event) => event.encode()),+ }
            }
        }

        /// The state of any aggregate: for those who fold streams of every category.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant, reason = "there is one at a time")]
        pub enum State {
            $(#[doc = concat!("A [`", stringify!($aggregate), "`].")]
            $variant($aggregate)),+
        }

        impl State {
            /// What every stream of a category begins with; none if there is no such category.
            #[must_use]
            pub fn of_category(category: &str) -> Option<Self> {
                match category {
                    $(<$aggregate as Aggregate>::CATEGORY => Some(Self::$variant(Default::default())),)+
                    _ => None,
                }
            }

            /// Folds an event. One of another category changes nothing.
            #[must_use]
            pub fn evolve(self, event: &Event) -> Self {
                match (self, event) {
                    $((Self::$variant(state), Event::$variant(event)) => Self::$variant(state.evolve(event)),)+
                    (state, _) => state,
                }
            }
        }
    };
}

register! {
    Agent(crate::agent::Agent),
    Task(crate::task::Task),
    Call(crate::call::Call),
    PriceBook(crate::price_book::PriceBook),
    Memory(crate::memory::Memory),
    Budget(crate::budget::Budget),
    BudgetPeriod(crate::budget::BudgetPeriod),
}
