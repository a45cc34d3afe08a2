//! The limits of watches.

use super::kind::WatchKind;
use crate::budget::PeriodUnit;
use std::ops::RangeInclusive;

/// The maximum number of budgets of a tenant that are watched.
pub const MAX_WATCHES: usize = 100;
/// The hours after which an alert that is still firing is sent again.
pub const RENOTIFY_HOURS: RangeInclusive<u16> = 1..=720;
/// The minutes after which a budget that is charged nothing raises an alert: 5 minutes to 31 days.
pub const NO_DATA_MINUTES: RangeInclusive<u32> = 5..=44_640;
/// The maximum number of budgets of a tenant that are watched no more, and whose alerts are kept.
pub const MAX_ENDED_WATCHES: usize = 20;
/// The number of alerts of a budget that are kept, the latest. It is more than the conditions of two periods, so that none of the
/// running period is forgotten, and raised again.
pub(super) const MAX_SIGNALS: usize = 32;
const _: () = assert!(MAX_SIGNALS >= 4 * WatchKind::ALL.len());

/// The most minutes without a charge that are over within every period, also where clocks change: they begin with the period, and are
/// looked at once a minute. None if every time that is allowed is.
pub(super) const fn most_no_data_minutes(unit: PeriodUnit) -> Option<u32> {
    const HOUR: u32 = 60;
    const DAY: u32 = 24 * HOUR;
    const LEFT: u32 = 5;
    match unit {
        PeriodUnit::Hour => Some(HOUR - LEFT),
        PeriodUnit::Day => Some(DAY - HOUR - LEFT),
        PeriodUnit::Week => Some(7 * DAY - HOUR - LEFT),
        PeriodUnit::Month => Some(28 * DAY - HOUR - LEFT),
        PeriodUnit::Quarter | PeriodUnit::Year | PeriodUnit::Total => None,
    }
}
