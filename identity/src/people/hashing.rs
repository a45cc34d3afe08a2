//! Hashes of passwords: Argon2id, keyed by a key-encryption key. Each takes memory and time, so that few are computed at once.

use super::password::Password;
use crate::error::IdentityError;
use crate::key_file::EncryptionKey;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The memory of a hash in KiB, its passes and its lanes: those that OWASP recommends for Argon2id.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// The number of hashes that a process computes at once: 76 MiB together.
const MAX_AT_ONCE: usize = 4;
/// How long a hash waits for others before it is given up.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// What the key of the hashes is for.
const PEPPER: &[u8] = b"apex password pepper v1";

/// A hash that no password has, with the parameters of new hashes. A password is compared with it where there is none, so
/// that it takes as long.
pub(crate) const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Computes hashes of passwords.
#[derive(Clone)]
pub(crate) struct PasswordHasher {
    permits: Arc<Semaphore>,
}

impl Default for PasswordHasher {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_AT_ONCE)) }
    }
}

impl PasswordHasher {
    /// Hashes a password, under a key.
    ///
    /// # Errors
    /// [`IdentityError::TooManyHashes`] if too many others are computed at the moment.
    pub(crate) async fn hash(&self, key: &EncryptionKey, password: Password) -> Result<String, IdentityError> {
        let mut salt = [0; SALT_BYTES];
        OsRng.try_fill_bytes(&mut salt)?;
        self.compute(key, move |argon2| {
            let hashed = argon2.hash_password_with_salt(password.bytes(), &salt);
            hashed.map(|hash| hash.to_string()).map_err(|_| IdentityError::Hashing)
        })
        .await
    }

    /// Whether a password has a hash that was made under a key.
    ///
    /// # Errors
    /// As [`PasswordHasher::hash`].
    pub(crate) async fn verifies(
        &self,
        key: &EncryptionKey,
        password: Password,
        hash: String,
    ) -> Result<bool, IdentityError> {
        self.compute(key, move |argon2| {
            let hash = PasswordHash::new(&hash).map_err(|_| IdentityError::Hashing)?;
            Ok(argon2.verify_password(password.bytes(), &hash).is_ok())
        })
        .await
    }

    /// Runs a computation on a thread that may block, when there is memory for it.
    async fn compute<T: Send + 'static>(
        &self,
        key: &EncryptionKey,
        compute: impl FnOnce(Argon2<'_>) -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let pepper = key.keyed_hash(PEPPER, &[])?;
        let permit = tokio::time::timeout(MAX_WAIT, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| IdentityError::TooManyHashes)?.map_err(|_| IdentityError::Hashing)?;
        let computed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let params =
                Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(|_| IdentityError::Hashing)?;
            let argon2 = Argon2::new_with_secret(&pepper, Algorithm::Argon2id, Version::V0x13, params);
            compute(argon2.map_err(|_| IdentityError::Hashing)?)
        });
        computed.await.map_err(|_| IdentityError::Hashing)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_that_of_one_password_under_one_key() {
        let (hasher, key) = (PasswordHasher::default(), EncryptionKey::decoy());
        let password = || Password::presented("green tea, twice").unwrap();
        let hash = hasher.hash(&key, password()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verifies(&key, password(), hash.clone()).await.unwrap());
        let other = Password::presented("green tea, once").unwrap();
        assert!(!hasher.verifies(&key, other, hash.clone()).await.unwrap());
        assert!(!hasher.verifies(&EncryptionKey::other(), password(), hash.clone()).await.unwrap());
        assert_ne!(hasher.hash(&key, password()).await.unwrap(), hash, "the salt is random");
        // The decoy has the same parameters, and is no hash of anything.
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(DECOY), parameters(&hash));
        assert!(!hasher.verifies(&key, password(), DECOY.to_owned()).await.unwrap());
        assert!(matches!(hasher.verifies(&key, password(), "x".to_owned()).await, Err(IdentityError::Hashing)));
    }
}
