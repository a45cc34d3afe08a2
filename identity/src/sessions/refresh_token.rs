//! Refresh tokens: `apexrt_SESSION_KEYVERSION_NUMBER_SECRET`, where the last part is random and followed by a tag, which only
//! the holder of the key-encryption key can make.
//!
//! The tag tells a token that was issued before from an invented one: the former ends the session, and the latter costs no
//! query. The database has only the keyed hash of the token that is valid.

use crate::error::{IdentityError, KeyFileError};
use crate::key_file::{EncryptionKey, HASH_BYTES};
use crate::key_text::{KeySecret, SecretText, hex, unhex};
use domain::SessionId;
use uuid::Uuid;

const PREFIX: &str = "apexrt_";
const ID_DIGITS: usize = 32;
/// What the hash in the database, and the tag in a token, are for.
const STORED: &[u8] = b"apex refresh token v1";
const TAG: &[u8] = b"apex refresh token tag v1";

/// A refresh token.
pub(crate) struct RefreshToken {
    pub(crate) session: SessionId,
    /// The version of the key that its tag was made with.
    pub(crate) key_version: i32,
    /// How many tokens of the session were issued before it, and itself.
    pub(crate) number: i64,
    secret: [u8; 32],
    tag: [u8; HASH_BYTES],
}

impl RefreshToken {
    /// A new token with a number, and its hash.
    pub(crate) fn generate(
        session: SessionId,
        number: i64,
        (key_version, key): (i32, &EncryptionKey),
    ) -> Result<(SecretText, [u8; HASH_BYTES]), IdentityError> {
        let mut secret = [0; 32];
        secret.copy_from_slice(KeySecret::generate()?.bytes());
        let mut token = Self { session, key_version, number, secret, tag: [0; HASH_BYTES] };
        token.tag = key.keyed_hash(TAG, &[session.0.as_bytes(), &number.to_be_bytes(), &token.secret])?;
        let hash = token.hash(key)?;
        let (id, secret, tag) = (session.0.simple(), hex(&token.secret), hex(&token.tag));
        Ok((SecretText::new(format!("{PREFIX}{id}_{key_version}_{number}_{secret}{tag}")), hash))
    }

    /// The parts of a text; none if it does not have the form of a token.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.split('_');
        let (id, version, number, last) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || id.len() != ID_DIGITS || version.len() > 10 || number.len() > 19 {
            return None;
        }
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        if !is_number(version) || !is_number(number) {
            return None;
        }
        let (secret, tag) = last.split_at_checked(64)?;
        Some(Self {
            session: SessionId(Uuid::from_u128(u128::from_be_bytes(unhex(id)?))),
            key_version: version.parse().ok()?,
            number: number.parse().ok()?,
            secret: unhex(secret)?,
            tag: unhex(tag)?,
        })
    }

    /// Whether the token was issued, at some time.
    pub(crate) fn is_genuine(&self, key: &EncryptionKey) -> Result<bool, KeyFileError> {
        key.has_keyed_hash(TAG, &[self.session.0.as_bytes(), &self.number.to_be_bytes(), &self.secret], &self.tag)
    }

    /// The hash by which the valid token of a session is known.
    pub(crate) fn hash(&self, key: &EncryptionKey) -> Result<[u8; HASH_BYTES], KeyFileError> {
        key.keyed_hash(STORED, &[self.session.0.as_bytes(), &self.number.to_be_bytes(), &self.secret])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_others_are_not_genuine() {
        let (key, session) = (EncryptionKey::decoy(), SessionId(Uuid::from_u128(7)));
        let (text, hash) = RefreshToken::generate(session, 3, (1, &key)).unwrap();
        let read = RefreshToken::parse(text.reveal()).unwrap();
        assert_eq!((read.session, read.number, read.key_version), (session, 3, 1));
        assert!(read.is_genuine(&key).unwrap() && !read.is_genuine(&EncryptionKey::other()).unwrap());
        assert_eq!(read.hash(&key).unwrap(), hash);
        let (other, _) = RefreshToken::generate(session, 3, (1, &key)).unwrap();
        assert_ne!(text, other);
        let text = text.reveal();
        for (from, to) in [("_3_", "_4_"), ("_3_", "_2_")] {
            assert!(!RefreshToken::parse(&text.replace(from, to)).unwrap().is_genuine(&key).unwrap(), "{to}");
        }
        for wrong in [
            String::new(),
            text.replace("apexrt_", "apex_"),
            format!("{text}0"),
            text[..text.len() - 1].to_owned(),
            text.replace("_3_", "_03_"),
            text.replace("_3_", "_-3_"),
            text.replace("_3_", "_99999999999999999999_"),
            text.replace("_3_", "__"),
            text.to_uppercase(),
            "apexrt_é".to_owned(),
        ] {
            assert!(RefreshToken::parse(&wrong).is_none(), "{wrong}");
        }
    }
}
