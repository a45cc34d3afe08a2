//! Conditions under which a component of a price applies.

use crate::text::Name;
use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use thiserror::Error;

/// The farthest offset of a time zone from UTC, in minutes: 14 hours.
pub const MAX_UTC_OFFSET_MINUTES: u16 = 14 * 60;

/// The number of minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// Conditions under which a component of a price applies: all of them must be met. Without any, it always applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Conditions {
    /// The size that is exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextSize>,
    /// The service tier of the call, such as `batch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Name>,
    /// The speed of the call, such as `fast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Name>,
    /// The region that the call was processed in, such as `eu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// The time at which the call started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeWindow>,
}

/// A size that must be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ContextSize {
    /// The size, which itself does not exceed it.
    pub above: u64,
    /// Without it, the size is that of the prompt in tokens, cached ones included, and the component bills all units of
    /// the call. With it, the size is the number of billed units, and the component bills only the units above the
    /// size, up to the next higher size.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub graduated: bool,
}

/// A part of the day, on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TimeWindow {
    /// The first minute, such as `16:30`.
    pub from: Minute,
    /// The minute after the last one. The window continues after midnight if it is not later than `from`.
    pub to: Minute,
    /// The offset of the time zone from UTC in minutes: 480 is UTC+8.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub utc_offset_minutes: i16,
    /// The days of the week, from 1 for Monday to 7 for Sunday; every day if empty. After midnight it is the next day.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(inner(range(min = 1, max = 7)))]
    pub weekdays: BTreeSet<u8>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(minutes: &i16) -> bool {
    *minutes == 0
}

/// A minute of the day, `00:00` to `23:59`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
pub struct Minute(u16);

/// Text that is not a minute of the day.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a time of the day: write hours and minutes from 00:00 to 23:59")]
pub struct MinuteError(String);

impl TryFrom<String> for Minute {
    type Error = MinuteError;

    fn try_from(text: String) -> Result<Self, MinuteError> {
        let number = |digits: &str, limit: u16| {
            let is_plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            is_plain.then(|| digits.parse().ok()).flatten().filter(|number: &u16| *number < limit)
        };
        let minute = text.split_once(':').and_then(|(hours, minutes)| Some((number(hours, 24)?, number(minutes, 60)?)));
        match minute {
            Some((hours, minutes)) => Ok(Self(hours * 60 + minutes)),
            None => Err(MinuteError(text.chars().take(64).collect())),
        }
    }
}

impl From<Minute> for String {
    fn from(minute: Minute) -> Self {
        minute.to_string()
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Why conditions are not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConditionError {
    /// A size is 2^53 or above.
    #[error("a context size of {0} is too large; the limit is 2^53 - 1")]
    ContextTooLarge(u64),
    /// A graduated size is 0, which every unit exceeds.
    #[error("a graduated context size of 0 is that of the first units: leave it out")]
    GraduatedFromZero,
    /// The offset of a time zone is out of range.
    #[error("{0} minutes from UTC is not the offset of a time zone; the limit is {MAX_UTC_OFFSET_MINUTES} minutes")]
    UtcOffset(i16),
    /// A number is not that of a day of the week.
    #[error("{0} is not a day of the week, which are 1 for Monday to 7 for Sunday")]
    Weekday(u8),
    /// A window of time excludes nothing.
    #[error("the time from {0} to {0} is the whole day: leave it out, or name days of the week")]
    WholeDay(Minute),
}

/// What conditions are compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallAttributes<'a> {
    pub(crate) prompt_tokens: u64,
    pub(crate) service_tier: Option<&'a Name>,
    pub(crate) speed: Option<&'a Name>,
    pub(crate) region: Option<&'a Name>,
    pub(crate) started_at: DateTime<Utc>,
}

impl Conditions {
    /// Whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The conditions other than the size.
    #[must_use]
    pub fn without_context(&self) -> Self {
        Self { context: None, ..self.clone() }
    }

    /// Whether the component bills only the units above its size.
    #[must_use]
    pub fn is_graduated(&self) -> bool {
        self.context.is_some_and(|context| context.graduated)
    }

    /// The size that must be exceeded; 0 without such a condition.
    pub(crate) fn above(&self) -> u64 {
        self.context.map_or(0, |context| context.above)
    }

    /// The number of conditions.
    pub(crate) fn count(&self) -> usize {
        let Self { context, service_tier, speed, region, time } = self;
        let names = [service_tier, speed, region].into_iter().filter(|name| name.is_some()).count();
        names + usize::from(context.is_some()) + usize::from(time.is_some())
    }

    /// Whether all conditions are met. That of a graduated size is met by any call: it concerns the number of billed
    /// units.
    pub(crate) fn are_met(&self, call: &CallAttributes<'_>) -> bool {
        let Self { context, service_tier, speed, region, time } = self;
        let is_met = |wanted: &Option<Name>, found: Option<&Name>| wanted.is_none() || wanted.as_ref() == found;
        context.is_none_or(|context| context.graduated || call.prompt_tokens > context.above)
            && is_met(service_tier, call.service_tier)
            && is_met(speed, call.speed)
            && is_met(region, call.region)
            && time.as_ref().is_none_or(|time| time.contains(call.started_at))
    }

    /// Checks the conditions on their own.
    pub(crate) fn check(&self) -> Result<(), ConditionError> {
        match self.context {
            Some(ContextSize { above, .. }) if above >= 1 << 53 => return Err(ConditionError::ContextTooLarge(above)),
            Some(ContextSize { above: 0, graduated: true }) => return Err(ConditionError::GraduatedFromZero),
            Some(_) | None => {}
        }
        let Some(time) = &self.time else { return Ok(()) };
        if time.utc_offset_minutes.unsigned_abs() > MAX_UTC_OFFSET_MINUTES {
            return Err(ConditionError::UtcOffset(time.utc_offset_minutes));
        }
        if let Some(day) = time.weekdays.iter().find(|day| !(1..=7).contains(*day)) {
            return Err(ConditionError::Weekday(*day));
        }
        if time.from == time.to && time.weekdays.is_empty() {
            return Err(ConditionError::WholeDay(time.from));
        }
        Ok(())
    }
}

impl TimeWindow {
    fn contains(&self, at: DateTime<Utc>) -> bool {
        let local = at.checked_add_signed(TimeDelta::minutes(self.utc_offset_minutes.into())).unwrap_or(at);
        let minute = local.hour() * 60 + local.minute();
        let (from, to) = (u32::from(self.from.0), u32::from(self.to.0));
        let is_in_window = if from < to {
            (from..to).contains(&minute)
        } else {
            (from..u32::from(DAY_MINUTES)).contains(&minute) || minute < to
        };
        let day = u8::try_from(local.weekday().number_from_monday()).unwrap_or_default();
        is_in_window && (self.weekdays.is_empty() || self.weekdays.contains(&day))
    }
}

/// The conditions in one line, such as `context > 200000, service_tier batch`; empty without any.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, service_tier, speed, region, time } = self;
        let context = context.map(|context| match context.graduated {
            true => format!("units above {}", context.above),
            false => format!("context > {}", context.above),
        });
        let named = [("service_tier", service_tier), ("speed", speed), ("region", region)];
        let named = named.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("{key} {value}")));
        let time = time.as_ref().map(ToString::to_string);
        f.pad(&context.into_iter().chain(named).chain(time).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let Self { from, to, utc_offset_minutes, weekdays } = self;
        write!(f, "{from}-{to} UTC")?;
        if *utc_offset_minutes != 0 {
            let (sign, minutes) = (if *utc_offset_minutes < 0 { '-' } else { '+' }, utc_offset_minutes.unsigned_abs());
            write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
        }
        for (n, day) in weekdays.iter().enumerate() {
            let name = DAYS.get(usize::from(*day).wrapping_sub(1)).unwrap_or(&"?");
            write!(f, "{}{name}", if n == 0 { ' ' } else { '+' })?;
        }
        Ok(())
    }
}
