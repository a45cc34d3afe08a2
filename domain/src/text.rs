//! Bounded text: names, bodies and labels.
//!
//! Names are normalized, so that names that look the same are equal: see [`normalized`]. That applies to new input only;
//! names in the log are read as they were written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Why text is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// The text is empty or only white space.
    #[error("the text is empty")]
    Empty,
    /// The text is longer than the limit.
    #[error("the text has {bytes} bytes; the limit is {limit_bytes} bytes")]
    TooLong {
        /// The length of the text in bytes of UTF-8.
        bytes: usize,
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// The text contains a control character. PostgreSQL cannot store NUL, and a name is one line.
    #[error("the text contains the control character U+{0:04X}")]
    Control(u32),
    /// The text contains an invisible character or one that changes the direction of text: names that look the same could
    /// differ.
    #[error("the text contains U+{0:04X}, which is invisible or changes the direction of text; remove it")]
    Invisible(u32),
    /// There are more labels than the limit.
    #[error("there are {found} labels; the limit is {limit}")]
    TooManyLabels {
        /// The number of labels.
        found: usize,
        /// The maximum number of labels.
        limit: usize,
    },
}

/// Normalizes the name of something, such as an agent, a model, a tag or a key, to Unicode's canonical composition (NFC).
/// Invisible characters are rejected, not removed.
///
/// # Errors
/// [`TextError::Empty`] if no character is visible; [`TextError::Control`] for control characters; [`TextError::Invisible`]
/// for line separators, direction marks, zero-width spaces, soft hyphens, tags and fillers, and for joiners (U+200C,
/// U+200D) that are not between two visible characters, as they are in Persian words and in emoji.
pub fn normalized(text: &str) -> Result<String, TextError> {
    let text: String = text.nfc().collect();
    if text.chars().all(|c| c.is_whitespace() || is_invisible(c) || is_joiner(c) || is_variation_selector(c)) {
        return Err(TextError::Empty);
    }
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(TextError::Control(c.into()));
    }
    let can_be_joined = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace() && !is_joiner(c) && !is_invisible(c));
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_joined = || can_be_joined(before) && can_be_joined(rest.clone().next());
        if is_invisible(c) || (is_joiner(c) && !is_joined()) {
            return Err(TextError::Invisible(c.into()));
        }
        before = Some(c);
    }
    Ok(text)
}

/// Whether a character is invisible or changes how others are shown: Unicode's format characters except the joiners, line
/// separators, and fillers.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}'
    )
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether a character is a variation selector, which is invisible itself and modifies the character before it.
fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $limit:expr, $normalize:expr, $control_allowed:expr, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        // JSON Schema counts characters, so this bound is weaker than the limit in bytes.
        #[schemars(extend("minLength" = 1, "maxLength" = $limit, "pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The limit in bytes of UTF-8.
            pub const MAX_BYTES: usize = $limit;

            /// Validates new text, and normalizes it if it is a name.
            ///
            /// # Errors
            /// [`TextError`] if the text is empty, too long, or contains a character that is not allowed.
            pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
                let normalize: fn(String) -> Result<String, TextError> = $normalize;
                Self::from_stored(normalize(text.into())?)
            }

            /// Validates stored text, such as that of an event, without normalizing it.
            ///
            /// # Errors
            /// [`TextError`] if the text is empty, too long, or contains a control character that is not allowed.
            fn from_stored(text: String) -> Result<Self, TextError> {
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

            /// The text as a string slice.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, Self::Error> { Self::from_stored(text) }
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
    /// A one-line name, such as that of an agent, task, model, provider or tool; at most 256 bytes.
    Name, 256, |text| normalized(&text), |_| false, r"^[^\x00-\x1F\x7F-\x9F]*$"
}
text! {
    /// The key of a tag; at most 64 bytes.
    TagKey, 64, |text| normalized(&text), |_| false, r"^[^\x00-\x1F\x7F-\x9F]*$"
}
text! {
    /// The code of a cost centre, such as `CC-100`; at most 64 bytes.
    CostCentreCode, 64, |text| normalized(&text), |_| false, r"^[^\x00-\x1F\x7F-\x9F]*$"
}
text! {
    /// Free text, such as a reason, result, error or memory; at most 64 KiB. Line breaks and tabs are allowed.
    Body, 65_536, Ok, |c| matches!(c, '\n' | '\r' | '\t'), r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$"
}

/// Labels of an agent by key; at most 32.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<Name, Name>", into = "BTreeMap<Name, Name>")]
#[schemars(extend("maxProperties" = 32))]
pub struct Labels(BTreeMap<Name, Name>);

impl Labels {
    /// The maximum number of labels.
    pub const MAX: usize = 32;

    /// Whether there are no labels.
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
    use proptest::prelude::*;

    #[test]
    fn names_that_look_the_same_are_equal() {
        assert_eq!(Name::new("Ame\u{301}lie"), Name::new("Amélie"));
        assert_eq!(Name::new("Ame\u{301}lie").unwrap().as_str(), "Am\u{e9}lie");
        // Angstrom's sign, and a letter with two marks in either order.
        assert_eq!(Name::new("\u{212b}"), Name::new("\u{c5}"));
        assert_eq!(Name::new("a\u{323}\u{302}"), Name::new("a\u{302}\u{323}"));
    }

    #[test]
    fn invisible_characters_in_names_are_rejected() {
        for empty in ["\u{200b}", "\u{feff}", " \u{200d}\u{200b} ", "\u{3164}", "\u{2800}", "\u{fe0f}", "\u{2028}"] {
            assert_eq!(Name::new(empty), Err(TextError::Empty), "{empty:?}");
        }
        for (bad, c) in [
            ("\u{feff}gpt-4o", 0xfeff),
            ("gpt\u{200b}-4o", 0x200b),
            ("a\u{202e}b", 0x202e),
            ("a\u{2066}b", 0x2066),
            ("soft\u{ad}hyphen", 0xad),
            ("two\u{2028}lines", 0x2028),
            ("joined at the end\u{200d}", 0x200d),
            ("a \u{200c}b", 0x200c),
            ("a\u{200d}\u{200d}b", 0x200d),
        ] {
            assert_eq!(Name::new(bad), Err(TextError::Invisible(c)), "{bad:?}");
        }
        // A family emoji, a Persian word, a coloured heart, right-to-left text without direction marks.
        for good in ["\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", "می\u{200c}خواهم", "\u{2764}\u{fe0f}", "שלום"]
        {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn names_in_the_log_are_read_as_they_were_written() {
        for written in ["\u{feff}gpt-4o", "Ame\u{301}lie", "a\u{202e}b", "\u{200b}"] {
            let json = serde_json::to_string(written).unwrap();
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap().as_str(), written);
        }
    }

    /// Text with combining marks, joiners and invisible characters.
    fn marked() -> impl Strategy<Value = String> {
        let special = "eaA\u{301}\u{302}\u{323}\u{e9}\u{212b}\u{1100}\u{1161}\u{11a8}\u{ac01}\u{200d}\u{200b}\u{958} ";
        let special = prop::sample::select(special.chars().collect::<Vec<_>>());
        let any = prop_oneof![4 => special, 1 => any::<char>()];
        prop::collection::vec(any, 0..12).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn normalizing_is_idempotent(text in marked()) {
            if let Ok(once) = normalized(&text) {
                prop_assert_eq!(normalized(&once), Ok(once));
            }
        }

        #[test]
        fn canonically_equivalent_texts_give_equal_names(text in marked()) {
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(normalized(&decomposed), normalized(&text));
            prop_assert_eq!(Name::new(decomposed), Name::new(text));
        }
    }

    #[test]
    fn names_are_one_line_of_at_most_256_bytes() {
        assert!(Name::new("gpt-4o").is_ok());
        assert_eq!(Name::new("  "), Err(TextError::Empty));
        assert_eq!(Name::new("a\nb"), Err(TextError::Control(10)));
        assert_eq!(Name::new("x".repeat(257)), Err(TextError::TooLong { bytes: 257, limit_bytes: 256 }));
    }

    #[test]
    fn bodies_may_have_line_breaks_but_no_nul() {
        assert!(Body::new("a\n\tb").is_ok());
        assert_eq!(Body::new("a\0b"), Err(TextError::Control(0)));
    }
}
