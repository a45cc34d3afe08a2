//! The count of open subscriptions and event streams.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open subscriptions by whose they are: at most one entry for each that is open, and scope.
#[derive(Debug)]
pub(super) struct OpenCounts<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for OpenCounts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> OpenCounts<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number that is open.
    pub(super) fn count(&self, key: &K) -> u32 {
        self.lock().get(key).copied().unwrap_or_default()
    }

    /// Opens one under each key, or fails with the first key whose limit is reached and opens none. Without a limit they
    /// are counted too, because one may be set while they are open.
    pub(super) fn try_open<const N: usize>(
        self: &Arc<Self>,
        limits: [(K, Option<u32>); N],
    ) -> Result<OpenSubscription, usize> {
        let mut open = self.lock();
        let is_full = |(key, limit): &(K, Option<u32>)| {
            limit.is_some_and(|limit| open.get(key).copied().unwrap_or_default() >= limit)
        };
        if let Some(full) = limits.iter().position(is_full) {
            return Err(full);
        }
        let keys = limits.map(|(key, _)| key);
        for key in &keys {
            *open.entry(key.clone()).or_default() += 1;
        }
        let counts = self.clone();
        Ok(OpenSubscription { close: Some(Box::new(move || keys.iter().for_each(|key| counts.close(key)))) })
    }

    fn close(&self, key: &K) {
        let mut open = self.lock();
        match open.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => _ = open.remove(key),
        }
    }
}

/// Counts as an open subscription until it is dropped.
pub(crate) struct OpenSubscription {
    close: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Drop for OpenSubscription {
    fn drop(&mut self) {
        if let Some(close) = self.close.take() {
            close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_count_while_they_are_open() {
        let counts = Arc::new(OpenCounts::<&str>::default());
        let open = |limit| counts.try_open([("key", Some(1)), ("tenant", limit)]);
        let first = open(Some(2)).map_err(drop).unwrap();
        assert_eq!(open(Some(2)).err(), Some(0), "the key has one");
        let unlimited = counts.try_open([("other", None), ("tenant", Some(2))]).map_err(drop).unwrap();
        let full = counts.try_open([("third", None), ("tenant", Some(2))]);
        assert_eq!(full.err(), Some(1));
        assert_eq!((counts.count(&"tenant"), counts.count(&"third")), (2, 0), "a refusal opens none");
        drop((first, unlimited));
        assert!(counts.lock().is_empty(), "an entry outlives its subscriptions");
    }
}
