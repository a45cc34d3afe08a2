//! The register of all aggregates.

use crate::aggregate::Aggregate;
use crate::codec::{DecodeError, EncodeError, EventCodec, EventType};
use crate::schema::EventSchema;
use serde::Serialize;

/// Identifies the code that folded a state, and with it the format of a snapshot. It changes with every change of this
/// crate's code other than comments and tests, so that a snapshot is only read by the code that wrote it.
pub const SNAPSHOT_FORMAT: &str = env!("APEX_DOMAIN_CODE");

/// An event type with the category whose streams hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTypeInfo {
    /// The category of the aggregate.
    pub category: &'static str,
    /// The wire name and the current schema version.
    pub event_type: EventType,
}

/// Registers the aggregates: each line adds a variant to [`Event`] and [`State`].
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
            /// Every category, in the order of registration.
            pub const CATEGORIES: &'static [&'static str] = &[$(<$aggregate as Aggregate>::CATEGORY),+];

            /// Decodes a stored event.
            ///
            /// # Errors
            /// [`DecodeError`] if the category or type is unknown, the schema version is newer than this code, or the
            /// payload does not match its schema.
            pub fn decode(category: &str, name: &str, schema_version: u16, payload: &str) -> Result<Self, DecodeError> {
                match category {
                    $(<$aggregate as Aggregate>::CATEGORY => {
                        <$aggregate as Aggregate>::Event::decode(name, schema_version, payload).map(Self::$variant)
                    })+
                    _ => Err(DecodeError::UnknownCategory(category.to_owned())),
                }
            }

            /// Every event type that this code writes.
            pub fn types() -> Vec<EventTypeInfo> {
                let mut types = Vec::new();
                $(types.extend(<$aggregate as Aggregate>::Event::TYPES.iter().map(|&event_type| EventTypeInfo {
                    category: <$aggregate as Aggregate>::CATEGORY,
                    event_type,
                }));)+
                types
            }

            /// The JSON Schema of every version of every event type.
            pub fn schemas() -> Vec<EventSchema> {
                let mut schemas = Vec::new();
                $(schemas.extend(<$aggregate as Aggregate>::Event::schemas());)+
                schemas
            }

            /// Encodes the payload as JSON text.
            ///
            /// # Errors
            /// [`EncodeError`] if the payload cannot be written as JSON.
            pub fn encode(&self) -> Result<String, EncodeError> {
                match self { $(Self::$variant(event) => event.encode()),+ }
            }
        }

        /// The state of any aggregate, for code that folds streams of every category.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant, reason = "a fold holds one state at a time")]
        pub enum State {
            $(#[doc = concat!("The state of a [`", stringify!($aggregate), "`].")]
            $variant($aggregate)),+
        }

        impl State {
            /// The state of an empty stream of a category; none if the category is unknown.
            #[must_use]
            pub fn of_category(category: &str) -> Option<Self> {
                match category {
                    $(<$aggregate as Aggregate>::CATEGORY => Some(Self::$variant(Default::default())),)+
                    _ => None,
                }
            }

            /// Folds an event into the state. An event of another category changes nothing.
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
