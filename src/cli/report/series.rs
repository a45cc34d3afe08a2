//! The arguments that a forecast and anomalies have in common.

use super::period::ZoneName;
use super::server::filter;
use crate::cli::output::Format;
use crate::rooms::Rooms;
use domain::TagKey;
use domain::tag_keys::TagKeys;
use projections::outlook::SeriesQuery;
use projections::{NamedDimension, NamedFilter, ReportTag, tag_key};
use serde_json::{Value, json};
use std::time::Duration;

// Which calls a series consists of, and how it is printed. Not a doc comment: it would replace the help of the subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct SeriesArguments {
    /// Only calls with this value of a dimension, as of `apex report cost`; at most 20, and none on a time
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    pub(super) filters: Vec<NamedFilter>,

    /// The time zone of hours, weekdays, days and months: an IANA name such as Europe/Berlin, or local for that of this machine
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub(super) time_zone: ZoneName,

    /// The format of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,

    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(super) wait: Duration,

    /// Use the present state of the read models, which may be behind the log
    #[arg(long, conflicts_with = "wait")]
    pub(super) no_wait: bool,
}

impl SeriesArguments {
    /// The query on the database.
    pub(super) async fn query(&self, rooms: &Rooms, by: &[NamedDimension]) -> anyhow::Result<SeriesQuery> {
        let tag = match tag_key(by, &self.filters)? {
            Some(key) => {
                let declared = rooms.commands.load::<TagKeys>(&rooms.principal, TagKeys::id()).await?;
                Some(ReportTag { is_declared: declared.state.is_declared(key), key: key.clone() })
            }
            None => None,
        };
        Ok(SeriesQuery {
            access: rooms.principal.authorise()?,
            filters: self.filters.iter().map(|filter| filter.filter().clone()).collect(),
            zone: self.time_zone.zone()?,
            tag,
        })
    }

    /// The variables of the query at a server.
    pub(super) fn variables(&self, by: &[NamedDimension]) -> anyhow::Result<Value> {
        let filters: Vec<_> = self.filters.iter().map(filter).collect();
        Ok(json!({
            "filter": (!filters.is_empty()).then_some(filters),
            "tagKey": tag_key(by, &self.filters)?.map(TagKey::as_str),
            "timeZone": self.time_zone.zone()?.name(),
        }))
    }
}

/// Adds variables to others.
pub(super) fn with(mut variables: Value, more: Value) -> Value {
    if let (Value::Object(variables), Value::Object(more)) = (&mut variables, more) {
        variables.extend(more);
    }
    variables
}
