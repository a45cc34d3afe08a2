//! The name of an identity provider, by which people sign in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The longest id, in bytes.
const MAX_BYTES: usize = 32;

/// The id of a provider of sign-ins (OpenID Connect), as the operator of the installation chose it. It is part of URLs and of
/// the names of actors, and small enough to be copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,31}$"))]
pub struct ProviderId {
    /// The text, followed by zeros.
    bytes: [u8; MAX_BYTES],
}

/// Text that is not a valid id of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the id of a provider: 1 to 32 characters of a-z, 0-9, '-' and '_', starting with a letter or digit"
)]
pub struct ProviderIdError(String);

impl ProviderId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(MAX_BYTES);
        // Only ASCII is accepted.
        std::str::from_utf8(&self.bytes[..end]).unwrap_or_default()
    }
}

impl FromStr for ProviderId {
    type Err = ProviderIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first_fits = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let rest_fits = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !first_fits || !rest_fits || text.len() > MAX_BYTES {
            return Err(ProviderIdError(text.to_owned()));
        }
        let mut bytes = [0; MAX_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes })
    }
}

impl TryFrom<String> for ProviderId {
    type Error = ProviderIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for text in ["a", "okta", "0-entra_id", &"x".repeat(MAX_BYTES)] {
            let id: ProviderId = text.parse().unwrap();
            assert_eq!((id.as_str(), id.to_string()), (text, text.to_owned()));
            let written = serde_json::to_string(&id).unwrap();
            assert_eq!(written, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<ProviderId>(&written).unwrap(), id);
        }
        for wrong in ["", "-a", "Okta", "a b", "a/b", "a\0", "é", &"x".repeat(MAX_BYTES + 1)] {
            assert!(wrong.parse::<ProviderId>().is_err(), "{wrong:?}");
        }
    }
}
