//! Identifiers. Each kind has a type of its own, so that they cannot be confused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }
        impl From<$name> for Uuid {
            fn from(id: $name) -> Self { id.0 }
        }
    )+};
}

id! {
    /// The id of an agent.
    AgentId,
    /// The id of a task.
    TaskId,
    /// The id of a task graph.
    DagId,
    /// The id of an LLM or tool call.
    CallId,
    /// The id of a memory item.
    MemoryId,
    /// The id of a budget.
    BudgetId,
    /// The id of a part of a budget's limit that is delegated.
    DelegationId,
    /// The id of an invoice of a provider.
    InvoiceId,
    /// The id of a reservation against budgets.
    ReservationId,
    /// The id of a request for approval of a reservation that a budget refused.
    ApprovalId,
    /// The id of a service account: a program that acts in a tenant, such as an agent or a pipeline.
    ServiceAccountId,
    /// The id of an API key. It is public: the first part of the key's text.
    ApiKeyId,
    /// The id of a user: a person, in one tenant. Name and address are stored beside the log.
    UserId,
    /// The id of an origin of requests: an address and a device, which are stored beside the log.
    OriginId,
    /// The id of a session of a user.
    SessionId,
    /// The id of an invitation to become a user.
    InvitationId,
    /// The id of a team: users and service accounts that are granted roles together.
    TeamId,
    /// The id of a custom role: a set of permissions that a tenant names.
    RoleId,
    /// The id of a schedule of reports, statements or exports.
    ScheduleId,
    /// The id of an endpoint to which alerts are sent.
    AlertEndpointId,
    /// The id of an import: a run of an importer, or a request of an exporter. It is the correlation id of all of its events.
    ImportId,
}

impl ApprovalId {
    /// The id of the request for a reservation that was refused.
    #[must_use]
    pub fn of(reservation_id: ReservationId) -> Self {
        Self(derived_id(&["approval", &reservation_id.to_string()]))
    }
}

/// The UUID namespace of all derived ids. It never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x6170_6578_0000_5000_8000_6576_656e_7473);

/// An id derived from text parts: the same parts always give the same id (UUID version 5, RFC 9562).
///
/// Each part is prefixed with its length, so that `["a", "bc"]` and `["ab", "c"]` give different ids.
#[must_use]
pub fn derived_id(parts: &[&str]) -> Uuid {
    let mut hash = Sha1::new_with_prefix(NAMESPACE);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    version_5(hash)
}

/// The id of a hash (RFC 9562, section 5.5). `Uuid::new_v5` does the same by an implementation that takes several times as long.
fn version_5(hash: Sha1) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

/// An id derived from content of any kind, such as the body of a request: the same content always gives the same id. The
/// content is not copied, however large it is.
#[must_use]
pub fn content_id(kind: &str, content: &[u8]) -> Uuid {
    version_5(Sha1::new_with_prefix(derived_id(&["content", kind])).chain_update(content))
}

/// The id of a tenant, which owns streams: 1 to 63 characters of `a-z`, `0-9`, `-` and `_`, starting with a letter or
/// digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,62}$"))]
// Shared, because the key of every stream that a command touches holds one.
pub struct TenantId(Arc<str>);

/// The id of the reserved tenant.
const INSTALLATION: &str = "installation";

/// Text that is not a valid tenant id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a tenant id: 1 to 63 characters of a-z, 0-9, '-' and '_', starting with a letter or digit")]
pub struct TenantIdError(String);

impl TenantId {
    /// The reserved tenant whose streams are those of the installation itself, such as its tenants.
    #[must_use]
    pub fn installation() -> Self {
        Self(INSTALLATION.into())
    }

    /// Whether the id is reserved for the installation, so that no data of a tenant is under it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.as_str() == INSTALLATION
    }

    /// The id of the stream that says whether this tenant exists and is suspended. It is in the reserved tenant.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        derived_id(&["tenant", self.as_str()])
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant id of a stored event, without validation: a reader has to name the tenant of an event that it skips,
    /// even if the id is invalid. New ids are validated by `try_from`, stored ones by [`TenantId::check`].
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// Validates an id that was read from the log.
    ///
    /// # Errors
    /// [`TenantIdError`] if `try_from` rejects the text.
    pub fn check(&self) -> Result<(), TenantIdError> {
        if is_valid(&self.0) { Ok(()) } else { Err(TenantIdError(self.0.to_string())) }
    }
}

fn is_valid(text: &str) -> bool {
    let first_fits = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let rest_fits = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    first_fits && rest_fits && text.len() <= 63
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for TenantId {
    type Error = TenantIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_valid(&text) { Ok(Self(text.into())) } else { Err(TenantIdError(text)) }
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0.to_string()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_stable_and_distinguish_parts() {
        assert_eq!(derived_id(&["a", "bc"]), derived_id(&["a", "bc"]));
        assert_ne!(derived_id(&["a", "bc"]), derived_id(&["ab", "c"]));
        assert_eq!(derived_id(&["call", "x"]).to_string(), "2c01852c-8fe1-57ac-ae81-e22e787bad51");
        assert_eq!(content_id("traces", b"x"), content_id("traces", b"x"));
        assert_ne!(content_id("traces", b"x"), content_id("traces", b"y"));
        assert_ne!(content_id("traces", b"x"), content_id("logs", b"x"));
        let namespace = derived_id(&["content", "traces"]);
        assert_eq!(content_id("traces", b"x"), Uuid::new_v5(&namespace, b"x"));
    }

    #[test]
    fn the_reserved_tenant_is_a_valid_one() {
        let installation: TenantId = INSTALLATION.parse().unwrap();
        assert!(installation.is_reserved() && installation == TenantId::installation());
        let default: TenantId = "default".parse().unwrap();
        assert!(!default.is_reserved());
        assert_ne!(default.stream_id(), installation.stream_id());
        assert_eq!(default.stream_id().to_string(), "5e04ede8-f1c9-5dd5-8371-b765d81a418e");
    }

    #[test]
    fn invalid_tenant_ids_are_rejected() {
        assert!("default".parse::<TenantId>().is_ok());
        for bad in ["", "-a", "A", "a b", &"x".repeat(64)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
            assert!(TenantId::from_stored(bad.to_owned()).check().is_err(), "{bad:?}");
        }
    }
}
