//! The digest of a contiguous range of events.

use crate::event::RecordedEvent;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

/// Computes the digest of events in order, and checks that they are contiguous and intact.
#[derive(Clone, Default)]
pub(super) struct EventDigest {
    content: Sha256,
    places: Sha256,
    first: Option<(u64, DateTime<Utc>)>,
    last: Option<(u64, DateTime<Utc>)>,
}

/// The digest of all events of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventSums {
    /// The position and the time of the first event.
    pub(super) first: (u64, DateTime<Utc>),
    /// The position and the time of the last event.
    pub(super) last: (u64, DateTime<Utc>),
    pub(super) content_sha256: Vec<u8>,
    pub(super) places_sha256: Vec<u8>,
}

impl EventDigest {
    /// Adds the next event, or says what is wrong with it.
    pub(super) fn push(&mut self, event: &RecordedEvent) -> Result<(), String> {
        let position = event.position.get();
        if let Some((last, last_time)) = self.last {
            if position != last + 1 {
                return Err(format!("position {position} follows position {last}"));
            }
            if event.recorded_at < last_time {
                return Err(format!("position {position} was recorded before its predecessor"));
            }
        }
        if !event.content_is_intact() {
            return Err(format!("the content of position {position} does not have the hash stored at its append"));
        }
        self.content.update(&event.content_hash);
        self.places.update(position.to_be_bytes());
        self.places.update(event.version.get().to_be_bytes());
        self.places.update(event.recorded_at.timestamp_micros().to_be_bytes());
        self.first.get_or_insert((position, event.recorded_at));
        self.last = Some((position, event.recorded_at));
        Ok(())
    }

    /// The digest of the events added so far; none if there were none.
    pub(super) fn sums(self) -> Option<EventSums> {
        Some(EventSums {
            first: self.first?,
            last: self.last?,
            content_sha256: self.content.finalize().to_vec(),
            places_sha256: self.places.finalize().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;

    fn sums(events: &[RecordedEvent]) -> Result<Option<EventSums>, String> {
        let mut digest = EventDigest::default();
        events.iter().try_for_each(|event| digest.push(event))?;
        Ok(digest.sums())
    }

    #[test]
    fn the_digest_names_the_first_and_the_last_event() {
        let sums = sums(&[event(5), event(6), event(7)]).unwrap().unwrap();
        assert_eq!(sums.first, (5, event(5).recorded_at));
        assert_eq!(sums.last, (7, event(7).recorded_at));
    }

    #[test]
    fn an_empty_range_has_no_digest() {
        assert_eq!(sums(&[]), Ok(None));
    }

    #[test]
    fn a_gap_a_repetition_and_a_time_that_decreases_are_errors() {
        assert!(sums(&[event(5), event(7)]).is_err());
        assert!(sums(&[event(5), event(5)]).is_err());
        let early = RecordedEvent { recorded_at: event(4).recorded_at, ..event(6) };
        assert!(sums(&[event(5), early]).is_err());
    }

    #[test]
    fn changed_content_is_an_error() {
        let changed = RecordedEvent { payload: "{}".to_owned(), ..event(5) };
        assert!(sums(&[changed]).is_err());
    }

    #[test]
    fn the_digest_covers_versions_and_times_beside_the_content() {
        let original = sums(&[event(5)]).unwrap().unwrap();
        let version = RecordedEvent { version: 2.into(), ..event(5) };
        let time = RecordedEvent { recorded_at: event(6).recorded_at, ..event(5) };
        for changed in [version, time] {
            let changed = sums(&[changed]).unwrap().unwrap();
            assert_eq!(changed.content_sha256, original.content_sha256);
            assert_ne!(changed.places_sha256, original.places_sha256);
        }
    }
}
