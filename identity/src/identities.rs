//! From an API key to a principal, and the work beside it.

use crate::directory::{Directory, KeySummary};
use crate::error::{AuthenticationError, IdentityError};
use crate::key_file::{EncryptionKey, HASH_BYTES, KeyFile};
use crate::key_text::{KeySecret, parse};
use crate::secrets::{Secrets, StoredSecret};
use crate::usage::Uses;
use chrono::{DateTime, Utc};
use commands::{Commands, Principal, Subject};
use domain::ApiKeyId;
use domain::permissions::{Access, ReadData};
use moka::sync::Cache;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The maximum number of hashes in memory, of a few hundred bytes each.
const MAX_CACHED_HASHES: u64 = 100_000;
/// How long a hash is used before it is read again, so that a row that was deleted by hand ends its key.
const HASH_LIFETIME: Duration = Duration::from_mins(10);
/// How often uses of keys are written.
const USES_INTERVAL: Duration = Duration::from_mins(1);
/// How often rows without an event are deleted, and their age. A command that creates a key takes seconds.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
const SWEEP_AGE: Duration = Duration::from_hours(1);
/// The maximum number of rows that one sweep looks at.
const MAX_SWEPT: i64 = 1000;
/// The maximum number of keys in a list.
const MAX_LISTED: usize = 10_000;

struct Shared {
    directory: Directory,
    secrets: Secrets,
    hashes: Cache<ApiKeyId, Arc<StoredSecret>>,
    uses: Uses,
    /// What a secret is compared with where there is no hash, so that it takes as long.
    decoy: EncryptionKey,
}

/// The credentials of an installation, and the directory of who they belong to; cheap to clone.
#[derive(Clone)]
pub struct Identities {
    pub(crate) commands: Commands,
    shared: Arc<Shared>,
}

impl Identities {
    /// Folds the grants that are in the log. The file of key-encryption keys is read when it is needed, and created with
    /// the first API key.
    ///
    /// # Errors
    /// [`IdentityError::Read`] if the log cannot be read.
    pub async fn open(pool: PgPool, commands: Commands, key_file: PathBuf) -> Result<Self, IdentityError> {
        let directory = Directory::open(&pool, commands.log().clone()).await?;
        let hashes = Cache::builder().max_capacity(MAX_CACHED_HASHES).time_to_live(HASH_LIFETIME).build();
        let secrets = Secrets { pool, key_file: KeyFile::new(key_file) };
        let shared = Shared { directory, secrets, hashes, uses: Uses::default(), decoy: EncryptionKey::decoy() };
        Ok(Self { commands, shared: Arc::new(shared) })
    }

    /// Who may do what. It is as of the last [`Directory::refresh`].
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.shared.secrets
    }

    /// Removes a hash from memory, because its key is of no more use.
    pub(crate) fn forget(&self, id: ApiKeyId) {
        self.shared.hashes.invalidate(&id);
    }

    /// The principal of an API key.
    ///
    /// # Errors
    /// [`AuthenticationError::Refused`] if the key is not valid, and [`AuthenticationError::Unavailable`] if that cannot be
    /// found out at the moment.
    pub async fn authenticate(&self, text: &str) -> Result<Principal, AuthenticationError> {
        let Some((id, secret)) = parse(text) else { return Err(AuthenticationError::Refused) };
        let unavailable = |error: IdentityError| {
            tracing::error!(error = &error as &dyn std::error::Error, key = %id, "an API key cannot be checked");
            AuthenticationError::Unavailable(Box::new(error))
        };
        self.shared.directory.refresh().await.map_err(unavailable)?;
        let is_right = self.is_secret(id, &secret).await.map_err(unavailable)?;
        let principal = self.shared.directory.principal(id, Utc::now()).filter(|_| is_right);
        if let Some(principal) = principal {
            self.shared.uses.note(id);
            return Ok(principal);
        }
        Err(AuthenticationError::Refused)
    }

    /// Completes when a principal that [`Identities::authenticate`] made is no longer valid: its key, account or tenant
    /// ended, its roles changed, or none of that can be found out any more. Others are valid for ever.
    pub async fn ended(&self, principal: &Principal) {
        match principal.subject() {
            Subject::ServiceAccount { key, .. } => self.shared.directory.ended(*key, principal).await,
            Subject::SharedToken { .. } | Subject::CommandLine | Subject::Component(_) => std::future::pending().await,
        }
    }

    /// Whether a secret is that of a key.
    async fn is_secret(&self, id: ApiKeyId, secret: &KeySecret) -> Result<bool, IdentityError> {
        let Shared { directory, secrets, hashes, decoy, .. } = &*self.shared;
        let stored = match hashes.get(&id) {
            Some(stored) => Some(stored),
            // An id that no event names costs no query.
            None if !directory.knows(id) => None,
            None => secrets.read(id).await?.map(Arc::new).inspect(|read| hashes.insert(id, read.clone())),
        };
        let Some(stored) = stored else {
            // Nothing has this hash. It is compared for the time that it takes.
            std::hint::black_box(decoy.verifies(id, secret, &[0; HASH_BYTES])?);
            return Ok(false);
        };
        Ok(stored.verifies(id, secret)?)
    }

    /// The API keys of a tenant, by id; at most 10,000.
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the last uses cannot be read.
    pub async fn keys(&self, access: &Access<ReadData>) -> Result<Vec<KeySummary>, IdentityError> {
        let mut keys = self.shared.directory.keys(access, MAX_LISTED);
        let ids: Vec<Uuid> = keys.iter().map(|key| key.id.0).collect();
        let uses: HashMap<Uuid, DateTime<Utc>> = self.shared.secrets.last_uses(&ids).await?.into_iter().collect();
        keys.iter_mut().for_each(|key| key.last_used_at = uses.get(&key.id.0).copied());
        Ok(keys)
    }

    /// Keeps the directory up to date between requests, writes the uses of keys, and deletes rows without an event, until
    /// `shutdown` completes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = shutdown => {}
            () = self.shared.directory.follow() => {}
            () = self.write_uses() => {}
            () = self.sweep() => {}
        }
        // What is left is written at the end, if the database is there.
        self.flush_uses().await;
    }

    async fn write_uses(&self) {
        loop {
            tokio::time::sleep(USES_INTERVAL).await;
            self.flush_uses().await;
        }
    }

    async fn flush_uses(&self) {
        let uses = self.shared.uses.take();
        if uses.is_empty() {
            return;
        }
        if let Err(error) = self.shared.secrets.touch(&uses).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last uses of API keys cannot be written");
            self.shared.uses.put_back(uses);
        }
    }

    async fn sweep(&self) {
        loop {
            match self.shared.secrets.sweep(SWEEP_AGE, MAX_SWEPT).await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "deleted secrets of API keys that were never created"),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "secrets without a key cannot be deleted");
                }
            }
            tokio::time::sleep(SWEEP_INTERVAL).await;
        }
    }
}
