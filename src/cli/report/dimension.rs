//! Dimensions of a report as arguments.

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use projections::{Dimension, NamedDimension};
use std::ffi::OsStr;

/// Parses a dimension, and lists all of them in the help.
#[derive(Clone)]
pub(in crate::cli) struct DimensionParser;

impl TypedValueParser for DimensionParser {
    type Value = NamedDimension;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<NamedDimension, clap::Error> {
        StringValueParser::new().try_map(|text| text.parse::<NamedDimension>()).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let name = |dimension: &Dimension| match dimension {
            Dimension::Tag => PossibleValue::new("tag:KEY"),
            dimension => PossibleValue::new(dimension.as_str()),
        };
        Some(Box::new(Dimension::ALL.iter().map(name)))
    }
}
