//! Events on the wire: a dotted name, a schema version and a JSON payload.
//!
//! A payload holds integers below 2^53 and decimal strings, never floats, so that any consumer reads the
//! same numbers that were written.

use thiserror::Error;

/// The wire identity of an event's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType {
    /// Dotted name in the past tense, such as `task.completed`.
    pub name: &'static str,
    /// The version that this code writes. Every type is at its first; reading an older one comes with the first second.
    pub schema_version: u16,
}

/// Why stored bytes are not an event that this code knows.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// No aggregate has this category.
    #[error("unknown category {0:?}")]
    UnknownCategory(String),
    /// The category has no such event type.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// Written by a newer Apex.
    #[error("{name} has schema version {found}, this code reads up to {known}")]
    UnknownVersion {
        /// The event type.
        name: String,
        /// The stored version.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// The payload does not fit the type.
    #[error("the payload of {name} does not fit its schema")]
    Payload {
        /// The event type.
        name: &'static str,
        /// What serde found.
        #[source]
        source: serde_json::Error,
    },
}

/// A payload that cannot be written.
#[derive(Debug, Error)]
#[error("the payload of {name} cannot be encoded")]
pub struct EncodeError {
    /// The event type.
    pub name: &'static str,
    /// What serde found.
    #[source]
    pub source: serde_json::Error,
}

/// How the events of one aggregate are written and read.
pub trait EventCodec: Sized {
    /// Every type, at the version written today.
    const TYPES: &'static [EventType];

    /// This event's type.
    fn event_type(&self) -> EventType;

    /// The payload as JSON text.
    ///
    /// # Errors
    /// [`EncodeError`] when serde refuses.
    fn encode(&self) -> Result<String, EncodeError>;

    /// Reads a stored payload of the version written today.
    ///
    /// # Errors
    /// [`DecodeError`], saying what does not fit.
    fn decode(name: &str, schema_version: u16, payload: &str) -> Result<Self, DecodeError>;
}

/// Declares the events of an aggregate: `"wire.name" v1 => Variant(Payload)`.
macro_rules! events {
    ($(#[$meta:meta])* $vis:vis enum $enum:ident { $($(#[$doc:meta])* $name:literal v $version:literal => $variant:ident($payload:ty)),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "events are decoded, folded and dropped; a box would only add an allocation")]
        $vis enum $enum { $($(#[$doc])* $variant($payload)),+ }

        impl $crate::EventCodec for $enum {
            const TYPES: &'static [$crate::EventType] =
                &[$($crate::EventType { name: $name, schema_version: $version }),+];

            fn event_type(&self) -> $crate::EventType {
                match self { $(Self::$variant(_) => $crate::EventType { name: $name, schema_version: $version }),+ }
            }

            fn encode(&self) -> Result<String, $crate::EncodeError> {
                match self {
                    $(Self::$variant(payload) => serde_json::to_string(payload)
                        .map_err(|source| $crate::EncodeError { name: $name, source })),+
                }
            }

            fn decode(name: &str, schema_version: u16, payload: &str) -> Result<Self, $crate::DecodeError> {
                match name {
                    $($name => {
                        if schema_version != $version {
                            return Err($crate::DecodeError::UnknownVersion {
                                name: name.to_owned(), found: schema_version, known: $version,
                            });
                        }
                        serde_json::from_str(payload)
                            .map(Self::$variant)
                            .map_err(|source| $crate::DecodeError::Payload { name: $name, source })
                    })+
                    _ => Err($crate::DecodeError::UnknownType(name.to_owned())),
                }
            }
        }
    };
}
pub(crate) use events;
