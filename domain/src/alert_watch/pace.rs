//! How fast a limit may be spent: burn rates over two windows each, and an even pace.
//!
//! A burn rate of 1 spends exactly the limit in the period. The rates and windows are those of the Site Reliability Workbook of
//! Google ("Alerting on SLOs", multiple windows and burn rates) for 30 days: 14.4 over an hour and 5 minutes, and 6 over six hours
//! and 30 minutes. Windows of other periods are the same shares of them.

use super::kind::WatchKind;
use crate::budget::{Amount, Span};
use chrono::{DateTime, TimeDelta, Utc};
use std::num::NonZeroU64;

/// The least length of a longer window, in seconds: what looks at it does so once a minute.
const MIN_LONG_SECONDS: i64 = 12 * 60;
/// The part of the longer window that the shorter one is: spending that has ended resolves the alert so much sooner.
const SHORT_PART: i64 = 12;
/// The part of a period that has to be over before an even pace says anything of the rest.
const LEAST_PART: i64 = 10;

/// A rate over two windows: it holds while both are above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurnWindow {
    /// Which condition it is.
    pub kind: WatchKind,
    /// The rate, in tenths: 144 is 14.4 times as fast as the limit lasts.
    pub rate_tenths: u64,
    /// The longer window.
    pub long: TimeDelta,
    /// The shorter one.
    pub short: TimeDelta,
}

impl BurnWindow {
    /// What may be charged in a window of a period.
    #[must_use]
    pub fn allowed(&self, limit: Amount, span: Span, window: TimeDelta) -> Amount {
        let (window, length) = (seconds(window), seconds(span.ends_at - span.starts_at));
        let length = NonZeroU64::new(length.saturating_mul(10));
        length.map_or(limit, |length| limit.times(self.rate_tenths.saturating_mul(window), length))
    }
}

/// The windows of the burn rates of a period, the faster rate first.
#[must_use]
pub fn burn_windows(span: Span) -> [BurnWindow; 2] {
    let length = (span.ends_at - span.starts_at).num_seconds();
    let window = |kind, rate_tenths, part: i64| {
        let long = (length / part).max(MIN_LONG_SECONDS);
        let (long, short) = (TimeDelta::seconds(long), TimeDelta::seconds(long / SHORT_PART));
        BurnWindow { kind, rate_tenths, long, short }
    };
    // An hour, and six, of 30 days.
    [window(WatchKind::BurnRateFast, 144, 720), window(WatchKind::BurnRateSlow, 60, 120)]
}

/// What will be charged at the end of a period if it goes on at the pace up to a time; none while less than a tenth of it is over.
#[must_use]
pub fn even_pace(spent: Amount, span: Span, at: DateTime<Utc>) -> Option<Amount> {
    let (over, length) = (at - span.starts_at, span.ends_at - span.starts_at);
    let says_something = over.num_seconds() >= length.num_seconds() / LEAST_PART;
    let over = NonZeroU64::new(seconds(over)).filter(|_| says_something)?;
    Some(spent.times(seconds(length), over))
}

fn seconds(delta: TimeDelta) -> u64 {
    u64::try_from(delta.num_seconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    const DAY: i64 = 86_400;

    fn span(seconds: i64) -> Span {
        Span { starts_at: at(0), ends_at: at(seconds) }
    }

    #[test]
    fn the_windows_of_thirty_days_are_those_of_the_workbook() {
        let windows = burn_windows(span(30 * DAY)).map(|of| (of.rate_tenths, of.long, of.short));
        let minutes = TimeDelta::minutes;
        assert_eq!(windows, [(144, minutes(60), minutes(5)), (60, minutes(360), minutes(30))]);
        // 2 % of the limit in an hour, and 5 % in six.
        let allowed = burn_windows(span(30 * DAY)).map(|of| of.allowed(Amount::units(1000), span(30 * DAY), of.long));
        assert_eq!(allowed, [Amount::units(20), Amount::units(50)]);
    }

    #[test]
    fn short_periods_have_windows_that_can_be_looked_at() {
        for of in burn_windows(span(DAY)) {
            assert_eq!((of.long, of.short), (TimeDelta::minutes(12), TimeDelta::minutes(1)), "{of:?}");
        }
    }

    #[test]
    fn an_even_pace_says_nothing_at_the_start() {
        assert_eq!(even_pace(Amount::units(1), span(1000), at(99)), None);
        assert_eq!(even_pace(Amount::units(1), span(1000), at(100)), Some(Amount::units(10)));
        assert_eq!(even_pace(Amount::units(8), span(1000), at(500)), Some(Amount::units(16)));
        assert_eq!(even_pace(Amount::units(8), span(0), at(0)), None, "a period without a length");
    }
}
