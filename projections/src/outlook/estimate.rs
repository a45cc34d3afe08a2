//! Costs as floats for the statistics, and estimates as decimal numbers.

use bigdecimal::ToPrimitive as _;
use domain::Sum;

/// The decimal places of estimated costs.
pub const ESTIMATE_PLACES: usize = 9;
/// The decimal places of errors and scores, which have no unit.
pub const ERROR_PLACES: usize = 4;
/// The greatest estimate. No sum of charges is as high.
const MAX_ESTIMATE: f64 = 1e30;

/// A cost, as exact as a float is: to 15 digits.
pub(super) fn cost(sum: &Sum) -> f64 {
    sum.as_number().to_f64().filter(|cost| cost.is_finite()).unwrap_or_default()
}

/// An estimated cost, rounded to [`ESTIMATE_PLACES`].
pub(super) fn estimate(cost: f64) -> Sum {
    rounded(cost, ESTIMATE_PLACES)
}

/// An error or score, rounded to [`ERROR_PLACES`].
pub(super) fn error(value: f64) -> Sum {
    rounded(value, ERROR_PLACES)
}

fn rounded(value: f64, places: usize) -> Sum {
    let value = if value.is_nan() { 0.0 } else { value.clamp(-MAX_ESTIMATE, MAX_ESTIMATE) };
    // A number of this form within the limits is always a sum.
    Sum::parse(&format!("{value:.places$}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_floats_and_estimates_are_decimals() {
        assert!((cost(&Sum::parse("12.345678901234").unwrap()) - 12.345_678_901_234).abs() < 1e-12);
        assert_eq!(estimate(0.1 + 0.2).to_string(), "0.3");
        assert_eq!(estimate(1_234.567_890_123_4).to_string(), "1234.567890123");
        assert_eq!(estimate(-0.0).to_string(), "0");
        assert_eq!(error(0.123_45).to_string(), "0.1235");
        for (value, text) in [(f64::NAN, "0"), (f64::INFINITY, "1000000000000000019884624838656")] {
            assert_eq!(estimate(value).to_string(), text);
        }
    }
}
