//! Constants that the relay and the state relays share.

use std::time::Duration;

/// The key of the relay's advisory lock: "apexrely" as a number.
pub(super) const LOCK_KEY: i64 = 0x6170_6578_7265_6c79;
/// How many events are read at once.
pub(super) const PAGE_EVENTS: usize = 1000;
/// How often a relay that advances no checkpoint verifies it, which also keeps its session from being idle.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// The delay after a failure.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(1);
