//! Waiting for a condition, by polling it.

use std::time::{Duration, Instant};

/// How long a test waits for something that must happen: long enough for a machine that is busy with something else.
pub const TIMEOUT: Duration = Duration::from_mins(2);
/// How often a condition is polled.
pub const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Polls a condition until it holds.
///
/// # Panics
/// If it does not hold within [`TIMEOUT`]. `what` describes the condition in the message.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds().await {
        assert!(Instant::now() < deadline, "timed out after {TIMEOUT:?}, waiting until {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
