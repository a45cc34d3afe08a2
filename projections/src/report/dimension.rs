//! The dimensions of the usage report: one table with all that differs between them.

use chrono::{DateTime, Datelike, DurationRound, Months, NaiveDateTime, TimeDelta, Timelike, Utc};
use domain::{ACCEPTED_YEARS, Name};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// What a report needs to know of a dimension.
pub(super) struct Definition {
    /// The name that the API and the command line use.
    name: &'static str,
    /// The expression over a row `u` of a usage source that rows are grouped by and filtered on.
    pub(super) column: &'static str,
    /// The values of that expression.
    pub(super) values: Values,
    /// Which sums are kept by the dimension.
    pub(super) kept: Kept,
}

/// Which sums are kept by a dimension, the shortest step of time first. A period of time is kept by every source with the
/// same or a shorter step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    /// Sums by quarter of an hour, together with all other dimensions of this kind.
    QuarterHours,
    /// Sums by hour, with no other dimension but time, for declared tag keys.
    Hours,
    /// Sums by day (UTC), with no other dimension but time.
    Days,
}

impl Kept {
    /// The step of time of the sums.
    pub(super) fn step(self) -> TimeDelta {
        match self {
            Self::QuarterHours => TimeDelta::minutes(15),
            Self::Hours => TimeDelta::hours(1),
            Self::Days => TimeDelta::days(1),
        }
    }
}

/// The values of a dimension, and their text in reports.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Names, or none.
    Text,
    /// Ids of things without a name, or none.
    Ids,
    /// Ids of objects, or none.
    Objects(Objects),
    /// The starts of periods of time. Every call has one.
    Periods(Period),
}

/// Objects whose names are shown beside their ids.
#[derive(Clone, Copy)]
pub(super) struct Objects {
    /// The projection that has the names, and its table.
    pub(super) table: &'static str,
    /// The column with the id.
    pub(super) id: &'static str,
    /// The column with the name.
    pub(super) name: &'static str,
}

/// A period of time in UTC.
#[derive(Clone, Copy)]
pub(super) struct Period {
    /// The format of its start for PostgreSQL's `to_char`.
    pub(super) sql_format: &'static str,
    /// The same format for this crate.
    format: &'static str,
    /// What has to follow that text to make it a time.
    rest: &'static str,
    /// How many minutes apart such periods start, of those shorter than a day.
    step_minutes: u32,
    /// A description, with an example.
    description: &'static str,
    /// The end of the period with a start.
    end: fn(DateTime<Utc>) -> Option<DateTime<Utc>>,
}

const QUARTER_HOUR: Period = Period {
    sql_format: r#"YYYY-MM-DD"T"HH24:MI"Z""#,
    format: "%Y-%m-%dT%H:%MZ",
    rest: "",
    step_minutes: 15,
    description: "a quarter of an hour in UTC, such as 2023-11-14T22:15Z",
    end: |start| start.checked_add_signed(TimeDelta::minutes(15)),
};
const HOUR: Period = Period {
    sql_format: r#"YYYY-MM-DD"T"HH24:00"Z""#,
    format: "%Y-%m-%dT%H:00Z",
    rest: "",
    step_minutes: 60,
    description: "an hour in UTC, such as 2023-11-14T22:00Z",
    end: |start| start.checked_add_signed(TimeDelta::hours(1)),
};
const DAY: Period = Period {
    sql_format: "YYYY-MM-DD",
    format: "%Y-%m-%d",
    rest: "T00:00Z",
    step_minutes: 60,
    description: "a day in UTC, such as 2023-11-14",
    end: |start| start.checked_add_signed(TimeDelta::days(1)),
};
const MONTH: Period = Period {
    sql_format: "YYYY-MM",
    format: "%Y-%m",
    rest: "-01T00:00Z",
    step_minutes: 60,
    description: "a month in UTC, such as 2023-11",
    end: |start| start.checked_add_months(Months::new(1)),
};

macro_rules! dimensions {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, $column:literal, $values:expr, $kept:ident;)+) => {
        /// A dimension that calls can be grouped by and filtered on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Dimension {
            $($(#[$doc])* $variant,)+
        }

        impl Dimension {
            /// Every dimension.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(super) fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$variant => const {
                        &Definition { name: $name, column: $column, values: $values, kept: Kept::$kept }
                    },)+
                }
            }
        }
    };
}

// Those with few values, those of which sums are kept by each alone, then the periods of time, the shortest first.
dimensions! {
    /// The agent.
    Agent: "agent", "u.agent_id", Values::Objects(Objects { table: "agents", id: "agent_id", name: "name" }), QuarterHours;
    /// The user that the call was made for, by an id that the source gives.
    User: "user", "u.user_id", Values::Text, QuarterHours;
    /// The team that the call was made for.
    Team: "team", "u.team", Values::Text, QuarterHours;
    /// The name or id of the API key that the call was made with.
    Key: "key", "u.key", Values::Text, QuarterHours;
    /// The provider of the model.
    Provider: "provider", "u.provider", Values::Text, QuarterHours;
    /// The model that answered.
    Model: "model", "u.model", Values::Text, QuarterHours;
    /// The tool that was called.
    Tool: "tool", "u.tool", Values::Text, QuarterHours;
    /// How the call ended: `ok`, `error`, `timeout`, `cancelled` or `refused`.
    Outcome: "outcome", "u.outcome", Values::Text, QuarterHours;
    /// The source of the first record of the call.
    Source: "source", "u.source", Values::Text, QuarterHours;
    /// The task.
    Task: "task", "u.task_id", Values::Objects(Objects { table: "tasks", id: "task_id", name: "title" }), Days;
    /// The task graph that the call was made for.
    Dag: "dag", "u.dag_id", Values::Ids, Days;
    /// The conversation that the call is a part of, by its id in the source.
    Conversation: "conversation", "u.conversation", Values::Text, Days;
    /// The value of the tag with the key of the report, see [`ReportTag`](super::ReportTag).
    Tag: "tag", "u.tag", Values::Text, Hours;
    /// The quarter of an hour in which calls started: the largest step that divides the days of every time zone.
    QuarterHour: "quarter_hour", "u.quarter", Values::Periods(QUARTER_HOUR), QuarterHours;
    /// The hour (UTC) in which calls started.
    Hour: "hour", "u.hour", Values::Periods(HOUR), Hours;
    /// The day (UTC) in which calls started.
    Day: "day", "date_trunc('day', u.hour, 'UTC')", Values::Periods(DAY), Days;
    /// The month (UTC) in which calls started.
    Month: "month", "date_trunc('month', u.hour, 'UTC')", Values::Periods(MONTH), Days;
}

impl Dimension {
    /// Returns the name that the API and the command line use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.definition().name
    }

    /// Returns the projection with the names of the values; none if the values are not ids of objects with a name.
    #[must_use]
    pub fn names_projection(self) -> Option<&'static str> {
        match self.definition().values {
            Values::Objects(objects) => Some(objects.table),
            Values::Text | Values::Ids | Values::Periods(_) => None,
        }
    }

    fn period(self) -> Option<Period> {
        match self.definition().values {
            Values::Periods(period) => Some(period),
            Values::Text | Values::Ids | Values::Objects(_) => None,
        }
    }

    /// The key of the period that a time is in; none if the dimension is no time.
    #[must_use]
    pub fn key_at(self, time: DateTime<Utc>) -> Option<String> {
        let period = self.period()?;
        let start = time.duration_trunc(TimeDelta::minutes(period.step_minutes.into())).ok()?;
        Some(start.format(period.format).to_string())
    }

    pub(super) fn is_time(self) -> bool {
        self.period().is_some()
    }

    /// Whether a key of a row can have this value.
    pub(super) fn accepts(self, key: Option<&str>) -> bool {
        match (self.definition().values, key) {
            (Values::Periods(_), None) => false,
            (Values::Text | Values::Ids | Values::Objects(_), None) => true,
            // PostgreSQL stores no NUL in text.
            (Values::Text, Some(key)) => !key.contains('\0'),
            (Values::Ids | Values::Objects(_) | Values::Periods(_), Some(key)) => {
                self.parse(key).as_deref() == Some(key)
            }
        }
    }

    /// The value with a text, in the form of the keys of rows; none if the dimension has no such value.
    pub(super) fn parse(self, text: &str) -> Option<String> {
        match self.definition().values {
            Values::Text => Some(Name::new(text).ok()?.to_string()),
            Values::Ids | Values::Objects(_) => Some(Uuid::parse_str(text).ok()?.to_string()),
            Values::Periods(period) => {
                let start = self.start(text).filter(|start| start.minute() % period.step_minutes == 0)?;
                Some(start.format(period.format).to_string())
            }
        }
    }

    /// A description of the values that [`Dimension::parse`] accepts.
    pub(super) fn description(self) -> &'static str {
        match self.definition().values {
            Values::Text => "a name, which is one line of at most 256 bytes",
            Values::Ids | Values::Objects(_) => "a UUID",
            Values::Periods(period) => period.description,
        }
    }

    /// When the period with this key began; none for one in which no call can start.
    pub(super) fn start(self, key: &str) -> Option<DateTime<Utc>> {
        let start = format!("{key}{}", self.period()?.rest);
        let start = NaiveDateTime::parse_from_str(&start, "%Y-%m-%dT%H:%MZ").ok()?.and_utc();
        Some(start).filter(|start| ACCEPTED_YEARS.contains(&start.year()))
    }

    /// When the period with this start ends.
    pub(super) fn end(self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.period()?.end)(start)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is not the name of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no dimension {0:?}; the dimensions are {names}", names = names())]
pub struct UnknownDimension(String);

/// The names of all dimensions, separated by commas.
fn names() -> String {
    Dimension::ALL.iter().map(|dimension| dimension.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Dimension {
    type Err = UnknownDimension;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.iter().find(|dimension| dimension.as_str() == name);
        named.copied().ok_or_else(|| UnknownDimension(name.to_owned()))
    }
}

/// The shortest time dimension of a report, with its index. The longer ones are functions of it.
pub(super) fn finest_time(by: &[Dimension]) -> Option<(usize, Dimension)> {
    by.iter().copied().enumerate().filter(|(_, by)| by.is_time()).min_by_key(|(_, by)| *by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_at_a_time_is_one_that_reports_give() {
        let at: DateTime<Utc> = "2023-09-01T07:59:59.999Z".parse().unwrap();
        let keys = [Dimension::QuarterHour, Dimension::Hour, Dimension::Day, Dimension::Month, Dimension::Model]
            .map(|dimension| dimension.key_at(at));
        let right = ["2023-09-01T07:45Z", "2023-09-01T07:00Z", "2023-09-01", "2023-09"].map(|key| Some(key.to_owned()));
        assert_eq!(keys[..4], right);
        assert_eq!(keys[4], None);
        for (dimension, key) in Dimension::ALL.iter().filter_map(|one| Some((one, one.key_at(at)?))) {
            assert!(dimension.accepts(Some(&key)), "{dimension} {key}");
        }
    }

    #[test]
    fn a_key_is_accepted_only_in_the_form_that_reports_give_it() {
        let id = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
        for (dimension, key) in [
            (Dimension::Agent, Some(id)),
            (Dimension::Task, None),
            (Dimension::Model, Some("")),
            (Dimension::Dag, Some(id)),
            (Dimension::Conversation, Some("c1")),
            (Dimension::QuarterHour, Some("2023-09-01T07:45Z")),
            (Dimension::Hour, Some("2023-09-01T07:00Z")),
            (Dimension::Day, Some("2023-09-01")),
            (Dimension::Month, Some("2023-09")),
        ] {
            assert!(dimension.accepts(key), "{dimension:?} {key:?}");
        }
        let upper = id.to_uppercase();
        for (dimension, key) in [
            (Dimension::Agent, Some(upper.as_str())),
            (Dimension::Task, Some("7")),
            (Dimension::Provider, Some("a\0b")),
            (Dimension::Dag, Some(upper.as_str())),
            (Dimension::QuarterHour, Some("2023-09-01T07:50Z")),
            (Dimension::Hour, None),
            (Dimension::Hour, Some("2023-09-01T07:30Z")),
            (Dimension::Day, Some("2023-09-01T07:00Z")),
            (Dimension::Month, Some("2023-13")),
        ] {
            assert!(!dimension.accepts(key), "{dimension:?} {key:?}");
        }
    }

    #[test]
    fn a_value_is_read_in_every_form_and_written_in_the_form_of_keys() {
        let id = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
        for (dimension, text, key) in [
            (Dimension::Task, &*id.to_uppercase(), id),
            (Dimension::Model, "mode\u{301}le", "mod\u{e9}le"),
            (Dimension::QuarterHour, "2023-09-01T07:30Z", "2023-09-01T07:30Z"),
            (Dimension::Hour, "2023-09-01T07:00Z", "2023-09-01T07:00Z"),
            (Dimension::Day, "2023-9-1", "2023-09-01"),
            (Dimension::Month, "2023-09", "2023-09"),
        ] {
            assert_eq!(dimension.parse(text).as_deref(), Some(key), "{dimension:?} {text:?}");
        }
        for (dimension, text) in [
            (Dimension::Agent, "ada"),
            (Dimension::Provider, ""),
            (Dimension::Model, "a\nb"),
            (Dimension::QuarterHour, "2023-09-01T07:31Z"),
            (Dimension::Hour, "2023-09-01T07:30Z"),
            (Dimension::Day, "2023-02-29"),
            (Dimension::Day, "-5000-01-01"),
            (Dimension::Day, "2200-01-01"),
            (Dimension::Month, "2023"),
        ] {
            assert_eq!(dimension.parse(text), None, "{dimension:?} {text:?}");
        }
    }

    #[test]
    fn periods_end_where_the_next_one_starts() {
        for (dimension, key, next) in [
            (Dimension::QuarterHour, "2023-12-31T23:45Z", "2024-01-01T00:00Z"),
            (Dimension::Hour, "2023-12-31T23:00Z", "2024-01-01T00:00Z"),
            (Dimension::Day, "2024-02-28", "2024-02-29"),
            (Dimension::Month, "2024-02", "2024-03"),
        ] {
            assert_eq!(dimension.start(key).and_then(|start| dimension.end(start)), dimension.start(next), "{key}");
        }
    }

    #[test]
    fn a_dimension_has_a_name_and_an_unknown_name_is_refused_with_the_known_ones() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.as_str().parse(), Ok(*dimension));
        }
        let unknown = "Model".parse::<Dimension>().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "there is no dimension \"Model\"; the dimensions are agent, user, team, key, provider, model, tool, outcome, \
             source, task, dag, conversation, tag, quarter_hour, hour, day, month"
        );
    }

    #[test]
    fn the_finest_time_is_the_shortest_wherever_it_is_named() {
        assert_eq!(finest_time(&[Dimension::Month, Dimension::Model, Dimension::Day]), Some((2, Dimension::Day)));
        assert_eq!(finest_time(&[Dimension::Model]), None);
    }
}
