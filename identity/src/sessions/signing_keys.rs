//! The keys that access tokens are signed with: Ed25519, each replaced after a month, with an overlap in which both are
//! published. The private keys are in the database, encrypted under a key-encryption key.

use crate::error::IdentityError;
use crate::sealed;
use crate::secrets::Secrets;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What the key that encrypts private keys is for.
const SIGNING_KEY: &[u8] = b"apex session signing key v1";
/// The age at which a key is replaced.
const ROTATION_AGE: Duration = Duration::from_hours(30 * 24);
/// The age that a key should have before it signs, so that verifiers that cache the published keys know it.
const PUBLICATION_LEAD: Duration = Duration::from_mins(10);
/// The age at which a key that was replaced is deleted: long after the last token that it signed has expired.
const DELETION_AGE: Duration = Duration::from_hours(37 * 24);
/// How long the keys are used before they are read again.
const LIFETIME: Duration = Duration::from_secs(30);
/// How long a key that is not known is not looked up again, so that invented ones cost no query.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(1);
/// The maximum number of keys that are read.
const MAX_KEYS: i64 = 20;
const PUBLIC_KEY_BYTES: usize = 32;
/// The beginning of a private key in PKCS #8, before its 32 bytes (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The row of a key.
#[derive(sqlx::FromRow)]
struct Row {
    key_id: Uuid,
    key_encryption_key: i32,
    sealed: Vec<u8>,
    public_key: Vec<u8>,
    age_seconds: f64,
}

impl Row {
    fn age(&self) -> Duration {
        Duration::from_secs_f64(self.age_seconds.max(0.0))
    }
}

/// A public key, with the form in which it is published.
pub(crate) struct VerifyingKey {
    pub(crate) id: Uuid,
    pub(crate) decoding: DecodingKey,
    /// Its 32 bytes in base64url.
    pub(crate) x: String,
}

/// A private key.
pub(crate) struct SigningKey {
    pub(crate) id: Uuid,
    pub(crate) encoding: EncodingKey,
}

#[derive(Default)]
struct Known {
    verifying: HashMap<Uuid, Arc<VerifyingKey>>,
    read_at: Option<Instant>,
    signing: Option<Arc<SigningKey>>,
    /// When the signing key was chosen.
    chosen_at: Option<Instant>,
}

/// The keys as this process knows them.
#[derive(Default)]
pub(crate) struct SigningKeys {
    known: RwLock<Known>,
    /// One task at a time reads them.
    reading: tokio::sync::Mutex<()>,
}

fn pkcs8(seed: &[u8]) -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8_PREFIX, seed].concat())
}

/// The public key of a private one, in base64url.
fn public_of(encoding: &EncodingKey) -> Result<String, IdentityError> {
    match Jwk::from_encoding_key(encoding, Algorithm::EdDSA)?.algorithm {
        AlgorithmParameters::OctetKeyPair(parameters) => Ok(parameters.x),
        _ => Err(IdentityError::Signing(jsonwebtoken::errors::ErrorKind::InvalidEddsaKey.into())),
    }
}

/// Which of the keys signs, newest first with their ages: the newest that verifiers know, otherwise the oldest.
fn choose(ages: &[Duration]) -> Option<usize> {
    ages.iter().position(|age| *age >= PUBLICATION_LEAD).or(ages.len().checked_sub(1))
}

/// Whether there should be a newer key.
fn is_due(newest: Option<Duration>) -> bool {
    newest.is_none_or(|age| age >= ROTATION_AGE)
}

impl SigningKeys {
    fn known<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The public key with an id; none if there is none.
    pub(crate) async fn verifying(
        &self,
        secrets: &Secrets,
        id: Uuid,
    ) -> Result<Option<Arc<VerifyingKey>>, IdentityError> {
        let known = || self.known(|known| known.verifying.get(&id).cloned());
        if let Some(key) = known() {
            return Ok(Some(key));
        }
        if self.known(|known| is_recent(known.read_at, UNKNOWN_LIFETIME)) {
            return Ok(None);
        }
        self.read(secrets, false).await?;
        Ok(known())
    }

    /// The key that signs now. Creates one if there is none, or if the newest is old.
    pub(crate) async fn signing(&self, secrets: &Secrets) -> Result<Arc<SigningKey>, IdentityError> {
        let known = || self.known(|known| known.signing.clone().filter(|_| is_recent(known.chosen_at, LIFETIME)));
        if let Some(key) = known() {
            return Ok(key);
        }
        self.read(secrets, true).await?;
        known().ok_or(IdentityError::NoSigningKey)
    }

    /// The public keys, to be published.
    pub(crate) async fn published(&self, secrets: &Secrets) -> Result<Vec<Arc<VerifyingKey>>, IdentityError> {
        if !self.known(|known| is_recent(known.read_at, LIFETIME)) {
            self.read(secrets, false).await?;
        }
        let mut keys: Vec<_> = self.known(|known| known.verifying.values().cloned().collect());
        keys.sort_by_key(|key| key.id);
        Ok(keys)
    }

    /// Reads the keys and, for a task that signs, chooses the one that signs.
    async fn read(&self, secrets: &Secrets, is_signing: bool) -> Result<(), IdentityError> {
        let asked_at = Instant::now();
        let _reading = self.reading.lock().await;
        // Another task has read them meanwhile.
        let read_at = self.known(|known| if is_signing { known.chosen_at } else { known.read_at });
        if read_at.is_some_and(|read_at| read_at >= asked_at) {
            return Ok(());
        }
        let read_at = Instant::now();
        let mut rows = rows(secrets).await?;
        if is_signing && is_due(rows.first().map(Row::age)) {
            create(secrets).await?;
            rows = self::rows(secrets).await?;
        }
        let ages: Vec<_> = rows.iter().map(Row::age).collect();
        let signing = match choose(&ages).filter(|_| is_signing).map(|index| &rows[index]) {
            Some(row) => Some(Arc::new(open(secrets, row).await?)),
            None => None,
        };
        let verifying = rows.iter().filter(|row| row.public_key.len() == PUBLIC_KEY_BYTES).map(|row| {
            let x = base64url(&row.public_key);
            let key = VerifyingKey { id: row.key_id, decoding: DecodingKey::from_ed_der(&row.public_key), x };
            (row.key_id, Arc::new(key))
        });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.verifying = verifying.collect();
        known.read_at = Some(read_at);
        if signing.is_some() {
            (known.signing, known.chosen_at) = (signing, Some(read_at));
        }
        Ok(())
    }
}

fn is_recent(at: Option<Instant>, lifetime: Duration) -> bool {
    at.is_some_and(|at| at.elapsed() <= lifetime)
}

/// The keys, newest first.
async fn rows(secrets: &Secrets) -> Result<Vec<Row>, IdentityError> {
    Ok(sqlx::query_as(
        "select key_id, key_encryption_key, sealed, public_key,
             extract(epoch from clock_timestamp() - created_at)::float8 as age_seconds
         from apex.session_signing_keys order by created_at desc, key_id limit $1",
    )
    .bind(MAX_KEYS)
    .fetch_all(&secrets.pool)
    .await?)
}

async fn open(secrets: &Secrets, row: &Row) -> Result<SigningKey, IdentityError> {
    let key = secrets.key(row.key_encryption_key).await?.ok_or(IdentityError::Damaged(row.key_id))?;
    let seed = sealed::open(&key, SIGNING_KEY, row.key_id, &row.sealed)?;
    Ok(SigningKey { id: row.key_id, encoding: pkcs8(&seed) })
}

/// Creates a key, unless another process has created one meanwhile.
async fn create(secrets: &Secrets) -> Result<(), IdentityError> {
    let (newest, id) = (secrets.newest_key().await?, Uuid::now_v7());
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed)?;
    let public = unbase64url(&public_of(&pkcs8(&seed))?).ok_or(IdentityError::NoSigningKey)?;
    sqlx::query(
        "insert into apex.session_signing_keys (key_id, key_encryption_key, sealed, public_key)
         select $1, $2, $3, $4 where not exists (select from apex.session_signing_keys
             where created_at > clock_timestamp() - make_interval(secs => $5))",
    )
    .bind(id)
    .bind(newest.version)
    .bind(sealed::seal(&newest.key, SIGNING_KEY, id, &seed)?)
    .bind(public)
    .bind(ROTATION_AGE.as_secs_f64())
    .execute(&secrets.pool)
    .await?;
    Ok(())
}

/// Deletes keys that were replaced long ago. Returns how many.
pub(crate) async fn delete_old(secrets: &Secrets) -> Result<u64, IdentityError> {
    let deleted = sqlx::query(
        "delete from apex.session_signing_keys k where created_at < clock_timestamp() - make_interval(secs => $1)
         and exists (select from apex.session_signing_keys n where n.created_at > k.created_at
             and n.created_at < clock_timestamp() - interval '1 day')",
    )
    .bind(DELETION_AGE.as_secs_f64())
    .execute(&secrets.pool)
    .await?;
    Ok(deleted.rows_affected())
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn unbase64url(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first test vector of RFC 8032.
    #[test]
    fn the_public_key_belongs_to_the_private_one() {
        let seed =
            crate::key_text::unhex::<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let public = unbase64url(&public_of(&pkcs8(&seed)).unwrap()).unwrap();
        assert_eq!(crate::key_text::hex(&public), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    }

    #[test]
    fn a_key_signs_once_it_was_published_and_until_its_successor_was() {
        let minutes = |minutes: &[u64]| minutes.iter().map(|minutes| Duration::from_mins(*minutes)).collect::<Vec<_>>();
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&minutes(&[0])), Some(0));
        assert_eq!(choose(&minutes(&[1, 50_000])), Some(1));
        assert_eq!(choose(&minutes(&[11, 50_000])), Some(0));
        assert_eq!(choose(&minutes(&[1, 2])), Some(1));
        assert!(is_due(None) && is_due(Some(ROTATION_AGE)) && !is_due(Some(Duration::ZERO)));
        assert!(DELETION_AGE > ROTATION_AGE + PUBLICATION_LEAD);
    }
}
