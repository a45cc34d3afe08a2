//! Records of who used which credential from where, what was refused, and who read texts: noted in memory by requests, and
//! written to the access logs of the tenants beside them.

mod origins;
mod pending;
mod writer;

pub use origins::KnownOrigin;
pub(crate) use origins::read_origins;
pub use pending::Refusal;

use chrono::{DateTime, Utc};
use commands::{Principal, Subject};
use domain::TenantId;
use moka::sync::Cache;
use pending::{Pending, Record};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;
use writer::Batch;

/// The maximum length of the name of a device, in bytes. Longer ones are cut.
const MAX_DEVICE_BYTES: usize = 200;
/// The maximum number of pairs of credential and origin that are known to be recorded.
const MAX_KNOWN_USES: u64 = 100_000;
/// The maximum number of people whose last hour of reading texts is remembered.
const MAX_KNOWN_READERS: u64 = 100_000;

/// Where a request comes from: the address of its client, and what the client says it is. Both are personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RequestOrigin {
    address: Option<IpAddr>,
    device: Option<String>,
}

impl RequestOrigin {
    /// The origin of a request from an address, with its `User-Agent`.
    #[must_use]
    pub fn new(address: Option<IpAddr>, device: Option<&str>) -> Self {
        let device = device.map(|device| {
            // A header may have any bytes; what is stored is visible text.
            let text: String = device.chars().filter(|c| !c.is_control()).collect();
            text[..text.floor_char_boundary(MAX_DEVICE_BYTES)].to_owned()
        });
        Self { address: address.map(|address| address.to_canonical()), device: device.filter(|text| !text.is_empty()) }
    }

    fn is_unknown(&self) -> bool {
        self.address.is_none() && self.device.is_none()
    }
}

/// Texts that a person read.
#[derive(Debug, Clone)]
pub struct ContentsRead<'a> {
    /// Where the request came from.
    pub origin: RequestOrigin,
    /// The name of the GraphQL operation.
    pub operation: Option<&'a str>,
    /// The id of the trace of the request.
    pub trace_id: Option<String>,
}

struct Shared {
    pending: Mutex<Pending>,
    /// What could not be written yet, under the ids under which it is tried again.
    unsent: Mutex<Vec<Batch>>,
    /// The pairs of credential and origin that are recorded, or wait to be.
    uses: Cache<(Uuid, RequestOrigin), ()>,
    /// The last hour in which someone's reading of texts was recorded.
    readers: Cache<(TenantId, String), i64>,
}

/// Notes what access logs record. Noting takes no input or output; cheap to clone.
#[derive(Clone)]
pub struct AccessRecorder(Arc<Shared>);

impl Default for AccessRecorder {
    fn default() -> Self {
        Self(Arc::new(Shared {
            pending: Mutex::default(),
            unsent: Mutex::default(),
            uses: Cache::new(MAX_KNOWN_USES),
            readers: Cache::new(MAX_KNOWN_READERS),
        }))
    }
}

impl AccessRecorder {
    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request was refused.
    pub fn refused(&self, refusal: Refusal, at: DateTime<Utc>) {
        self.pending().refused(refusal, at);
    }

    /// Notes that a credential of one subject was used. Shared tokens, the command line and components are not recorded: they
    /// name nobody.
    pub fn used(&self, principal: &Principal, origin: &RequestOrigin, at: DateTime<Utc>) {
        let Some(credential) = credential_of(principal) else { return };
        let known = (credential, origin.clone());
        if self.0.uses.contains_key(&known) {
            return;
        }
        self.0.uses.insert(known, ());
        let (tenant, subject, origin) = (principal.tenant().clone(), principal.actor(), origin.clone());
        self.pending().wait(Record::Used { tenant, credential, subject, origin, at });
    }

    /// Notes that texts were read, if a person read them. The first time of an hour is recorded.
    pub fn read_contents(&self, principal: &Principal, read: ContentsRead<'_>, at: DateTime<Utc>) {
        if !is_person(principal) {
            return;
        }
        let (tenant, subject) = (principal.tenant().clone(), principal.actor());
        let (known, hour) = ((tenant.clone(), subject.clone()), at.timestamp().div_euclid(3600));
        if self.0.readers.get(&known) == Some(hour) {
            return;
        }
        self.0.readers.insert(known, hour);
        let ContentsRead { origin, operation, trace_id } = read;
        let operation = operation.map(str::to_owned);
        self.pending().wait(Record::Read { tenant, subject, origin, operation, trace_id, at });
    }
}

/// The id of the credential of a principal that is one subject's own.
fn credential_of(principal: &Principal) -> Option<Uuid> {
    match principal.subject() {
        Subject::ServiceAccount { key, .. } => Some(key.0),
        Subject::User { session, .. } => Some(session.0),
        Subject::SharedToken { .. } | Subject::CommandLine | Subject::Component(_) => None,
    }
}

/// Whether a principal may be a person. The holder of a shared token may be one.
fn is_person(principal: &Principal) -> bool {
    match principal.subject() {
        Subject::SharedToken { .. } | Subject::User { .. } => true,
        Subject::ServiceAccount { .. } | Subject::CommandLine | Subject::Component(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::permissions::{PermissionSet, Scopes};
    use domain::{ApiKeyId, ServiceAccountId};

    fn key(id: u128) -> Principal {
        let (account, key) = (ServiceAccountId(Uuid::nil()), ApiKeyId(Uuid::from_u128(id)));
        let tenant = "acme".parse().unwrap();
        Principal::service_account(tenant, account, key, PermissionSet::default(), Scopes::All, None)
    }

    #[test]
    fn the_use_of_a_key_is_noted_once_for_each_origin() {
        let (recorder, now) = (AccessRecorder::default(), Utc::now());
        let origin = |last: u8, device| RequestOrigin::new(Some([192, 0, 2, last].into()), Some(device));
        for (id, origin) in
            [(1, origin(1, "a")), (1, origin(1, "a")), (1, origin(2, "a")), (1, origin(1, "b")), (2, origin(1, "a"))]
        {
            recorder.used(&key(id), &origin, now);
        }
        recorder.used(&Principal::command_line("acme".parse().unwrap()), &RequestOrigin::default(), now);
        assert_eq!(recorder.pending().take(now, false).len(), 4);
    }

    #[test]
    fn reading_texts_is_noted_once_an_hour_for_people_only() {
        let recorder = AccessRecorder::default();
        let at = |minute: i64| DateTime::from_timestamp(1_700_006_400 + minute * 60, 0).unwrap();
        let read = || ContentsRead { origin: RequestOrigin::default(), operation: Some("Memories"), trace_id: None };
        let person =
            Principal::shared_token("acme".parse().unwrap(), domain::Name::new("ada").unwrap(), vec![], Scopes::All);
        let person = person.unwrap();
        for minute in [0, 1, 59, 60] {
            recorder.read_contents(&person, read(), at(minute));
            recorder.read_contents(&key(1), read(), at(minute));
        }
        assert_eq!(recorder.pending().take(at(60), false).len(), 2);
    }

    #[test]
    fn a_device_is_bounded_visible_text() {
        let origin = RequestOrigin::new(None, Some(&format!("a\u{7}b{}", "é".repeat(200))));
        assert_eq!(origin.device.as_ref().map(String::len), Some(MAX_DEVICE_BYTES));
        assert!(origin.device.unwrap().starts_with("abé"));
        assert!(RequestOrigin::new(None, Some("\n")).is_unknown());
        let mapped = RequestOrigin::new(Some("::ffff:192.0.2.1".parse().unwrap()), None);
        assert_eq!(mapped, RequestOrigin::new(Some("192.0.2.1".parse().unwrap()), None));
    }
}
