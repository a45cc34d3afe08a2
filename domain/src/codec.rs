//! Events on the wire: a dotted name, a schema version and a JSON payload.
//!
//! A payload holds integers below 2^53 and decimal strings, never floats, so that any consumer reads the
//! same numbers that were written.
//!
//! What was written stays as it is. An event of an older version is brought to the newest one when it is read, one
//! version at a time: by an upcast, a pure function from the payload of a version to that of the next.

use crate::schema::EventSchema;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The wire identity of an event's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType {
    /// Dotted name in the past tense, such as `task.completed`.
    pub name: &'static str,
    /// The version that this code writes; it reads every one before it, too.
    pub schema_version: u16,
}

/// Why stored bytes are not an event that this code knows.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// No aggregate has this category.
    #[error("unknown category {0:?}")]
    UnknownCategory(String),
    /// The event names a tenant that cannot be one.
    #[error("the event has no valid tenant")]
    Tenant(#[from] crate::TenantIdError),
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
    /// An older payload that has no place in the next version.
    #[error("{name} cannot be brought from schema version {from} to the next")]
    Upcast {
        /// The event type.
        name: &'static str,
        /// The version that has no successor.
        from: u16,
        /// Why not.
        #[source]
        source: UpcastError,
    },
}

/// Why a payload cannot be brought to the next version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UpcastError(pub String);

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

    /// Reads a stored payload of the version written today or of any before it.
    ///
    /// # Errors
    /// [`DecodeError`], saying what does not fit.
    fn decode(name: &str, schema_version: u16, payload: &str) -> Result<Self, DecodeError>;

    /// The shape of every version of every type, the oldest first.
    fn schemas() -> Vec<EventSchema>;
}

/// Reads a payload of one version.
pub(crate) fn parse<T: DeserializeOwned>(name: &'static str, payload: &str) -> Result<T, DecodeError> {
    serde_json::from_str(payload).map_err(|source| DecodeError::Payload { name, source })
}

/// Whether older versions are listed from the first on and without gaps, up to the one before the newest.
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
/// A type of a later version lists those before it, the oldest first, each with the payload it had and the upcast to
/// the payload of the next: `"wire.name" v 2 => Variant(Payload), from v 1 (PayloadV1) by upcast_v1`.
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
            concat!($name, " lists its older versions from 1 on, each with its upcast")
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

/// Reads a payload of an older version and takes it through every upcast from there on.
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

    /// As first written: one text with the place after a comma.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct SentV1 {
        to: String,
    }

    /// Then in two fields.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct SentV2 {
        name: Name,
        place: String,
    }

    /// Now with the place as a number.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Sent {
        name: Name,
        place_number: u32,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Lost {}

    fn split(old: SentV1) -> Result<SentV2, UpcastError> {
        let (name, place) = old.to.split_once(',').ok_or_else(|| UpcastError("it names no place".to_owned()))?;
        let name = Name::new(name).map_err(|error| UpcastError(error.to_string()))?;
        Ok(SentV2 { name, place: place.to_owned() })
    }

    fn number(old: SentV2) -> Result<Sent, UpcastError> {
        let place_number = old.place.parse().map_err(|_| UpcastError(format!("{:?} is no number", old.place)))?;
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

    /// What logs hold of each version.
    const GOLDEN: [(u16, &str); 3] =
        [(1, r#"{"to":"ada,7"}"#), (2, r#"{"name":"ada","place":"7"}"#), (3, r#"{"name":"ada","place_number":7}"#)];

    #[test]
    fn every_version_is_brought_to_the_newest() {
        for (version, payload) in GOLDEN {
            assert_eq!(LetterEvent::decode("letter.sent", version, payload).unwrap(), sent("ada", 7), "v{version}");
        }
        assert_eq!(LetterEvent::decode("letter.lost", 1, "{}").unwrap(), LetterEvent::Lost(Lost {}));
        assert_eq!(sent("ada", 7).event_type(), EventType { name: "letter.sent", schema_version: 3 });
        assert_eq!(sent("ada", 7).encode().unwrap(), GOLDEN[2].1);
    }

    /// A payload is read as what its version says, not as what it may look like.
    #[test]
    fn a_payload_of_another_version_does_not_fit() {
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
    fn a_version_that_never_was_is_told() {
        for found in [0, 4, u16::MAX] {
            let error = LetterEvent::decode("letter.sent", found, GOLDEN[2].1).unwrap_err();
            assert!(matches!(&error, DecodeError::UnknownVersion { found: told, known: 3, .. } if *told == found));
        }
        assert!(matches!(LetterEvent::decode("letter.read", 1, "{}"), Err(DecodeError::UnknownType(_))));
    }

    #[test]
    fn an_upcast_that_fails_says_where_and_why() {
        for (found, payload, stopped, reason) in [
            (1, r#"{"to":"ada"}"#, 1, "it names no place"),
            (1, r#"{"to":"ada,home"}"#, 2, r#""home" is no number"#),
            (2, r#"{"name":"ada","place":""}"#, 2, r#""" is no number"#),
        ] {
            let error = LetterEvent::decode("letter.sent", found, payload).unwrap_err();
            assert!(
                matches!(error, DecodeError::Upcast { name: "letter.sent", from, .. } if from == stopped),
                "{error:?}"
            );
            assert_eq!(error.source().unwrap().to_string(), reason);
        }
    }

    #[test]
    fn every_version_has_a_schema_that_its_golden_fits() {
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
        /// Whatever was written under any version reads as one event, which reads back as itself.
        #[test]
        fn every_version_of_an_event_reads_the_same(name in "[a-z]{1,9}", place: u32) {
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
        fn no_bytes_make_it_panic(version in 0_u16..5, payload in ".{0,40}", to in ".{0,20}") {
            drop(LetterEvent::decode("letter.sent", version, &payload));
            drop(LetterEvent::decode("letter.sent", version, &serde_json::json!({ "to": to }).to_string()));
        }
    }
}
