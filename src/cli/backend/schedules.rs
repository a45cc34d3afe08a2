//! Schedules as the command line shows them, wherever they are read.

use domain::schedule::{Cadence, ScheduleDefinition, ScheduledFilter};
use serde_json::{Value, json};

/// The number of runs that are shown.
pub(super) const SHOWN_RUNS: usize = 50;

/// A definition as it is shown: one object, with null for what it does not have.
pub(super) fn definition(of: &ScheduleDefinition) -> Value {
    let (content, timing) = (&of.content, &of.timing);
    let (every, weekday, day) = match timing.cadence {
        Cadence::Day => ("day", None, None),
        Cadence::Week { weekday } => ("week", Some(weekday.as_str()), None),
        Cadence::Month { day } => ("month", None, Some(day)),
    };
    let filter = |filter: &ScheduledFilter| json!({ "dimension": filter.dimension, "value": filter.value });
    json!({
        "content": content.kind.as_str(),
        "format": content.format.as_str(),
        "by": content.by,
        "filters": content.filters.iter().map(filter).collect::<Vec<_>>(),
        "tag_key": content.tag_key,
        "top": content.top,
        "digits": content.digits,
        "focus_version": content.focus_version.map(|version| version.as_str()),
        "every": every,
        "weekday": weekday,
        "day_of_month": day,
        "time": timing.time,
        "time_zone": timing.time_zone.name(),
        "period": timing.period.as_str(),
        "delay_minutes": timing.delay_minutes,
        "file": of.file,
    })
}
