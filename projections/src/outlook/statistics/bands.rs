//! The bands within which costs are expected: a value and a scale for each step, from the steps before.

use super::robust::{deviation_from, mean, median};
use std::collections::BTreeMap;

/// The weeks of history that a band looks back.
const WEEKS: usize = 8;
/// The days that the median of the naive band looks back, for steps of an hour; weeks for steps of a day.
const MEDIAN_DAYS: usize = 14;
/// The least scale, in relation to the mean step.
const MIN_SCALE: f64 = 0.05;
/// The least scale of a slot, in relation to that of all.
const MIN_SLOT_SCALE: f64 = 0.25;
/// How many steps the median of an hour of all working days, or of the weekend, counts beside those of one weekday.
const SHRINKAGE: f64 = 4.0;
/// The least and the greatest change of the level in a week.
const LEVELS: (f64, f64) = (0.2, 5.0);
/// What exceeds the profile by more scales than these does not change the level.
const CLIPPED_AT: f64 = 4.0;

/// A kind of band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Band {
    /// Around the median of the two weeks before, as wide as their median absolute deviation says. Naive.
    MovingMedian,
    /// Around the same hour of the week before, as wide as the differences of one week say. Naive.
    LastPeriod,
    /// Around the profile by weekday and hour at the level of the last week, of one width.
    Seasonal,
    /// As `Seasonal`, of a width for each hour of the day; for each weekday, if steps are days.
    SeasonalByHour,
}

impl Band {
    /// Every kind, the naive ones first.
    pub const ALL: [Self; 4] = [Self::MovingMedian, Self::LastPeriod, Self::Seasonal, Self::SeasonalByHour];

    /// The name that the API and the command line use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MovingMedian => "moving_median",
            Self::LastPeriod => "last_period",
            Self::Seasonal => "seasonal",
            Self::SeasonalByHour => "seasonal_by_hour",
        }
    }

    /// Whether it assumes nothing but that the cost goes on as before. Such a band is used unless another one is better.
    #[must_use]
    pub fn is_naive(self) -> bool {
        matches!(self, Self::MovingMedian | Self::LastPeriod)
    }
}

/// Costs by steps of an hour or a day.
#[derive(Debug, Clone)]
pub struct Steps<'s> {
    /// The cost of each step.
    pub costs: &'s [f64],
    /// The slot of each step in the week: 24 × the day of the week + the hour, or the day of the week.
    pub slots: &'s [u16],
    /// The slots of a week: 168 or 7.
    pub per_week: usize,
}

impl Steps<'_> {
    /// The steps of a day.
    pub(super) fn per_day(&self) -> usize {
        (self.per_week / 7).max(1)
    }

    /// The slot of a step in the day, or the day of the week if a day is one step.
    fn group(&self, at: usize) -> usize {
        let slot = usize::from(self.slots[at]);
        if self.per_day() == 1 { slot } else { slot % self.per_day() }
    }

    /// The hour of the day, on Monday to Friday or at the weekend; the day of the week if a day is one step.
    fn class(&self, slot: usize) -> usize {
        match self.per_day() {
            1 => slot,
            hours => slot % hours + if slot / hours >= 5 { hours } else { 0 },
        }
    }

    fn slot(&self, at: usize) -> usize {
        usize::from(self.slots[at]) % self.per_week.max(1)
    }

    /// The last step of the same slot at least six days before.
    fn week_before(&self, at: usize) -> Option<usize> {
        let latest = (at + 1).checked_sub(6 * self.per_day())?;
        let earliest = at.saturating_sub(8 * self.per_day());
        (earliest..latest).rev().find(|other| self.slot(*other) == self.slot(at))
    }
}

/// What is expected of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Expected {
    pub(super) cost: f64,
    /// Above zero.
    pub(super) scale: f64,
}

/// What each band expects of the steps of a day, from `history` alone: the steps before the day, of which some may have been replaced.
pub(super) fn expected(band: Band, steps: &Steps<'_>, history: &[f64], day: std::ops::Range<usize>) -> Vec<Expected> {
    let from = day.start.saturating_sub(WEEKS * steps.per_week);
    let least = MIN_SCALE * mean(&history[from..day.start]).abs();
    let of = |cost: f64, scale: f64| Expected { cost: cost.max(0.0), scale: scale.max(least).max(f64::MIN_POSITIVE) };
    match band {
        Band::MovingMedian => {
            let back = if steps.per_day() == 1 { 4 * steps.per_week } else { MEDIAN_DAYS * steps.per_day() };
            let last = &history[day.start.saturating_sub(back)..day.start];
            let center = median(last.to_vec());
            let scale = deviation_from(last, center);
            day.map(|_| of(center, scale)).collect()
        }
        Band::LastPeriod => {
            let change = |at: usize| Some(history[at] - history[steps.week_before(at)?]);
            let changes: Vec<f64> = (from..day.start).filter_map(change).collect();
            let scale = deviation_from(&changes, 0.0);
            day.map(|at| of(steps.week_before(at).map_or(0.0, |before| history[before]), scale)).collect()
        }
        Band::Seasonal | Band::SeasonalByHour => {
            let profile = SlotProfile::of(steps, history, from..day.start);
            day.map(|at| {
                let scale = if band == Band::Seasonal { profile.scale } else { profile.scale_of(steps.group(at)) };
                of(profile.at(steps, at) * profile.level, scale)
            })
            .collect()
        }
    }
}

/// The medians of the slots of the week, and how much costs differ from them.
struct SlotProfile {
    medians: Vec<f64>,
    /// How high the last week is, in relation to the medians.
    level: f64,
    scale: f64,
    scales: BTreeMap<usize, f64>,
}

impl SlotProfile {
    fn of(steps: &Steps<'_>, history: &[f64], range: std::ops::Range<usize>) -> Self {
        let (mut of_slots, mut of_classes) = (BTreeMap::<_, Vec<f64>>::new(), BTreeMap::<_, Vec<f64>>::new());
        for at in range.clone() {
            of_slots.entry(steps.slot(at)).or_default().push(history[at]);
            of_classes.entry(steps.class(steps.slot(at))).or_default().push(history[at]);
        }
        let of_classes: BTreeMap<_, f64> =
            of_classes.into_iter().map(|(class, costs)| (class, median(costs))).collect();
        let all = median(history[range.clone()].to_vec());
        let by_slot = |slot: usize| {
            let of_class = of_classes.get(&steps.class(slot)).copied().unwrap_or(all);
            let Some(costs) = of_slots.get(&slot) else { return of_class };
            let count = costs.len() as f64;
            (count * median(costs.clone()) + SHRINKAGE * of_class) / (count + SHRINKAGE)
        };
        let medians: Vec<f64> = (0..steps.per_week).map(by_slot).collect();
        let mut profile = Self { medians, level: 1.0, scale: 0.0, scales: BTreeMap::new() };
        let differences: Vec<f64> = range.clone().map(|at| history[at] - profile.at(steps, at)).collect();
        let limit = CLIPPED_AT * deviation_from(&differences, 0.0);
        profile.level = profile.level_of(steps, history, (range.clone(), limit));
        profile.measure(steps, history, (range, limit));
        profile
    }

    fn at(&self, steps: &Steps<'_>, at: usize) -> f64 {
        self.medians.get(steps.slot(at)).copied().unwrap_or_default()
    }

    /// How high the last week of a range is. Steps that differ by more than a limit from the profile count as if by the limit.
    fn level_of(&self, steps: &Steps<'_>, history: &[f64], (range, limit): (std::ops::Range<usize>, f64)) -> f64 {
        let from = range.end.saturating_sub(steps.per_week).max(range.start);
        let (mut found, mut expected) = (0.0, 0.0);
        for (at, cost) in history.iter().enumerate().take(range.end).skip(from) {
            let of_profile = self.at(steps, at);
            let limit = limit.max(of_profile);
            found += cost.clamp(of_profile - limit, of_profile + limit);
            expected += of_profile;
        }
        if expected > 0.0 { (found / expected).clamp(LEVELS.0, LEVELS.1) } else { 1.0 }
    }

    /// Measures the scales, each week at its own level.
    fn measure(&mut self, steps: &Steps<'_>, history: &[f64], (range, limit): (std::ops::Range<usize>, f64)) {
        let mut of_groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut end = range.end;
        while end > range.start {
            let start = end.saturating_sub(steps.per_week).max(range.start);
            let level = self.level_of(steps, history, (start..end, limit));
            for (at, cost) in history.iter().enumerate().take(end).skip(start) {
                let difference = cost - level * self.at(steps, at);
                of_groups.entry(steps.group(at)).or_default().push(difference);
            }
            end = start;
        }
        let all: Vec<f64> = of_groups.values().flatten().copied().collect();
        self.scale = deviation_from(&all, 0.0);
        let of_group = |(group, of): (usize, Vec<f64>)| (group, deviation_from(&of, 0.0));
        self.scales = of_groups.into_iter().map(of_group).collect();
    }

    fn scale_of(&self, group: usize) -> f64 {
        self.scales.get(&group).copied().unwrap_or(self.scale).max(MIN_SLOT_SCALE * self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight weeks of hours: 10 in the day and 1 at night, nothing at weekends, times a level by week.
    fn rhythm(level: impl Fn(usize) -> f64) -> (Vec<f64>, Vec<u16>) {
        let cost = |hour: usize| {
            let slot = hour % 168;
            let base = if slot >= 120 {
                0.0
            } else if (8..18).contains(&(slot % 24)) {
                10.0
            } else {
                1.0
            };
            base * level(hour / 168)
        };
        let hours = 9 * 168;
        ((0..hours).map(cost).collect(), (0..hours).map(|hour| u16::try_from(hour % 168).unwrap()).collect())
    }

    #[test]
    fn seasonal_bands_expect_the_rhythm_at_the_level_of_the_last_week() {
        let (costs, slots) = rhythm(|week| if week >= 7 { 2.0 } else { 1.0 });
        let steps = Steps { costs: &costs, slots: &slots, per_week: 168 };
        let day = 8 * 168..8 * 168 + 24;
        for band in [Band::Seasonal, Band::SeasonalByHour] {
            let expected = expected(band, &steps, &costs, day.clone());
            assert!((expected[12].cost - 20.0).abs() < 4.0, "{band:?} {:?}", expected[12]);
            assert!(expected[2].cost < 5.0, "{band:?} {:?}", expected[2]);
            assert!(expected.iter().all(|of| of.scale > 0.0));
        }
    }

    #[test]
    fn naive_bands_expect_the_median_and_the_week_before() {
        let (costs, slots) = rhythm(|_| 1.0);
        let steps = Steps { costs: &costs, slots: &slots, per_week: 168 };
        let day = 8 * 168..8 * 168 + 24;
        let before = expected(Band::LastPeriod, &steps, &costs, day.clone());
        assert_eq!((before[12].cost, before[2].cost), (10.0, 1.0));
        let medians = expected(Band::MovingMedian, &steps, &costs, day);
        assert!(medians.iter().all(|of| of.cost == 1.0), "{medians:?}");
    }

    #[test]
    fn the_week_before_is_found_where_clocks_show_an_hour_twice_or_not_at_all() {
        // The hour 2 of the first day is missing, and that of the eighth is twice.
        let slots: Vec<u16> = (0..200_u16).filter(|hour| *hour != 2).map(|hour| hour % 168).collect();
        let twice: Vec<u16> =
            slots.iter().flat_map(|slot| std::iter::repeat_n(*slot, 1 + usize::from(*slot == 30))).collect();
        let costs = vec![1.0; twice.len()];
        let steps = Steps { costs: &costs, slots: &twice, per_week: 168 };
        for at in 0..twice.len() {
            if let Some(before) = steps.week_before(at) {
                assert!(twice[before] == twice[at] && at - before >= 144 && at - before <= 192, "{at} {before}");
            }
        }
        let at = twice.iter().rposition(|slot| *slot == 2).unwrap();
        assert_eq!(steps.week_before(at), None);
    }
}
