//! Which method forecasts a history best, and how wrong it is: by forecasting spans that are over.

use super::methods::{DAY_HOURS, Hours, Method};
use super::robust::{is_better, mean, quantile};
use super::short::TooShort;

/// The hours of history before the first span that is forecast as a test.
pub const MIN_TRAINING_HOURS: usize = 336;
/// The fewest spans beside each other that a test consists of.
pub const MIN_INDEPENDENT_SPANS: usize = 4;
/// The most spans, which overlap, that are forecast as a test.
pub const MAX_SPANS: usize = 48;
/// The least scale of a relative error, in relation to the mean of the tested spans.
const MIN_SCALE: f64 = 0.1;

/// How wrong a method is.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The method.
    pub method: Method,
    /// The sum of the absolute errors over all tested spans, divided by the sum of what these cost (WAPE). None if they cost
    /// nothing, or the history is too short for the method.
    pub error: Option<f64>,
}

/// A forecast of the sum of the next hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The method that was chosen.
    pub method: Method,
    /// The sum.
    pub sum: f64,
    /// The limits within which the sum is expected to be. None if the history has too few spans for so wide an interval.
    pub interval: Option<(f64, f64)>,
    /// How wrong each method was, in the order of [`Method::ALL`].
    pub candidates: Vec<Candidate>,
    /// The length of the tested spans, in hours: that of the forecast, or less if the history is short.
    pub tested_hours: usize,
    /// The number of tested spans, which overlap.
    pub spans: usize,
    /// The number of such spans that lie beside each other in the history.
    pub independent_spans: usize,
}

/// The spans of a history that are forecast as a test.
struct Spans {
    hours: usize,
    /// Where each begins, the latest first.
    starts: Vec<usize>,
    independent: usize,
}

impl Spans {
    fn of(length: usize, horizon: usize) -> Result<Self, TooShort> {
        let needed = MIN_TRAINING_HOURS + MIN_INDEPENDENT_SPANS * DAY_HOURS;
        if length < needed {
            return Err(TooShort { needed_hours: needed, found_hours: length });
        }
        let tested = length - MIN_TRAINING_HOURS;
        let longest = tested / MIN_INDEPENDENT_SPANS;
        // Whole days, so that each hour of the day has its part in them.
        let hours = horizon.min(longest / DAY_HOURS * DAY_HOURS).max(1);
        let days = (tested - hours) / DAY_HOURS + 1;
        let step = days.div_ceil(MAX_SPANS).max(1) * DAY_HOURS;
        let starts = (0..).map(|n| n * step).map_while(|back| (length - hours).checked_sub(back));
        let starts: Vec<_> = starts.take_while(|start| *start >= MIN_TRAINING_HOURS).collect();
        let independent = (tested / hours).min(starts.len());
        Ok(Self { hours, starts, independent })
    }
}

/// Forecasts the sum of the next hours, with an interval that holds it with a probability of so many per cent.
///
/// Every method forecasts spans of the history that are as long as the forecast, each from what was known before it. The naive
/// method of the lowest error is used, unless another method is better by a twentieth and by more than chance. The
/// interval is that of the errors which the method made, in relation to what it forecast (split conformal prediction).
///
/// # Errors
/// [`TooShort`] if the history has fewer hours than two weeks and four days.
pub fn forecast(hours: Hours<'_>, horizon: usize, percent: usize) -> Result<Forecast, TooShort> {
    let spans = Spans::of(hours.costs.len(), horizon)?;
    let actual: Vec<f64> =
        spans.starts.iter().map(|start| hours.costs[*start..*start + spans.hours].iter().sum()).collect();
    let tested: Vec<_> = spans.starts.iter().map(|start| hours.before(*start).sums(spans.hours)).collect();
    let total: f64 = actual.iter().map(|cost| cost.abs()).sum();
    let errors = |at: usize| -> Option<Vec<f64>> {
        let error = |(sums, actual): (&[Option<f64>; Method::ALL.len()], &f64)| Some(actual - sums[at]?);
        tested.iter().zip(&actual).map(error).collect()
    };
    let errors: Vec<Option<Vec<f64>>> = (0..Method::ALL.len()).map(errors).collect();
    let candidate = |(method, errors): (Method, &Option<Vec<f64>>)| {
        let wrong = errors.as_ref().map(|errors| errors.iter().map(|error| error.abs()).sum::<f64>());
        Candidate { method, error: wrong.filter(|_| total > 0.0).map(|wrong| wrong / total) }
    };
    let candidates: Vec<_> = Method::ALL.into_iter().zip(&errors).map(candidate).collect();
    let sums = hours.sums(horizon);
    let chosen = choose(&errors, &sums, spans.independent);
    let sum = sums[chosen].unwrap_or_default();
    let relative = errors[chosen].as_ref().map(|errors| relative(errors, &actual, &tested, chosen));
    let interval = relative.and_then(|errors| {
        let level = level(percent, spans.independent)?;
        let scale = sum.max(least_scale(&actual) * horizon as f64 / spans.hours as f64);
        // A shorter span says less: its errors are scaled as those of a random walk.
        let widened = (horizon as f64 / spans.hours as f64).max(1.0).sqrt();
        let half = quantile(errors, level) * widened * scale;
        Some(((sum - half).max(0.0), sum + half))
    });
    Ok(Forecast {
        method: Method::ALL[chosen],
        sum,
        interval,
        candidates,
        tested_hours: spans.hours,
        spans: spans.starts.len(),
        independent_spans: spans.independent,
    })
}

/// The index of the method to use.
fn choose(errors: &[Option<Vec<f64>>], sums: &[Option<f64>; Method::ALL.len()], independent: usize) -> usize {
    let best = |is_naive: bool| {
        let usable = (0..Method::ALL.len())
            .filter(|at| Method::ALL[*at].is_naive() == is_naive && sums[*at].is_some())
            .filter_map(|at| {
                let absolute: Vec<f64> = errors[at].as_ref()?.iter().map(|error| error.abs()).collect();
                Some((at, absolute))
            });
        usable.min_by(|(_, a), (_, b)| mean(a).total_cmp(&mean(b)))
    };
    match (best(true), best(false)) {
        (Some((naive, by_naive)), Some((other, by_other))) => {
            if is_better(&by_other, &by_naive, independent) {
                other
            } else {
                naive
            }
        }
        (Some((only, _)), None) | (None, Some((only, _))) => only,
        // A history of two weeks has both naive methods.
        (None, None) => 1,
    }
}

/// The least scale of relative errors.
fn least_scale(actual: &[f64]) -> f64 {
    MIN_SCALE * mean(actual).max(0.0)
}

/// The absolute errors of a method in relation to what it forecast.
fn relative(errors: &[f64], actual: &[f64], tested: &[[Option<f64>; Method::ALL.len()]], method: usize) -> Vec<f64> {
    let least = least_scale(actual);
    let of_span = |(error, sums): (&f64, &[Option<f64>; Method::ALL.len()])| {
        let scale = sums[method].unwrap_or_default().max(least);
        if scale > 0.0 { error.abs() / scale } else { 0.0 }
    };
    errors.iter().zip(tested).map(of_span).collect()
}

/// The quantile of the errors that an interval needs, per mille: a little more than its probability, since the next span is one
/// more beside those that were tested. None if so few spans cannot tell.
fn level(percent: usize, independent: usize) -> Option<usize> {
    let rank = ((independent + 1) * percent).div_ceil(100);
    (rank <= independent && independent > 0).then(|| (rank * 1_000).div_ceil(independent))
}

#[cfg(test)]
mod tests {
    use super::super::methods::WEEK_HOURS;
    use super::*;
    use proptest::prelude::*;

    fn slots(length: usize) -> Vec<u16> {
        (0..length).map(|hour| u16::try_from(hour % WEEK_HOURS).unwrap()).collect()
    }

    fn made(costs: &[f64], horizon: usize, percent: usize) -> Result<Forecast, TooShort> {
        let slots = slots(costs.len() + horizon);
        forecast(Hours { costs, slots: &slots }, horizon, percent)
    }

    #[test]
    fn a_history_of_two_weeks_and_four_days_is_enough_and_one_hour_less_is_not() {
        let costs = vec![1.0; 336 + 96];
        let found = made(&costs, 720, 80).unwrap();
        assert_eq!((found.tested_hours, found.independent_spans), (24, 4));
        assert_eq!(made(&costs[1..], 720, 80), Err(TooShort { needed_hours: 432, found_hours: 431 }));
        let found = made(&vec![1.0; 336 + 4 * 720], 720, 80).unwrap();
        assert_eq!((found.tested_hours, found.independent_spans), (720, 4));
        assert!(found.spans > 40, "{}", found.spans);
    }

    #[test]
    fn a_naive_method_is_used_if_no_other_is_better() {
        for costs in [vec![3.0; 60 * 24], vec![0.0; 60 * 24]] {
            let found = made(&costs, 240, 80).unwrap();
            assert!(found.method.is_naive(), "{found:?}");
            assert!((found.sum - costs[0] * 240.0).abs() < 1e-6);
            let (lower, upper) = found.interval.unwrap();
            assert!(lower <= found.sum && found.sum <= upper && upper - lower < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn growth_is_forecast_by_a_method_that_knows_it_and_the_interval_holds_what_comes() {
        let cost = |hour: usize| 10.0 + 0.2 * (hour / 24) as f64 + ((hour * 7_919) % 13) as f64 * 0.1;
        let costs: Vec<f64> = (0..150 * 24).map(cost).collect();
        let comes: f64 = (150 * 24..180 * 24).map(cost).sum();
        let found = made(&costs, 720, 80).unwrap();
        assert!(!found.method.is_naive(), "{found:?}");
        let (lower, upper) = found.interval.unwrap();
        assert!(lower <= comes && comes <= upper, "{found:?}, {comes}");
        let error = |method: Method| found.candidates.iter().find(|of| of.method == method).unwrap().error.unwrap();
        assert!(error(found.method) < error(Method::MovingAverage) / 2.0, "{found:?}");
    }

    #[test]
    fn an_interval_needs_enough_spans_beside_each_other() {
        assert_eq!(level(80, 4), Some(1_000));
        assert_eq!(level(80, 3), None);
        assert_eq!(level(80, 9), Some(889));
        assert_eq!(level(95, 18), None);
        assert_eq!(level(95, 19), Some(1_000));
        assert_eq!(level(50, 0), None);
        let found = made(&vec![1.0; 336 + 96], 24, 95).unwrap();
        assert_eq!(found.interval, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_history_makes_it_panic(
            costs in prop::collection::vec(prop_oneof![Just(0.0), 0.0..10.0, 0.0..1e12, Just(-0.5), Just(1e-12)], 0..1_200),
            horizon in 1_usize..800,
            percent in 50_usize..96,
        ) {
            if let Ok(found) = made(&costs, horizon, percent) {
                prop_assert!(found.sum.is_finite() && found.sum >= 0.0);
                if let Some((lower, upper)) = found.interval {
                    prop_assert!(0.0 <= lower && lower <= found.sum && found.sum <= upper && upper.is_finite());
                }
                prop_assert_eq!(found.candidates.len(), Method::ALL.len());
            }
        }
    }
}
