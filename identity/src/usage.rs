//! When keys were last used, to the hour: written at most once an hour and key, outside of requests.

use domain::ApiKeyId;
use moka::sync::Cache;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// The maximum number of uses that wait to be written. Further ones are noted at the next use of their key.
const MAX_PENDING: usize = 10_000;
/// The maximum number of keys whose use is remembered, so that it is not written again.
const MAX_NOTED: u64 = 200_000;
/// How long a use is remembered: shorter than an hour, so that every hour of use is written.
const NOTED_FOR: Duration = Duration::from_mins(20);

/// The uses of keys that are still to be written.
pub(crate) struct Uses {
    noted: Cache<ApiKeyId, ()>,
    pending: Mutex<HashSet<Uuid>>,
}

impl Default for Uses {
    fn default() -> Self {
        let noted = Cache::builder().max_capacity(MAX_NOTED).time_to_live(NOTED_FOR).build();
        Self { noted, pending: Mutex::default() }
    }
}

impl Uses {
    /// Notes that a key was used.
    pub(crate) fn note(&self, id: ApiKeyId) {
        if self.noted.contains_key(&id) {
            return;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() < MAX_PENDING {
            pending.insert(id.0);
            self.noted.insert(id, ());
        }
    }

    /// Takes the uses that are to be written.
    pub(crate) fn take(&self) -> Vec<Uuid> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Takes uses back that could not be written.
    pub(crate) fn put_back(&self, uses: Vec<Uuid>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.extend(uses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_once() {
        let (uses, id) = (Uses::default(), ApiKeyId(Uuid::from_u128(1)));
        uses.note(id);
        uses.note(id);
        assert_eq!(uses.take(), [id.0]);
        uses.note(id);
        assert!(uses.take().is_empty());
        uses.put_back(vec![id.0]);
        assert_eq!(uses.take(), [id.0]);
    }

    #[test]
    fn uses_that_wait_are_bounded_and_noted_later() {
        let uses = Uses::default();
        let id = |number: usize| ApiKeyId(Uuid::from_u128(number as u128));
        (0..=MAX_PENDING).for_each(|number| uses.note(id(number)));
        assert_eq!(uses.take().len(), MAX_PENDING);
        uses.note(id(MAX_PENDING));
        assert_eq!(uses.take(), [id(MAX_PENDING).0]);
    }
}
