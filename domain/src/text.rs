//! Bounded text: names, bodies and labels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Text that does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("the text is empty")]
    Empty,
    /// Over the limit.
    #[error("the text has {bytes} bytes, {limit_bytes} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A control character: PostgreSQL cannot store NUL, and a name is one line.
    #[error("the text contains the control character U+{0:04X}")]
    Control(u32),
    /// Too many labels.
    #[error("{found} labels, {limit} are allowed")]
    TooManyLabels {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $limit:expr, $control_allowed:expr, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        // JSON Schema counts characters: the bound holds, but it is not the whole one.
        #[schemars(extend("minLength" = 1, "maxLength" = $limit, "pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The limit in bytes of UTF-8.
            pub const MAX_BYTES: usize = $limit;

            /// Checks the text.
            ///
            /// # Errors
            /// [`TextError`], saying what does not fit.
            pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
                let text = text.into();
                if text.trim().is_empty() {
                    return Err(TextError::Empty);
                }
                if text.len() > Self::MAX_BYTES {
                    return Err(TextError::TooLong { bytes: text.len(), limit_bytes: Self::MAX_BYTES });
                }
                let allowed: fn(char) -> bool = $control_allowed;
                match text.chars().find(|&c| c.is_control() && !allowed(c)) {
                    Some(c) => Err(TextError::Control(c.into())),
                    None => Ok(Self(text)),
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, Self::Error> { Self::new(text) }
        }
        impl From<$name> for String {
            fn from(text: $name) -> Self { text.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    };
}

text! {
    /// A name on one line: of an agent, a task, a model, a provider, a tool. At most 256 bytes.
    Name, 256, |_| false, r"^[^\x00-\x1F\x7F-\x9F]*$"
}
text! {
    /// Free text: a reason, a result, an error, something remembered. At most 64 KiB; line breaks and tabs are fine.
    Body, 65_536, |c| matches!(c, '\n' | '\r' | '\t'), r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$"
}

/// Labels of an agent: at most 32, ordered by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<Name, Name>", into = "BTreeMap<Name, Name>")]
#[schemars(extend("maxProperties" = 32))]
pub struct Labels(BTreeMap<Name, Name>);

impl Labels {
    /// The most labels one thing may have.
    pub const MAX: usize = 32;

    /// The labels by key.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<Name, Name> {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<Name, Name>> for Labels {
    type Error = TextError;

    fn try_from(map: BTreeMap<Name, Name>) -> Result<Self, Self::Error> {
        if map.len() > Self::MAX {
            return Err(TextError::TooManyLabels { found: map.len(), limit: Self::MAX });
        }
        Ok(Self(map))
    }
}

impl From<Labels> for BTreeMap<Name, Name> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_bounded_line() {
        assert!(Name::new("gpt-4o").is_ok());
        assert_eq!(Name::new("  "), Err(TextError::Empty));
        assert_eq!(Name::new("a\nb"), Err(TextError::Control(10)));
        assert_eq!(Name::new("x".repeat(257)), Err(TextError::TooLong { bytes: 257, limit_bytes: 256 }));
    }

    #[test]
    fn bodies_may_have_lines_but_no_nul() {
        assert!(Body::new("a\n\tb").is_ok());
        assert_eq!(Body::new("a\0b"), Err(TextError::Control(0)));
    }
}
