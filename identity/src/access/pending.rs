//! What waits to be written to access logs, in memory and bounded. Refusals are counted by subject or address, reason and
//! minute, so that a stranger cannot fill the log.

use super::RequestOrigin;
use chrono::{DateTime, Utc};
use domain::TenantId;
use domain::access_log::RefusalReason;
use domain::permissions::Permission;
use std::collections::HashMap;
use std::net::IpAddr;
use uuid::Uuid;

/// The maximum number of subjects and addresses whose refusals are counted apart in a minute. Those of all others are counted
/// together, by tenant and reason.
const MAX_COUNTED_APART: usize = 200;
/// The maximum number of records that wait, while the database does not answer. Further ones are dropped, and their number
/// is logged.
const MAX_WAITING: usize = 10_000;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The tenant in whose access log it is recorded.
    pub tenant: TenantId,
    /// Why it was refused.
    pub reason: RefusalReason,
    /// Who sent it, as in the metadata of events, if that is known.
    pub subject: Option<String>,
    /// Where it came from.
    pub origin: RequestOrigin,
    /// What would have allowed it.
    pub permission: Option<Permission>,
    /// The id of its trace.
    pub trace_id: Option<String>,
}

/// Something to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// Refusals that are alike.
    Refused {
        refusal: Refusal,
        is_of_several_origins: bool,
        count: u64,
        first_at: DateTime<Utc>,
        last_at: DateTime<Utc>,
    },
    /// The use of a credential.
    Used { tenant: TenantId, credential: Uuid, subject: String, origin: RequestOrigin, at: DateTime<Utc> },
    /// A person read texts.
    Read {
        tenant: TenantId,
        subject: String,
        origin: RequestOrigin,
        operation: Option<String>,
        trace_id: Option<String>,
        at: DateTime<Utc>,
    },
}

impl Record {
    pub(super) fn tenant(&self) -> &TenantId {
        match self {
            Self::Refused { refusal, .. } => &refusal.tenant,
            Self::Used { tenant, .. } | Self::Read { tenant, .. } => tenant,
        }
    }

    pub(super) fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Refused { first_at, .. } => *first_at,
            Self::Used { at, .. } | Self::Read { at, .. } => *at,
        }
    }
}

/// What refusals are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Subject(String),
    Address(Option<IpAddr>),
    Others,
}

/// The refusals of a minute after the first one.
struct Window {
    minute: i64,
    further: Option<Record>,
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Pending {
    windows: HashMap<(TenantId, RefusalReason, Counted), Window>,
    waiting: Vec<Record>,
    /// The number of records that were dropped since it was last taken.
    dropped: u64,
}

fn minute_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

impl Pending {
    pub(super) fn refused(&mut self, refusal: Refusal, at: DateTime<Utc>) {
        let counted = match &refusal.subject {
            Some(subject) => Counted::Subject(subject.clone()),
            // What a client says of itself changes as it likes.
            None => Counted::Address(refusal.origin.address),
        };
        let mut key = (refusal.tenant.clone(), refusal.reason, counted);
        if !self.windows.contains_key(&key) && self.windows.len() >= MAX_COUNTED_APART {
            key.2 = Counted::Others;
        }
        let is_of_several_origins = key.2 == Counted::Others;
        let mut refusal = refusal;
        if is_of_several_origins {
            // It is one of many.
            (refusal.subject, refusal.permission, refusal.trace_id) = (None, None, None);
        }
        let first = Record::Refused { refusal, is_of_several_origins, count: 1, first_at: at, last_at: at };
        let minute = minute_of(at);
        match self.windows.get_mut(&key) {
            Some(window) if window.minute == minute => match &mut window.further {
                Some(Record::Refused { refusal, is_of_several_origins, count, last_at, .. }) => {
                    let Record::Refused { refusal: other, .. } = &first else { return };
                    *is_of_several_origins |= refusal.origin != other.origin;
                    *count += 1;
                    *last_at = at.max(*last_at);
                }
                further => *further = Some(first),
            },
            _ => {
                let ended = self.windows.insert(key, Window { minute, further: None });
                if let Some(record) = ended.and_then(|window| window.further) {
                    self.wait(record);
                }
                self.wait(first);
            }
        }
    }

    /// Adds a record that is written with the next ones.
    pub(super) fn wait(&mut self, record: Record) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(record);
        } else {
            self.dropped += 1;
        }
    }

    /// Takes what is to be written now: everything but the refusals of this minute after the first ones. With `all`, those
    /// too.
    pub(super) fn take(&mut self, now: DateTime<Utc>, all: bool) -> Vec<Record> {
        let minute = minute_of(now);
        let ended = self.windows.extract_if(|_, window| all || window.minute < minute);
        let further: Vec<_> = ended.filter_map(|(_, window)| window.further).collect();
        further.into_iter().for_each(|record| self.wait(record));
        std::mem::take(&mut self.waiting)
    }

    /// Takes the number of dropped records.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_040 + second, 0).unwrap()
    }

    fn refusal(subject: Option<&str>, address: u8) -> Refusal {
        Refusal {
            tenant: "acme".parse().unwrap(),
            reason: RefusalReason::InvalidCredential,
            subject: subject.map(str::to_owned),
            origin: RequestOrigin::new(Some([192, 0, 2, address].into()), None),
            permission: None,
            trace_id: None,
        }
    }

    /// The count, and the seconds of the first and last refusal, of each record.
    fn counts(records: &[Record]) -> Vec<(u64, i64, i64)> {
        let start = at(0).timestamp();
        let mut counts: Vec<_> = records
            .iter()
            .map(|record| match record {
                Record::Refused { count, first_at, last_at, .. } => {
                    (*count, first_at.timestamp() - start, last_at.timestamp() - start)
                }
                Record::Used { .. } | Record::Read { .. } => panic!("a refusal"),
            })
            .collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn the_first_refusal_of_a_minute_is_a_record_and_all_others_are_one() {
        let mut pending = Pending::default();
        (0..10).for_each(|second| pending.refused(refusal(None, 1), at(second)));
        pending.refused(refusal(None, 2), at(10));
        assert_eq!(counts(&pending.take(at(11), false)), [(1, 0, 0), (1, 10, 10)]);
        assert_eq!(counts(&pending.take(at(59), false)), []);
        assert_eq!(counts(&pending.take(at(60), false)), [(9, 1, 9)]);
        assert_eq!(counts(&pending.take(at(120), true)), []);
    }

    #[test]
    fn a_refusal_in_the_next_minute_ends_the_count_of_the_one_before() {
        let mut pending = Pending::default();
        [0, 1, 2, 61, 62].into_iter().for_each(|second| pending.refused(refusal(Some("key"), 1), at(second)));
        assert_eq!(counts(&pending.take(at(62), true)), [(1, 0, 0), (1, 61, 61), (1, 62, 62), (2, 1, 2)]);
    }

    #[test]
    fn a_subject_is_counted_once_whatever_its_origins() {
        let mut pending = Pending::default();
        (0..5).for_each(|address| pending.refused(refusal(Some("key"), address), at(0)));
        assert_eq!(counts(&pending.take(at(0), true)), [(1, 0, 0), (4, 0, 0)]);
    }

    #[test]
    fn strangers_beyond_the_limit_are_counted_together_and_none_is_lost() {
        let mut pending = Pending::default();
        let strangers = MAX_COUNTED_APART as u64 + 500;
        for stranger in 0..strangers {
            pending.refused(refusal(Some(&stranger.to_string()), 1), at(0));
        }
        let records = pending.take(at(0), true);
        assert_eq!(records.len(), MAX_COUNTED_APART + 2);
        assert_eq!(counts(&records).iter().map(|(count, ..)| count).sum::<u64>(), strangers);
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_dropped_is_counted() {
        let mut pending = Pending::default();
        for minute in 0..=i64::try_from(MAX_WAITING).unwrap() {
            pending.refused(refusal(None, 1), at(minute * 60));
        }
        assert_eq!(
            (pending.take(at(0), true).len(), pending.take_dropped(), pending.take_dropped()),
            (MAX_WAITING, 1, 0)
        );
    }
}
