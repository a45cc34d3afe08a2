//! The dimensions of the usage report: one table with all that differs between them.

use super::period::{Start, Unit};
use super::zone::Zone;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Name;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// What a report needs to know of a dimension.
pub(super) struct Definition {
    /// The name that the API and the command line use.
    name: &'static str,
    /// The expression over a row `u` of a usage source that rows are grouped by and filtered on. That of a period of time
    /// depends on the time zone and the source.
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
    /// None: the calls are read.
    Minutes,
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
            Self::Minutes => TimeDelta::minutes(1),
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
    /// Periods of the time zone of the report. Every call has one.
    Periods(Unit),
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
    /// The minute in which calls started, of which no sums are kept.
    Minute: "minute", "", Values::Periods(Unit::Minute), Minutes;
    /// The quarter of an hour in which calls started: the largest step that divides the days of every time zone, but for days on
    /// which clocks changed at another time, last at Casey Station in October 2022.
    QuarterHour: "quarter_hour", "", Values::Periods(Unit::QuarterHour), QuarterHours;
    /// The hour in which calls started.
    Hour: "hour", "", Values::Periods(Unit::Hour), Hours;
    /// The day on which calls started.
    Day: "day", "", Values::Periods(Unit::Day), Days;
    /// The week (ISO 8601, from Monday) in which calls started.
    Week: "week", "", Values::Periods(Unit::Week), Days;
    /// The month in which calls started.
    Month: "month", "", Values::Periods(Unit::Month), Days;
    /// The quarter of a year in which calls started.
    Quarter: "quarter", "", Values::Periods(Unit::Quarter), Days;
    /// The year in which calls started.
    Year: "year", "", Values::Periods(Unit::Year), Days;
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

    /// The period of time that the dimension is; none for others.
    pub(super) fn unit(self) -> Option<Unit> {
        match self.definition().values {
            Values::Periods(unit) => Some(unit),
            Values::Text | Values::Ids | Values::Objects(_) => None,
        }
    }

    /// The key of the period that a time is in; none if the dimension is no time.
    pub(super) fn key_at(self, zone: &Zone, time: DateTime<Utc>) -> Option<String> {
        self.unit().map(|unit| unit.text(zone, unit.at(zone, time)))
    }

    /// Whether the dimension is a period of time.
    #[must_use]
    pub fn is_time(self) -> bool {
        self.unit().is_some()
    }

    /// Whether a key of a row can have this value.
    pub(super) fn accepts(self, zone: &Zone, key: Option<&str>) -> bool {
        match (self.definition().values, key) {
            (Values::Periods(_), None) => false,
            (Values::Text | Values::Ids | Values::Objects(_), None) => true,
            // PostgreSQL stores no NUL in text.
            (Values::Text, Some(key)) => !key.contains('\0'),
            (Values::Periods(unit), Some(key)) => {
                self.start(zone, key).is_some_and(|start| unit.text(zone, start) == key)
            }
            (Values::Ids | Values::Objects(_), Some(key)) => self.parse(key).as_deref() == Some(key),
        }
    }

    /// The value with a text, in the form of the keys of rows; none if the dimension has no such value. Of a period of time, the
    /// text as it is, if it is one in some zone.
    pub(super) fn parse(self, text: &str) -> Option<String> {
        match self.definition().values {
            Values::Text => Some(Name::new(text).ok()?.to_string()),
            Values::Ids | Values::Objects(_) => Some(Uuid::parse_str(text).ok()?.to_string()),
            Values::Periods(unit) => unit.read(text).map(|_| text.to_owned()),
        }
    }

    /// A description of the values that [`Dimension::parse`] accepts.
    pub(super) fn description(self) -> &'static str {
        match self.definition().values {
            Values::Text => "a name, which is one line of at most 256 bytes",
            Values::Ids | Values::Objects(_) => "a UUID",
            Values::Periods(unit) => unit.description(),
        }
    }

    /// Where the period with this key begins; none for one in which no call can start.
    pub(super) fn start(self, zone: &Zone, key: &str) -> Option<Start> {
        self.unit()?.parse(zone, key)
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

/// The time dimensions that rows are grouped by, with their indices: the shortest one, of which the longer ones are functions.
/// Months are none of weeks, so that there are two then.
pub(super) fn times(by: &[Dimension]) -> Vec<(usize, Dimension)> {
    let mut times: Vec<_> = by.iter().copied().enumerate().filter(|(_, by)| by.is_time()).collect();
    times.sort_by_key(|(_, by)| *by);
    let is_week = times.first().is_some_and(|(_, by)| *by == Dimension::Week);
    times.truncate(if is_week { 2 } else { 1 });
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc() -> Zone {
        chrono_tz::UTC.into()
    }

    #[test]
    fn the_key_at_a_time_is_one_that_reports_give() {
        let at: DateTime<Utc> = "2023-09-01T07:59:59.999Z".parse().unwrap();
        let keys: Vec<_> = Dimension::ALL.iter().filter_map(|one| Some((one, one.key_at(&utc(), at)?))).collect();
        assert_eq!(keys.len(), 8);
        for (dimension, key) in keys {
            assert!(dimension.accepts(&utc(), Some(&key)), "{dimension} {key}");
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
            assert!(dimension.accepts(&utc(), key), "{dimension:?} {key:?}");
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
            (Dimension::Hour, Some("2023-09-01T09:00+02:00")),
            (Dimension::Day, Some("2023-9-1")),
            (Dimension::Day, Some("2023-09-01T07:00Z")),
            (Dimension::Month, Some("2023-13")),
        ] {
            assert!(!dimension.accepts(&utc(), key), "{dimension:?} {key:?}");
        }
    }

    #[test]
    fn a_value_is_read_in_every_form_and_written_in_the_form_of_keys() {
        let id = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
        for (dimension, text, key) in
            [(Dimension::Task, &*id.to_uppercase(), id), (Dimension::Model, "mode\u{301}le", "mod\u{e9}le")]
        {
            assert_eq!(dimension.parse(text).as_deref(), Some(key), "{dimension:?} {text:?}");
        }
        for (dimension, text) in [
            (Dimension::Agent, "ada"),
            (Dimension::Provider, ""),
            (Dimension::Model, "a\nb"),
            (Dimension::QuarterHour, "2023-09-01T07Z"),
            (Dimension::Day, "2023-02-29"),
            (Dimension::Day, "2200-01-02"),
            (Dimension::Month, "2023"),
        ] {
            assert_eq!(dimension.parse(text), None, "{dimension:?} {text:?}");
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
             source, task, dag, conversation, tag, minute, quarter_hour, hour, day, week, month, quarter, year"
        );
    }

    #[test]
    fn rows_are_grouped_by_the_shortest_time_wherever_it_is_named_and_by_months_beside_weeks() {
        use Dimension::{Day, Model, Month, Week, Year};
        assert_eq!(times(&[Month, Model, Day]), [(2, Day)]);
        assert_eq!(times(&[Day, Week, Month]), [(0, Day)]);
        assert_eq!(times(&[Year, Month, Week]), [(2, Week), (1, Month)]);
        assert_eq!(times(&[Model]), []);
    }
}
