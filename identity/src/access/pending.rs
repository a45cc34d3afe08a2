//! What waits to be written to access logs, in memory and bounded. Refusals are counted by subject or address, reason and
//! minute, so that a stranger cannot fill the log.

use crate::client::Client;
use chrono::{DateTime, Utc};
use domain::access_log::RefusalReason;
use domain::permissions::Permission;
use domain::{SessionId, TenantId, UserId};
use std::collections::HashMap;
use std::net::IpAddr;
use uuid::Uuid;

/// The maximum number of subjects, and of addresses, whose refusals are counted apart in a minute. Those of all others are
/// counted together, by tenant and reason. Apart from each other, so that strangers do not hide what subjects do.
const MAX_COUNTED_APART: usize = 200;
/// The maximum number of subjects, and of addresses, that are counted apart in an hour, once for each minute and reason, so
/// that a long attack from many addresses does not fill the log.
const MAX_COUNTED_APART_IN_HOUR: usize = 2000;
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
    pub client: Client,
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
    Used { tenant: TenantId, credential: Uuid, subject: String, client: Client, at: DateTime<Utc> },
    /// A user signed in.
    SignedIn {
        tenant: TenantId,
        user: UserId,
        session: SessionId,
        client: Client,
        trace_id: Option<String>,
        at: DateTime<Utc>,
    },
    /// Data were exported.
    Exported {
        tenant: TenantId,
        subject: String,
        data: &'static str,
        client: Client,
        trace_id: Option<String>,
        at: DateTime<Utc>,
    },
    /// A person read texts.
    Read {
        tenant: TenantId,
        subject: String,
        client: Client,
        operation: Option<String>,
        trace_id: Option<String>,
        at: DateTime<Utc>,
    },
}

impl Record {
    pub(super) fn tenant(&self) -> &TenantId {
        match self {
            Self::Refused { refusal, .. } => &refusal.tenant,
            Self::Used { tenant, .. }
            | Self::SignedIn { tenant, .. }
            | Self::Exported { tenant, .. }
            | Self::Read { tenant, .. } => tenant,
        }
    }

    pub(super) fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Refused { first_at, .. } => *first_at,
            Self::Used { at, .. } | Self::SignedIn { at, .. } | Self::Exported { at, .. } | Self::Read { at, .. } => {
                *at
            }
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

/// How many subjects, or addresses, are counted apart.
#[derive(Default)]
struct Apart {
    /// Those of this minute, and of a minute before whose count was not taken yet.
    open: usize,
    hour: i64,
    in_hour: usize,
}

impl Apart {
    /// Takes the place of one more. Returns whether there was one.
    fn take(&mut self, at: DateTime<Utc>) -> bool {
        let hour = at.timestamp().div_euclid(3600);
        if self.hour != hour {
            (self.hour, self.in_hour) = (hour, 0);
        }
        let has_place = self.open < MAX_COUNTED_APART && self.in_hour < MAX_COUNTED_APART_IN_HOUR;
        if has_place {
            self.open += 1;
            self.in_hour += 1;
        }
        has_place
    }
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Pending {
    subjects: Apart,
    addresses: Apart,
    windows: HashMap<(TenantId, RefusalReason, Counted), Window>,
    waiting: Vec<Record>,
    /// The number of records that were dropped since it was last taken.
    dropped: u64,
}

fn minute_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

impl Pending {
    /// Where places of what refusals are counted by are taken; none for those that are counted together.
    fn apart(&mut self, counted: &Counted) -> Option<&mut Apart> {
        match counted {
            Counted::Subject(_) => Some(&mut self.subjects),
            Counted::Address(_) => Some(&mut self.addresses),
            Counted::Others => None,
        }
    }

    pub(super) fn refused(&mut self, mut refusal: Refusal, at: DateTime<Utc>) {
        let minute = minute_of(at);
        let counted = match &refusal.subject {
            Some(subject) => Counted::Subject(subject.clone()),
            // What a client says of itself changes as it likes.
            None => Counted::Address(refusal.client.address()),
        };
        let mut key = (refusal.tenant.clone(), refusal.reason, counted);
        self.end_window(&key, minute);
        if !self.windows.contains_key(&key) && !self.apart(&key.2).is_some_and(|apart| apart.take(at)) {
            key.2 = Counted::Others;
            self.end_window(&key, minute);
        }
        let is_of_several_origins = key.2 == Counted::Others;
        if is_of_several_origins {
            // It is one of many.
            (refusal.subject, refusal.permission, refusal.trace_id) = (None, None, None);
        }
        let Some(window) = self.windows.get_mut(&key) else {
            self.windows.insert(key, Window { minute, further: None });
            self.wait(Record::Refused { refusal, is_of_several_origins, count: 1, first_at: at, last_at: at });
            return;
        };
        match &mut window.further {
            Some(Record::Refused { refusal: known, is_of_several_origins, count, last_at, .. }) => {
                *is_of_several_origins |= known.client != refusal.client;
                *count += 1;
                *last_at = at.max(*last_at);
            }
            further => {
                let first = Record::Refused { refusal, is_of_several_origins, count: 1, first_at: at, last_at: at };
                *further = Some(first);
            }
        }
    }

    /// Ends a window if its minute has ended, so that a new one begins.
    fn end_window(&mut self, key: &(TenantId, RefusalReason, Counted), minute: i64) {
        if self.windows.get(key).is_none_or(|window| window.minute == minute) {
            return;
        }
        let ended = self.windows.remove(key);
        if let Some(apart) = self.apart(&key.2) {
            apart.open -= 1;
        }
        if let Some(record) = ended.and_then(|window| window.further) {
            self.wait(record);
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
        let ended: Vec<_> = self.windows.extract_if(|_, window| all || window.minute < minute).collect();
        for ((_, _, counted), window) in ended {
            if let Some(apart) = self.apart(&counted) {
                apart.open -= 1;
            }
            if let Some(record) = window.further {
                self.wait(record);
            }
        }
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
            client: Client::new(Some([192, 0, 2, address].into()), None),
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
                Record::Used { .. } | Record::SignedIn { .. } | Record::Exported { .. } | Record::Read { .. } => {
                    panic!("a refusal")
                }
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

    /// Strangers who use up the places of addresses do not hide which subject was refused.
    #[test]
    fn subjects_are_counted_apart_from_addresses() {
        let mut pending = Pending::default();
        for address in 0..=255 {
            pending.refused(refusal(None, address), at(0));
        }
        assert_eq!(pending.take(at(0), false).len(), MAX_COUNTED_APART + 1);
        pending.refused(refusal(Some("key"), 1), at(1));
        let records = pending.take(at(1), false);
        let is_whole = |record: &Record| matches!(record, Record::Refused { refusal, .. } if refusal.subject.as_deref() == Some("key"));
        assert!(records.len() == 1 && records.iter().all(is_whole), "{records:?}");
    }

    /// An attack of hours, from other addresses in each minute.
    #[test]
    fn a_long_attack_from_many_addresses_does_not_fill_the_log() {
        let mut pending = Pending::default();
        let (hours, a_minute) = (3, 1000);
        let (mut records, mut counted) = (0, 0);
        for minute in 0..hours * 60 {
            for stranger in 0..a_minute {
                let mut refused = refusal(None, 1);
                let address = u32::try_from(minute * a_minute + stranger).unwrap();
                refused.client = Client::new(Some(std::net::Ipv4Addr::from(address).into()), None);
                pending.refused(refused, at(minute * 60));
            }
            let taken = pending.take(at(minute * 60 + 59), false);
            records += taken.len();
            counted += counts(&taken).iter().map(|(count, ..)| count).sum::<u64>();
        }
        let last = pending.take(at(hours * 3600), true);
        records += last.len();
        counted += counts(&last).iter().map(|(count, ..)| count).sum::<u64>();
        assert_eq!(counted, u64::try_from(hours * 60 * a_minute).unwrap(), "a refusal is not counted");
        // The attack begins within an hour of the clock, so that it touches one more.
        let hours = usize::try_from(hours).unwrap();
        assert!(records <= (hours + 1) * MAX_COUNTED_APART_IN_HOUR + hours * 60 * 2, "{records} records");
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
