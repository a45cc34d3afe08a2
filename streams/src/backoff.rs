//! Delays between retries.

use std::time::Duration;

/// Delays between retries: the first, doubled with each further failure in a row, up to a maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub first: Duration,
    /// The maximum delay.
    pub max: Duration,
}

impl Backoff {
    /// The delay after a number of failures in a row, from 1.
    #[must_use]
    pub fn delay(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }

    /// The delay with jitter: between half of it and the whole, as `random` is between 0 and 1. What failed together so
    /// does not return together.
    #[must_use]
    pub fn jittered(self, failures: u32, random: f64) -> Duration {
        self.delay(failures).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) };
        let delays: Vec<_> = (0..=6).map(|failures| backoff.delay(failures).as_secs()).collect();
        assert_eq!(delays, [1, 1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.delay(u32::MAX), backoff.max);
        let huge = Backoff { first: Duration::MAX, max: Duration::from_secs(9) };
        assert_eq!(huge.delay(40), huge.max);
    }

    #[test]
    fn jitter_takes_up_to_half_of_a_delay() {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) };
        for (random, millis) in [(0.0, 1000), (0.5, 1500), (1.0, 2000), (-1.0, 1000), (7.0, 2000)] {
            assert_eq!(backoff.jittered(2, random), Duration::from_millis(millis), "{random}");
        }
    }
}
