//! Dimensions and filters as people write them: a tag is named with its key, such as `tag:team`.

use super::dimension::{Dimension, UnknownDimension};
use super::error::InvalidFilter;
use super::query::ReportFilter;
use domain::TagKey;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What precedes the key of a tag.
const TAG: &str = "tag:";
/// The maximum length of a refused name in an error message, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// A dimension, with the key of the tag if it is that of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDimension {
    dimension: Dimension,
    tag_key: Option<TagKey>,
}

/// A text that names no dimension, or no filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// There is no such dimension.
    #[error(transparent)]
    Dimension(#[from] UnknownDimension),
    /// A tag is named without its key.
    #[error("a tag is named with its key, such as {TAG}team")]
    TagWithoutKey,
    /// What follows the name of a tag is no key.
    #[error("{text:?} has no key of a tag after {TAG}: {reason}")]
    TagKey {
        /// The start of the text.
        text: String,
        /// What is wrong with the key.
        reason: String,
    },
    /// A filter has no value.
    #[error("expected DIMENSION=VALUE, such as model=gpt-4o")]
    NoValue,
    /// No call can have the value of a filter.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
}

/// Two keys of tags, where one may be named.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a report or an export is about one tag key, and {TAG}{first} and {TAG}{other} were given: make one for each")]
pub struct SeveralTagKeys {
    first: TagKey,
    other: TagKey,
}

impl NamedDimension {
    /// A dimension, with the key if it is that of a tag.
    #[must_use]
    pub fn with_key(dimension: Dimension, key: Option<&TagKey>) -> Self {
        let tag_key = key.filter(|_| dimension == Dimension::Tag).cloned();
        Self { dimension, tag_key }
    }

    /// The dimension.
    #[must_use]
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }
}

impl From<Dimension> for NamedDimension {
    fn from(dimension: Dimension) -> Self {
        Self { dimension, tag_key: None }
    }
}

impl fmt::Display for NamedDimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag_key {
            Some(key) => write!(f, "{TAG}{key}"),
            None => self.dimension.fmt(f),
        }
    }
}

impl FromStr for NamedDimension {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if let Some(key) = text.strip_prefix(TAG) {
            let shown = || text.chars().take(MAX_SHOWN_CHARS).collect();
            let key =
                TagKey::new(key).map_err(|error| InvalidName::TagKey { text: shown(), reason: error.to_string() })?;
            return Ok(Self { dimension: Dimension::Tag, tag_key: Some(key) });
        }
        match text.parse()? {
            Dimension::Tag => Err(InvalidName::TagWithoutKey),
            dimension => Ok(dimension.into()),
        }
    }
}

/// A filter, with the key of the tag if it is on a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFilter {
    filter: ReportFilter,
    name: NamedDimension,
    value: Option<String>,
}

impl NamedFilter {
    /// The filter.
    #[must_use]
    pub fn filter(&self) -> &ReportFilter {
        &self.filter
    }

    /// The dimension.
    #[must_use]
    pub fn dimension(&self) -> Dimension {
        self.name.dimension
    }

    /// The value as it was given; none selects calls without one.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

/// As it was given.
impl fmt::Display for NamedFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value.as_deref().unwrap_or_default())
    }
}

impl FromStr for NamedFilter {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (name, value) = text.split_once('=').ok_or(InvalidName::NoValue)?;
        let name: NamedDimension = name.parse()?;
        let value = (!value.is_empty()).then_some(value);
        let filter = ReportFilter::new(name.dimension, value)?;
        Ok(Self { filter, name, value: value.map(str::to_owned) })
    }
}

/// The key of the tag that a report or an export is about; none if it is not about a tag.
///
/// # Errors
/// [`SeveralTagKeys`] if several keys are named.
pub fn tag_key<'n>(by: &'n [NamedDimension], filters: &'n [NamedFilter]) -> Result<Option<&'n TagKey>, SeveralTagKeys> {
    let mut keys = by.iter().chain(filters.iter().map(|filter| &filter.name)).filter_map(|name| name.tag_key.as_ref());
    let first = keys.next();
    match (first, keys.find(|key| Some(*key) != first)) {
        (Some(first), Some(other)) => Err(SeveralTagKeys { first: first.clone(), other: other.clone() }),
        _ => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_named_with_its_key() {
        let named: NamedDimension = "tag:a=b".parse().unwrap();
        assert_eq!((named.dimension, named.to_string()), (Dimension::Tag, "tag:a=b".to_owned()));
        for dimension in Dimension::ALL.iter().filter(|dimension| **dimension != Dimension::Tag) {
            assert_eq!(dimension.as_str().parse::<NamedDimension>().unwrap(), NamedDimension::from(*dimension));
        }
        let refused = |text: &str| text.parse::<NamedDimension>().unwrap_err().to_string();
        assert_eq!(refused("tag"), "a tag is named with its key, such as tag:team");
        assert!(refused("tag:").contains("\"tag:\" has no key of a tag after tag:"), "{}", refused("tag:"));
        assert!(refused(&format!("tag:{}", "k".repeat(65))).contains("64"));
        assert!(refused(&format!("tag:{}", "k".repeat(10_000))).len() < 300);
        assert!(refused("tags:team").contains("there is no dimension \"tags:team\""));
    }

    #[test]
    fn a_filter_is_written_as_it_was_given() {
        for text in ["model=gpt-4o", "tag:team=search", "tag:team=", "model=", "key=a=b"] {
            assert_eq!(text.parse::<NamedFilter>().unwrap().to_string(), text);
        }
        let refused = |text: &str| text.parse::<NamedFilter>().unwrap_err().to_string();
        assert_eq!(refused("model"), "expected DIMENSION=VALUE, such as model=gpt-4o");
        assert!(refused("agent=ada").contains("expected a UUID"));
        assert!(refused("shoe=9").contains("there is no dimension"));
    }

    #[test]
    fn a_report_is_about_one_tag_key() {
        let by = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<NamedDimension>>();
        let filters = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<NamedFilter>>();
        let key = |names: &[&str], texts: &[&str]| {
            tag_key(&by(names), &filters(texts))
                .map(|key| key.map(ToString::to_string))
                .map_err(|error| error.to_string())
        };
        assert_eq!(key(&["model"], &["model=m"]), Ok(None));
        assert_eq!(key(&["model", "tag:team"], &[]), Ok(Some("team".to_owned())));
        assert_eq!(key(&["tag:team"], &["tag:team=search", "tag:team="]), Ok(Some("team".to_owned())));
        let refused = key(&["tag:team"], &["tag:env=prod"]).unwrap_err();
        assert!(refused.contains("tag:team and tag:env were given"), "{refused}");
        assert!("tag:team".parse::<NamedFilter>().is_err() && "tag=search".parse::<NamedFilter>().is_err());
    }
}
