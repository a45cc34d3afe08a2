//! The access log of a tenant: who signed in, which credential was used from where, what was refused, what was exported, and
//! which texts people read.
//!
//! Each day (UTC) has a stream of its own, to which every process appends. Nothing is decided from it. Who did something is
//! named as in the metadata of events; addresses and devices are stored beside the log, where they can be deleted, and
//! events have the id of the origin.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{OriginId, SessionId, UserId, derived_id};
use crate::permissions::Permission;
use crate::text::Name;
use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use thiserror::Error;
use uuid::Uuid;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// It had no credential, and one is required.
    NoCredential,
    /// Its credential is unknown, wrong, revoked or expired, or what it belongs to is not active.
    InvalidCredential,
    /// Its credential does not allow what was asked for.
    Forbidden,
    /// The password, the link, the invitation or the refresh token of a person was not valid.
    SignIn,
    /// The password of a person was right, and the one-time code or the recovery code was not.
    SecondFactor,
    /// There were too many attempts to sign in, for an account or from an address.
    TooManyAttempts,
    /// A person could not register, because as many have as may.
    RegistrationFull,
    /// It had the cookies of a session, and did not show that it comes from a page of the server.
    Csrf,
    /// It came from a web page that may not use the server.
    ForeignOrigin,
    /// It exceeded a rate limit.
    RateLimited,
}

/// The payload of `access.refused`: refusals of one subject or origin for one reason. The first one of a minute has an event
/// of its own; one event has all further ones of that minute and process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccessRefused {
    /// Why the requests were refused.
    pub reason: RefusalReason,
    /// Who sent them: an actor as in the metadata of events, or `key:ID` if only the public id of an API key is known; none if
    /// neither is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Name>,
    /// Where they came from; none where several origins are counted together because there are too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_id: Option<OriginId>,
    /// What would have allowed the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// The trace of the first of them, if it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Name>,
    /// The number of requests.
    pub count: NonZeroU64,
    /// When the first of them was refused.
    pub first_at: DateTime<Utc>,
    /// When the last of them was refused.
    pub last_at: DateTime<Utc>,
}

/// The payload of `access.credential_used`: the first use of a credential from an origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialUsed {
    /// The id of the credential.
    pub credential_id: Uuid,
    /// Whose credential it is, as in the metadata of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Name>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_id: Option<OriginId>,
    /// When it came.
    pub at: DateTime<Utc>,
}

/// The payload of `access.signed_in`: that a person signed in, and a session began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// Who signed in.
    pub user_id: UserId,
    /// The session that began.
    pub session_id: SessionId,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_id: Option<OriginId>,
    /// The trace of the request, if it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Name>,
    /// When it was.
    pub at: DateTime<Utc>,
}

/// The payload of `access.data_exported`: that data of the tenant left as a whole. The first time of an hour has an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataExported {
    /// Who exported them, as in the metadata of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Name>,
    /// Which data, such as `events`.
    #[schemars(length(min = 1))]
    pub data: String,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_id: Option<OriginId>,
    /// The trace of the request, if it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Name>,
    /// When they were exported.
    pub at: DateTime<Utc>,
}

/// The payload of `access.contents_read`: that a person read texts that agents work with. The first time of an hour has an
/// event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContentsRead {
    /// Who read them, as in the metadata of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Name>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_id: Option<OriginId>,
    /// The name of the GraphQL operation, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Name>,
    /// The trace of the request, if it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Name>,
    /// When they were read.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of an access log.
    pub enum AccessLogEvent {
        /// Requests were refused.
        "access.refused" v 1 => Refused(AccessRefused),
        /// A credential was used from an origin for the first time.
        "access.credential_used" v 1 => CredentialUsed(CredentialUsed),
        /// A person signed in.
        "access.signed_in" v 1 => SignedIn(SignedIn),
        /// Data of the tenant were exported.
        "access.data_exported" v 1 => DataExported(DataExported),
        /// A person read texts that agents work with.
        "access.contents_read" v 1 => ContentsRead(ContentsRead),
    }
}

/// A command to an access log.
#[derive(Debug, Clone, PartialEq)]
pub enum AccessLogCommand {
    /// Records what happened.
    Record(Vec<AccessLogEvent>),
}

/// Why a command to an access log is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessLogError {
    /// There are more events than one command may have.
    #[error("{found} events are recorded at once, and the limit is {limit}", limit = AccessLog::MAX_EVENTS)]
    TooMany {
        /// The number of events.
        found: usize,
    },
}

/// The state of an access log, which has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {}

impl AccessLog {
    /// The maximum number of events of one command.
    pub const MAX_EVENTS: usize = 100;

    /// The stream id of a day (UTC). It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id(day: NaiveDate) -> Uuid {
        derived_id(&["access_log", &day.to_string()])
    }
}

impl Aggregate for AccessLog {
    const CATEGORY: &'static str = "access_log";
    type Command = AccessLogCommand;
    type Event = AccessLogEvent;
    type Error = AccessLogError;

    fn decide(&self, command: AccessLogCommand) -> Result<Vec<AccessLogEvent>, AccessLogError> {
        let AccessLogCommand::Record(events) = command;
        let found = events.len();
        if found > Self::MAX_EVENTS { Err(AccessLogError::TooMany { found }) } else { Ok(events) }
    }

    fn evolve(self, _: &AccessLogEvent) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, given, name, uuid};

    fn used() -> AccessLogEvent {
        let (credential_id, subject) = (uuid(1), Some(name("service_account:1")));
        AccessLogEvent::CredentialUsed(CredentialUsed { credential_id, subject, origin_id: None, at: at(0) })
    }

    #[test]
    fn what_happened_is_recorded() {
        given::<AccessLog>([used()]).when(AccessLogCommand::Record(vec![used(), used()])).then([used(), used()]);
    }

    #[test]
    fn a_command_has_a_bounded_number_of_events() {
        let found = AccessLog::MAX_EVENTS + 1;
        let record = AccessLogCommand::Record(vec![used(); found]);
        given::<AccessLog>([]).when(record).then_rejected(AccessLogError::TooMany { found });
    }

    #[test]
    fn each_day_has_a_stream_of_its_own() {
        let day = |day| AccessLog::id(NaiveDate::from_ymd_opt(2026, 3, day).unwrap());
        assert_ne!(day(1), day(2));
        assert_eq!(day(1), day(1));
    }
}
