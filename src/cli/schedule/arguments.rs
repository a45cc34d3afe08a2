//! The definition of a schedule as the command line states it.

use crate::cli::report::DimensionParser;
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use domain::Name;
use domain::schedule::{
    Cadence, ContentKind, DayOfWeek, FileFormat, FilePattern, FocusEdition, PeriodUnit, ScheduleDefinition,
    ScheduledContent, ScheduledFilter, TimeOfDay, Timing,
};
use projections::{NamedDimension, NamedFilter};
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Content {
    /// The report of `apex report cost`
    Cost,
    /// The statements of `apex report chargeback`
    Chargeback,
    /// The calls of `apex export calls`
    Calls,
    /// The costs of `apex export focus`
    Focus,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Comma-separated values with a header
    Csv,
    /// One JSON document: cost and chargeback
    Json,
    /// One JSON object a line: calls and focus
    Ndjson,
    /// Apache Parquet: calls and focus
    Parquet,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Edition {
    #[value(name = "1.4")]
    V1_4,
    #[value(name = "1.2")]
    V1_2,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Period {
    /// The day before
    Day,
    /// The week before, from Monday on
    Week,
    /// The month before
    Month,
}

/// How often a schedule runs: `day`, `week:monday` or `month:1`.
#[derive(Debug, Clone, Copy)]
struct Every(Cadence);

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cadence = match text.split_once(':') {
            None if text == "day" => Some(Cadence::Day),
            Some(("week", day)) => {
                let known = DayOfWeek::ALL.into_iter().find(|known| known.as_str() == day);
                known.map(|weekday| Cadence::Week { weekday })
            }
            Some(("month", day)) => day.parse().ok().map(|day| Cadence::Month { day }),
            _ => None,
        };
        cadence.map(Self).ok_or_else(|| "expected day, week:monday (or another day), or month:1 (to 28)".to_owned())
    }
}

/// What a schedule exports, when, and under which name.
#[derive(Debug, clap::Args)]
pub(super) struct Definition {
    /// The display name
    #[arg(long)]
    name: String,
    /// What the files contain
    #[arg(long, value_enum)]
    content: Content,
    /// The format of the files
    #[arg(long = "file-format", value_enum, default_value_t = Format::Csv)]
    file_format: Format,
    /// How often it runs: day, week:monday or month:1
    #[arg(long, value_name = "CADENCE")]
    every: Every,
    /// The local time at which it runs, such as 06:30
    #[arg(long, value_name = "TIME")]
    at: TimeOfDay,
    /// The time zone of days and times: an IANA name such as Europe/Berlin; FOCUS is of days of UTC
    #[arg(long, default_value = "UTC", value_parser = projections::time_zone, value_name = "ZONE")]
    time_zone: chrono_tz::Tz,
    /// The period that a run covers: the last one that was over when the day of the run began
    #[arg(long, value_enum)]
    period: Period,
    /// How long after its time a run is made, such as 2h, so that calls that are reported late are in it
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    delay: Duration,
    /// The pattern of the names of files, such as costs-{period}.csv: {period}, and if wanted {schedule} and {position}
    #[arg(long, value_name = "PATTERN")]
    file: String,
    /// The dimensions of a report, separated by commas, as of `apex report cost`
    #[arg(long, value_delimiter = ',', value_parser = DimensionParser, value_name = "DIMENSION")]
    by: Vec<NamedDimension>,
    /// Only calls with this value of a dimension, of a report or of statements
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    filters: Vec<NamedFilter>,
    /// Only this number of rows of highest cost of a report, and a row of the rest
    #[arg(long, value_name = "N")]
    top: Option<u32>,
    /// The decimal places of the rounded totals of statements [default: 2]
    #[arg(long)]
    digits: Option<u32>,
    /// The version of FOCUS [default: 1.4]
    #[arg(long, value_enum, value_name = "VERSION")]
    focus_version: Option<Edition>,
}

impl Definition {
    /// The definition. What it contradicts itself in is rejected by the domain.
    pub(super) fn check(self) -> anyhow::Result<ScheduleDefinition> {
        let kind = match self.content {
            Content::Cost => ContentKind::CostReport,
            Content::Chargeback => ContentKind::CostStatements,
            Content::Calls => ContentKind::Calls,
            Content::Focus => ContentKind::Focus,
        };
        let format = match self.file_format {
            Format::Csv => FileFormat::Csv,
            Format::Json => FileFormat::Json,
            Format::Ndjson => FileFormat::Ndjson,
            Format::Parquet => FileFormat::Parquet,
        };
        let filter = |filter: &NamedFilter| {
            let dimension = Name::new(filter.dimension().as_str())?;
            Ok(ScheduledFilter { dimension, value: filter.value().map(Name::new).transpose()? })
        };
        let tag_key = projections::tag_key(&self.by, &self.filters)?.cloned();
        let content = ScheduledContent {
            by: self.by.iter().map(|by| Name::new(by.dimension().as_str())).collect::<Result<_, _>>()?,
            filters: self.filters.iter().map(filter).collect::<Result<_, domain::TextError>>()?,
            tag_key,
            top: self.top,
            digits: self.digits,
            focus_version: self.focus_version.map(|version| match version {
                Edition::V1_4 => FocusEdition::V1_4,
                Edition::V1_2 => FocusEdition::V1_2,
            }),
            ..ScheduledContent::new(kind, format)
        };
        let seconds = self.delay.as_secs();
        if !seconds.is_multiple_of(60) || self.delay.subsec_nanos() != 0 {
            bail!("the delay is in minutes, such as 90m");
        }
        let timing = Timing {
            cadence: self.every.0,
            time: self.at,
            time_zone: self.time_zone,
            period: match self.period {
                Period::Day => PeriodUnit::Day,
                Period::Week => PeriodUnit::Week,
                Period::Month => PeriodUnit::Month,
            },
            delay_minutes: u32::try_from(seconds / 60).context("the delay is too long")?,
        };
        let name = Name::new(self.name).context("the name")?;
        Ok(ScheduleDefinition { name, content, timing, file: FilePattern::new(self.file)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cadence_is_a_day_a_weekday_or_a_day_of_the_month() {
        let every = |text: &str| text.parse::<Every>().map(|every| every.0).ok();
        assert_eq!(every("day"), Some(Cadence::Day));
        assert_eq!(every("week:sunday"), Some(Cadence::Week { weekday: DayOfWeek::Sunday }));
        assert_eq!(every("month:28"), Some(Cadence::Month { day: 28 }));
        for text in ["", "week", "month", "week:x", "month:x", "month:-1", "day:1", "year"] {
            assert_eq!(every(text), None, "{text}");
        }
    }
}
