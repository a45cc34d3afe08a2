//! What a schedule is defined by, as clients give and get it.

use crate::graphql::errors;
use crate::graphql::input::{self, Invalid};
use crate::graphql::report_dimension::{Dimension, UsageFilter};
use async_graphql::{Enum, InputObject, MaybeUndefined, Result, SimpleObject};
use domain::TagKey;
use domain::schedule::{self as model, FilePattern, FocusEdition, ScheduledContent, ScheduledFilter, Timing};
use projections as models;

/// What the files of a schedule contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::schedule::ContentKind", name = "ScheduledContent")]
pub(crate) enum ContentKind {
    /// The report of usage and cost, as `usageReport` has it. Takes the permission `read:reports` at each run.
    CostReport,
    /// The statements of all cost centres, as `costStatements` has them. Takes `read:reports` and `read:allocation`.
    CostStatements,
    /// A row for each call. Takes `read:calls`.
    Calls,
    /// What calls cost in the form of FOCUS. Takes `read:reports`.
    Focus,
}

/// Format of the files of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::schedule::FileFormat", name = "ScheduledFormat")]
pub(crate) enum FileFormat {
    /// Comma-separated values with a header: any content.
    Csv,
    /// One JSON document: reports and statements.
    Json,
    /// One JSON object a line: calls and FOCUS.
    Ndjson,
    /// Apache Parquet: calls and FOCUS.
    Parquet,
}

/// Unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::schedule::PeriodUnit", name = "CalendarUnit")]
pub(crate) enum CalendarUnit {
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
}

/// Day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::schedule::DayOfWeek")]
pub(crate) enum DayOfWeek {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

/// Definition of a schedule: what it exports, when, and under which name.
#[derive(Debug, InputObject)]
pub(crate) struct ScheduleDefinitionInput {
    /// Display name: one line of at most 256 bytes.
    name: String,
    /// What the files contain.
    content: ContentKind,
    /// Format of the files.
    format: FileFormat,
    /// Dimensions that a report is grouped by, at most 8. Default: none.
    by: Option<Vec<Dimension>>,
    /// Conditions of a report or of statements, at most 50. Default: all calls.
    filter: Option<Vec<UsageFilter>>,
    /// Key of the tag that dimensions and conditions are about.
    tag_key: Option<String>,
    /// Number of rows of highest cost of a report, before one of the rest. Default: all rows.
    top: Option<i32>,
    /// Decimal places of the rounded totals of statements, from 0 to 12. Default: 2.
    digits: Option<i32>,
    /// Version of FOCUS: `1.4` or `1.2`. Default: `1.4`.
    focus_version: Option<String>,
    /// How often the schedule runs.
    every: CalendarUnit,
    /// Day of the week on which it runs. It must be given if it runs every week, and only then.
    weekday: Option<DayOfWeek>,
    /// Day of the month on which it runs, from 1 to 28. It must be given if it runs every month, and only then.
    day_of_month: Option<i32>,
    /// Local time at which it runs, in hours and minutes, such as `06:30`. A time that does not exist, because clocks are put
    /// forward, is the next one that does; one that exists twice is the first of the two.
    time: String,
    /// IANA name of the time zone of days and times, such as `Europe/Berlin`. FOCUS is of days of UTC. Default: `UTC`.
    time_zone: Option<String>,
    /// Period that a run covers: the last day, week or month that was over when the day of the run began.
    period: CalendarUnit,
    /// How long after its time a run is made, in minutes, at most 40320, so that calls that are reported late are in it. Default: 0.
    delay_minutes: Option<i32>,
    /// Pattern of the names of files, such as `costs-{period}.csv`: letters, digits, `.`, `-`, `_`, `{period}`, which it must
    /// contain, `{schedule}` and `{position}`; at most 120 bytes. It is no path.
    file: String,
}

/// A number of an input that is not below zero.
fn number(field: &'static str, given: Option<i32>) -> Result<Option<u32>, Invalid> {
    given.map(|number| u32::try_from(number).map_err(|_| Invalid::new(field, "it is below zero"))).transpose()
}

fn filters(given: Vec<UsageFilter>) -> Result<Vec<ScheduledFilter>, Invalid> {
    let filter = |given: UsageFilter| {
        let dimension = models::Dimension::from(given.dimension);
        let value = match (given.dimension.kind(), given.value) {
            (_, MaybeUndefined::Undefined) => {
                return Err(Invalid::new("filter", "a filter needs a value; null selects the calls that have none"));
            }
            (_, MaybeUndefined::Null) => None,
            (Some(kind), MaybeUndefined::Value(id)) => {
                let id = kind.parse(&async_graphql::ID(id)).map_err(|error| Invalid::new("filter", error.message))?;
                Some(id.to_string())
            }
            (None, MaybeUndefined::Value(value)) => Some(value),
        };
        let dimension = input::name("filter", dimension.as_str().to_owned())?;
        Ok(ScheduledFilter { dimension, value: input::name_opt("filter", value)? })
    };
    given.into_iter().map(filter).collect()
}

impl ScheduleDefinitionInput {
    pub(super) fn parse(self) -> Result<model::ScheduleDefinition, Invalid> {
        let by = self.by.unwrap_or_default().into_iter();
        let by = by.map(|by| input::name("by", models::Dimension::from(by).as_str().to_owned()));
        let focus_version = self.focus_version.map(|text| {
            let known = FocusEdition::ALL.iter().copied().find(|known| known.as_str() == text);
            known.ok_or_else(|| Invalid::new("focusVersion", "the versions are 1.4 and 1.2"))
        });
        let content = ScheduledContent {
            by: by.collect::<Result<_, _>>()?,
            filters: filters(self.filter.unwrap_or_default())?,
            tag_key: self.tag_key.map(TagKey::new).transpose().map_err(|error| Invalid::new("tagKey", error))?,
            top: number("top", self.top)?,
            digits: number("digits", self.digits)?,
            focus_version: focus_version.transpose()?,
            ..ScheduledContent::new(self.content.into(), self.format.into())
        };
        let cadence = match (self.every, self.weekday, self.day_of_month) {
            (CalendarUnit::Day, None, None) => model::Cadence::Day,
            (CalendarUnit::Week, Some(weekday), None) => model::Cadence::Week { weekday: weekday.into() },
            (CalendarUnit::Month, None, Some(day)) => {
                let day = u8::try_from(day).map_err(|_| Invalid::new("dayOfMonth", "use 1 to 28"))?;
                model::Cadence::Month { day }
            }
            (CalendarUnit::Day | CalendarUnit::Week | CalendarUnit::Month, ..) => {
                let text = "a schedule that runs every week has a weekday, one that runs every month a dayOfMonth, and no other has";
                return Err(Invalid::new("every", text));
            }
        };
        let zone = self.time_zone.as_deref().map_or(Ok(chrono_tz::Tz::UTC), models::time_zone);
        let timing = Timing {
            cadence,
            time: self.time.parse().map_err(|error| Invalid::new("time", error))?,
            time_zone: zone.map_err(|error| Invalid::new("timeZone", error))?,
            period: self.period.into(),
            delay_minutes: number("delayMinutes", self.delay_minutes)?.unwrap_or(0),
        };
        let file = FilePattern::new(self.file).map_err(|error| Invalid::new("file", error))?;
        Ok(model::ScheduleDefinition { name: input::name("name", self.name)?, content, timing, file })
    }
}

/// Condition of a scheduled report.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "ScheduledFilter")]
pub(crate) struct Filter {
    /// The dimension.
    dimension: Dimension,
    /// Value that calls must have. Null selects those that have none.
    value: Option<String>,
}

/// Definition of a schedule: what it exports, when, and under which name.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ScheduleDefinition {
    /// What the files contain.
    content: ContentKind,
    /// Format of the files.
    format: FileFormat,
    /// Dimensions that a report is grouped by.
    by: Vec<Dimension>,
    /// Conditions of a report or of statements.
    filters: Vec<Filter>,
    /// Key of the tag that dimensions and conditions are about.
    tag_key: Option<String>,
    /// Number of rows of highest cost of a report. Null for all rows.
    top: Option<i32>,
    /// Decimal places of the rounded totals of statements. Null for 2.
    digits: Option<i32>,
    /// Version of FOCUS. Null for 1.4.
    focus_version: Option<String>,
    /// How often the schedule runs.
    every: CalendarUnit,
    /// Day of the week on which it runs. Null unless it runs every week.
    weekday: Option<DayOfWeek>,
    /// Day of the month on which it runs. Null unless it runs every month.
    day_of_month: Option<i32>,
    /// Local time at which it runs, in hours and minutes.
    time: String,
    /// IANA name of the time zone of days and times.
    time_zone: String,
    /// Period that a run covers.
    period: CalendarUnit,
    /// How long after its time a run is made, in minutes.
    delay_minutes: i32,
    /// Pattern of the names of files.
    file: String,
}

fn dimension(name: &str) -> Result<Dimension> {
    name.parse::<models::Dimension>().map(Into::into).map_err(|error| errors::internal(&error))
}

impl TryFrom<&model::ScheduleDefinition> for ScheduleDefinition {
    type Error = async_graphql::Error;

    fn try_from(from: &model::ScheduleDefinition) -> Result<Self> {
        let (content, timing) = (&from.content, &from.timing);
        let filter = |filter: &ScheduledFilter| {
            let value = filter.value.as_ref().map(ToString::to_string);
            Ok(Filter { dimension: dimension(filter.dimension.as_str())?, value })
        };
        // Within the limits that definitions have.
        let number = |number: Option<u32>| number.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
        let (every, weekday, day_of_month) = match timing.cadence {
            model::Cadence::Day => (CalendarUnit::Day, None, None),
            model::Cadence::Week { weekday } => (CalendarUnit::Week, Some(weekday.into()), None),
            model::Cadence::Month { day } => (CalendarUnit::Month, None, Some(day.into())),
        };
        Ok(Self {
            content: content.kind.into(),
            format: content.format.into(),
            by: content.by.iter().map(|by| dimension(by.as_str())).collect::<Result<_>>()?,
            filters: content.filters.iter().map(filter).collect::<Result<_>>()?,
            tag_key: content.tag_key.as_ref().map(ToString::to_string),
            top: number(content.top),
            digits: number(content.digits),
            focus_version: content.focus_version.map(|version| version.as_str().to_owned()),
            every,
            weekday,
            day_of_month,
            time: timing.time.to_string(),
            time_zone: timing.time_zone.name().to_owned(),
            period: timing.period.into(),
            delay_minutes: i32::try_from(timing.delay_minutes).unwrap_or(i32::MAX),
            file: from.file.to_string(),
        })
    }
}
