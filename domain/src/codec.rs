//! Encoding and decoding of events: a dotted name, a schema version and a JSON payload.
//!
//! A payload contains integers below 2^53 and decimal strings, never floats, so that every consumer reads the numbers
//! that were written.
//!
//! Stored events never change. An event of an older version is upcast to the newest one when it is read, one version at a
//! time: an upcast is a pure function from the payload of one version to that of the next.

use crate::schema::EventSchema;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The name and schema version of an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType {
    /// The dotted name in the past tense, such as `task.completed`.
    pub name: &'static str,
    /// The version that this code writes. It also reads every earlier version.
    pub schema_version: u16,
}

/// Why a stored event cannot be decoded.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// No aggregate has this category.
    #[error("unknown category {0:?}")]
    UnknownCategory(String),
    /// The tenant id of the event is not valid.
    #[error("the tenant id of the event is not valid")]
    Tenant(#[from] crate::TenantIdError),
    /// The category has no such event type.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// The event was written by a newer version of Apex.
    #[error("{name} has schema version {found}; this version of Apex reads versions 1 to {known}")]
    UnknownVersion {
        /// The event type.
        name: String,
        /// The schema version of the stored event.
        found: u16,
        /// The newest version that this code reads.
        known: u16,
    },
    /// The metadata of the event is not valid.
    #[error("the metadata of the event is not valid")]
    Metadata(#[source] serde_json::Error),
    /// The payload does not match its schema.
    #[error("the payload of {name} does not match its schema")]
    Payload {
        /// The event type.
        name: &'static str,
        /// The error from serde.
        #[source]
        source: serde_json::Error,
    },
    /// The payload of an older version cannot be upcast.
    #[error("{name} cannot be upcast from schema version {from} to the next")]
    Upcast {
        /// The event type.
        name: &'static str,
        /// The version that cannot be upcast.
        from: u16,
        /// Why the upcast failed.
        #[source]
        source: UpcastError,
    },
}

/// Why a payload cannot be upcast to the next version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UpcastError(pub String);

/// Why a payload cannot be encoded.
#[derive(Debug, Error)]
#[error("the payload of {name} cannot be encoded as JSON")]
pub struct EncodeError {
    /// The event type.
    pub name: &'static str,
    /// The error from serde.
    #[source]
    pub source: serde_json::Error,
}

/// Encodes and decodes the events of one aggregate.
pub trait EventCodec: Sized {
    /// Every event type, with the version that this code writes.
    const TYPES: &'static [EventType];

    /// The type of this event.
    fn event_type(&self) -> EventType;

    /// The payload as JSON text.
    ///
    /// # Errors
    /// [`EncodeError`] if the payload cannot be written as JSON.
    fn encode(&self) -> Result<String, EncodeError>;

    /// Decodes a stored payload of any version up to the one that this code writes.
    ///
    /// # Errors
    /// [`DecodeError`] if the name or version is unknown, or the payload does not match its schema or cannot be upcast.
    fn decode(name: &str, schema_version: u16, payload: &str) -> Result<Self, DecodeError>;

    /// The JSON Schema of every version of every event type, oldest version first.
    fn schemas() -> Vec<EventSchema>;
}

/// Deserializes a payload of one version.
pub(crate) fn parse<T: DeserializeOwned>(name: &'static str, payload: &str) -> Result<T, DecodeError> {
    serde_json::from_str(payload).map_err(|source| DecodeError::Payload { name, source })
}

/// Whether the older versions are listed from 1 without gaps up to the one before the newest.
pub(crate) const fn is_complete(older: &[u16], newest: u16) -> bool {
    let mut listed = 0;
    while listed < older.len() {
        if older[listed] as usize != listed + 1 {
            return false;
        }
        listed += 1;
    }
    newest as usize == listed + 1
}

/// Declares the events of an aggregate: `"wire.name" v 1 => Variant(Payload)`.
///
/// A type with more than one version also lists the older ones, oldest first, each with its payload and the upcast to the
/// payload of the next version: `"wire.name" v 2 => Variant(Payload), from v 1 (PayloadV1) by upcast_v1`.
macro_rules! events {
    ($(#[$meta:meta])* $vis:vis enum $enum:ident { $(
        $(#[$doc:meta])* $name:literal v $version:literal => $variant:ident($payload:ty)
        $(, from v $old_version:literal ($old:ty) by $upcast:path)*
    ),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "events are decoded, folded and dropped; a box would only add an allocation")]
        $vis enum $enum { $($(#[$doc])* $variant($payload)),+ }

        $(const _: () = assert!(
            $crate::codec::is_complete(&[$($old_version),*], $version),
            concat!($name, " must list its older versions from 1 without gaps, each with its upcast")
        );)+

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
                        if schema_version == $version {
                            return $crate::codec::parse::<$payload>($name, payload).map(Self::$variant);
                        }
                        $crate::codec::upcast! {
                            $name, schema_version, payload, Self::$variant; $($old_version, $old, $upcast;)*
                        }
                        Err($crate::DecodeError::UnknownVersion {
                            name: name.to_owned(), found: schema_version, known: $version,
                        })
                    })+
                    _ => Err($crate::DecodeError::UnknownType(name.to_owned())),
                }
            }

            fn schemas() -> Vec<$crate::EventSchema> {
                vec![$(
                    $($crate::EventSchema::of::<$old>($name, $old_version),)*
                    $crate::EventSchema::of::<$payload>($name, $version),
                )+]
            }
        }
    };
}
pub(crate) use events;

/// Deserializes a payload of an older version and applies every upcast from there on.
macro_rules! upcast {
    ($name:literal, $found:ident, $payload:ident, $variant:path;) => {};
    ($name:literal, $found:ident, $payload:ident, $variant:path;
     $version:literal, $old:ty, $upcast:path; $($next_version:literal, $next:ty, $next_upcast:path;)*) => {
        if $found == $version {
            let event = $crate::codec::parse::<$old>($name, $payload)?;
            let event = $upcast(event)
                .map_err(|source| $crate::DecodeError::Upcast { name: $name, from: $version, source })?;
            $(let event = $next_upcast(event)
                .map_err(|source| $crate::DecodeError::Upcast { name: $name, from: $next_version, source })?;)*
            return Ok($variant(event));
        }
        $crate::codec::upcast! { $name, $found, $payload, $variant; $($next_version, $next, $next_upcast;)* }
    };
}
pub(crate) use upcast;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;
    use proptest::prelude::*;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use std::error::Error as _;

    /// Version 1: one text with the place after a comma.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct SentV1 {
        to: String,
    }

    /// Version 2: two fields.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct SentV2 {
        name: Name,
        place: String,
    }

    /// Version 3: the place as a number.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Sent {
        name: Name,
        place_number: u32,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Lost {}

    fn split(old: SentV1) -> Result<SentV2, UpcastError> {
        let (name, place) = old.to.split_once(',').ok_or_else(|| UpcastError("the place is missing".to_owned()))?;
        let name = Name::new(name).map_err(|error| UpcastError(error.to_string()))?;
        Ok(SentV2 { name, place: place.to_owned() })
    }

    fn number(old: SentV2) -> Result<Sent, UpcastError> {
        let place_number = old.place.parse().map_err(|_| UpcastError(format!("{:?} is not a number", old.place)))?;
        Ok(Sent { name: old.name, place_number })
    }

    events! {
        enum LetterEvent {
            "letter.sent" v 3 => Sent(Sent), from v 1 (SentV1) by split, from v 2 (SentV2) by number,
            "letter.lost" v 1 => Lost(Lost),
        }
    }

    fn sent(name: &str, place_number: u32) -> LetterEvent {
        LetterEvent::Sent(Sent { name: Name::new(name).unwrap(), place_number })
    }

    /// A stored payload of each version.
    const GOLDEN: [(u16, &str); 3] =
        [(1, r#"{"to":"ada,7"}"#), (2, r#"{"name":"ada","place":"7"}"#), (3, r#"{"name":"ada","place_number":7}"#)];

    #[test]
    fn every_version_is_upcast_to_the_newest() {
        for (version, payload) in GOLDEN {
            assert_eq!(LetterEvent::decode("letter.sent", version, payload).unwrap(), sent("ada", 7), "v{version}");
        }
        assert_eq!(LetterEvent::decode("letter.lost", 1, "{}").unwrap(), LetterEvent::Lost(Lost {}));
        assert_eq!(sent("ada", 7).event_type(), EventType { name: "letter.sent", schema_version: 3 });
        assert_eq!(sent("ada", 7).encode().unwrap(), GOLDEN[2].1);
    }

    /// A payload is decoded by its version, not by what it looks like.
    #[test]
    fn a_payload_of_another_version_is_rejected() {
        for (version, _) in GOLDEN {
            for (other, payload) in GOLDEN.into_iter().filter(|(other, _)| *other != version) {
                let read = LetterEvent::decode("letter.sent", version, payload);
                assert!(
                    matches!(read, Err(DecodeError::Payload { name: "letter.sent", .. })),
                    "v{other} as v{version}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_version_is_rejected() {
        for found in [0, 4, u16::MAX] {
            let error = LetterEvent::decode("letter.sent", found, GOLDEN[2].1).unwrap_err();
            assert!(
                matches!(&error, DecodeError::UnknownVersion { found: version, known: 3, .. } if *version == found)
            );
        }
        assert!(matches!(LetterEvent::decode("letter.read", 1, "{}"), Err(DecodeError::UnknownType(_))));
    }

    #[test]
    fn a_failed_upcast_returns_its_version_and_cause() {
        for (found, payload, failed, reason) in [
            (1, r#"{"to":"ada"}"#, 1, "the place is missing"),
            (1, r#"{"to":"ada,home"}"#, 2, r#""home" is not a number"#),
            (2, r#"{"name":"ada","place":""}"#, 2, r#""" is not a number"#),
        ] {
            let error = LetterEvent::decode("letter.sent", found, payload).unwrap_err();
            assert!(
                matches!(error, DecodeError::Upcast { name: "letter.sent", from, .. } if from == failed),
                "{error:?}"
            );
            assert_eq!(error.source().unwrap().to_string(), reason);
        }
    }

    #[test]
    fn the_golden_payload_of_each_version_matches_only_its_schema() {
        let schemas = LetterEvent::schemas();
        let names: Vec<_> = schemas.iter().map(EventSchema::file_name).collect();
        assert_eq!(names, ["letter.sent.v1.json", "letter.sent.v2.json", "letter.sent.v3.json", "letter.lost.v1.json"]);
        for (version, payload) in GOLDEN {
            for schema in &schemas[..3] {
                let fits = jsonschema::is_valid(&schema.schema, &serde_json::from_str(payload).unwrap());
                assert_eq!(fits, schema.version == version, "v{version} against {}", schema.file_name());
            }
        }
    }

    #[test]
    fn gaps_between_versions_do_not_compile() {
        assert!(is_complete(&[], 1) && is_complete(&[1], 2) && is_complete(&[1, 2], 3));
        for (older, newest) in [(&[][..], 2), (&[2], 3), (&[1, 3], 4), (&[2, 1], 3), (&[1], 1), (&[1], 3), (&[1, 1], 3)]
        {
            assert!(!is_complete(older, newest), "{older:?} before {newest}");
        }
    }

    proptest! {
        /// The same event written under any version decodes to the same value.
        #[test]
        fn every_version_of_an_event_decodes_to_the_same_value(name in "[a-z]{1,9}", place: u32) {
            let versions = [
                (1, serde_json::to_string(&SentV1 { to: format!("{name},{place}") }).unwrap()),
                (2, serde_json::to_string(&SentV2 { name: Name::new(&name).unwrap(), place: place.to_string() }).unwrap()),
                (3, sent(&name, place).encode().unwrap()),
            ];
            for (version, payload) in versions {
                prop_assert_eq!(LetterEvent::decode("letter.sent", version, &payload).unwrap(), sent(&name, place));
            }
        }

        #[test]
        fn decoding_never_panics(version in 0_u16..5, payload in ".{0,40}", to in ".{0,20}") {
            drop(LetterEvent::decode("letter.sent", version, &payload));
            drop(LetterEvent::decode("letter.sent", version, &serde_json::json!({ "to": to }).to_string()));
        }
    }
}
