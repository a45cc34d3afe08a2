//! Medians and quantiles, which a few extreme values do not move.

/// The factor by which the median absolute deviation of normally distributed values is lower than their standard deviation.
const MAD_OF_NORMAL: f64 = 1.4826;

/// The median; 0 without values.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len().is_multiple_of(2), values.get(middle)) {
        (_, None) => 0.0,
        (false, Some(value)) => *value,
        (true, Some(value)) => f64::midpoint(*value, values[middle - 1]),
    }
}

/// The standard deviation by the median absolute deviation from a value.
pub(super) fn deviation_from(values: &[f64], center: f64) -> f64 {
    MAD_OF_NORMAL * median(values.iter().map(|value| (value - center).abs()).collect())
}

/// The mean; 0 without values.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The smallest value that at least so many of a thousand values do not exceed; 0 without values.
pub(super) fn quantile(mut values: Vec<f64>, per_mille: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = values.len().saturating_mul(per_mille).div_ceil(1_000).clamp(1, values.len().max(1));
    values.get(rank - 1).copied().unwrap_or_default()
}

/// How much lower the errors of a method have to be than those of a naive one, in relation to them, for the method to be worth it.
const MIN_GAIN: f64 = 0.05;

/// Whether the errors of another method are lower than those of a naive one, on the same spans: by a twentieth, and by more than the
/// standard error of the difference, if so many of the spans are independent.
pub(super) fn is_better(other: &[f64], naive: &[f64], independent: usize) -> bool {
    let gained: Vec<f64> = naive.iter().zip(other).map(|(naive, other)| naive - other).collect();
    let (gain, noise) = mean_with_error(&gained, independent);
    gain > noise && gain > MIN_GAIN * mean(naive)
}

/// The mean, and its standard error if so many of the values are independent.
fn mean_with_error(values: &[f64], independent: usize) -> (f64, f64) {
    let mean = mean(values);
    if values.len() < 2 || independent == 0 {
        return (mean, f64::INFINITY);
    }
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let variance = squares / (values.len() - 1) as f64;
    (mean, (variance / independent as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_of_small_samples() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 100.0]), 3.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), 3.0);
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(quantile(values.clone(), 800), 8.0);
        assert_eq!(quantile(values.clone(), 801), 9.0);
        assert_eq!(quantile(values.clone(), 1_000), 10.0);
        assert_eq!(quantile(values.clone(), 0), 1.0);
        assert_eq!(quantile(vec![], 500), 0.0);
        assert_eq!(mean(&values), 5.5);
        assert!((deviation_from(&[1.0, 2.0, 3.0, 4.0, 1_000.0], 3.0) - 1.4826).abs() < 1e-9);
    }

    #[test]
    fn a_mean_of_few_values_has_no_finite_error() {
        assert_eq!(mean_with_error(&[1.0], 1), (1.0, f64::INFINITY));
        let (mean, error) = mean_with_error(&[1.0, 3.0], 2);
        assert_eq!((mean, error), (2.0, 1.0));
    }

    #[test]
    fn a_method_is_better_by_more_than_chance_and_by_a_twentieth() {
        let naive = [10.0, 12.0, 11.0, 9.0];
        for (other, independent, expected) in [
            ([8.0, 9.0, 9.0, 7.5], 4, true),
            // Less than a twentieth.
            ([9.8, 11.8, 10.8, 8.8], 4, false),
            // Better once, and worse twice.
            ([1.0, 13.0, 12.0, 9.0], 4, false),
            ([8.0, 9.0, 9.0, 7.5], 0, false),
            (naive, 4, false),
        ] {
            assert_eq!(is_better(&other, &naive, independent), expected, "{other:?}");
        }
    }
}
