//! Which steps leave the band, and which band it is.

use super::bands::{Band, Expected, Steps, expected};
use super::robust::{deviation_from, is_better, mean, quantile};
use super::short::TooShort;
use std::ops::Range;

/// The days of history before the first day on which bands are tested, and the fewest days on which they are.
pub const TRAINING_DAYS: usize = 14;
/// See [`TRAINING_DAYS`].
pub const MIN_TESTED_DAYS: usize = 14;
/// The least half-width of a band, in scales.
const MIN_WIDTH: f64 = 4.0;
/// How far a step can be off, in scales: one of a series that cost nothing before is off by any number of them.
const MAX_WIDTH: f64 = 1e9;
/// The probability of leaving a band in which its score is measured.
const SCORED_AT: f64 = 0.01;

/// How wide a band has to be so that the history is in it: a quantile of how far its steps are off, per mille, times a margin.
struct Calibration {
    per_mille: usize,
    margin: f64,
}

/// Of hours and of days. A history has few days, so that a higher quantile would be one of its own anomalies.
const OF_HOURS: Calibration = Calibration { per_mille: 995, margin: 1.5 };
const OF_DAYS: Calibration = Calibration { per_mille: 950, margin: 1.8 };

/// How well a band fits the history.
#[derive(Debug, Clone, PartialEq)]
pub struct BandScore {
    /// The band.
    pub band: Band,
    /// The mean interval score (Gneiting and Raftery) of the tested steps, divided by their mean cost: its width, and 200 times what
    /// is beyond it, at most its width. Lower is better. None if the steps cost nothing.
    pub score: Option<f64>,
}

/// A step that is not in the band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlier {
    /// The index of the step.
    pub at: usize,
    /// The expected cost.
    pub expected: f64,
    /// The lower limit of the band, not below zero.
    pub lower: f64,
    /// The upper limit of the band.
    pub upper: f64,
}

/// The outliers of some steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// The band that was chosen.
    pub band: Band,
    /// The steps that are not in it, in their order.
    pub outliers: Vec<Outlier>,
    /// How well each band fits the history, in the order of [`Band::ALL`].
    pub scores: Vec<BandScore>,
    /// The number of steps on which the bands were tested.
    pub tested_steps: usize,
}

/// A band as it was tested: what it expected, and its half-width in scales.
struct Tested {
    width: f64,
    /// The mean score of each day.
    days: Vec<f64>,
}

/// Finds the steps from an index on that are not in the band.
///
/// Each day is expected from the eight weeks before it. Of each band the width is calibrated on the history, and its score is measured
/// there. The naive band of the lowest score is used, unless another one is better by a twentieth and by more than chance.
/// What is found is replaced by what was expected, so that it does not count as history.
///
/// # Errors
/// [`TooShort`] if there are fewer than four weeks before the first step.
pub fn detect(steps: &Steps<'_>, first: usize) -> Result<Detection, TooShort> {
    let (first, per_day) = (checked(steps, first)?, steps.per_day());
    let tested: Vec<_> = Band::ALL.into_iter().map(|band| test(band, steps, first)).collect();
    let chosen = choose(&tested);
    let tested_costs = &steps.costs[TRAINING_DAYS * per_day..first];
    let unit = mean(tested_costs);
    let score = |(band, tested): (Band, &Tested)| BandScore {
        band,
        score: (unit > 0.0).then(|| mean(&tested.days) / unit).filter(|score| score.is_finite()),
    };
    Ok(Detection {
        band: Band::ALL[chosen],
        outliers: outliers(Band::ALL[chosen], steps, (first, tested[chosen].width)),
        scores: Band::ALL.into_iter().zip(&tested).map(score).collect(),
        tested_steps: tested_costs.len(),
    })
}

/// As [`detect`], by one band.
///
/// # Errors
/// [`TooShort`] if there are fewer than four weeks before the first step.
pub fn detect_by(band: Band, steps: &Steps<'_>, first: usize) -> Result<Vec<Outlier>, TooShort> {
    let first = checked(steps, first)?;
    Ok(outliers(band, steps, (first, test(band, steps, first).width)))
}

/// The index of the first step, if there is enough history before it.
fn checked(steps: &Steps<'_>, first: usize) -> Result<usize, TooShort> {
    let first = first.min(steps.costs.len()).min(steps.slots.len());
    let per_day = steps.per_day();
    let (needed, step_hours) = ((TRAINING_DAYS + MIN_TESTED_DAYS) * per_day, 24 / per_day);
    if first < needed {
        return Err(TooShort { needed_hours: needed * step_hours, found_hours: first * step_hours });
    }
    Ok(first)
}

/// The days of a range, the last of which may be shorter.
fn days(range: Range<usize>, per_day: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(per_day).map(move |start| start..(start + per_day).min(end))
}

/// Expects each day of the history from the days before.
fn test(band: Band, steps: &Steps<'_>, first: usize) -> Tested {
    let per_day = steps.per_day();
    // Counted back from the first step, so that a history of any length ends with a whole day.
    let start = first - (first - TRAINING_DAYS * per_day) / per_day * per_day;
    let of_days: Vec<(Range<usize>, Vec<Expected>)> =
        days(start..first, per_day).map(|day| (day.clone(), expected(band, steps, steps.costs, day))).collect();
    let off = |(day, expected): &(Range<usize>, Vec<Expected>)| -> Vec<f64> {
        let costs = &steps.costs[day.clone()];
        costs.iter().zip(expected).map(|(cost, of)| ((cost - of.cost).abs() / of.scale).min(MAX_WIDTH)).collect()
    };
    let calibration = if per_day == 1 { OF_DAYS } else { OF_HOURS };
    let off: Vec<f64> = of_days.iter().flat_map(off).collect();
    // A scale of steps that the band was made of is lower than that of the steps that follow.
    let least = MIN_WIDTH * deviation_from(&off, 0.0).max(1.0);
    let width = least.max(calibration.margin * quantile(off, calibration.per_mille));
    let score = |(day, expected): &(Range<usize>, Vec<Expected>)| {
        let scores = steps.costs[day.clone()].iter().zip(expected).map(|(cost, of)| {
            let half = width * of.scale;
            // What is beyond the band counts up to its width, so that one anomaly of the history does not decide.
            let beyond = ((cost - of.cost).abs() - half).clamp(0.0, 2.0 * half);
            2.0 * half + 2.0 / SCORED_AT * beyond
        });
        mean(&scores.collect::<Vec<_>>())
    };
    Tested { width, days: of_days.iter().map(score).collect() }
}

/// The index of the band to use.
fn choose(tested: &[Tested]) -> usize {
    let best = |is_naive: bool| {
        let of_kind = (0..tested.len()).filter(|at| Band::ALL[*at].is_naive() == is_naive);
        of_kind.min_by(|a, b| mean(&tested[*a].days).total_cmp(&mean(&tested[*b].days)))
    };
    match (best(true), best(false)) {
        (Some(naive), Some(other)) => {
            let (by_naive, by_other) = (&tested[naive].days, &tested[other].days);
            if is_better(by_other, by_naive, by_naive.len()) { other } else { naive }
        }
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => 0,
    }
}

/// The steps from an index on that are not in a band of a width.
fn outliers(band: Band, steps: &Steps<'_>, (first, width): (usize, f64)) -> Vec<Outlier> {
    let mut history = steps.costs.to_vec();
    let end = steps.costs.len().min(steps.slots.len());
    let mut found = Vec::new();
    for day in days(first..end, steps.per_day()) {
        let of_day = expected(band, steps, &history, day.clone());
        for (at, of) in day.zip(of_day) {
            let half = width * of.scale;
            let (lower, upper) = ((of.cost - half).max(0.0), of.cost + half);
            let cost = steps.costs[at];
            if cost > upper || cost < lower {
                history[at] = of.cost;
                found.push(Outlier { at, expected: of.cost, lower, upper });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers from 0 to 1 that look random.
    fn noise(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1_u32 << 31)
        }
    }

    fn slots(length: usize) -> Vec<u16> {
        (0..length).map(|hour| u16::try_from(hour % 168).unwrap()).collect()
    }

    /// Ten weeks of hours, with a rhythm or without one.
    fn series(has_rhythm: bool, seed: u64) -> Vec<f64> {
        let mut noise = noise(seed);
        let cost = |hour: usize| {
            let slot = hour % 168;
            let is_busy = slot < 120 && (8..18).contains(&(slot % 24));
            let base = if has_rhythm && is_busy { 10.0 } else { 1.0 };
            base * (0.8 + 0.4 * noise())
        };
        (0..10 * 168).map(cost).collect()
    }

    fn found(costs: &[f64], first: usize) -> Detection {
        detect(&Steps { costs, slots: &slots(costs.len()), per_week: 168 }, first).unwrap()
    }

    #[test]
    fn a_burst_is_found_and_nothing_else() {
        for has_rhythm in [true, false] {
            for seed in 0..5 {
                let mut costs = series(has_rhythm, seed);
                let quiet = found(&costs, 9 * 168);
                assert!(quiet.outliers.is_empty(), "{has_rhythm} {seed}: {quiet:?}");
                // At night, when the highest hours of a day with a rhythm are no measure.
                costs[9 * 168 + 27] += 6.0;
                let burst = found(&costs, 9 * 168);
                let at: Vec<_> = burst.outliers.iter().map(|outlier| outlier.at).collect();
                assert_eq!(at, [9 * 168 + 27], "{has_rhythm} {seed}: {burst:?}");
                assert!(burst.outliers[0].expected < 3.0, "{burst:?}");
            }
        }
    }

    #[test]
    fn a_series_without_rhythm_keeps_a_naive_band_and_one_with_a_rhythm_does_not_keep_the_median() {
        assert!(found(&series(false, 7), 9 * 168).band.is_naive());
        assert_ne!(found(&series(true, 7), 9 * 168).band, Band::MovingMedian);
    }

    #[test]
    fn hours_without_the_usual_cost_are_found() {
        let mut costs = series(false, 3);
        costs[9 * 168 + 40..9 * 168 + 50].fill(0.0);
        let found = found(&costs, 9 * 168);
        let at: Vec<_> = found.outliers.iter().map(|outlier| outlier.at).collect();
        assert_eq!(at, (9 * 168 + 40..9 * 168 + 50).collect::<Vec<_>>(), "{found:?}");
    }

    #[test]
    fn days_are_steps_too() {
        let mut noise = noise(5);
        let mut costs: Vec<f64> = (0..120).map(|_| 20.0 + noise()).collect();
        costs[115] = 60.0;
        let slots: Vec<u16> = (0..120).map(|day| day % 7).collect();
        let steps = Steps { costs: &costs, slots: &slots, per_week: 7 };
        let found = detect(&steps, 110).unwrap();
        assert_eq!(found.outliers.iter().map(|outlier| outlier.at).collect::<Vec<_>>(), [115], "{found:?}");
        let short = detect(&steps, 27).unwrap_err();
        assert_eq!(short, TooShort { needed_hours: 672, found_hours: 648 });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_series_makes_it_panic(
            costs in prop::collection::vec(prop_oneof![Just(0.0), 0.0..5.0, 0.0..1e12, Just(-1.0)], 0..900),
            first in 0_usize..1_000,
            is_by_day in any::<bool>(),
        ) {
            let per_week: u16 = if is_by_day { 7 } else { 168 };
            let slots: Vec<u16> = (0..costs.len()).map(|at| u16::try_from(at).unwrap() % per_week).collect();
            let steps = Steps { costs: &costs, slots: &slots, per_week: usize::from(per_week) };
            if let Ok(found) = detect(&steps, first) {
                for outlier in found.outliers {
                    prop_assert!(outlier.lower >= 0.0 && outlier.lower <= outlier.upper);
                    prop_assert!(outlier.expected.is_finite() && outlier.upper.is_finite());
                }
            }
        }
    }
}
