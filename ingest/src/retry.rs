//! Retries commands while the database is busy or unreachable.

use commands::{Backoff, Error};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a command is retried.
const RETRY_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a command of a request is retried.
const SHORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt of a command of a request may take. While the log is unreachable, reads of it wait for each other: without
/// this limit, the last of some hundred commands would fail after many minutes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// The delays before retries.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// Called before each retry with the error that caused it.
pub type OnRetry = Arc<dyn Fn(&dyn std::error::Error) + Send + Sync>;

/// The retry policy of an import.
#[derive(Clone)]
pub(crate) struct RetryPolicy {
    on_retry: OnRetry,
    timeout: Duration,
    attempt_timeout: Option<Duration>,
    backoff: Backoff,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let on_retry: OnRetry = Arc::new(|_| {});
        Self { on_retry, timeout: RETRY_TIMEOUT, attempt_timeout: None, backoff: BACKOFF }
    }
}

impl RetryPolicy {
    /// No retries: the client of a request retries it.
    pub(crate) fn none() -> Self {
        Self { timeout: Duration::ZERO, ..Self::default() }
    }

    /// Retries for a moment, as long as a client can wait.
    pub(crate) fn short() -> Self {
        Self { timeout: SHORT_TIMEOUT, attempt_timeout: Some(ATTEMPT_TIMEOUT), ..Self::default() }
    }

    pub(crate) fn on_retry(&mut self, on_retry: OnRetry) {
        self.on_retry = on_retry;
    }

    /// Runs `attempt` until it succeeds, fails with an error that a retry does not help, or the timeout has passed.
    pub(crate) async fn run<T, E, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error<E>>
    where
        E: std::error::Error + 'static,
        F: Future<Output = Result<T, Error<E>>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut failures = 0_u32;
        loop {
            let attempted = {
                // Pinned here: the future of this function has room for one attempt, and not for one in each arm. It is dropped
                // before the pause: one that is not polled any more would keep its locks.
                let mut attempt = pin!(attempt());
                match self.attempt_timeout {
                    None => attempt.await,
                    Some(timeout) => {
                        let attempted = tokio::time::timeout(timeout, &mut attempt).await;
                        attempted.unwrap_or_else(|_| Err(Error::outcome_unknown()))
                    }
                }
            };
            match attempted {
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    (self.on_retry)(&error);
                    failures = failures.saturating_add(1);
                    sleep(self.backoff.delay(failures)).await;
                }
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::call::CallError;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn fast(timeout: Duration) -> RetryPolicy {
        let backoff = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(4) };
        RetryPolicy { timeout, backoff, ..RetryPolicy::default() }
    }

    #[tokio::test]
    async fn transient_errors_are_retried_and_each_retry_is_announced() {
        let (attempts, announced) = (AtomicU32::new(0), Arc::new(AtomicU32::new(0)));
        let mut policy = fast(Duration::from_secs(60));
        let counter = Arc::clone(&announced);
        policy.on_retry(Arc::new(move |_| _ = counter.fetch_add(1, Ordering::Relaxed)));
        let attempt = async || match attempts.fetch_add(1, Ordering::Relaxed) {
            0..3 => Err(Error::<CallError>::Contended),
            attempt => Ok(attempt),
        };
        assert_eq!(policy.run(attempt).await.unwrap(), 3);
        assert_eq!(announced.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn retries_end_with_the_timeout() {
        let result = fast(Duration::from_millis(20)).run(async || Err::<(), _>(Error::<CallError>::Contended)).await;
        assert!(matches!(result, Err(Error::Contended)));
    }

    #[tokio::test]
    async fn an_attempt_without_an_end_is_given_up() {
        let policy =
            RetryPolicy { attempt_timeout: Some(Duration::from_millis(10)), ..fast(Duration::from_millis(20)) };
        let result = policy.run(async || std::future::pending::<Result<(), Error<CallError>>>().await).await;
        assert!(matches!(result, Err(error) if error.is_retryable()));
    }

    #[tokio::test]
    async fn an_attempt_that_is_given_up_holds_nothing_during_the_pause() {
        let mut policy =
            RetryPolicy { attempt_timeout: Some(Duration::from_millis(10)), ..fast(Duration::from_secs(60)) };
        let lock = Arc::new(tokio::sync::Mutex::new(0));
        let held = Arc::clone(&lock);
        policy.on_retry(Arc::new(move |_| assert!(held.try_lock().is_ok(), "the attempt still holds its lock")));
        let attempt = async || {
            let mut attempts = lock.lock().await;
            *attempts += 1;
            if *attempts < 3 {
                std::future::pending::<()>().await;
            }
            Ok::<_, Error<CallError>>(*attempts)
        };
        assert_eq!(policy.run(attempt).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn rejections_are_not_retried() {
        let mut policy = fast(Duration::from_secs(60));
        policy.on_retry(Arc::new(|error| panic!("retried: {error}")));
        let result = policy.run(async || Err::<(), _>(Error::Rejected(CallError::NoModel))).await;
        assert!(matches!(result, Err(Error::Rejected(CallError::NoModel))));
    }
}
