//! Dimensions of a report as the command line names them: a tag with its key, such as `tag:team`.

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use domain::TagKey;
use projections::{Dimension, ReportFilter};
use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;

/// What precedes the key of a tag.
const TAG: &str = "tag:";

/// A dimension, with the key of the tag if it is that of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Named {
    pub(super) dimension: Dimension,
    tag_key: Option<TagKey>,
}

impl From<Dimension> for Named {
    fn from(dimension: Dimension) -> Self {
        Self { dimension, tag_key: None }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag_key {
            Some(key) => write!(f, "{TAG}{key}"),
            None => self.dimension.fmt(f),
        }
    }
}

impl FromStr for Named {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if let Some(key) = text.strip_prefix(TAG) {
            let key = TagKey::new(key).with_context(|| format!("{text:?} has no key of a tag after {TAG}"))?;
            return Ok(Self { dimension: Dimension::Tag, tag_key: Some(key) });
        }
        match text.parse()? {
            Dimension::Tag => bail!("a tag is named with its key, such as tag:team"),
            dimension => Ok(dimension.into()),
        }
    }
}

/// Parses a dimension, and lists all of them in the help.
#[derive(Clone)]
pub(super) struct DimensionParser;

impl TypedValueParser for DimensionParser {
    type Value = Named;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Named, clap::Error> {
        StringValueParser::new().try_map(|text| text.parse::<Named>()).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let name = |dimension: &Dimension| match dimension {
            Dimension::Tag => PossibleValue::new("tag:KEY"),
            dimension => PossibleValue::new(dimension.as_str()),
        };
        Some(Box::new(Dimension::ALL.iter().map(name)))
    }
}

/// A filter, with the key of the tag if it is on a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedFilter {
    pub(super) filter: ReportFilter,
    dimension: Dimension,
    value: Option<String>,
    tag_key: Option<TagKey>,
}

impl NamedFilter {
    /// The dimension.
    pub(super) fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// The value as it was given; none selects calls without one.
    pub(super) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl FromStr for NamedFilter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value) = text.split_once('=').context("expected DIMENSION=VALUE, such as model=gpt-4o")?;
        let Named { dimension, tag_key } = name.parse()?;
        let value = (!value.is_empty()).then_some(value);
        let filter = ReportFilter::new(dimension, value)?;
        Ok(Self { filter, dimension, value: value.map(str::to_owned), tag_key })
    }
}

/// The key of the tag that a report is about; none if it is not about a tag.
///
/// # Errors
/// If several keys are named.
pub(super) fn tag_key<'n>(by: &'n [Named], filters: &'n [NamedFilter]) -> anyhow::Result<Option<&'n TagKey>> {
    let keys = by.iter().filter_map(|named| named.tag_key.as_ref());
    let mut keys = keys.chain(filters.iter().filter_map(|filter| filter.tag_key.as_ref()));
    let first = keys.next();
    if let (Some(first), Some(other)) = (first, keys.find(|key| Some(*key) != first)) {
        bail!("a report is about one tag key, and {TAG}{first} and {TAG}{other} were given: make a report for each");
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_named_with_its_key() {
        let named: Named = "tag:a=b".parse().unwrap();
        assert_eq!((named.dimension, named.to_string()), (Dimension::Tag, "tag:a=b".to_owned()));
        for dimension in Dimension::ALL.iter().filter(|dimension| **dimension != Dimension::Tag) {
            assert_eq!(dimension.as_str().parse::<Named>().unwrap(), Named::from(*dimension));
        }
        let refused = |text: &str| format!("{:#}", text.parse::<Named>().unwrap_err());
        assert_eq!(refused("tag"), "a tag is named with its key, such as tag:team");
        assert!(refused("tag:").contains("\"tag:\" has no key of a tag after tag:"), "{}", refused("tag:"));
        assert!(refused(&format!("tag:{}", "k".repeat(65))).contains("64"));
        assert!(refused("tags:team").contains("there is no dimension \"tags:team\""));
    }

    #[test]
    fn a_report_is_about_one_tag_key() {
        let by = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Named>>();
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
