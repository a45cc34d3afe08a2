//! Records of who used which credential from where, what was refused, and who read texts: noted in memory by requests, and
//! written to the access logs of the tenants beside them.

mod origins;
mod pending;
mod writer;

pub use origins::KnownOrigin;
pub(crate) use origins::read_origins;
pub use pending::Refusal;

use crate::client::Client;
use chrono::{DateTime, Utc};
use commands::{Principal, Subject, current_trace_id};
use domain::{SessionId, TenantId, UserId};
use moka::sync::Cache;
use pending::{Pending, Record};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;
use writer::Batch;
pub use writer::record_export;

/// What the access log calls an export of the access review.
pub const ACCESS_REVIEW: &str = "access_review";

/// The maximum number of pairs of credential and origin that are known to be recorded.
const MAX_KNOWN_USES: u64 = 100_000;
/// The maximum number of new origins of one credential that are recorded in an hour and process: a client can change what it
/// says of itself with each request. The log of the process says that there were more.
const MAX_ORIGINS_IN_HOUR: usize = 20;
/// The maximum number of subjects whose last hour of reading texts, or of an export, is remembered.
const MAX_KNOWN_READERS: u64 = 100_000;

/// Texts that a person read.
#[derive(Debug, Clone)]
pub struct ContentsRead<'a> {
    /// Where the request came from.
    pub client: Client,
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
    uses: Cache<(Uuid, Client), ()>,
    /// How many origins of a credential were noted in an hour.
    origins_in_hour: Cache<(Uuid, i64), usize>,
    /// The last hour in which someone's reading of texts was recorded.
    readers: Cache<(TenantId, String), i64>,
    /// The last hour in which someone's export of some data was recorded.
    exporters: Cache<(TenantId, String, &'static str), i64>,
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
            origins_in_hour: Cache::new(MAX_KNOWN_USES),
            readers: Cache::new(MAX_KNOWN_READERS),
            exporters: Cache::new(MAX_KNOWN_READERS),
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
    pub fn used(&self, principal: &Principal, client: &Client, at: DateTime<Utc>) {
        let Some(credential) = credential_of(principal) else { return };
        let known = (credential, client.clone());
        if self.0.uses.contains_key(&known) {
            return;
        }
        let hour = (credential, at.timestamp().div_euclid(3600));
        let origins = self.0.origins_in_hour.get(&hour).unwrap_or(0);
        if origins >= MAX_ORIGINS_IN_HOUR {
            return;
        }
        self.0.origins_in_hour.insert(hour, origins + 1);
        if origins + 1 == MAX_ORIGINS_IN_HOUR {
            tracing::warn!(
                %credential,
                origins = MAX_ORIGINS_IN_HOUR,
                "a credential is used from many origins: further ones are not recorded within the hour"
            );
        }
        self.0.uses.insert(known, ());
        let (tenant, subject, client) = (principal.tenant().clone(), principal.actor(), client.clone());
        self.pending().wait(Record::Used { tenant, credential, subject, client, at });
    }

    /// Notes that a user signed in.
    pub(crate) fn signed_in(
        &self,
        tenant: &TenantId,
        (user, session): (UserId, SessionId),
        client: &Client,
        at: DateTime<Utc>,
    ) {
        let (tenant, client, trace_id) = (tenant.clone(), client.clone(), current_trace_id());
        self.pending().wait(Record::SignedIn { tenant, user, session, client, trace_id, at });
    }

    /// Notes that a principal exports data of its tenant. The first time of an hour is recorded for each kind of data.
    pub fn exported(&self, principal: &Principal, data: &'static str, client: &Client, at: DateTime<Utc>) {
        let (tenant, subject) = (principal.tenant().clone(), principal.actor());
        let (known, hour) = ((tenant.clone(), subject.clone(), data), at.timestamp().div_euclid(3600));
        if self.0.exporters.get(&known) == Some(hour) {
            return;
        }
        self.0.exporters.insert(known, hour);
        let (client, trace_id) = (client.clone(), current_trace_id());
        self.pending().wait(Record::Exported { tenant, subject, data, client, trace_id, at });
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
        let ContentsRead { client, operation, trace_id } = read;
        let operation = operation.map(str::to_owned);
        self.pending().wait(Record::Read { tenant, subject, client, operation, trace_id, at });
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

/// Whether a principal is a person. Holders of shared tokens are not told apart: nothing proves the name that they declare.
fn is_person(principal: &Principal) -> bool {
    match principal.subject() {
        Subject::User { .. } => true,
        Subject::SharedToken { .. } | Subject::ServiceAccount { .. } | Subject::CommandLine | Subject::Component(_) => {
            false
        }
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
        let origin = |last: u8, device| Client::new(Some([192, 0, 2, last].into()), Some(device));
        for (id, origin) in
            [(1, origin(1, "a")), (1, origin(1, "a")), (1, origin(2, "a")), (1, origin(1, "b")), (2, origin(1, "a"))]
        {
            recorder.used(&key(id), &origin, now);
        }
        recorder.used(&Principal::command_line("acme".parse().unwrap()), &Client::default(), now);
        assert_eq!(recorder.pending().take(now, false).len(), 4);
    }

    #[test]
    fn a_client_that_changes_its_device_with_each_request_does_not_fill_the_log() {
        let (recorder, at) = (AccessRecorder::default(), DateTime::from_timestamp(1_700_006_400, 0).unwrap());
        for device in 0..MAX_ORIGINS_IN_HOUR + 50 {
            recorder.used(&key(1), &Client::new(None, Some(&device.to_string())), at);
        }
        assert_eq!(recorder.pending().take(at, false).len(), MAX_ORIGINS_IN_HOUR);
        recorder.used(&key(2), &Client::new(None, Some("x")), at);
        recorder.used(&key(1), &Client::new(None, Some("y")), at + chrono::TimeDelta::hours(1));
        assert_eq!(recorder.pending().take(at, false).len(), 2);
    }

    #[test]
    fn reading_texts_is_noted_once_an_hour_for_people_only() {
        let recorder = AccessRecorder::default();
        let at = |minute: i64| DateTime::from_timestamp(1_700_006_400 + minute * 60, 0).unwrap();
        let read = || ContentsRead { client: Client::default(), operation: Some("Memories"), trace_id: None };
        let (user, session) = (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
        let person = Principal::user("acme".parse().unwrap(), user, session, PermissionSet::default());
        for minute in [0, 1, 59, 60] {
            recorder.read_contents(&person, read(), at(minute));
            recorder.read_contents(&key(1), read(), at(minute));
        }
        assert_eq!(recorder.pending().take(at(60), false).len(), 2);
    }

    #[test]
    fn an_export_is_noted_once_an_hour_for_each_kind_of_data() {
        let (recorder, client) = (AccessRecorder::default(), Client::default());
        let at = |minute: i64| DateTime::from_timestamp(1_700_006_400 + minute * 60, 0).unwrap();
        for (minute, data) in [(0, "events"), (1, "events"), (2, "archive"), (60, "events")] {
            recorder.exported(&key(1), data, &client, at(minute));
        }
        recorder.exported(&key(2), "events", &client, at(0));
        assert_eq!(recorder.pending().take(at(60), false).len(), 4);
    }
}
