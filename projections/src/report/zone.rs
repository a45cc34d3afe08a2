//! The offsets of a time zone from UTC.
//!
//! What a time zone is comes from one place: the database of time zones of the crate `chrono-tz`. PostgreSQL has another copy,
//! of another release perhaps, which reports never ask: the statements get the offsets from here, and only calculate with them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use domain::ACCEPTED_YEARS;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use thiserror::Error;

/// The maximum number of characters of a refused name in a message.
const MAX_SHOWN_CHARS: usize = 64;
/// How far apart offsets are compared to find their changes. No zone changes its offset twice in less time since 1970.
const SCAN_STEP: TimeDelta = TimeDelta::hours(12);

/// A name that the database of time zones does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a time zone of the IANA database, such as \"Europe/Berlin\"")]
pub struct UnknownTimeZone(String);

/// The time zone with an IANA name, such as `Europe/Berlin`.
///
/// # Errors
/// [`UnknownTimeZone`] if there is none.
pub fn time_zone(name: &str) -> Result<Tz, UnknownTimeZone> {
    name.parse().map_err(|_| UnknownTimeZone(name.chars().take(MAX_SHOWN_CHARS).collect()))
}

/// The first time of a day in a zone: midnight, or the first time that exists where clocks are put forward at midnight. None if
/// the calendar ends before.
#[must_use]
pub fn start_of_day(zone: Tz, day: NaiveDate) -> Option<DateTime<Utc>> {
    Zone::from(zone).first_at(day.and_time(NaiveTime::MIN))
}

/// When the offsets of a zone begin to apply, and which they are. There is one offset more than there are changes: the first one
/// applies before the first change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offsets {
    pub(super) changes: Vec<DateTime<Utc>>,
    pub(super) seconds: Vec<i32>,
}

impl Offsets {
    fn of(zone: Tz) -> Self {
        let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
        let Range { start: mut at, end } = accepted_times();
        let (mut changes, mut seconds) = (Vec::new(), vec![offset(at)]);
        while at < end {
            let (before, after) = (offset(at), offset(at + SCAN_STEP));
            if before != after {
                // The first second at which the offset is no longer the old one.
                let (mut old, mut new) = (0, SCAN_STEP.num_seconds());
                while new - old > 1 {
                    let middle = old + (new - old) / 2;
                    if offset(at + TimeDelta::seconds(middle)) == before { old = middle } else { new = middle }
                }
                changes.push(at + TimeDelta::seconds(new));
                seconds.push(after);
            }
            at += SCAN_STEP;
        }
        Self { changes, seconds }
    }

    /// The offsets that apply between two times.
    fn between(&self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Self {
        let first = from.map_or(0, |from| self.changes.partition_point(|change| *change <= from));
        let last = to.map_or(self.changes.len(), |to| self.changes.partition_point(|change| *change < to)).max(first);
        Self { changes: self.changes[first..last].to_vec(), seconds: self.seconds[first..=last].to_vec() }
    }
}

/// The offsets of the zones that were asked for. There are no more of them than zones.
static OFFSETS: LazyLock<RwLock<HashMap<Tz, Arc<Offsets>>>> = LazyLock::new(RwLock::default);

fn offsets(zone: Tz) -> Arc<Offsets> {
    if let Some(found) = OFFSETS.read().unwrap_or_else(PoisonError::into_inner).get(&zone) {
        return found.clone();
    }
    let found = Arc::new(Offsets::of(zone));
    OFFSETS.write().unwrap_or_else(PoisonError::into_inner).entry(zone).or_insert(found).clone()
}

/// A time zone whose local times can be computed.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    offsets: Arc<Offsets>,
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Self {
        Self { offsets: offsets(zone) }
    }
}

impl Zone {
    /// The number of the offset that applies at a time.
    fn index(&self, at: DateTime<Utc>) -> usize {
        self.offsets.changes.partition_point(|change| *change <= at)
    }

    /// The offset from UTC at a time, in seconds.
    pub(super) fn offset(&self, at: DateTime<Utc>) -> i32 {
        self.offsets.seconds[self.index(at)]
    }

    /// When the offset that applies at a time began to, and when it ends to; none if it always did or will.
    pub(super) fn span(&self, at: DateTime<Utc>) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let index = self.index(at);
        let began = index.checked_sub(1).map(|before| self.offsets.changes[before]);
        (began, self.offsets.changes.get(index).copied())
    }

    /// The time that clocks show.
    pub(super) fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.naive_utc() + TimeDelta::seconds(self.offset(at).into())
    }

    /// The first time at which clocks show this time or a later one; none if the calendar ends before.
    pub(super) fn first_at(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let Offsets { changes, seconds } = &*self.offsets;
        let candidate = |(index, offset): (usize, &i32)| {
            let began = index.checked_sub(1).map(|before| changes[before]);
            let at = local.checked_sub_signed(TimeDelta::seconds((*offset).into()))?.and_utc();
            let at = began.map_or(at, |began| at.max(began));
            changes.get(index).is_none_or(|end| at < *end).then_some(at)
        };
        seconds.iter().enumerate().find_map(candidate)
    }

    /// The time from which on clocks never show an earlier time than this one; none if the calendar ends before.
    pub(super) fn passed_at(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let Offsets { changes, seconds } = &*self.offsets;
        let candidate = |(index, offset): (usize, &i32)| {
            let at = local.checked_sub_signed(TimeDelta::seconds((*offset).into()))?.and_utc();
            let at = changes.get(index).map_or(at, |end| at.min(*end));
            let began = index.checked_sub(1).map(|before| changes[before]);
            began.is_none_or(|began| at > began).then_some(at)
        };
        seconds.iter().enumerate().rev().find_map(candidate)
    }

    /// The offsets that apply between two times.
    pub(super) fn between(&self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Offsets {
        self.offsets.between(from, to)
    }
}

impl Offsets {
    /// Whether clocks show UTC all the time.
    pub(super) fn are_none(&self) -> bool {
        self.changes.is_empty() && self.seconds == [0]
    }

    /// Whether periods of local time that are multiples of a step consist of whole such steps of UTC, so that sums by the step of
    /// UTC answer for them.
    pub(super) fn are_multiples_of(&self, step: TimeDelta) -> bool {
        let step = step.num_seconds();
        let offsets = self.seconds.iter().map(|seconds| i64::from(*seconds));
        let changes = self.changes.iter().map(DateTime::timestamp);
        offsets.chain(changes).all(|seconds| seconds.rem_euclid(step) == 0)
    }

    /// The first start of a step of UTC from which on the offsets [are multiples](Self::are_multiples_of) of the step; none if
    /// they all are, or the last one is not.
    pub(super) fn multiples_since(&self, step: TimeDelta) -> Option<DateTime<Utc>> {
        let step = step.num_seconds();
        let is_multiple = |seconds: i64| seconds.rem_euclid(step) == 0;
        if !self.seconds.last().is_some_and(|last| is_multiple((*last).into())) {
            return None;
        }
        let mut changes = self.changes.iter().zip(&self.seconds).rev();
        let (last, _) = changes.find(|(change, before)| {
            let before = i64::from(**before);
            !is_multiple(change.timestamp()) || !is_multiple(before)
        })?;
        let into = last.timestamp().rem_euclid(step);
        Some(if into == 0 { *last } else { *last + TimeDelta::seconds(step - into) })
    }
}

/// The times at which calls can start.
pub(super) fn accepted_times() -> Range<DateTime<Utc>> {
    let year = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().unwrap_or(DateTime::UNIX_EPOCH);
    year(ACCEPTED_YEARS.start)..year(ACCEPTED_YEARS.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Datelike;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_offsets_are_those_of_the_database_of_time_zones() {
        let named = [Tz::Europe__Berlin, Tz::Africa__Casablanca, Tz::Pacific__Apia, Tz::Australia__Lord_Howe];
        for tz in chrono_tz::TZ_VARIANTS.into_iter().step_by(37).chain(named) {
            let (zone, mut at) = (Zone::from(tz), utc("1970-01-01T00:00:00Z"));
            while at.year() < 2110 {
                let right = tz.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
                assert_eq!(zone.offset(at), right, "{tz} {at}");
                at += TimeDelta::minutes(60 * 24 * 5 + 421);
            }
            for change in &zone.offsets.changes {
                let before = *change - TimeDelta::seconds(1);
                for at in [*change, before] {
                    assert_eq!(
                        zone.offset(at),
                        tz.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc(),
                        "{tz} {at}"
                    );
                }
                assert_ne!(zone.offset(*change), zone.offset(before), "{tz} {change}");
            }
        }
    }

    #[test]
    fn local_midnights_that_do_not_exist_or_exist_twice_have_a_first_and_a_last_time() {
        for (name, local, first, passed) in [
            ("UTC", "2026-03-29T00:00:00", "2026-03-29T00:00:00Z", "2026-03-29T00:00:00Z"),
            ("Europe/Berlin", "2026-03-29T00:00:00", "2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z"),
            ("Europe/Berlin", "2026-03-30T00:00:00", "2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z"),
            // Clocks go from midnight to 01:00.
            ("Africa/Cairo", "2026-04-24T00:00:00", "2026-04-23T22:00:00Z", "2026-04-23T22:00:00Z"),
            // Clocks go from 01:00 back to midnight.
            ("America/Havana", "2026-11-01T00:00:00", "2026-11-01T04:00:00Z", "2026-11-01T04:00:00Z"),
            // Clocks went from 00:01 back to 23:01.
            ("America/St_Johns", "2010-11-07T00:00:00", "2010-11-07T02:30:00Z", "2010-11-07T03:30:00Z"),
            // The day did not exist.
            ("Pacific/Apia", "2011-12-30T00:00:00", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),
            ("Asia/Kathmandu", "2026-01-01T00:00:00", "2025-12-31T18:15:00Z", "2025-12-31T18:15:00Z"),
        ] {
            let (zone, local) = (Zone::from(time_zone(name).unwrap()), local.parse().unwrap());
            assert_eq!((zone.first_at(local), zone.passed_at(local)), (Some(utc(first)), Some(utc(passed))), "{name}");
        }
    }

    #[test]
    fn the_step_that_divides_the_periods_of_a_zone_depends_on_the_time() {
        let divided = |name: &str, from: &str, to: &str| {
            let zone = Zone::from(time_zone(name).unwrap());
            let offsets = zone.between(from.parse().ok(), to.parse().ok());
            [24 * 60, 60, 15].map(|minutes| offsets.are_multiples_of(TimeDelta::minutes(minutes)))
        };
        assert_eq!(divided("UTC", "", ""), [true, true, true]);
        assert_eq!(divided("Europe/Berlin", "", ""), [false, true, true]);
        assert_eq!(divided("Europe/London", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"), [true, true, true]);
        assert_eq!(divided("Australia/Lord_Howe", "2026-01-01T00:00:00Z", ""), [false, false, true]);
        assert_eq!(divided("America/St_Johns", "2010-01-01T00:00:00Z", "2011-01-01T00:00:00Z"), [false, false, false]);
        assert_eq!(divided("America/St_Johns", "2012-01-01T00:00:00Z", ""), [false, false, true]);
    }

    #[test]
    fn the_last_change_that_divides_a_step_is_found() {
        let since = |name: &str, to: &str, minutes| {
            let offsets = Zone::from(time_zone(name).unwrap()).between(None, to.parse().ok());
            offsets.multiples_since(TimeDelta::minutes(minutes))
        };
        let (day, hour) = (24 * 60, 60);
        for (name, to, minutes, expected) in [
            ("UTC", "", day, None),
            ("Europe/Berlin", "", hour, None),
            ("Asia/Kathmandu", "", hour, None),
            // Clocks changed at 03:31 UTC, and whole hours later.
            ("America/St_Johns", "", 15, Some("2011-03-13T03:45:00Z")),
            ("Antarctica/Casey", "", 15, Some("2022-10-01T16:15:00Z")),
            // Half an hour until then.
            ("America/Caracas", "", hour, Some("2016-05-01T07:00:00Z")),
            ("Europe/London", "2026-12-01T00:00:00Z", day, Some("2026-10-26T00:00:00Z")),
        ] {
            assert_eq!(since(name, to, minutes), expected.map(utc), "{name} {minutes}");
        }
    }

    #[test]
    fn a_name_that_is_no_zone_is_refused() {
        let refused = time_zone("Europe/Atlantis").unwrap_err().to_string();
        assert_eq!(refused, "\"Europe/Atlantis\" is not a time zone of the IANA database, such as \"Europe/Berlin\"");
        assert!(time_zone(&"x".repeat(10_000)).unwrap_err().to_string().len() < 200);
    }
}
