//! Which missed runs are made up for.

use chrono::{DateTime, Utc};
use domain::schedule::{MAX_CATCH_UP_RUNS, ScheduleSkipped, Timing};
use std::collections::VecDeque;

/// The runs that are not made up for, and the time of the first one that is; none if all are.
///
/// `first` is the time of a run that is due at `now`.
pub(super) fn skipped(
    timing: &Timing,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<(ScheduleSkipped, DateTime<Utc>)> {
    let (mut kept, mut last, mut runs) = (VecDeque::from([first]), None, 0);
    let mut latest = first;
    while let Some(next) = timing.next_after(latest).filter(|next| *next + timing.delay() <= now) {
        latest = next;
        kept.push_back(next);
        if kept.len() > MAX_CATCH_UP_RUNS {
            last = kept.pop_front();
            runs += 1;
        }
    }
    let skipped = ScheduleSkipped { first, last: last?, runs, at: now };
    Some((skipped, kept.pop_front()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use domain::schedule::{Cadence, PeriodUnit};

    fn daily(delay_minutes: u32) -> Timing {
        let (time, time_zone) = ("06:00".parse().unwrap(), chrono_tz::Tz::UTC);
        Timing { cadence: Cadence::Day, time, time_zone, period: PeriodUnit::Day, delay_minutes }
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_of_missed_runs_is_made_up_for_and_what_is_before_it_is_skipped() {
        let (first, timing) = (utc("2026-01-01T06:00:00Z"), daily(0));
        let at = |days: i64| first + TimeDelta::days(days);
        assert_eq!(skipped(&timing, first, first), None);
        assert_eq!(skipped(&timing, first, at(30)), None, "31 runs");
        let (found, next) = skipped(&timing, first, at(31)).unwrap();
        assert_eq!((found.first, found.last, found.runs, next), (first, first, 1, at(1)));
        let (found, next) = skipped(&timing, first, at(100)).unwrap();
        assert_eq!((found.first, found.last, found.runs, next), (first, at(69), 70, at(70)));
    }

    #[test]
    fn a_run_whose_delay_is_not_over_is_not_missed() {
        let first = utc("2026-01-01T06:00:00Z");
        assert_eq!(skipped(&daily(60), first, utc("2026-02-01T06:59:00Z")), None);
        assert!(skipped(&daily(60), first, utc("2026-02-01T07:00:00Z")).is_some());
    }
}
