//! The text of an API key, `apex_ID_SECRET`, and of the tokens in links, which have other prefixes. The id is public and the
//! secret is random.

use domain::ApiKeyId;
use rand::TryRngCore as _;
use rand::rand_core::OsError;
use rand::rngs::OsRng;
use std::fmt;
use uuid::Uuid;

/// How the text of every API key begins. Scanners of secrets find leaked keys by it.
pub const PREFIX: &str = "apex_";

/// How the text of an API key begins: the part before the secret, which is public.
#[must_use]
pub fn key_prefix(id: ApiKeyId) -> String {
    format!("{PREFIX}{}", id.0.simple())
}

/// The length of a secret in bytes.
const SECRET_BYTES: usize = 32;
/// The length of an id in hexadecimal digits.
const ID_DIGITS: usize = 32;

/// The secret part of an API key. It is redacted in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeySecret([u8; SECRET_BYTES]);

impl KeySecret {
    /// A new secret from the random numbers of the operating system.
    ///
    /// # Errors
    /// [`OsError`] if the operating system gives none.
    pub(crate) fn generate() -> Result<Self, OsError> {
        let mut bytes = [0; SECRET_BYTES];
        OsRng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The text of a new API key, of a token or of another secret, to be shown once. It is redacted in `Debug` output and must not be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    pub(crate) fn of(id: ApiKeyId, secret: &KeySecret) -> Self {
        Self::with_prefix(PREFIX, id.0, secret)
    }

    /// A text with another prefix.
    pub(crate) fn with_prefix(prefix: &str, id: Uuid, secret: &KeySecret) -> Self {
        Self(format!("{prefix}{}_{}", id.simple(), hex(&secret.0)))
    }

    /// A text that was made elsewhere.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The id and the secret of a key; none if the text does not have the form of one.
pub(crate) fn parse(text: &str) -> Option<(ApiKeyId, KeySecret)> {
    parse_with_prefix(PREFIX, text).map(|(id, secret)| (ApiKeyId(id), secret))
}

/// As [`parse`], for a text with another prefix.
pub(crate) fn parse_with_prefix(prefix: &str, text: &str) -> Option<(Uuid, KeySecret)> {
    let (id, secret) = text.strip_prefix(prefix)?.split_once('_')?;
    // Without this, a UUID in another notation would be another text of the same key.
    if id.len() != ID_DIGITS {
        return None;
    }
    let id = u128::from_be_bytes(unhex(id)?);
    Some((Uuid::from_u128(id), KeySecret(unhex(secret)?)))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from exactly as many lower-case hexadecimal digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let (id, secret) = (ApiKeyId(Uuid::from_u128(7)), KeySecret::generate().unwrap());
        let text = SecretText::of(id, &secret);
        assert_eq!(text.reveal().len(), PREFIX.len() + 32 + 1 + 64);
        assert_eq!(parse(text.reveal()), Some((id, secret)));
    }

    #[test]
    fn each_secret_is_another() {
        assert_ne!(KeySecret::generate().unwrap(), KeySecret::generate().unwrap());
    }

    #[test]
    fn other_texts_are_no_keys() {
        let text = SecretText::of(ApiKeyId(Uuid::from_u128(7)), &KeySecret([0xab; 32])).reveal().to_owned();
        assert!(parse(&text).is_some());
        let with_hyphens = text.replacen(&Uuid::from_u128(7).simple().to_string(), &Uuid::from_u128(7).to_string(), 1);
        for wrong in [
            String::new(),
            "apex_".to_owned(),
            text.replace("apex_", ""),
            text.replace("apex_", "Apex_"),
            format!("{text}0"),
            format!(" {text}"),
            text[..text.len() - 1].to_owned(),
            text.to_uppercase(),
            text.replace('b', "B"),
            text.replace('b', "é"),
            text.replace('b', "+"),
            with_hyphens,
        ] {
            assert!(parse(&wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_secret_is_in_debug_output() {
        let secret = KeySecret([0xab; 32]);
        let text = SecretText::of(ApiKeyId(Uuid::from_u128(7)), &secret);
        assert_eq!(format!("{secret:?} {text:?}"), "[redacted] [redacted]");
    }
}
