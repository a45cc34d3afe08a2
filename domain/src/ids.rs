//! Identifiers. Each is a type of its own, so that one cannot be passed for another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
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
    /// An agent.
    AgentId,
    /// A task.
    TaskId,
    /// A graph of tasks.
    DagId,
    /// One LLM or tool call.
    CallId,
    /// A remembered item.
    MemoryId,
    /// A budget.
    BudgetId,
}

/// The namespace of every id that Apex derives from names; fixed for all time.
const NAMESPACE: Uuid = Uuid::from_u128(0x6170_6578_0000_5000_8000_6576_656e_7473);

/// An id derived from names: the same parts give the same id on every machine (UUID version 5, RFC 9562).
///
/// Parts are length-prefixed, so that `["a", "bc"]` and `["ab", "c"]` differ.
#[must_use]
pub fn derived_id(parts: &[&str]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The owner of streams: 1 to 63 characters of `a-z`, `0-9`, `-` and `_`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// A tenant id that is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a tenant id: 1 to 63 characters of a-z, 0-9, '-' and '_', starting with a letter or digit")]
pub struct TenantIdError(String);

impl TenantId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a stored event names as its tenant, whatever its form: what is in the log cannot be refused any more, and a
    /// reader must be able to say whose event it passes over. See [`TenantId::check`]; new ids go through `try_from`.
    #[must_use]
    pub fn as_stored(text: String) -> Self {
        Self(text)
    }

    /// Checks the form of an id that was stored.
    ///
    /// # Errors
    /// [`TenantIdError`] for text that `try_from` refuses.
    pub fn check(&self) -> Result<(), TenantIdError> {
        if has_form(&self.0) { Ok(()) } else { Err(TenantIdError(self.0.clone())) }
    }
}

fn has_form(text: &str) -> bool {
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
        if has_form(&text) { Ok(Self(text)) } else { Err(TenantIdError(text)) }
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0
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
    fn derived_ids_are_stable_and_keep_parts_apart() {
        assert_eq!(derived_id(&["a", "bc"]), derived_id(&["a", "bc"]));
        assert_ne!(derived_id(&["a", "bc"]), derived_id(&["ab", "c"]));
        assert_eq!(derived_id(&["call", "x"]).to_string(), "2c01852c-8fe1-57ac-ae81-e22e787bad51");
    }

    #[test]
    fn tenant_ids_are_checked() {
        assert!("default".parse::<TenantId>().is_ok());
        for bad in ["", "-a", "A", "a b", &"x".repeat(64)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
            assert!(TenantId::as_stored(bad.to_owned()).check().is_err(), "{bad:?}");
        }
    }
}
