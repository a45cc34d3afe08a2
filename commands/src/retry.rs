//! Which failed appends are retried, and after which delay.

use crate::error::Error;
use std::time::Duration;
use streams::{AppendError, Backoff};

/// The delays after failed attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_secs(1) };

/// The longest delay before the next attempt, to which the caller adds jitter. `failures` is the number of failed attempts
/// before this one.
///
/// # Errors
/// [`Error::CommandIdReused`] or [`Error::Append`] if the failure is not retried.
pub(crate) fn backoff<E: std::error::Error + 'static>(
    failures: u32,
    error: &AppendError,
) -> Result<Duration, Error<E>> {
    Ok(match error {
        AppendError::CommandReused => return Err(Error::CommandIdReused),
        AppendError::Invalid(_) | AppendError::Refused(_) | AppendError::Closed => {
            return Err(Error::Append(error.clone()));
        }
        AppendError::ChainAborted => Duration::ZERO,
        AppendError::Busy { retry_after } => *retry_after,
        AppendError::Conflict { .. } | AppendError::Unavailable(_) | AppendError::Indeterminate(_) => {
            BACKOFF.delay(failures.saturating_add(1))
        }
    })
}

/// Why a command failed whose deadline has passed: [`Error::Contended`] if its last attempt failed on other writers, else
/// the failure itself.
pub(crate) fn last_error<E: std::error::Error + 'static>(error: AppendError) -> Error<E> {
    match error {
        AppendError::Conflict { .. } | AppendError::ChainAborted => Error::Contended,
        AppendError::Unavailable(error) if error.is_concurrency_conflict() => Error::Contended,
        error => Error::Append(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn delay(failures: u32, error: &AppendError) -> Duration {
        backoff::<Infallible>(failures, error).unwrap()
    }

    #[test]
    fn the_delay_doubles_up_to_its_limit() {
        let delays = [0, 1, 2, 7, 8, 100].map(|failures| delay(failures, &AppendError::outcome_unknown()).as_millis());
        assert_eq!(delays, [5, 10, 20, 640, 1000, 1000]);
    }

    #[test]
    fn a_full_queue_sets_the_delay_itself_and_an_aborted_chain_needs_none() {
        let retry_after = Duration::from_millis(77);
        assert_eq!(delay(5, &AppendError::Busy { retry_after }), retry_after);
        assert_eq!(delay(5, &AppendError::ChainAborted), Duration::ZERO);
    }

    #[test]
    fn what_no_retry_can_mend_is_returned_at_once() {
        let first = |error| backoff::<Infallible>(0, &error).unwrap_err();
        assert!(matches!(first(AppendError::CommandReused), Error::CommandIdReused));
        assert!(matches!(first(AppendError::Closed), Error::Append(AppendError::Closed)));
    }

    #[test]
    fn the_last_attempt_returns_contention_or_the_failure_itself() {
        let last = last_error::<Infallible>;
        assert!(matches!(last(AppendError::ChainAborted), Error::Contended));
        assert!(matches!(last(AppendError::outcome_unknown()), Error::Append(AppendError::Indeterminate(_))));
    }
}
