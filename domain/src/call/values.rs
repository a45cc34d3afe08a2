//! The types of the facts of a call: kinds, outcomes, costs, spans and tags.

use crate::money::Money;
use crate::text::{Name, TagKey, TextError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A call to a language model.
    Llm,
    /// A call to a tool.
    Tool,
}

impl CallKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Llm, Self::Tool];

    /// The kind as it is written in JSON, SQL and GraphQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Tool => "tool",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call returned a result.
    Ok,
    /// The call failed.
    Error,
    /// The caller gave up waiting for the result.
    Timeout,
    /// The caller cancelled the call.
    Cancelled,
    /// The provider or a policy refused to serve the call.
    Refused,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Error, Self::Timeout, Self::Cancelled, Self::Refused];

    /// Whether a call that ended so counts as failed: it did not return what it was made for, and not because its caller
    /// no longer wanted it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Error | Self::Timeout | Self::Refused => true,
            Self::Ok | Self::Cancelled => false,
        }
    }

    /// The outcome as it is written in JSON, SQL and GraphQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }
}

/// Where a reported cost comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// The provider stated it.
    Provider,
    /// A gateway between the caller and the provider computed it.
    Gateway,
    /// The caller computed it, from prices of its own.
    Client,
}

impl CostSource {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Provider, Self::Gateway, Self::Client];

    /// The source as it is written in JSON, SQL and GraphQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Gateway => "gateway",
            Self::Client => "client",
        }
    }
}

/// The cost of a call as a record states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ReportedCost {
    /// The amount in US dollars, 0 or more.
    pub amount: Money,
    /// Where the amount comes from; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<CostSource>,
}

/// Text that is not the id of a trace or a span.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is not the id of a {of}: it has {digits} lower-case hexadecimal digits, of which one is not 0")]
pub struct TraceIdError {
    /// What the id should identify: `trace` or `span`.
    of: &'static str,
    /// The number of digits of such an id.
    digits: usize,
    /// The text, clipped.
    found: String,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident($number:ty), $of:literal, $digits:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name($number);

        impl $name {
            /// The id of a number; none for zero, which is no id.
            #[must_use]
            pub fn new(number: $number) -> Option<Self> {
                (number != 0).then_some(Self(number))
            }

            /// The id as a number, which is not zero.
            #[must_use]
            pub fn number(self) -> $number {
                self.0
            }
        }
        impl FromStr for $name {
            type Err = TraceIdError;

            fn from_str(text: &str) -> Result<Self, TraceIdError> {
                let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                let is_hex = text.len() == $digits && text.bytes().all(is_digit);
                let number = <$number>::from_str_radix(text, 16).ok().filter(|number| is_hex && *number != 0);
                let error = || TraceIdError { of: $of, digits: $digits, found: text.chars().take(64).collect() };
                number.map(Self).ok_or_else(error)
            }
        }
        impl TryFrom<String> for $name {
            type Error = TraceIdError;
            fn try_from(text: String) -> Result<Self, TraceIdError> { text.parse() }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self { id.to_string() }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:0width$x}", self.0, width = $digits) }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

hex_id! {
    /// The id of a trace, as in W3C Trace Context: 32 hexadecimal digits.
    TraceId(u128), "trace", 32, "^[0-9a-f]{32}$"
}
hex_id! {
    /// The id of a span, as in W3C Trace Context: 16 hexadecimal digits.
    SpanId(u64), "span", 16, "^[0-9a-f]{16}$"
}

/// The span that a call was. Its ids belong together, so all of them come from one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct CallSpan {
    /// The trace that the span is a part of.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The span that this one is a part of; absent for the root of a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
}

impl CallSpan {
    /// The span with these ids, of which 0 is none; none if it has no id or no trace.
    #[must_use]
    pub fn of(trace: u128, span: u64, parent: Option<u64>) -> Option<Self> {
        let (trace_id, span_id) = (TraceId::new(trace)?, SpanId::new(span)?);
        Some(Self { trace_id, span_id, parent_span_id: parent.and_then(SpanId::new) })
    }
}

/// Tags of a call by key: 1 to 16 of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<TagKey, Name>", into = "BTreeMap<TagKey, Name>")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
pub struct Tags(BTreeMap<TagKey, Name>);

/// Why tags are rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagsError {
    /// There are none: a call without tags has no such field.
    #[error("the tags are empty; leave them out")]
    Empty,
    /// There are more than 16.
    #[error("there are {found} tags; the limit is {limit}", limit = Tags::MAX)]
    TooMany {
        /// The number of tags.
        found: usize,
    },
    /// A key is not valid.
    #[error("the key of a tag is not valid: {0}")]
    Key(TextError),
    /// The value of a key is not valid.
    #[error("the value of the tag {key} is not valid: {cause}")]
    Value {
        /// The key of the tag.
        key: TagKey,
        /// Why the value is not valid.
        cause: TextError,
    },
    /// A key occurs twice, perhaps in different notations that Unicode considers equal.
    #[error("the tag {0} occurs twice")]
    Duplicate(TagKey),
}

impl Tags {
    /// The maximum number of tags.
    pub const MAX: usize = 16;

    /// Validates new tags.
    ///
    /// # Errors
    /// [`TagsError`] if there are none or too many, or a key or value is not valid.
    pub fn new<K: Into<String>, V: Into<String>>(tags: impl IntoIterator<Item = (K, V)>) -> Result<Self, TagsError> {
        let mut map = BTreeMap::new();
        for (key, value) in tags {
            let key = TagKey::new(key).map_err(TagsError::Key)?;
            let value = Name::new(value).map_err(|cause| TagsError::Value { key: key.clone(), cause })?;
            if map.insert(key.clone(), value).is_some() {
                return Err(TagsError::Duplicate(key));
            }
        }
        Self::try_from(map)
    }

    /// The keys and values, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&TagKey, &Name)> {
        self.0.iter()
    }
}

impl TryFrom<BTreeMap<TagKey, Name>> for Tags {
    type Error = TagsError;

    fn try_from(map: BTreeMap<TagKey, Name>) -> Result<Self, TagsError> {
        match map.len() {
            0 => Err(TagsError::Empty),
            1..=Self::MAX => Ok(Self(map)),
            found => Err(TagsError::TooMany { found }),
        }
    }
}

impl From<Tags> for BTreeMap<TagKey, Name> {
    fn from(tags: Tags) -> Self {
        tags.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_traces_and_spans_have_a_fixed_number_of_digits() {
        let trace: TraceId = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
        assert_eq!(trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(SpanId::new(1).unwrap().to_string(), "0000000000000001");
        for bad in [
            "",
            "0",
            "0000000000000000",
            "00000000000000001",
            "+000000000000001",
            "00000000000000AF",
            "é000000000000 0",
        ] {
            let error = bad.parse::<SpanId>().unwrap_err().to_string();
            assert!(error.contains("is not the id of a span: it has 16 lower-case hexadecimal digits"), "{error}");
        }
        assert_eq!(SpanId::new(0), None);
        assert!(serde_json::from_str::<TraceId>("\"00000000000000000000000000000000\"").is_err());
    }

    #[test]
    fn tags_are_bounded() {
        let numbered = |count: usize| (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect::<Vec<_>>();
        assert_eq!(Tags::new(numbered(16)).unwrap().iter().count(), 16);
        assert_eq!(Tags::new(numbered(17)), Err(TagsError::TooMany { found: 17 }));
        assert_eq!(Tags::new(numbered(0)), Err(TagsError::Empty));
        let too_long = |bytes, limit_bytes| TextError::TooLong { bytes, limit_bytes };
        assert!(Tags::new([("k".repeat(64), "v".repeat(256))]).is_ok());
        assert_eq!(Tags::new([("k".repeat(65), "v")]), Err(TagsError::Key(too_long(65, 64))));
        let key = TagKey::new("team").unwrap();
        let long = Tags::new([("team", "v".repeat(257))]);
        assert_eq!(long, Err(TagsError::Value { key, cause: too_long(257, 256) }));
        let twice = Tags::new([("caf\u{e9}", "1"), ("cafe\u{301}", "2")]);
        assert_eq!(twice, Err(TagsError::Duplicate(TagKey::new("caf\u{e9}").unwrap())));
        for json in ["{}", r#"{"":"v"}"#, r#"{"k":""}"#, r#"{"k":1}"#] {
            assert!(serde_json::from_str::<Tags>(json).is_err(), "{json}");
        }
    }
}
