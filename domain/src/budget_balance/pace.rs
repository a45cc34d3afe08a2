//! How fast a period of a budget is spent, and when nothing will be left of it.

use super::Sums;
use crate::budget::Amount;
use chrono::{DateTime, TimeDelta, Utc};
use std::num::NonZeroU32;

/// The time over which spending is measured.
pub const PACE_WINDOW: TimeDelta = TimeDelta::hours(1);
/// The least number of seconds over which it is measured: what the first call of a period costs is no pace of an hour.
const MIN_SECONDS: NonZeroU32 = NonZeroU32::new(60).unwrap();
const SECONDS_OF_HOUR: u32 = 3600;

/// How fast a period of a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From when on it is measured.
    pub since: DateTime<Utc>,
    /// What is charged in an hour, also for expired reservations, in the unit of the budget; 0 if less is charged than before.
    pub per_hour: Amount,
    /// When nothing will be left of the period at this pace; none if the period ends before, or nothing is charged.
    pub exhausts_at: Option<DateTime<Utc>>,
}

impl Pace {
    /// From when on the pace of a period is measured: the last hour, or since the period began or the budget was defined.
    #[must_use]
    pub fn since(sums: &Sums, defined_at: DateTime<Utc>, at: DateTime<Utc>) -> DateTime<Utc> {
        (at - PACE_WINDOW).max(sums.span.starts_at).max(defined_at)
    }

    /// The pace of a period, of which `spent_before` was charged at the time `since`. `limit` is the one in force.
    #[must_use]
    pub fn of(sums: &Sums, limit: Amount, spent_before: Amount, since: DateTime<Utc>, at: DateTime<Utc>) -> Self {
        let seconds = u32::try_from((at - since).num_seconds()).ok().and_then(NonZeroU32::new);
        let seconds = seconds.map_or(MIN_SECONDS, |seconds| seconds.max(MIN_SECONDS));
        let per_hour = (sums.spent() - spent_before).or_zero().times(SECONDS_OF_HOUR.into(), seconds.into());
        let left = (limit - sums.used()).or_zero();
        let exhausts_at = if left.is_zero() {
            Some(at)
        } else {
            let seconds = left.units_in(SECONDS_OF_HOUR, per_hour).and_then(TimeDelta::try_seconds);
            seconds.and_then(|after| at.checked_add_signed(after)).filter(|end| *end < sums.span.ends_at)
        };
        Self { since, per_hour, exhausts_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Span;
    use crate::testing::at;

    /// A day of which some is charged and reserved.
    fn sums(charged: u64, reserved: u64) -> Sums {
        let mut sums = Sums::new(Span { starts_at: at(0), ends_at: at(86_400) });
        (sums.charged, sums.reserved) = (Amount::units(charged), Amount::units(reserved));
        sums
    }

    fn pace(sums: &Sums, limit: u64, before: u64, seconds: i64) -> (String, Option<DateTime<Utc>>) {
        let since = Pace::since(sums, at(0), at(seconds));
        let pace = Pace::of(sums, Amount::units(limit), Amount::units(before), since, at(seconds));
        (pace.per_hour.to_string(), pace.exhausts_at)
    }

    #[test]
    fn it_is_measured_over_the_last_hour_or_since_the_period_began() {
        // 6 of an hour, of which 2 were charged half an hour before.
        assert_eq!(pace(&sums(6, 0), 1000, 2, 7200), ("4".to_owned(), None));
        assert_eq!(pace(&sums(6, 0), 1000, 0, 1800).0, "12");
        assert_eq!(Pace::since(&sums(0, 0), at(0), at(7200)), at(3600));
        assert_eq!(Pace::since(&sums(0, 0), at(5400), at(7200)), at(5400));
        // A second after the period began, it is measured over a minute.
        assert_eq!(pace(&sums(1, 0), 1000, 0, 1).0, "60");
        assert_eq!(pace(&sums(1, 0), 1000, 0, 0).0, "60");
    }

    #[test]
    fn it_says_when_nothing_will_be_left() {
        // 10 of 40 are left, at 5 an hour.
        assert_eq!(pace(&sums(20, 10), 40, 15, 7200), ("5".to_owned(), Some(at(7200 + 7200))));
        // Nothing is left, whatever the pace.
        assert_eq!(pace(&sums(30, 10), 40, 30, 7200), ("0".to_owned(), Some(at(7200))));
        assert_eq!(pace(&sums(30, 20), 40, 30, 7200).1, Some(at(7200)));
        // Nothing is charged, or the period ends before.
        assert_eq!(pace(&sums(20, 0), 40, 20, 7200), ("0".to_owned(), None));
        assert_eq!(pace(&sums(21, 0), 1000, 20, 7200), ("1".to_owned(), None));
        // What was amended is no pace below zero.
        assert_eq!(pace(&sums(20, 0), 40, 25, 7200), ("0".to_owned(), None));
    }
}
