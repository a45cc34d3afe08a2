//! Log lines about credentials, of which clients could cause any number.

use crate::error::IdentityError;
use moka::sync::Cache;
use std::time::Duration;

/// How long a cause is not logged again.
const INTERVAL: Duration = Duration::from_secs(10);
/// The maximum number of causes that are remembered.
const MAX_CAUSES: u64 = 100;

/// Logs each cause at most once per interval. A cause is the text of an error.
pub(crate) struct ThrottledError {
    logged: Cache<String, ()>,
}

impl Default for ThrottledError {
    fn default() -> Self {
        Self { logged: Cache::builder().max_capacity(MAX_CAUSES).time_to_live(INTERVAL).build() }
    }
}

impl ThrottledError {
    /// Logs that a credential cannot be checked, unless the same was logged within the interval. Returns whether it was
    /// logged now.
    pub(crate) fn log(&self, error: &IdentityError) -> bool {
        let is_new = self.logged.entry(error.to_string()).or_insert(()).is_fresh();
        if is_new {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "credentials cannot be checked; the same error is not logged again for 10 s");
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_logged_once_per_interval() {
        let throttled = ThrottledError::default();
        assert!(throttled.log(&IdentityError::Unreadable));
        assert!(!throttled.log(&IdentityError::Unreadable));
        assert!(throttled.log(&IdentityError::Timeout(Duration::from_secs(1))), "another cause was not logged");
        assert!(!throttled.log(&IdentityError::Unreadable));
    }
}
