//! The tables of secrets: hashes of API keys, and fingerprints of the keys they were made with.

use crate::error::{IdentityError, KeyFileError};
use crate::key_file::{EncryptionKey, HASH_BYTES, KeyFile};
use crate::key_text::KeySecret;
use chrono::{DateTime, Utc};
use domain::{ApiKeyId, TenantId};
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// The maximum number of key-encryption keys that are compared with the file: as many as fit into it.
const MAX_CHECKED_VERSIONS: i64 = 1000;

/// The hash of a secret, and the key it was made with.
pub(crate) struct StoredSecret {
    key: EncryptionKey,
    hash: Vec<u8>,
}

impl StoredSecret {
    /// Whether a secret has the hash. Takes the same time wherever the two differ.
    pub(crate) fn verifies(&self, id: ApiKeyId, secret: &KeySecret) -> Result<bool, KeyFileError> {
        self.key.verifies(id, secret, &self.hash)
    }
}

/// The result of inserting the hash of a new secret.
pub(crate) struct Inserted {
    /// Whether there was no hash for the id.
    pub(crate) is_new: bool,
    /// The absolute path of the file of key-encryption keys, if it was created for this secret.
    pub(crate) created_file: Option<PathBuf>,
}

/// The key-encryption key for new hashes and new encrypted secrets.
pub(crate) struct NewestKey {
    pub(crate) version: i32,
    pub(crate) key: EncryptionKey,
    /// The absolute path of the file, if it was created now.
    pub(crate) created_file: Option<PathBuf>,
}

/// The tables and the file of key-encryption keys.
pub(crate) struct Secrets {
    pub(crate) pool: PgPool,
    pub(crate) key_file: KeyFile,
    /// The keys whose fingerprint was compared with that in the database.
    checked: Mutex<HashMap<i32, EncryptionKey>>,
}

impl Secrets {
    pub(crate) fn new(pool: PgPool, key_file: PathBuf) -> Self {
        Self { pool, key_file: KeyFile::new(key_file), checked: Mutex::default() }
    }

    /// The key-encryption key of a version, which the database knows; none if it knows no such version.
    ///
    /// # Errors
    /// [`IdentityError::KeyFile`] if the file does not have it, or has another one.
    pub(crate) async fn key(&self, version: i32) -> Result<Option<EncryptionKey>, IdentityError> {
        if let Some(key) = self.checked(version) {
            return Ok(Some(key));
        }
        let stored: Option<Vec<u8>> =
            sqlx::query_scalar("select fingerprint from apex.key_encryption_keys where version = $1")
                .bind(version)
                .fetch_optional(&self.pool)
                .await?;
        let Some(stored) = stored else { return Ok(None) };
        let key = self.key_file.key(version)?;
        self.check(version, &key, &stored)?;
        self.set_checked(version, &key);
        Ok(Some(key))
    }

    /// The key of a version, if its fingerprint was compared with that in the database.
    fn checked(&self, version: i32) -> Option<EncryptionKey> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).get(&version).cloned()
    }

    fn set_checked(&self, version: i32, key: &EncryptionKey) {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(version, key.clone());
    }

    /// Inserts the hash of a new secret. It is not inserted if there is one for the id.
    pub(crate) async fn insert(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        secret: &KeySecret,
    ) -> Result<Inserted, IdentityError> {
        let NewestKey { version, key, created_file } = self.newest_key().await?;
        let inserted = sqlx::query(
            "insert into apex.api_key_secrets (key_id, tenant_id, key_encryption_key, hash) values ($1, $2, $3, $4)
             on conflict (key_id) do nothing",
        )
        .bind(id.0)
        .bind(tenant.as_str())
        .bind(version)
        .bind(key.hash(id, secret)?.as_slice())
        .execute(&self.pool)
        .await?;
        Ok(Inserted { is_new: inserted.rows_affected() == 1, created_file })
    }

    /// The newest key-encryption key, whose fingerprint is in the database. Creates the first one, if no process of the
    /// installation has created it. The file is read each time; the database is asked about a key once.
    ///
    /// # Errors
    /// [`IdentityError::KeyFile`] if the file cannot be read or written, or has other keys than those of the installation.
    pub(crate) async fn newest_key(&self) -> Result<NewestKey, IdentityError> {
        if let Ok((version, key)) = self.key_file.newest()
            && self.checked(version).as_ref() == Some(&key)
        {
            return Ok(NewestKey { version, key, created_file: None });
        }
        let is_used: bool =
            sqlx::query_scalar("select exists (select from apex.key_encryption_keys)").fetch_one(&self.pool).await?;
        let is_created = !is_used && self.key_file.create_if_missing()?;
        let created_file = is_created.then(|| self.key_file.path().to_owned());
        let (version, key) = self.key_file.newest()?;
        let fingerprint = key.fingerprint()?;
        sqlx::query(
            "insert into apex.key_encryption_keys (version, fingerprint) values ($1, $2) on conflict (version) do nothing",
        )
        .bind(version)
        .bind(fingerprint.as_slice())
        .execute(&self.pool)
        .await?;
        let stored: Vec<u8> = sqlx::query_scalar("select fingerprint from apex.key_encryption_keys where version = $1")
            .bind(version)
            .fetch_one(&self.pool)
            .await?;
        self.check(version, &key, &stored)?;
        self.set_checked(version, &key);
        Ok(NewestKey { version, key, created_file })
    }

    /// Creates the file of key-encryption keys if no process of the installation has created it, and checks that it has every
    /// key that hashes in the table were made with. Returns the absolute path of the file if it was created now.
    pub(crate) async fn prepare_key_file(&self) -> Result<Option<PathBuf>, IdentityError> {
        let created = self.newest_key().await?.created_file;
        self.check_key_file().await?;
        Ok(created)
    }

    /// Checks that the file has every key that the hashes in the table were made with.
    pub(crate) async fn check_key_file(&self) -> Result<(), IdentityError> {
        let versions: Vec<(i32, Vec<u8>)> = sqlx::query_as(
            "select version, fingerprint from apex.key_encryption_keys k
             where exists (select from apex.api_key_secrets s where s.key_encryption_key = k.version)
                 or exists (select from apex.user_passwords s where s.key_encryption_key = k.version)
                 or exists (select from apex.user_totp_secrets s where s.key_encryption_key = k.version)
                 or exists (select from apex.session_signing_keys s where s.key_encryption_key = k.version)
                 or exists (select from apex.alert_destinations s where s.key_encryption_key = k.version)
             order by version desc limit $1",
        )
        .bind(MAX_CHECKED_VERSIONS)
        .fetch_all(&self.pool)
        .await?;
        for (version, fingerprint) in versions {
            self.check(version, &self.key_file.key(version)?, &fingerprint)?;
        }
        Ok(())
    }

    /// The hash of a key's secret; none if the key was revoked, or the row is missing.
    pub(crate) async fn read(&self, id: ApiKeyId) -> Result<Option<StoredSecret>, IdentityError> {
        let row: Option<(i32, Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "select s.key_encryption_key, s.hash, k.fingerprint
             from apex.api_key_secrets s join apex.key_encryption_keys k on k.version = s.key_encryption_key
             where s.key_id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.pool)
        .await?;
        let Some((version, hash, fingerprint)) = row else { return Ok(None) };
        let key = self.key_file.key(version)?;
        self.check(version, &key, &fingerprint)?;
        Ok(Some(StoredSecret { key, hash }))
    }

    fn check(&self, version: i32, key: &EncryptionKey, fingerprint: &[u8]) -> Result<(), KeyFileError> {
        let own: [u8; HASH_BYTES] = key.fingerprint()?;
        if own != fingerprint {
            return Err(KeyFileError::OtherKey { path: self.key_file.path().to_owned(), version });
        }
        Ok(())
    }

    /// Notes that the event of a key is in the log.
    pub(crate) async fn confirm(&self, id: ApiKeyId) -> Result<(), IdentityError> {
        sqlx::query("update apex.api_key_secrets set is_confirmed = true where key_id = $1")
            .bind(id.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Deletes the hash of a key, which is of no more use.
    pub(crate) async fn delete(&self, id: ApiKeyId) -> Result<(), IdentityError> {
        sqlx::query("delete from apex.api_key_secrets where key_id = $1").bind(id.0).execute(&self.pool).await?;
        Ok(())
    }

    /// Of the rows that are older than `age` and not confirmed, the oldest up to a limit: confirms those whose event is in
    /// the log, and deletes the others. Returns how many were deleted.
    pub(crate) async fn sweep(&self, age: Duration, max_rows: i64) -> Result<u64, IdentityError> {
        let has_event = "exists (select from apex.streams t where t.stream_id = s.key_id
                             and t.tenant_id = s.tenant_id and t.category = 'api_key')";
        let oldest = "select s.key_id from apex.api_key_secrets s
                      where not s.is_confirmed and s.created_at < clock_timestamp() - make_interval(secs => $1)
                      order by s.created_at limit $2";
        let confirm = format!(
            "update apex.api_key_secrets s set is_confirmed = true where s.key_id = any (array({oldest})) and {has_event}"
        );
        let delete =
            format!("delete from apex.api_key_secrets s where s.key_id = any (array({oldest})) and not {has_event}");
        let mut deleted = 0;
        // Confirmed rows first, so that they do not hide the others behind the limit.
        for statement in [confirm, delete] {
            let done = sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(age.as_secs_f64())
                .bind(max_rows)
                .execute(&self.pool)
                .await?;
            deleted = done.rows_affected();
        }
        Ok(deleted)
    }

    /// Notes the hours in which keys were used.
    pub(crate) async fn touch(&self, uses: &HashMap<Uuid, DateTime<Utc>>) -> Result<(), IdentityError> {
        let (ids, hours): (Vec<Uuid>, Vec<DateTime<Utc>>) = uses.iter().map(|(id, hour)| (*id, *hour)).unzip();
        sqlx::query(
            "update apex.api_key_secrets s set last_used_at = u.hour
             from unnest($1::uuid[], $2::timestamptz[]) as u(key_id, hour)
             where s.key_id = u.key_id and (s.last_used_at is null or s.last_used_at < u.hour)",
        )
        .bind(ids)
        .bind(hours)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// When keys were last used, to the hour, for those that were.
    pub(crate) async fn last_uses(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, DateTime<Utc>)>, IdentityError> {
        Ok(sqlx::query_as(
            "select key_id, last_used_at from apex.api_key_secrets
             where key_id = any ($1) and last_used_at is not null",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::postgres::PgPoolOptions;

    /// The database is not there, so that a question to it fails.
    #[tokio::test]
    async fn a_newest_key_that_was_checked_is_not_looked_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.keys");
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
        let secrets = Secrets::new(pool.connect_lazy("postgres://127.0.0.1:1/none").unwrap(), path.clone());
        secrets.key_file.create_if_missing().unwrap();
        assert!(matches!(secrets.newest_key().await, Err(IdentityError::Database(_))));
        let (version, key) = secrets.key_file.newest().unwrap();
        secrets.set_checked(version, &key);
        let newest = secrets.newest_key().await.unwrap();
        assert!(newest.version == 1 && newest.key == key && newest.created_file.is_none());
        // Another key of the same version, one of a later version, and a file that is gone.
        let text = std::fs::read_to_string(&path).unwrap();
        secrets.set_checked(version, &EncryptionKey::other());
        assert!(matches!(secrets.newest_key().await, Err(IdentityError::Database(_))));
        secrets.set_checked(version, &key);
        std::fs::write(&path, format!("{text}2 {}\n", "ab".repeat(32))).unwrap();
        assert!(matches!(secrets.newest_key().await, Err(IdentityError::Database(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(secrets.newest_key().await.is_err());
    }
}
