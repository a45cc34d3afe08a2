//! When keys were last used, to the hour: written at most once an hour and key, outside of requests.

use chrono::{DateTime, Utc};
use domain::ApiKeyId;
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// The maximum number of uses that wait to be written. Further ones are noted at the next use of their key.
const MAX_PENDING: usize = 10_000;
/// The maximum number of keys whose last hour of use is remembered, so that it is not written again.
const MAX_NOTED: u64 = 200_000;
const HOUR_SECONDS: i64 = 3600;

/// The uses of keys that are still to be written.
pub(crate) struct Uses {
    noted: Cache<ApiKeyId, DateTime<Utc>>,
    pending: Mutex<HashMap<Uuid, DateTime<Utc>>>,
}

impl Default for Uses {
    fn default() -> Self {
        Self { noted: Cache::builder().max_capacity(MAX_NOTED).build(), pending: Mutex::default() }
    }
}

/// The hour that a time is in, in UTC.
fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = at.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(HOUR_SECONDS), 0).unwrap_or(at)
}

impl Uses {
    /// Notes that a key was used at a time.
    pub(crate) fn note(&self, id: ApiKeyId, at: DateTime<Utc>) {
        let hour = hour_of(at);
        if self.noted.get(&id) == Some(hour) {
            return;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() < MAX_PENDING || pending.contains_key(&id.0) {
            pending.insert(id.0, hour);
            self.noted.insert(id, hour);
        }
    }

    /// Takes the uses that are to be written: keys with the hour.
    pub(crate) fn take(&self) -> HashMap<Uuid, DateTime<Utc>> {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes uses back that could not be written.
    pub(crate) fn put_back(&self, uses: HashMap<Uuid, DateTime<Utc>>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, hour) in uses {
            // A key may have been used again meanwhile.
            pending.entry(id).or_insert(hour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_006_400 + minute * 60, 0).unwrap()
    }

    #[test]
    fn each_hour_of_use_is_written_once() {
        let (uses, id) = (Uses::default(), ApiKeyId(Uuid::from_u128(1)));
        uses.note(id, at(0));
        uses.note(id, at(59));
        assert_eq!(uses.take(), [(id.0, at(0))].into());
        uses.note(id, at(59));
        assert!(uses.take().is_empty());
        // A minute later it is another hour.
        uses.note(id, at(60));
        assert_eq!(uses.take(), [(id.0, at(60))].into());
    }

    #[test]
    fn uses_that_were_not_written_wait_behind_newer_ones() {
        let (uses, id) = (Uses::default(), ApiKeyId(Uuid::from_u128(1)));
        uses.note(id, at(0));
        let taken = uses.take();
        uses.put_back(taken.clone());
        assert_eq!(uses.take(), taken);
        uses.note(id, at(60));
        uses.put_back(taken);
        assert_eq!(uses.take(), [(id.0, at(60))].into());
    }

    #[test]
    fn uses_that_wait_are_bounded_and_noted_later() {
        let uses = Uses::default();
        let id = |number: usize| ApiKeyId(Uuid::from_u128(number as u128));
        (0..=MAX_PENDING).for_each(|number| uses.note(id(number), at(0)));
        assert_eq!(uses.take().len(), MAX_PENDING);
        uses.note(id(MAX_PENDING), at(0));
        assert_eq!(uses.take(), [(id(MAX_PENDING).0, at(0))].into());
    }
}
