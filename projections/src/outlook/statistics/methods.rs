//! The methods that forecast the sum of the next hours from the hours before.

use super::robust::{deviation_from, mean, median};
use augurs_core::{Fit as _, Predict as _};
use augurs_ets::AutoETS;

/// The hours of a week: one slot for each weekday and hour.
pub const WEEK_HOURS: usize = 168;
/// The hours of a day, in which levels are measured.
pub(super) const DAY_HOURS: usize = 24;
/// The most weeks that the naive methods, and the profile, look back.
const NAIVE_WEEKS: usize = 4;
const PROFILE_WEEKS: usize = 8;
/// The weeks in which each hour is taken to have cost the mean hour, beside those of the history.
const PRIOR_WEEKS: f64 = 0.5;
/// The least profile of a day whose cost says something of the level: a quarter of that of the mean day.
const MIN_DAY: f64 = 6.0;
/// The most days that levels are followed for.
const LEVEL_DAYS: usize = 91;
/// The most days that a trend is fitted to.
const DRIFT_DAYS: usize = 56;
/// The weights of the latest day in exponential smoothing, from which the history chooses.
const SMOOTHING: [f64; 4] = [0.05, 0.1, 0.2, 0.4];
/// A day that differs by more standard deviations than these from the level moves it by no more than these.
const CLIPPED_AT: f64 = 3.0;

/// A method of forecasting the sum of the next hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// The cost of the four weeks before, repeated; of fewer whole weeks if the history has no more. Naive.
    LastMonth,
    /// The mean hour of the four weeks before, or of a shorter history. Naive.
    MovingAverage,
    /// The level of the days by robust exponential smoothing, times the profile by weekday and hour.
    Seasonal,
    /// The level along the median of the slopes between the days (Theil and Sen), times the profile by weekday and hour.
    Drift,
    /// The level by exponential smoothing in state space with the trend that the corrected Akaike criterion chooses: none, additive
    /// or damped (the crate `augurs-ets`), times the profile by weekday and hour.
    Ets,
}

impl Method {
    /// Every method, the naive ones first.
    pub const ALL: [Self; 5] = [Self::LastMonth, Self::MovingAverage, Self::Seasonal, Self::Drift, Self::Ets];

    /// The name that the API and the command line use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LastMonth => "last_month",
            Self::MovingAverage => "moving_average",
            Self::Seasonal => "seasonal",
            Self::Drift => "drift",
            Self::Ets => "ets",
        }
    }

    /// Whether it assumes nothing but that the cost goes on as before. Such a method is used unless another one is better.
    #[must_use]
    pub fn is_naive(self) -> bool {
        matches!(self, Self::LastMonth | Self::MovingAverage)
    }
}

/// The costs of consecutive hours, and the slot of each hour and of those that follow.
#[derive(Debug, Clone, Copy)]
pub struct Hours<'h> {
    /// The cost of each hour of the history, the latest last.
    pub costs: &'h [f64],
    /// The slot of each hour of the history and then of the hours to forecast: 24 × the day of the week + the hour, below
    /// [`WEEK_HOURS`].
    pub slots: &'h [u16],
}

impl<'h> Hours<'h> {
    /// The first hours of the history as a history of their own, with the slots of all that follow.
    #[must_use]
    pub fn before(self, end: usize) -> Self {
        Self { costs: &self.costs[..end.min(self.costs.len())], slots: self.slots }
    }

    /// The slots of the next hours.
    fn next(self, horizon: usize) -> &'h [u16] {
        let from = self.costs.len().min(self.slots.len());
        &self.slots[from..(from + horizon).min(self.slots.len())]
    }

    /// The sum of the next hours by each method, in the order of [`Method::ALL`]; none by a method that the history is too short
    /// for.
    #[must_use]
    pub fn sums(self, horizon: usize) -> [Option<f64>; Method::ALL.len()] {
        let profile = Profile::of(self);
        let levels = levels(self, &profile);
        Method::ALL.map(|method| {
            let sum = match method {
                Method::LastMonth => last_month(self.costs, horizon),
                Method::MovingAverage => Some(moving_average(self.costs, horizon)),
                Method::Seasonal => smoothed(&levels).map(|level| along(self.next(horizon), &profile, |_| level)),
                Method::Drift => drift(&levels).map(|line| along(self.next(horizon), &profile, line)),
                Method::Ets => ets(&levels, horizon.div_ceil(DAY_HOURS)).map(|days| {
                    let of_day = |day: usize| days.get(day).or(days.last()).copied().unwrap_or_default();
                    along(self.next(horizon), &profile, of_day)
                }),
            };
            sum.filter(|sum| sum.is_finite()).map(|sum| sum.max(0.0))
        })
    }
}

/// The sum over slots of the profile times the level of their day, the first day being 0. No level is below zero.
fn along(slots: &[u16], profile: &Profile, level: impl Fn(usize) -> f64) -> f64 {
    slots.chunks(DAY_HOURS).enumerate().map(|(day, slots)| level(day).max(0.0) * profile.weight(slots)).sum()
}

/// How much of the mean hour the hours of the week cost. The mean over the week is about 1.
pub(super) struct Profile([f64; WEEK_HOURS]);

impl Profile {
    /// The profile of the last weeks of a history, each week in proportion to its own mean. Slots of few weeks are drawn to 1.
    pub(super) fn of(hours: Hours<'_>) -> Self {
        let (mut sums, mut counts) = ([0.0; WEEK_HOURS], [0.0; WEEK_HOURS]);
        let length = hours.costs.len().min(hours.slots.len());
        let weeks = (length / WEEK_HOURS).min(PROFILE_WEEKS);
        let from = length - weeks * WEEK_HOURS;
        let of_weeks = hours.costs[from..length].chunks(WEEK_HOURS).zip(hours.slots[from..length].chunks(WEEK_HOURS));
        for (costs, slots) in of_weeks {
            let mean = mean(costs);
            if mean <= 0.0 {
                continue;
            }
            for (cost, slot) in costs.iter().zip(slots) {
                let slot = usize::from(*slot) % WEEK_HOURS;
                sums[slot] += cost / mean;
                counts[slot] += 1.0;
            }
        }
        let mut profile = [1.0; WEEK_HOURS];
        for (slot, value) in profile.iter_mut().enumerate() {
            *value = (sums[slot] + PRIOR_WEEKS) / (counts[slot] + PRIOR_WEEKS);
        }
        Self(profile)
    }

    /// The sum of the profile over slots.
    pub(super) fn weight(&self, slots: &[u16]) -> f64 {
        slots.iter().map(|slot| self.0[usize::from(*slot) % WEEK_HOURS]).sum()
    }
}

/// The mean hour of each of the last days, divided by the profile. Days are counted back from the end, whatever the clock says. A day
/// that should cost little has the level of the day before.
fn levels(hours: Hours<'_>, profile: &Profile) -> Vec<f64> {
    let length = hours.costs.len().min(hours.slots.len());
    let days = (length / DAY_HOURS).min(LEVEL_DAYS);
    let from = length - days * DAY_HOURS;
    let of_days = hours.costs[from..length].chunks(DAY_HOURS).zip(hours.slots[from..length].chunks(DAY_HOURS));
    let mut levels: Vec<f64> = Vec::with_capacity(days);
    let mut unknown = 0;
    for (costs, slots) in of_days {
        let weight = profile.weight(slots);
        match levels.last().copied() {
            _ if weight >= MIN_DAY => {
                let level = costs.iter().sum::<f64>() / weight;
                // Those before the first day that says something have its level.
                levels.extend(std::iter::repeat_n(level, 1 + std::mem::take(&mut unknown)));
            }
            Some(before) => levels.push(before),
            None => unknown += 1,
        }
    }
    levels
}

fn last_month(costs: &[f64], horizon: usize) -> Option<f64> {
    let weeks = (costs.len() / WEEK_HOURS).min(NAIVE_WEEKS);
    let last = &costs[costs.len() - weeks * WEEK_HOURS..];
    (!last.is_empty()).then(|| last.iter().cycle().take(horizon).sum())
}

fn moving_average(costs: &[f64], horizon: usize) -> f64 {
    let last = costs.len().min(NAIVE_WEEKS * WEEK_HOURS);
    mean(&costs[costs.len() - last..]) * horizon as f64
}

/// The level after the last day by exponential smoothing, whose weight is the one of the lowest absolute errors of one day ahead. A
/// day that differs by much moves it by a bounded amount.
fn smoothed(levels: &[f64]) -> Option<f64> {
    let steps: Vec<f64> = levels.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let clip = match CLIPPED_AT * deviation_from(&steps, 0.0) {
        clip if clip > 0.0 => clip,
        _ => f64::INFINITY,
    };
    let first = median(levels.iter().take(7).copied().collect());
    let run = |weight: f64| {
        levels.iter().fold((first, 0.0), |(level, error), day| {
            let difference = day - level;
            (level + weight * difference.clamp(-clip, clip), error + difference.abs().min(clip))
        })
    };
    let runs = SMOOTHING.into_iter().map(run);
    if levels.is_empty() { None } else { runs.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(level, _)| level) }
}

/// The level of a day after the last one, along the median slope.
fn drift(levels: &[f64]) -> Option<impl Fn(usize) -> f64> {
    let last = &levels[levels.len().saturating_sub(DRIFT_DAYS)..];
    if last.len() < 14 {
        return None;
    }
    let slopes = last.iter().enumerate().flat_map(|(at, from)| {
        let later = last.iter().enumerate().skip(at + 1);
        later.map(move |(to, level)| (level - from) / (to - at) as f64)
    });
    let slope = median(slopes.collect());
    let start = median(last.iter().enumerate().map(|(day, level)| level - slope * day as f64).collect());
    let length = last.len();
    Some(move |day: usize| start + slope * (length + day) as f64)
}

/// The levels of the next days by exponential smoothing in state space.
fn ets(levels: &[f64], days: usize) -> Option<Vec<f64>> {
    // The crate compares with 1e-8, so that levels have to be of the size of 1.
    let unit = mean(levels);
    if unit <= 0.0 {
        return None;
    }
    let levels: Vec<f64> = levels.iter().map(|level| level / unit).collect();
    let model = AutoETS::new(1, "AZN").ok()?.fit(&levels).ok()?;
    let point = model.predict(days, None::<f64>).ok()?.point;
    point.iter().all(|level| level.is_finite()).then(|| point.iter().map(|level| level * unit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(length: usize) -> Vec<u16> {
        (0..length).map(|hour| u16::try_from(hour % WEEK_HOURS).unwrap()).collect()
    }

    fn sum_by(method: Method, costs: &[f64], horizon: usize) -> Option<f64> {
        let slots = slots(costs.len() + horizon);
        let sums = Hours { costs, slots: &slots }.sums(horizon);
        sums[Method::ALL.iter().position(|other| *other == method).unwrap()]
    }

    fn near(value: Option<f64>, expected: f64, within: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() <= within * expected)
    }

    #[test]
    fn a_constant_series_goes_on_by_every_method() {
        let costs = vec![2.5; 40 * DAY_HOURS];
        for method in Method::ALL {
            let sum = sum_by(method, &costs, 100);
            assert!(near(sum, 250.0, 1e-6), "{method:?}: {sum:?}");
        }
    }

    #[test]
    fn a_series_with_a_rhythm_is_continued_by_hours_of_the_week() {
        // Twelve hours of each day cost 3, on Saturdays and Sundays nothing.
        let cost = |slot: usize| if slot < 120 && slot % 24 >= 12 { 3.0 } else { 0.0 };
        let costs: Vec<f64> = (0..8 * WEEK_HOURS).map(|hour| cost(hour % WEEK_HOURS)).collect();
        // Monday and Tuesday.
        assert_eq!(sum_by(Method::LastMonth, &costs, 48), Some(72.0));
        assert!(near(sum_by(Method::Seasonal, &costs, 48), 72.0, 0.1));
        assert!(near(sum_by(Method::MovingAverage, &costs, 48), 3.0 * 60.0 / 168.0 * 48.0, 1e-9));
    }

    #[test]
    fn steady_growth_goes_on_by_the_drift() {
        let costs: Vec<f64> = (0..60 * DAY_HOURS).map(|hour| 100.0 + (hour / DAY_HOURS) as f64).collect();
        let expected: f64 = (60..90).map(|day| 24.0 * (100.0 + f64::from(day))).sum();
        for method in [Method::Drift, Method::Ets] {
            let sum = sum_by(method, &costs, 30 * DAY_HOURS);
            assert!(near(sum, expected, 0.03), "{method:?}: {sum:?} instead of {expected}");
        }
        let naive = sum_by(Method::MovingAverage, &costs, 30 * DAY_HOURS);
        assert!(!near(naive, expected, 0.1), "{naive:?}");
    }

    #[test]
    fn one_expensive_day_moves_the_level_by_a_bounded_amount() {
        let mut costs: Vec<f64> = (0..50 * DAY_HOURS).map(|hour| 1.0 + 0.1 * ((hour / DAY_HOURS) % 3) as f64).collect();
        costs[49 * DAY_HOURS..].fill(100.0);
        let sum = sum_by(Method::Seasonal, &costs, 240).unwrap();
        assert!(sum < 2.0 * 240.0, "{sum}");
    }

    #[test]
    fn a_history_of_less_than_a_week_has_no_last_month_and_no_drift() {
        let costs = vec![1.0; 100];
        assert_eq!(sum_by(Method::LastMonth, &costs, 10), None);
        assert_eq!(sum_by(Method::Drift, &costs, 10), None);
        assert!(sum_by(Method::MovingAverage, &[], 10).is_some_and(|sum| sum == 0.0));
    }
}
