//! What happens to a job after an attempt: the rules, without a database and a clock.

use crate::handler::JobOutcome;
use domain::error_with_causes;
use std::time::Duration;

/// The maximum length of a stored error, in bytes; the rest is cut off.
const MAX_ERROR_BYTES: usize = 4096;

/// When failed jobs are retried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryConfig {
    /// The delay after the first failure; it doubles with each further one. Default: 1 s.
    pub first_delay: Duration,
    /// The maximum delay. Default: 5 min.
    pub max_delay: Duration,
    /// The number of attempts after which a job becomes a dead letter. Default: 20, which takes about an hour.
    pub max_attempts: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { first_delay: Duration::from_secs(1), max_delay: Duration::from_mins(5), max_attempts: 20 }
    }
}

impl RetryConfig {
    /// The delay after a number of failed attempts, with jitter: between half of the delay and the whole, as `random`
    /// is between 0 and 1. Jobs that failed together, because their destination was away, so do not return together.
    #[must_use]
    pub fn delay(&self, attempts: u32, random: f64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let delay = self.first_delay.saturating_mul(1 << doublings).min(self.max_delay);
        delay.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

/// The next state of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Transition {
    /// It is done.
    Done,
    /// It runs again at the next multiple of the interval.
    Repeat(Duration),
    /// It is retried after a delay.
    RetryAfter(Duration, String),
    /// It becomes a dead letter.
    Dead(String),
}

impl Transition {
    /// The next state of a job after the outcome of an attempt.
    pub(crate) fn after(
        outcome: JobOutcome,
        attempt: u32,
        interval: Option<Duration>,
        config: &RetryConfig,
        random: f64,
    ) -> Self {
        match outcome {
            JobOutcome::Done => interval.map_or(Self::Done, Self::Repeat),
            JobOutcome::Dead(error) => Self::Dead(stored_text(&*error)),
            JobOutcome::Retry(error) if attempt >= config.max_attempts => Self::Dead(stored_text(&*error)),
            JobOutcome::Retry(error) => Self::RetryAfter(config.delay(attempt, random), stored_text(&*error)),
        }
    }

    /// The value of the label `outcome`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Done | Self::Repeat(_) => "done",
            Self::RetryAfter(..) => "retried",
            Self::Dead(_) => "dead",
        }
    }
}

/// The text of an error as it is stored: with its causes, without NUL, which PostgreSQL cannot store, and cut off at a
/// character's boundary.
fn stored_text(error: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = error_with_causes(error).replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(MAX_ERROR_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: RetryConfig =
        RetryConfig { first_delay: Duration::from_secs(1), max_delay: Duration::from_secs(10), max_attempts: 3 };

    fn after(outcome: JobOutcome, attempt: u32, interval: Option<Duration>) -> Transition {
        Transition::after(outcome, attempt, interval, &CONFIG, 1.0)
    }

    #[test]
    fn delays_double_up_to_the_maximum() {
        let delays: Vec<_> = (1..=6).map(|attempts| CONFIG.delay(attempts, 1.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
        assert_eq!(CONFIG.delay(u32::MAX, 1.0), CONFIG.max_delay);
        let huge = RetryConfig { first_delay: Duration::MAX, max_delay: Duration::from_secs(9), max_attempts: 1 };
        assert_eq!(huge.delay(40, 1.0), Duration::from_secs(9));
    }

    #[test]
    fn jitter_takes_up_to_half_of_a_delay() {
        for (random, millis) in [(0.0, 1000), (0.5, 1500), (1.0, 2000), (-1.0, 1000), (7.0, 2000)] {
            assert_eq!(CONFIG.delay(2, random), Duration::from_millis(millis), "{random}");
        }
    }

    #[test]
    fn a_failure_is_retried_until_the_attempts_are_used_up() {
        let retry = || JobOutcome::Retry("refused".into());
        let text = || "refused".to_owned();
        assert_eq!(after(retry(), 1, None), Transition::RetryAfter(Duration::from_secs(1), text()));
        assert_eq!(after(retry(), 2, None), Transition::RetryAfter(Duration::from_secs(2), text()));
        assert_eq!(after(retry(), 3, None), Transition::Dead(text()));
        assert_eq!(after(retry(), 4, None), Transition::Dead(text()));
    }

    #[test]
    fn a_permanent_failure_is_not_retried() {
        assert_eq!(after(JobOutcome::Dead("gone".into()), 1, None), Transition::Dead("gone".to_owned()));
    }

    #[test]
    fn only_a_recurring_job_runs_again_after_success() {
        let minute = Duration::from_secs(60);
        assert_eq!(after(JobOutcome::Done, 1, None), Transition::Done);
        assert_eq!(after(JobOutcome::Done, 2, Some(minute)), Transition::Repeat(minute));
        let dead = after(JobOutcome::Retry("x".into()), 3, Some(minute));
        assert_eq!(dead, Transition::Dead("x".to_owned()), "it does not fail in silence for ever");
    }

    #[test]
    fn stored_errors_are_bounded_and_can_be_stored() {
        let error: crate::handler::JobError = format!("\0{}", "é".repeat(MAX_ERROR_BYTES)).into();
        let text = stored_text(&*error);
        assert!(text.len() <= MAX_ERROR_BYTES && text.len() > MAX_ERROR_BYTES - 4);
        assert!(!text.contains('\0'));
    }
}
