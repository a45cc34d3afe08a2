//! Bounded text: names, bodies and labels.
//!
//! Text that names something has one form, so that what looks the same is the same: see [`normalized`]. The rule holds at
//! the door, for what is given; names in the log are read as they were written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

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
    /// A character that cannot be seen, or that changes the direction of text: two names that look the same would differ.
    #[error("the text contains U+{0:04X}, which is invisible or changes the direction of text; write it without")]
    Invisible(u32),
    /// Too many labels.
    #[error("{found} labels, {limit} are allowed")]
    TooManyLabels {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

/// The one form of text that names something, such as an agent, a model, a tag or a key: Unicode's canonical composition
/// (NFC). Nothing is removed: what would not be seen is refused.
///
/// # Errors
/// [`TextError::Empty`] if nothing in it can be seen; [`TextError::Control`]; [`TextError::Invisible`] for line separators,
/// marks of direction, blanks without a width, soft hyphens, tags and fillers, and for joiners (U+200C, U+200D) that do not
/// stand between two visible characters, as they do in Persian words and in emoji.
pub fn normalized(text: &str) -> Result<String, TextError> {
    let text: String = text.nfc().collect();
    if text.chars().all(|c| c.is_whitespace() || is_unseen(c) || is_joiner(c) || is_selector(c)) {
        return Err(TextError::Empty);
    }
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(TextError::Control(c.into()));
    }
    let can_be_joined = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace() && !is_joiner(c) && !is_unseen(c));
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_joined = || can_be_joined(before) && can_be_joined(rest.clone().next());
        if is_unseen(c) || (is_joiner(c) && !is_joined()) {
            return Err(TextError::Invisible(c.into()));
        }
        before = Some(c);
    }
    Ok(text)
}

/// Characters that cannot be seen, or change how others are: Unicode's format characters without the joiners, separators
/// of lines, and fillers that stand for nothing.
fn is_unseen(c: char) -> bool {
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

/// Selectors of variants: they show nothing by themselves, and belong to the character before.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $limit:expr, $at_the_door:expr, $control_allowed:expr, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        // JSON Schema counts characters: the bound holds, but it is not the whole one.
        #[schemars(extend("minLength" = 1, "maxLength" = $limit, "pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The limit in bytes of UTF-8.
            pub const MAX_BYTES: usize = $limit;

            /// Checks text that is given, and brings it to its one form where it names something.
            ///
            /// # Errors
            /// [`TextError`], saying what does not fit.
            pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
                let at_the_door: fn(String) -> Result<String, TextError> = $at_the_door;
                Self::as_written(at_the_door(text.into())?)
            }

            /// Checks text as it was written once, such as that of an event: it stays as it is.
            ///
            /// # Errors
            /// [`TextError`], saying what does not fit.
            fn as_written(text: String) -> Result<Self, TextError> {
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
            fn try_from(text: String) -> Result<Self, Self::Error> { Self::as_written(text) }
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
    Name, 256, |text| normalized(&text), |_| false, r"^[^\x00-\x1F\x7F-\x9F]*$"
}
text! {
    /// Free text: a reason, a result, an error, something remembered. At most 64 KiB; line breaks and tabs are fine.
    Body, 65_536, Ok, |c| matches!(c, '\n' | '\r' | '\t'), r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$"
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
    use proptest::prelude::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        assert_eq!(Name::new("Ame\u{301}lie"), Name::new("Amélie"));
        assert_eq!(Name::new("Ame\u{301}lie").unwrap().as_str(), "Am\u{e9}lie");
        // Angstrom's sign, and a letter with two marks in either order.
        assert_eq!(Name::new("\u{212b}"), Name::new("\u{c5}"));
        assert_eq!(Name::new("a\u{323}\u{302}"), Name::new("a\u{302}\u{323}"));
    }

    #[test]
    fn names_that_cannot_be_seen_are_refused() {
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
        // A family, a Persian word, a heart in colour, right-to-left text without marks.
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

    /// Text with marks, joiners and characters that cannot be seen among others.
    fn marked() -> impl Strategy<Value = String> {
        let special = "eaA\u{301}\u{302}\u{323}\u{e9}\u{212b}\u{1100}\u{1161}\u{11a8}\u{ac01}\u{200d}\u{200b}\u{958} ";
        let special = prop::sample::select(special.chars().collect::<Vec<_>>());
        let any = prop_oneof![4 => special, 1 => any::<char>()];
        prop::collection::vec(any, 0..12).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn normalised_twice_is_the_same(text in marked()) {
            if let Ok(once) = normalized(&text) {
                prop_assert_eq!(normalized(&once), Ok(once));
            }
        }

        #[test]
        fn canonically_equal_texts_are_one_name(text in marked()) {
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(normalized(&decomposed), normalized(&text));
            prop_assert_eq!(Name::new(decomposed), Name::new(text));
        }
    }

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
