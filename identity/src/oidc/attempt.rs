//! A sign-in that was started in a browser: what has to be the same when the provider sends the browser back. It is kept by the
//! browser, encrypted, in a cookie.

use super::return_path::ReturnPath;
use crate::error::IdentityError;
use crate::key_text::SecretText;
use crate::sealed::{open, seal};
use crate::secrets::Secrets;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ProviderId;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// How long a person may take at the provider.
pub const ATTEMPT_LIFETIME: Duration = Duration::from_mins(10);
/// The longest text that is looked at, in bytes: browsers keep cookies of about 4,000.
const MAX_TEXT_BYTES: usize = 4096;
/// What the cookie is encrypted for.
const PURPOSE: &[u8] = b"sign-in by a provider";

/// A sign-in that was started.
pub struct StartedAttempt {
    /// The URL of the provider that the browser is sent to.
    pub url: String,
    /// The text that the browser keeps meanwhile.
    pub cookie: SecretText,
}

/// What has to be the same when the browser comes back. It cannot be formatted, because it holds secrets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attempt {
    pub(super) provider: ProviderId,
    pub(super) state: String,
    pub(super) nonce: String,
    /// The secret of which the provider has the hash (PKCE, RFC 7636).
    pub(super) verifier: String,
    pub(super) return_path: String,
    pub(super) started_at: DateTime<Utc>,
}

impl Attempt {
    /// The time from which the attempt is refused.
    pub(super) fn expires_at(&self) -> DateTime<Utc> {
        let lifetime = TimeDelta::from_std(ATTEMPT_LIFETIME).unwrap_or_default();
        self.started_at.checked_add_signed(lifetime).unwrap_or(self.started_at)
    }

    /// Whether the attempt has not expired.
    fn is_accepted_at(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at()
    }

    /// Whether a text is the state of the attempt. The comparison takes the same time wherever the two differ.
    pub(super) fn has_state(&self, state: &str) -> bool {
        let (own, other) = (self.state.as_bytes(), state.as_bytes());
        let difference = own.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
        own.len() == other.len() && !own.is_empty() && std::hint::black_box(difference) == 0
    }

    /// The path to go to afterwards.
    pub(super) fn return_path(&self) -> ReturnPath {
        self.return_path.parse().unwrap_or_default()
    }

    /// Encrypts the attempt under a new id: `VERSION.ID.TEXT`.
    pub(super) async fn seal(&self, secrets: &Secrets) -> Result<SecretText, IdentityError> {
        let (newest, id) = (secrets.newest_key().await?, Uuid::new_v4());
        let json = serde_json::to_vec(self).map_err(|_| IdentityError::Damaged(id))?;
        let sealed = URL_SAFE_NO_PAD.encode(seal(&newest.key, PURPOSE, id, &json)?);
        Ok(SecretText::new(format!("{}.{}.{sealed}", newest.version, id.simple())))
    }

    /// The attempt that a text is, with its id; none if it was not made here, was changed, or has expired.
    pub(super) async fn open(
        secrets: &Secrets,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<(Uuid, Self)>, IdentityError> {
        let Some((version, id, sealed)) = parts(text) else { return Ok(None) };
        let Some(key) = secrets.key(version).await? else { return Ok(None) };
        let json = match open(&key, PURPOSE, id, &sealed) {
            Ok(json) => json,
            Err(IdentityError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let attempt: Option<Self> = serde_json::from_slice(&json).ok();
        Ok(attempt.filter(|attempt| attempt.is_accepted_at(now)).map(|attempt| (id, attempt)))
    }
}

/// The version of the key, the id, and the encrypted attempt of a text.
fn parts(text: &str) -> Option<(i32, Uuid, Vec<u8>)> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let mut parts = text.split('.');
    let (version, id, sealed) = (parts.next()?, parts.next()?, parts.next()?);
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let version = version.parse().ok().filter(|version| *version > 0)?;
    parts.next().is_none().then_some((version, Uuid::try_parse(id).ok()?, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            provider: "okta".parse().unwrap(),
            state: "s".repeat(22),
            nonce: "n".repeat(22),
            verifier: "v".repeat(43),
            return_path: format!("/{}", "a".repeat(2047)),
            started_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn only_the_same_state_is_the_state() {
        let attempt = attempt();
        assert!(attempt.has_state(&"s".repeat(22)));
        for other in ["", "s", &"s".repeat(23), &"t".repeat(22)] {
            assert!(!attempt.has_state(other), "{other}");
        }
        assert!(!Attempt { state: String::new(), ..attempt }.has_state(""));
    }

    #[test]
    fn an_attempt_expires() {
        let (attempt, lifetime) = (attempt(), TimeDelta::from_std(ATTEMPT_LIFETIME).unwrap());
        assert!(attempt.is_accepted_at(attempt.started_at + lifetime - TimeDelta::milliseconds(1)));
        assert!(!attempt.is_accepted_at(attempt.started_at + lifetime));
        let last = Attempt { started_at: DateTime::<Utc>::MAX_UTC, ..attempt };
        assert!(!last.is_accepted_at(DateTime::<Utc>::MAX_UTC));
    }

    /// Browsers keep cookies of 4,096 bytes with their names and attributes.
    #[test]
    fn the_longest_attempt_fits_into_a_cookie() {
        let json = serde_json::to_vec(&attempt()).unwrap();
        let text = URL_SAFE_NO_PAD.encode([[0; 24].as_slice(), &json, &[0; 16]].concat());
        assert!(text.len() + 200 < MAX_TEXT_BYTES, "{}", text.len());
    }

    #[test]
    fn other_texts_are_no_attempts() {
        let text = format!("1.{}.AAAA", Uuid::from_u128(7).simple());
        assert!(parts(&text).is_some());
        for wrong in
            ["", "1", "1.2.3", &format!("{text}.x"), &text.replace("AAAA", "é"), &text.replace("1.", "0."), "a.b.c"]
        {
            assert!(parts(wrong).is_none(), "{wrong}");
        }
        assert!(parts(&format!("{text}{}", "A".repeat(MAX_TEXT_BYTES))).is_none());
    }
}
