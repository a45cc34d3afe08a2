//! The parameters of the URL of an export.

use super::content::Content;
use crate::graphql::scalars::parse_position;
use domain::parse_time;
use projections::{CallFilters, ExportFormat, ExportQuery, FocusVersion, NamedFilter};
use streams::Position;

/// What a request wants.
#[derive(Debug, PartialEq)]
pub(super) struct Parameters {
    pub(super) format: ExportFormat,
    pub(super) version: FocusVersion,
    pub(super) query: ExportQuery,
    /// The export has to contain this position.
    pub(super) min_position: Option<Position>,
}

impl Parameters {
    /// Reads the parameters; an error is a message for the client.
    pub(super) fn of(content: Content, pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut parameters = Self {
            format: ExportFormat::Csv,
            version: FocusVersion::V1_4,
            query: ExportQuery::default(),
            min_position: None,
        };
        let (mut seen, mut filters) = (Vec::new(), Vec::new());
        for (name, value) in pairs {
            // Every other parameter has one value.
            if name != FILTER && seen.contains(&name) {
                return Err(format!("the parameter {name:?} occurs twice"));
            }
            let shown: String = value.chars().take(64).collect();
            let wrong = |what: &dyn std::fmt::Display| format!("{name}={shown:?} is not valid: {what}");
            match name.as_str() {
                "format" => parameters.format = value.parse().map_err(|error| wrong(&error))?,
                "from" => parameters.query.range.from = Some(parse_time(&value).ok_or_else(|| wrong(&TIMES))?),
                "to" => parameters.query.range.to = Some(parse_time(&value).ok_or_else(|| wrong(&TIMES))?),
                FILTER => filters.push(value.parse::<NamedFilter>().map_err(|error| wrong(&error))?),
                "minPosition" => {
                    let position = parse_position(&value).ok_or_else(|| wrong(&"expected a position such as 42"))?;
                    parameters.min_position = Some(position.into());
                }
                "version" if content == Content::Focus => {
                    parameters.version = value.parse().map_err(|error| wrong(&error))?;
                }
                _ => {
                    let more = if content == Content::Focus { ", version" } else { "" };
                    let name: String = name.chars().take(64).collect();
                    return Err(format!(
                        "there is no parameter {name:?}; the parameters are format, from, to, filter, minPosition{more}"
                    ));
                }
            }
            seen.push(name);
        }
        parameters.query.filters = CallFilters::new(&filters).map_err(|error| error.to_string())?;
        Ok(parameters)
    }
}

const TIMES: &str = "expected a day such as 2026-03-01 or a time such as 2026-03-01T13:00:00Z";

/// The parameter with a filter, which may occur several times.
const FILTER: &str = "filter";

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(content: Content, pairs: &[(&str, &str)]) -> Result<Parameters, String> {
        Parameters::of(content, pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn parameters_are_read() {
        let found = parameters(
            Content::Focus,
            &[("format", "parquet"), ("version", "1.2"), ("from", "2026-03-01"), ("to", "2026-04-01T00:00:00Z")],
        )
        .unwrap();
        assert_eq!((found.format, found.version), (ExportFormat::Parquet, FocusVersion::V1_2));
        let times = [found.query.range.from, found.query.range.to].map(|time| time.unwrap().to_rfc3339());
        assert_eq!(times, ["2026-03-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"]);
        assert_eq!(parameters(Content::Calls, &[]).unwrap().format, ExportFormat::Csv);
        let filters = ["model=m", "model=", "tag:team=search"];
        let filtered = parameters(Content::Calls, &filters.map(|filter| ("filter", filter))).unwrap().query.filters;
        assert_eq!(CallFilters::new(&filters.map(|filter| filter.parse().unwrap())), Ok(filtered));
    }

    #[test]
    fn what_is_not_a_parameter_is_refused_by_name() {
        for (pairs, word) in [
            (&[("format", "xlsx")][..], "csv, ndjson and parquet"),
            (&[("from", "yesterday")], "expected a day"),
            (&[("minPosition", "-1")], "expected a position"),
            (&[("version", "1.4")], "no parameter"),
            (&[("limit", "1")], "no parameter"),
            (&[("from", "2026-3-1")], "expected a day"),
            (&[("from", "2026-03-01 13:00:00Z")], "expected a day"),
            (&[("filter", "model")], "expected DIMENSION=VALUE"),
            (&[("filter", "shoe=9")], "there is no dimension"),
            (&[("filter", "agent=ada")], "expected a UUID"),
            (&[("filter", "tag=x")], "a tag is named with its key"),
            (&[("filter", "day=2026-03-01")], "name the time range by its limits"),
            (&[("filter", "tag:a=1"), ("filter", "tag:b=1")], "tag:a and tag:b were given"),
            (&[("filter", "model=m"); 51], "there are 51 filters, at most 50"),
            (&[("format", "csv"), ("format", "csv")], "twice"),
        ] {
            let error = parameters(Content::Calls, pairs).unwrap_err();
            assert!(error.contains(word), "{pairs:?}: {error}");
        }
        assert!(parameters(Content::Focus, &[("version", "1.3")]).unwrap_err().contains("1.4 and 1.2"));
    }
}
