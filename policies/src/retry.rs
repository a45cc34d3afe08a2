//! What happens to a job after an attempt: the rules, without a database and a clock.

use crate::handler::JobOutcome;
use chrono::{DateTime, Utc};
use domain::error_with_causes;
use std::time::Duration;
use streams::Backoff;

/// The maximum length of a stored error, in bytes; the rest is cut off.
const MAX_ERROR_BYTES: usize = 4096;

/// When failed jobs are retried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryConfig {
    /// The delays between attempts, which get jitter. Default: 1 s after the first failure, up to 5 min.
    pub backoff: Backoff,
    /// The number of attempts after which a job becomes a dead letter. Default: 20, which takes about an hour.
    pub max_attempts: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_mins(5) };
        Self { backoff, max_attempts: 20 }
    }
}

/// The interval of the runs of a recurring job until it is finished.
const UNFINISHED_INTERVAL: Duration = Duration::from_secs(1);

/// The next state of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Transition {
    /// It is done.
    Done,
    /// It runs again at the next multiple of the interval.
    Repeat(Duration),
    /// It runs again at a time.
    RepeatAt(DateTime<Utc>),
    /// It is retried after a delay.
    RetryAfter(Duration, String),
    /// It becomes a dead letter.
    DeadLetter(String),
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
            JobOutcome::Unfinished => {
                interval.map_or(Self::Done, |interval| Self::Repeat(interval.min(UNFINISHED_INTERVAL)))
            }
            JobOutcome::RepeatAt(at) => Self::RepeatAt(at),
            JobOutcome::DeadLetter(error) => Self::DeadLetter(stored_text(&*error)),
            JobOutcome::Retry(error) | JobOutcome::RetryAfter(error, _) if attempt >= config.max_attempts => {
                Self::DeadLetter(stored_text(&*error))
            }
            JobOutcome::Retry(error) => {
                Self::RetryAfter(config.backoff.jittered(attempt, random), stored_text(&*error))
            }
            JobOutcome::RetryAfter(error, asked) => {
                let delay = config.backoff.jittered(attempt, random).max(asked.min(config.backoff.max));
                Self::RetryAfter(delay, stored_text(&*error))
            }
        }
    }

    /// The value of the label `outcome`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Done | Self::Repeat(_) | Self::RepeatAt(_) => "done",
            Self::RetryAfter(..) => "retried",
            Self::DeadLetter(_) => "dead_letter",
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

    const CONFIG: RetryConfig = RetryConfig {
        backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) },
        max_attempts: 3,
    };

    fn after(outcome: JobOutcome, attempt: u32, interval: Option<Duration>) -> Transition {
        Transition::after(outcome, attempt, interval, &CONFIG, 1.0)
    }

    #[test]
    fn a_failure_is_retried_until_the_attempts_are_used_up() {
        let retry = || JobOutcome::Retry("refused".into());
        let text = || "refused".to_owned();
        assert_eq!(after(retry(), 1, None), Transition::RetryAfter(Duration::from_secs(1), text()));
        assert_eq!(after(retry(), 2, None), Transition::RetryAfter(Duration::from_secs(2), text()));
        assert_eq!(after(retry(), 3, None), Transition::DeadLetter(text()));
        assert_eq!(after(retry(), 4, None), Transition::DeadLetter(text()));
    }

    #[test]
    fn a_delay_that_was_asked_for_is_kept_within_the_longest_one() {
        let asked = |seconds, attempt| {
            let outcome = JobOutcome::RetryAfter("busy".into(), Duration::from_secs(seconds));
            after(outcome, attempt, None)
        };
        let retried = |seconds| Transition::RetryAfter(Duration::from_secs(seconds), "busy".to_owned());
        assert_eq!(asked(7, 1), retried(7));
        // It is no reason to try again sooner, nor to wait for ever.
        assert_eq!((asked(0, 2), asked(u64::MAX, 1)), (retried(2), retried(10)));
        assert_eq!(asked(7, 3), Transition::DeadLetter("busy".to_owned()));
    }

    #[test]
    fn a_permanent_failure_is_not_retried() {
        assert_eq!(after(JobOutcome::DeadLetter("gone".into()), 1, None), Transition::DeadLetter("gone".to_owned()));
    }

    #[test]
    fn only_a_recurring_job_runs_again_after_success() {
        let minute = Duration::from_secs(60);
        assert_eq!(after(JobOutcome::Done, 1, None), Transition::Done);
        assert_eq!(after(JobOutcome::Done, 2, Some(minute)), Transition::Repeat(minute));
        assert_eq!(after(JobOutcome::Unfinished, 1, Some(minute)), Transition::Repeat(UNFINISHED_INTERVAL));
        let dead = after(JobOutcome::Retry("x".into()), 3, Some(minute));
        assert_eq!(dead, Transition::DeadLetter("x".to_owned()), "it does not fail in silence for ever");
    }

    #[test]
    fn a_handler_chooses_when_its_job_runs_again() {
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(after(JobOutcome::RepeatAt(at), 3, None), Transition::RepeatAt(at));
    }

    #[test]
    fn stored_errors_are_bounded_and_can_be_stored() {
        let error: crate::handler::JobError = format!("\0{}", "é".repeat(MAX_ERROR_BYTES)).into();
        let text = stored_text(&*error);
        assert!(text.len() <= MAX_ERROR_BYTES && text.len() > MAX_ERROR_BYTES - 4);
        assert!(!text.contains('\0'));
    }
}
