//! From an API key or an access token to a principal, and the work beside it.

use crate::access::{AccessRecorder, KnownOrigin, read_origins};
use crate::directory::{Directory, EndReason, KeySummary, NoPrincipal};
use crate::error::{AuthenticationError, IdentityError};
use crate::expired::delete_expired;
use crate::key_file::{EncryptionKey, HASH_BYTES};
use crate::key_text::{KeySecret, parse};
use crate::people::{self, MailQueue, PasswordHasher, SignInThrottle};
use crate::secrets::{Secrets, StoredSecret};
use crate::sessions::{Sessions, SignInConfig, delete_old_signing_keys, looks_like_access_token};
use crate::throttle::ThrottledError;
use crate::usage::Uses;
use chrono::{DateTime, Utc};
use commands::{Commands, Principal, Subject};
use domain::permissions::{Access, ReadAccessLog, ReadIdentities};
use domain::{ApiKeyId, OriginId, ServiceAccountId, TenantId};
use moka::sync::Cache;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::future::Future;
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

/// The timeout for checking a credential, after which it is neither accepted nor refused.
const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(3);
/// The maximum number of hashes in memory, of a few hundred bytes each.
const MAX_CACHED_HASHES: u64 = 100_000;
/// How long a hash is used before it is read again, so that a row that was deleted by hand ends its key.
const HASH_LIFETIME: Duration = Duration::from_mins(10);
/// How often uses of keys are written.
const USES_INTERVAL: Duration = Duration::from_mins(1);
/// How often what access logs record is written.
const ACCESS_INTERVAL: Duration = Duration::from_secs(1);
/// How often rows without an event are deleted, and their age. A command that creates a key takes seconds.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
const SWEEP_AGE: Duration = Duration::from_hours(1);
/// The maximum number of rows that one sweep looks at for an event, and that are deleted by one transaction.
const MAX_SWEPT: i64 = 1000;
/// The most people who ask for a link that are looked for at the same time.
const MAX_RESETS: usize = 64;
/// The maximum number of accounts or keys in a list.
pub const MAX_LISTED: usize = 10_000;

struct Shared {
    directory: Directory,
    secrets: Secrets,
    hashes: Cache<ApiKeyId, Arc<StoredSecret>>,
    uses: Uses,
    failures: ThrottledError,
    access: AccessRecorder,
    /// What a secret is compared with where there is no hash, so that it takes as long.
    decoy: EncryptionKey,
    sessions: Sessions,
    throttle: SignInThrottle,
    hasher: PasswordHasher,
    /// Permits for looking for people who ask for a link.
    resets: Arc<Semaphore>,
}

/// The credentials of an installation, and the directory of who they belong to; cheap to clone.
#[derive(Clone)]
pub struct Identities {
    pub(crate) commands: Commands,
    shared: Arc<Shared>,
    mail: Option<Arc<dyn MailQueue>>,
}

impl Identities {
    /// Folds the grants that are in the log. The file of key-encryption keys is read when it is needed, and created by
    /// [`Identities::prepare_key_file`] or with the first API key, whichever comes first.
    ///
    /// # Errors
    /// [`IdentityError::Read`] if the log cannot be read.
    pub async fn open(pool: PgPool, commands: Commands, key_file: PathBuf) -> Result<Self, IdentityError> {
        Self::open_with(pool, commands, key_file, SignInConfig::default()).await
    }

    /// As [`Identities::open`], with settings of sessions.
    ///
    /// # Errors
    /// As [`Identities::open`].
    pub async fn open_with(
        pool: PgPool,
        commands: Commands,
        key_file: PathBuf,
        config: SignInConfig,
    ) -> Result<Self, IdentityError> {
        let directory = Directory::open(&pool, commands.log().clone()).await?;
        let hashes = Cache::builder().max_capacity(MAX_CACHED_HASHES).time_to_live(HASH_LIFETIME).build();
        let secrets = Secrets::new(pool, key_file);
        let (uses, failures, decoy) = (Uses::default(), ThrottledError::default(), EncryptionKey::decoy());
        let throttle = SignInThrottle::new(&config);
        let (sessions, hasher) = (Sessions::new(config), PasswordHasher::default());
        let (access, resets) = (AccessRecorder::default(), Arc::new(Semaphore::new(MAX_RESETS)));
        let shared =
            Shared { directory, secrets, hashes, uses, failures, access, decoy, sessions, throttle, hasher, resets };
        Ok(Self { commands, shared: Arc::new(shared), mail: None })
    }

    /// Mails invitations, and links to people who ask for one.
    #[must_use]
    pub fn with_mail(self, queue: Arc<dyn MailQueue>) -> Self {
        Self { mail: Some(queue), ..self }
    }

    pub(crate) fn mail_queue(&self) -> Option<&dyn MailQueue> {
        self.mail.as_deref()
    }

    /// The right to look for one more person who asks for a link; none if there are too many.
    pub(crate) fn reset_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.shared.resets.clone().try_acquire_owned().ok()
    }

    /// Creates the file of key-encryption keys if no process of the installation has created it yet, and checks that it has
    /// every key that hashes in the database were made with. Returns the absolute path of the file if it was created now: it
    /// has to be backed up, and all processes need it.
    ///
    /// # Errors
    /// [`IdentityError::KeyFile`] if the file cannot be written, or lacks a key; and [`IdentityError::Database`] if the
    /// database cannot be read or written.
    pub async fn prepare_key_file(&self) -> Result<Option<PathBuf>, IdentityError> {
        self.shared.secrets.prepare_key_file().await
    }

    /// Who may do what. It is as of the last [`Directory::refresh`].
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    /// Notes what the access logs record. [`Identities::run`] writes it.
    #[must_use]
    pub fn access(&self) -> &AccessRecorder {
        &self.shared.access
    }

    /// Where requests of a tenant came from, for those ids that are known, by id.
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the database cannot be read.
    pub async fn origins(
        &self,
        access: &Access<ReadAccessLog>,
        ids: &[OriginId],
    ) -> Result<Vec<KnownOrigin>, IdentityError> {
        read_origins(&self.shared.secrets.pool, access.tenant(), ids).await
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.shared.secrets
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    pub(crate) fn throttle(&self) -> &SignInThrottle {
        &self.shared.throttle
    }

    pub(crate) fn hasher(&self) -> &PasswordHasher {
        &self.shared.hasher
    }

    /// Removes a hash from memory, because its key is of no more use.
    pub(crate) fn forget(&self, id: ApiKeyId) {
        self.shared.hashes.invalidate(&id);
    }

    /// The principal of an API key, or of an access token of a session.
    ///
    /// # Errors
    /// [`AuthenticationError::Refused`] if the credential is not valid, and [`AuthenticationError::Unavailable`] if that cannot
    /// be found out at the moment.
    pub async fn authenticate(&self, text: &str) -> Result<Principal, AuthenticationError> {
        if looks_like_access_token(text) {
            let principal = self.within_timeout(self.user_principal(text)).await?;
            return principal.ok_or(AuthenticationError::Refused);
        }
        let Some((id, secret)) = parse(text) else { return Err(AuthenticationError::Refused) };
        let principal = self.within_timeout(self.principal(id, &secret)).await?;
        let principal = principal.ok_or(AuthenticationError::Refused)?;
        self.shared.uses.note(id, Utc::now());
        Ok(principal)
    }

    /// The API key whose public id an `Authorization` header has, and its tenant; none if there is no such key. Whether its
    /// secret is right is not checked.
    #[must_use]
    pub fn presented_key(&self, authorization: &str) -> Option<(TenantId, ApiKeyId)> {
        let (_, text) = authorization.split_once(' ')?;
        let (id, _) = parse(text.trim())?;
        Some((self.shared.directory.tenant_of(id)?, id))
    }

    /// Checks that a tenant is not suspended, for credentials that are not in the log. A tenant that was never created is
    /// not suspended.
    ///
    /// # Errors
    /// [`AuthenticationError::Refused`] if the tenant is suspended, and [`AuthenticationError::Unavailable`] if that cannot
    /// be found out at the moment.
    pub async fn check_not_suspended(&self, tenant: &TenantId) -> Result<(), AuthenticationError> {
        let directory = &self.shared.directory;
        let checking = async {
            directory.refresh().await?;
            directory.is_suspended(tenant).map_err(|_| IdentityError::Unreadable)
        };
        if self.within_timeout(checking).await? { Err(AuthenticationError::Refused) } else { Ok(()) }
    }

    /// Completes when a principal is no longer valid: the tenant of a shared token was suspended, or the key, account or
    /// tenant of an API key, or the session, user or tenant of an access token ended, its roles changed, or none of that can
    /// be found out any more. Others are valid for ever.
    pub async fn ended(&self, principal: &Principal) -> EndReason {
        match principal.subject() {
            Subject::User { id, session } => tokio::select! {
                reason = self.shared.directory.user_ended(*id, *session, principal) => reason,
                reason = self.shared.sessions.open.ended(*session) => reason,
            },
            Subject::ServiceAccount { key, .. } => self.shared.directory.ended(*key, principal).await,
            Subject::SharedToken { .. } => self.shared.directory.tenant_ended(principal.tenant()).await,
            Subject::CommandLine | Subject::Component(_) => std::future::pending().await,
        }
    }

    /// Limits the time of a check, and logs why it fails.
    async fn within_timeout<T>(
        &self,
        checking: impl Future<Output = Result<T, IdentityError>>,
    ) -> Result<T, AuthenticationError> {
        let checked = tokio::time::timeout(AUTHENTICATION_TIMEOUT, checking).await;
        checked.unwrap_or(Err(IdentityError::Timeout(AUTHENTICATION_TIMEOUT))).map_err(|error| {
            self.shared.failures.log(&error);
            AuthenticationError::Unavailable(Box::new(error))
        })
    }

    /// The principal of a key; none if the key is refused.
    async fn principal(&self, id: ApiKeyId, secret: &KeySecret) -> Result<Option<Principal>, IdentityError> {
        let directory = &self.shared.directory;
        directory.refresh().await?;
        // Nothing more is looked up for a wrong secret, which would take longer for a key that exists.
        if !self.is_secret(id, secret).await? {
            return Ok(None);
        }
        // Reading the hash may have taken as long as a revocation.
        directory.refresh().await?;
        match directory.principal(id, Utc::now()) {
            Ok(principal) => Ok(Some(principal)),
            Err(NoPrincipal::Unreadable) => Err(IdentityError::Unreadable),
            Err(NoPrincipal::Refused) => Ok(None),
        }
    }

    /// The principal of an access token; none if the token is refused.
    async fn user_principal(&self, text: &str) -> Result<Option<Principal>, IdentityError> {
        let Shared { directory, sessions, secrets, .. } = &*self.shared;
        let Some(claims) = sessions.check(secrets, text).await? else { return Ok(None) };
        let checked = sessions.check_credentials(secrets, directory, &claims).await?;
        let principal = checked.and_then(|()| directory.user_principal(&claims.tenant, claims.sub, claims.sid));
        match principal {
            Ok(principal) => Ok(Some(principal)),
            Err(NoPrincipal::Unreadable) => Err(IdentityError::Unreadable),
            Err(NoPrincipal::Refused) => Ok(None),
        }
    }

    /// Whether a secret is that of a key.
    async fn is_secret(&self, id: ApiKeyId, secret: &KeySecret) -> Result<bool, IdentityError> {
        let Shared { directory, secrets, hashes, decoy, .. } = &*self.shared;
        let stored = match hashes.get(&id) {
            Some(stored) => Some(stored),
            // A key that is refused in any case costs no query.
            None if directory.principal(id, Utc::now()) == Err(NoPrincipal::Refused) => None,
            None => secrets.read(id).await?.map(Arc::new).inspect(|read| hashes.insert(id, read.clone())),
        };
        let Some(stored) = stored else {
            // Nothing has this hash. It is compared for the time that it takes.
            std::hint::black_box(decoy.verifies(id, secret, &[0; HASH_BYTES])?);
            return Ok(false);
        };
        Ok(stored.verifies(id, secret)?)
    }

    /// The API keys of a tenant, or of one of its accounts, with ids in a range, by id; at most `limit`, and at most
    /// [`MAX_LISTED`].
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the last uses cannot be read.
    pub async fn keys(
        &self,
        access: &Access<ReadIdentities>,
        account: Option<ServiceAccountId>,
        ids: impl RangeBounds<ApiKeyId>,
        limit: usize,
    ) -> Result<Vec<KeySummary>, IdentityError> {
        let mut keys = self.shared.directory.keys(access, account, ids, limit.min(MAX_LISTED));
        if keys.is_empty() {
            return Ok(keys);
        }
        let ids: Vec<Uuid> = keys.iter().map(|key| key.id.0).collect();
        let uses: HashMap<Uuid, DateTime<Utc>> = self.shared.secrets.last_uses(&ids).await?.into_iter().collect();
        keys.iter_mut().for_each(|key| key.last_used_at = uses.get(&key.id.0).copied());
        Ok(keys)
    }

    /// Keeps the directory up to date between requests, writes the uses of keys and what the access logs record, and deletes
    /// rows without an event, until `shutdown` completes. Then writes what is left, if the database is there.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let (stopped, _) = watch::channel(false);
        let follow = async {
            tokio::select! {
                () = shutdown => {}
                () = self.shared.directory.follow() => {}
                () = self.sweep() => {}
                () = self.shared.sessions.open.follow(&self.shared.secrets.pool, &self.shared.directory) => {}
            }
            stopped.send_replace(true);
        };
        let is_due = async |interval| {
            let mut stopped = stopped.subscribe();
            tokio::time::timeout(interval, stopped.wait_for(|stopped| *stopped)).await.is_err()
        };
        // A write that has begun holds what it writes, so it is not canceled.
        let write_uses = async {
            while is_due(USES_INTERVAL).await {
                self.flush_uses().await;
            }
            self.flush_uses().await;
        };
        let write_access = async {
            while is_due(ACCESS_INTERVAL).await {
                self.flush_access(false).await;
            }
            self.flush_access(true).await;
        };
        tokio::join!(follow, write_uses, write_access);
    }

    async fn flush_access(&self, all: bool) {
        self.shared.access.flush(&self.commands, &self.shared.secrets, all).await;
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
            match self.sweep_people().await {
                Ok(0) => {}
                Ok(deleted) => {
                    tracing::info!(deleted, "deleted rows about users, links and sessions that are of no use")
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "rows about users cannot be deleted");
                }
            }
            tokio::time::sleep(SWEEP_INTERVAL).await;
        }
    }

    async fn sweep_people(&self) -> Result<u64, IdentityError> {
        let Shared { directory, secrets, .. } = &*self.shared;
        let deleted = people::sweep(secrets, directory, SWEEP_AGE, MAX_SWEPT).await?;
        let expired = delete_expired(&secrets.pool, MAX_SWEPT).await?;
        Ok(deleted + expired + delete_old_signing_keys(secrets).await?)
    }
}
