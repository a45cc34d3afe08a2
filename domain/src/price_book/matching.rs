//! Names of models: how the name in a call finds a price.

use crate::text::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::fmt;
use std::str::Chars;
use thiserror::Error;

/// How the name in a call matched a price. The order is that of precedence: the first way in which any price matches
/// decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// The call names the model as the price does.
    Exact,
    /// The name is one of the other names that the price lists.
    Alias,
    /// The names are equal once both are normalized: see [`normalized_model`].
    Normalized,
    /// A pattern of the price matches the name.
    Pattern,
}

impl MatchKind {
    /// Every way in which a name can match, the one with the highest precedence first.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Alias, Self::Normalized, Self::Pattern];

    /// The name in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Alias => "alias",
            Self::Normalized => "normalized",
            Self::Pattern => "pattern",
        }
    }
}

/// The price that was found for a call that names its model in another way than the price does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchedModel {
    /// The model under the name that the price has.
    pub model: Name,
    /// How the name in the call matched.
    pub by: MatchKind,
    /// The pattern that matched, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<ModelPattern>,
}

/// The parts of a pattern: what must match, and what must not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Globs {
    wanted: String,
    excluded: Vec<String>,
}

/// A pattern of names of models, in lower case: `*` is any number of characters, `?` any character, `#` a digit. Further
/// patterns after `!` exclude names, as in `gemini-2.5-pro* !*-tts`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("minLength" = 1, "maxLength" = 256))]
pub struct ModelPattern(Globs);

/// Why text is not a pattern of names of models.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelPatternError {
    /// The text is empty.
    #[error("a pattern of models is empty")]
    Empty,
    /// The text is too long.
    #[error("a pattern of models has {bytes} bytes; the limit is {limit}", limit = ModelPattern::MAX_BYTES)]
    TooLong {
        /// The length of the text.
        bytes: usize,
    },
    /// A later part does not start with `!`.
    #[error("{0:?} follows a pattern of models: write one pattern, then exclusions that start with '!'")]
    NotAnExclusion(String),
    /// The text contains a control character.
    #[error("a pattern of models contains the control character U+{0:04X}")]
    Control(u32),
}

impl ModelPattern {
    /// The maximum length in bytes, which also bounds the time that a match takes.
    pub const MAX_BYTES: usize = 256;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`ModelPatternError`] if the text is not a pattern.
    pub fn new(text: &str) -> Result<Self, ModelPatternError> {
        let text = text.to_lowercase();
        if text.len() > Self::MAX_BYTES {
            return Err(ModelPatternError::TooLong { bytes: text.len() });
        }
        if let Some(control) = text.chars().find(|character| character.is_control()) {
            return Err(ModelPatternError::Control(control.into()));
        }
        let mut parts = text.split_whitespace();
        let wanted = parts.next().filter(|first| !first.starts_with('!')).ok_or(ModelPatternError::Empty)?;
        let exclusion = |part: &str| match part.strip_prefix('!').filter(|glob| !glob.is_empty()) {
            Some(glob) => Ok(glob.to_owned()),
            None => Err(ModelPatternError::NotAnExclusion(part.to_owned())),
        };
        let excluded = parts.map(exclusion).collect::<Result<_, _>>()?;
        Ok(Self(Globs { wanted: wanted.to_owned(), excluded }))
    }

    /// Whether the pattern matches a name in lower case.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        is_match(&self.0.wanted, name) && !self.0.excluded.iter().any(|glob| is_match(glob, name))
    }

    /// The number of characters that the pattern prescribes: of two patterns that match, the one with more decides.
    #[must_use]
    pub fn literals(&self) -> usize {
        self.0.wanted.chars().filter(|character| !matches!(character, '*' | '?' | '#')).count()
    }
}

impl TryFrom<String> for ModelPattern {
    type Error = ModelPatternError;

    fn try_from(text: String) -> Result<Self, ModelPatternError> {
        Self::new(&text)
    }
}

impl From<ModelPattern> for String {
    fn from(pattern: ModelPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.wanted)?;
        self.0.excluded.iter().try_for_each(|glob| write!(f, " !{glob}"))
    }
}

/// The name of a model with the forms of it that are compared with those of prices, each of which is made at most once.
#[derive(Debug)]
pub(crate) struct ModelForms<'a> {
    name: &'a Name,
    lower: OnceCell<String>,
    normalized: OnceCell<String>,
}

impl<'a> ModelForms<'a> {
    pub(crate) fn of(name: &'a Name) -> Self {
        Self { name, lower: OnceCell::new(), normalized: OnceCell::new() }
    }

    /// The name as the call has it.
    pub(crate) fn name(&self) -> &'a Name {
        self.name
    }

    pub(crate) fn normalized(&self) -> &str {
        self.normalized.get_or_init(|| normalized_model(self.name.as_str()))
    }

    /// Whether a pattern matches the name as it is, or normalized.
    pub(crate) fn fit(&self, pattern: &ModelPattern) -> bool {
        let lower = self.lower.get_or_init(|| self.name.as_str().to_lowercase());
        pattern.matches(lower) || pattern.matches(self.normalized())
    }
}

/// Whether a glob matches a text. Each `*` is tried from its latest position on only, so that the time is bounded by the
/// product of the lengths.
fn is_match(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.chars(), text.chars());
    // What follows the last `*`, and where in the text it is tried from.
    let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let rest = text.clone();
        let fits = match (glob.next(), text.next()) {
            (Some('*'), _) => {
                star = Some((glob.clone(), rest.clone()));
                text = rest;
                continue;
            }
            (None, None) => return true,
            // What follows an earlier or longer `*` is too long as well.
            (Some(_), None) => return false,
            (Some('?'), Some(_)) => true,
            (Some('#'), Some(found)) => found.is_ascii_digit(),
            (Some(wanted), Some(found)) => wanted == found,
            (None, Some(_)) => false,
        };
        match (fits, &mut star) {
            (true, _) => {}
            (false, Some((after_star, from))) => {
                from.next();
                (glob, text) = (after_star.clone(), from.clone());
            }
            (false, None) => return false,
        }
    }
}

/// The makers whose names precede those of models in Bedrock's ids, such as `anthropic.claude-…`.
const VENDORS: &[&str] = &[
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "twelvelabs",
    "writer",
    "xai",
    "zai",
];

/// The regions that precede them in the ids of inference profiles, such as `eu.anthropic.claude-…`.
const REGIONS: &[&str] = &["us", "eu", "apac", "ap", "au", "jp", "ca", "sa", "global", "us-gov"];

/// The name of a model without what providers and clients add to it: the path before it (`models/`, `openai/`, the ARN of
/// an inference profile), regions and makers (`eu.anthropic.`), the version of Bedrock (`-v1:0`), the size of a context
/// window (`[1m]`), and the notation of a date (`@20250514`, `-2025-05-14`); in lower case.
#[must_use]
pub fn normalized_model(name: &str) -> String {
    let text = name.trim().to_lowercase();
    let text = without_window(&text);
    let text = text.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or(text);
    let text = without_version(without_vendor(text));
    let text = text.strip_suffix("@default").or_else(|| text.strip_suffix("@latest")).unwrap_or(text);
    compact_date(&text.replace('@', "-"))
}

/// Removes a size in brackets, such as `[1m]`.
fn without_window(text: &str) -> &str {
    let size = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
    let is_size = |size: &str| {
        let number = size.strip_suffix(['k', 'm']);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    size.filter(|(name, size)| !name.is_empty() && is_size(size)).map_or(text, |(name, _)| name)
}

fn without_vendor(text: &str) -> &str {
    let vendor = |text| VENDORS.iter().find_map(|vendor| str::strip_prefix(text, vendor)?.strip_prefix('.'));
    let regional = REGIONS.iter().find_map(|region| text.strip_prefix(region)?.strip_prefix('.')).and_then(vendor);
    regional.or_else(|| vendor(text)).filter(|name| !name.is_empty()).unwrap_or(text)
}

/// Removes a version such as `-v2:0` or `-v1`.
fn without_version(text: &str) -> &str {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let is_version = |version: &str| {
        let (major, minor) = version.split_once(':').unwrap_or((version, "0"));
        is_number(major) && is_number(minor)
    };
    text.rsplit_once("-v")
        .filter(|(name, version)| !name.is_empty() && is_version(version))
        .map_or(text, |(name, _)| name)
}

/// Writes dates such as `-2025-05-14` as `-20250514`.
fn compact_date(text: &str) -> String {
    let is_date = |part: &[u8]| {
        part.iter().enumerate().all(|(at, byte)| match at {
            0 | 5 | 8 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    let mut compact = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        match rest.as_bytes().get(..11).filter(|part| is_date(part)) {
            // All of these bytes are ASCII.
            Some(_) if rest.as_bytes().get(11).is_none_or(|byte| !byte.is_ascii_digit()) => {
                compact.extend([&rest[..5], &rest[6..8], &rest[9..11]]);
                rest = &rest[11..];
            }
            Some(_) | None => {
                compact.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    compact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalized() {
        for (name, normalized) in [
            ("gpt-4o", "gpt-4o"),
            ("GPT-4o", "gpt-4o"),
            ("openai/gpt-4o", "gpt-4o"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("accounts/fireworks/models/llama-v3p1-8b-instruct", "llama-v3p1-8b-instruct"),
            ("claude-sonnet-4@20250514", "claude-sonnet-4-20250514"),
            ("claude-opus-4@default", "claude-opus-4"),
            ("claude-sonnet-4-5-20250929[1m]", "claude-sonnet-4-5-20250929"),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
            ("eu.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
                "claude-sonnet-4-20250514",
            ),
            ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "nova-lite"),
            ("gpt-5.2-2025-12-11", "gpt-5.2-20251211"),
            ("us.some-model", "us.some-model"),
            ("anthropic.", "anthropic."),
            ("openai/", "openai/"),
            ("[1m]", "[1m]"),
            ("", ""),
            ("日本-2025-01-02-", "日本-20250102-"),
            ("x-2025-01-023", "x-2025-01-023"),
        ] {
            assert_eq!(normalized_model(name), normalized, "{name}");
        }
    }

    #[test]
    fn patterns_match_names_in_lower_case() {
        for (pattern, matching, other) in [
            ("claude-sonnet-4-5*", "claude-sonnet-4-5-20250929", "claude-sonnet-4-6"),
            ("*claude-3*", "us.claude-3-opus", "claude-2"),
            ("claude-opus-5-########", "claude-opus-5-20260101", "claude-opus-5-2026010x"),
            ("gemini-2.5-pro* !*-tts !*-tts-*", "gemini-2.5-pro-preview", "gemini-2.5-pro-tts-1"),
            ("GPT-?o*", "gpt-4o-mini", "gpt-4"),
            ("a*b*c", "axxbxbxc", "axxbxbx"),
        ] {
            let pattern = ModelPattern::new(pattern).unwrap();
            assert!(pattern.matches(matching) && !pattern.matches(other), "{pattern}");
        }
        assert_eq!(ModelPattern::new("gpt-4* !x").unwrap().literals(), 5);
    }

    #[test]
    fn a_text_that_is_not_a_pattern_is_rejected() {
        assert_eq!(ModelPattern::new("  "), Err(ModelPatternError::Empty));
        assert_eq!(ModelPattern::new("!a"), Err(ModelPatternError::Empty));
        assert_eq!(ModelPattern::new("a b"), Err(ModelPatternError::NotAnExclusion("b".to_owned())));
        assert_eq!(ModelPattern::new("a !"), Err(ModelPatternError::NotAnExclusion("!".to_owned())));
        assert_eq!(ModelPattern::new("a\u{1}"), Err(ModelPatternError::Control(1)));
        assert_eq!(ModelPattern::new(&"a".repeat(257)), Err(ModelPatternError::TooLong { bytes: 257 }));
    }

    proptest::proptest! {
        #[test]
        fn normalizing_never_panics_and_adds_nothing(name in "[a-z0-9.:@/-]{0,40}", any in ".*") {
            let once = normalized_model(&name);
            proptest::prop_assert!(once.len() <= name.len());
            proptest::prop_assert!(!normalized_model(&any).contains('@'));
        }

        #[test]
        fn a_pattern_is_read_back_as_it_was_written(text in "[a-z*?#.-]{1,20}( ![a-z*]{1,8}){0,3}", name in ".*") {
            if let Ok(pattern) = ModelPattern::new(&text) {
                proptest::prop_assert_eq!(&ModelPattern::new(&pattern.to_string()).unwrap(), &pattern);
                let is_match = pattern.matches(&name);
                proptest::prop_assert_eq!(is_match, ModelPattern::new(&pattern.to_string()).unwrap().matches(&name));
            }
        }
    }
    /// The meaning of a glob, tried in all ways.
    fn is_match_by_all_ways(glob: &[char], text: &[char]) -> bool {
        match (glob, text) {
            ([], _) => text.is_empty(),
            (['*', rest @ ..], _) => (0..=text.len()).any(|skipped| is_match_by_all_ways(rest, &text[skipped..])),
            (_, []) => false,
            ([wanted, rest @ ..], [found, after @ ..]) => {
                let fits = match wanted {
                    '?' => true,
                    '#' => found.is_ascii_digit(),
                    _ => wanted == found,
                };
                fits && is_match_by_all_ways(rest, after)
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a_glob_matches_as_it_does_if_all_ways_are_tried(glob in "[ab*?#1é]{0,8}", text in "[ab1é*#]{0,10}") {
            let [glob_chars, text_chars] = [&glob, &text].map(|text| text.chars().collect::<Vec<_>>());
            proptest::prop_assert_eq!(is_match(&glob, &text), is_match_by_all_ways(&glob_chars, &text_chars));
        }
    }
}
