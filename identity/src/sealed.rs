//! Secrets that are needed in plain text again, encrypted with XChaCha20-Poly1305 under a key that is derived from a
//! key-encryption key for each purpose.
//!
//! The text of a sealed secret is the random nonce, of 24 bytes, and the ciphertext. The id of the row that it is stored in is
//! authenticated with it, so that a secret that is copied to another row cannot be opened there.

use crate::error::{IdentityError, KeyFileError};
use crate::key_file::EncryptionKey;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use uuid::Uuid;

/// What the derived key is for.
const SEALED: &[u8] = b"apex sealed secret v1";
const NONCE_BYTES: usize = 24;

fn cipher(key: &EncryptionKey, purpose: &[u8]) -> Result<XChaCha20Poly1305, KeyFileError> {
    Ok(XChaCha20Poly1305::new(&Key::from(key.keyed_hash(SEALED, &[purpose])?)))
}

/// Encrypts a secret that is stored under an id.
///
/// # Errors
/// [`IdentityError::Random`] if the operating system gives no random numbers.
pub(crate) fn seal(key: &EncryptionKey, purpose: &[u8], id: Uuid, secret: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let mut nonce = [0; NONCE_BYTES];
    OsRng.try_fill_bytes(&mut nonce)?;
    let payload = Payload { msg: secret, aad: id.as_bytes() };
    let encrypted = cipher(key, purpose)?.encrypt(&XNonce::from(nonce), payload);
    Ok([nonce.as_slice(), &encrypted.map_err(|_| KeyFileError::Unusable)?].concat())
}

/// Decrypts a secret that is stored under an id.
///
/// # Errors
/// [`IdentityError::Damaged`] if it was sealed with another key, for another purpose or under another id, or was changed.
pub(crate) fn open(key: &EncryptionKey, purpose: &[u8], id: Uuid, sealed: &[u8]) -> Result<Vec<u8>, IdentityError> {
    let (nonce, encrypted) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(IdentityError::Damaged(id))?;
    let payload = Payload { msg: encrypted, aad: id.as_bytes() };
    cipher(key, purpose)?.decrypt(&XNonce::from(*nonce), payload).map_err(|_| IdentityError::Damaged(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_opened_only_as_it_was_sealed() {
        let (key, id) = (EncryptionKey::decoy(), Uuid::from_u128(7));
        let sealed = seal(&key, b"test", id, b"tea").unwrap();
        assert_eq!(open(&key, b"test", id, &sealed).unwrap(), b"tea");
        assert!(!sealed.windows(3).any(|window| window == b"tea"));
        assert_ne!(sealed, seal(&key, b"test", id, b"tea").unwrap(), "the nonce is random");
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        for (purpose, id, sealed) in [
            (&b"other"[..], id, &sealed[..]),
            (b"test", Uuid::from_u128(8), &sealed),
            (b"test", id, &changed),
            (b"test", id, &sealed[..20]),
            (b"test", id, &[]),
        ] {
            assert!(matches!(open(&key, purpose, id, sealed), Err(IdentityError::Damaged(_))));
        }
    }
}
