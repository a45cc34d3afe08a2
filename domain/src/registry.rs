//! What follows from the list of all aggregates, which is in `lib.rs`, below their modules.

use crate::aggregate::Aggregate;
use crate::codec::EventType;

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

/// Code that is generic over the type of aggregate, to run for a category that is known at run time only.
/// [`visit_aggregate`](crate::visit_aggregate) runs it.
pub trait AggregateVisitor {
    /// What the code returns.
    type Output;

    /// Runs the code for a type of aggregate.
    fn visit<A: Aggregate>(self) -> Self::Output;
}

/// Registers the aggregates: each line adds a variant to [`Event`](crate::Event) and [`State`](crate::State). It is invoked
/// in `lib.rs`, whose names it uses.
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
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
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

        /// Runs a visitor for the aggregate of a category; none if the category is unknown.
        pub fn visit_aggregate<V: AggregateVisitor>(category: &str, visitor: V) -> Option<V::Output> {
            match category {
                $(<$aggregate as Aggregate>::CATEGORY => Some(visitor.visit::<$aggregate>()),)+
                _ => None,
            }
        }
    };
}
pub(crate) use register;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, State, visit_aggregate};

    struct Category;

    impl AggregateVisitor for Category {
        type Output = &'static str;

        fn visit<A: Aggregate>(self) -> Self::Output {
            A::CATEGORY
        }
    }

    #[test]
    fn a_category_leads_to_its_aggregate() {
        for category in Event::CATEGORIES {
            assert_eq!(visit_aggregate(category, Category), Some(*category));
            assert!(State::of_category(category).is_some());
        }
        assert_eq!(visit_aggregate("unknown", Category), None);
        assert_eq!(State::of_category("unknown"), None);
    }
}
