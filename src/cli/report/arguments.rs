//! The arguments of a report.

use super::dimension::DimensionParser;
use super::period::{Compared, Limit, ZoneName};
use super::policy::Policy;
use crate::cli::output::Format;
use crate::cli::point::Point;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use projections::{BasePeriod, NamedDimension, NamedFilter};
use std::time::Duration;

/// Report the usage and cost of calls.
///
/// Costs are exact, in US dollars. Calls without a known price are not included in any cost; they are counted
/// separately, and so are calls whose usage is assumed. `cost_per_call` and `cost_per_million_tokens` are of the charged
/// cost, in CSV and JSON. The report includes all events that were in the log at the start: read models that are behind are
/// updated first, by this process if no other does it. The position of the report and the last position of the log are
/// written to standard error, in JSON as `position`, `head` and `events_behind`, and in CSV as columns; `seconds_behind` is how long ago
/// the oldest event was recorded that is not included, and the last column. In CSV, text that a
/// spreadsheet would run as a formula is preceded by an apostrophe.
///
/// Sums are kept by quarter of an hour and agent, user, team, key, provider, model, tool, outcome and source, by day (UTC)
/// and each of task, dag and conversation alone, and by hour and one tag alone whose key is declared (see `apex tags`). A
/// report by another combination, of dimensions to group by and to filter on, reads the calls, at most 100,000; with more, it
/// is refused, and the message names the nearest combination. What the report was summed from is written to standard error,
/// and in JSON as `summed_from`.
///
/// Sums by a tag have the calls that were reported with it, or whose tags were corrected, while its key was declared. All
/// others are in the row without a value, so that the rows always add up to the total. A report that reads the calls has each
/// call under the value of its tag, whenever the key was declared: one by the tag and a dimension that is not a time does.
///
/// Exits with 0, or with 1 if the read models do not catch up in time.
#[derive(Debug, clap::Args)]
pub(super) struct Cost {
    /// The dimensions to group by, separated by commas; a tag with its key, such as tag:team
    ///
    /// A report is about one tag key, which contains no comma.
    #[arg(long, value_delimiter = ',', value_parser = DimensionParser, value_name = "DIMENSION")]
    pub(super) by: Vec<NamedDimension>,

    /// Only calls with this value of a dimension, such as model=gpt-4o; nothing after the = selects calls without a value
    ///
    /// May be given up to 50 times. Filters on the same dimension are alternatives; those on different dimensions must all
    /// be met. Agents, tasks and dags are given by UUID, times as in the report: quarter_hour=2023-09-24T13:15Z,
    /// hour=2023-09-24T13:00+02:00, day=2023-09-24, week=2023-W38, month=2023-09, quarter=2023-Q3, year=2023. The key of a tag ends before the first =, as in tag:team=search.
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    pub(super) filters: Vec<NamedFilter>,

    /// The time zone of days and other times: an IANA name such as Europe/Berlin, or local for that of this machine
    ///
    /// The two hours that clocks call the same at the end of daylight-saving time are two rows, with their offsets from UTC.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub(super) time_zone: ZoneName,

    /// Only calls that started at or after this day, month or quarter of an hour, such as 2023-09-24, 2023-09 or
    /// 2023-09-24T13:15:00Z
    ///
    /// Days and months are those of the time zone. A report by minutes may start and end at any minute.
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<Limit>,

    /// Only calls that started before this day, month or quarter of an hour
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<Limit>,

    /// Only this number of rows of highest charged cost, up to 1000, and a row of the rest; of each period if grouped by time
    #[arg(long, value_name = "N")]
    pub(super) top: Option<u32>,

    /// Compare with another period: previous, or two times such as 2023-08..2023-09
    ///
    /// Needs --from and --to, and dimensions other than time. The previous period has as many months, if the report is from the
    /// first day of a month to that of another, or else as many days or as much time.
    #[arg(long, value_name = "PERIOD")]
    pub(super) compare: Option<Compared>,

    /// Which cost of a call counts as its cost
    ///
    /// Rows are in the order of the charged cost in any case. `reported_difference` is how much more the sources reported than
    /// was charged, over the calls that have both costs.
    #[arg(long, value_enum, default_value_t = Policy::Charged, value_name = "POLICY")]
    pub(super) cost: Policy,

    /// The costs as they were known at this position of the log, or at this time, from the events of the log up to it
    ///
    /// Amendments, corrections and repricings that were recorded later are not included. The names of agents and tasks are the
    /// present ones, and each call is under the value of its tag, whenever its key was declared. The report does not wait for the
    /// read models. With --compare, both periods are as they were known. A server reads at most 100,000 events for it; a report of more is made on the database.
    #[arg(long, value_name = "POSITION|TIME")]
    pub(super) known_at: Option<Point>,

    /// The format of the report
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,

    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(super) wait: Duration,

    /// Report the present state of the read models, which may be behind the log
    #[arg(long, conflicts_with = "wait")]
    pub(super) no_wait: bool,
}

/// The times of a report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) zone: Tz,
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
    pub(super) compared_with: Option<BasePeriod>,
}

impl Cost {
    /// The times, in the time zone of the report.
    ///
    /// # Errors
    /// If the time zone of this machine is not known, or the calendar does not have a time.
    pub(super) fn times(&self) -> anyhow::Result<Times> {
        let zone = self.time_zone.zone()?;
        let time = |limit: Option<Limit>| limit.map(|limit| limit.time(zone)).transpose();
        let compared_with = self.compare.map(|compared| compared.period(zone)).transpose()?;
        Ok(Times { zone, from: time(self.from)?, to: time(self.to)?, compared_with })
    }
}
