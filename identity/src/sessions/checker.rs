//! From an access token to the session that it is of.

use super::access_token::{self, Claims};
use super::config::SignInConfig;
use super::credentials::SessionCredentials;
use super::open_sessions::OpenSessions;
use super::rows;
use super::signing_keys::SigningKeys;
use crate::directory::{Directory, NoPrincipal};
use crate::error::IdentityError;
use crate::secrets::Secrets;
use chrono::{DateTime, Utc};
use domain::{SessionId, TenantId, UserId};
use moka::sync::Cache;
use std::time::{Duration, Instant};

/// How long the status of a session is used before it is read again: with the time of the read itself less than a second.
const STATUS_LIFETIME: Duration = Duration::from_millis(700);
/// How long a status is used that does not agree with the directory, which may be newer: the session may have changed the
/// credentials that it rests on. It bounds the reads that a session causes which is refused.
const DISAGREEING_LIFETIME: Duration = Duration::from_millis(50);
/// The maximum number of statuses in memory.
const MAX_STATUSES: u64 = 100_000;

/// A session that was not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ActiveSession {
    tenant: TenantId,
    user: UserId,
    expires_at: DateTime<Utc>,
    credentials: SessionCredentials,
}

/// The session; none if it has ended.
type Status = Option<ActiveSession>;

/// The sessions as this process knows them.
pub(crate) struct Sessions {
    pub(crate) config: SignInConfig,
    pub(crate) keys: SigningKeys,
    pub(crate) open: OpenSessions,
    /// With the time at which the read began.
    statuses: Cache<SessionId, (Instant, Status)>,
}

impl Sessions {
    pub(crate) fn new(config: SignInConfig) -> Self {
        let statuses = Cache::builder().max_capacity(MAX_STATUSES).time_to_live(STATUS_LIFETIME).build();
        Self { config, keys: SigningKeys::default(), open: OpenSessions::default(), statuses }
    }

    /// Whose session a token is of; none if the token is not valid, or the session was revoked or has expired. Whether it rests
    /// on the credentials of its user is checked by [`Sessions::check_credentials`].
    pub(crate) async fn check(&self, secrets: &Secrets, text: &str) -> Result<Option<Claims>, IdentityError> {
        let Some(key_id) = access_token::key_id(text) else { return Ok(None) };
        let Some(key) = self.keys.verifying(secrets, key_id).await? else { return Ok(None) };
        let Some(claims) = access_token::verify(&key, text, Utc::now()) else { return Ok(None) };
        let status = self.status(secrets, claims.sid, STATUS_LIFETIME).await?;
        let is_of_session = status.is_some_and(|session| {
            session.tenant == claims.tenant && session.user == claims.sub && session.expires_at > Utc::now()
        });
        Ok(is_of_session.then_some(claims))
    }

    /// Checks that the session of a token rests on the credentials of its user, who is active.
    ///
    /// # Errors
    /// [`NoPrincipal`] if it does not, or if that is not known.
    pub(crate) async fn check_credentials(
        &self,
        secrets: &Secrets,
        directory: &Directory,
        claims: &Claims,
    ) -> Result<Result<(), NoPrincipal>, IdentityError> {
        for lifetime in [STATUS_LIFETIME, DISAGREEING_LIFETIME] {
            let Some(session) = self.status(secrets, claims.sid, lifetime).await? else { break };
            // Reading the session may have taken as long as a revocation.
            directory.refresh().await?;
            match directory.active_user(&claims.tenant, claims.sub) {
                Ok(user) if session.credentials.are_of(&user) => return Ok(Ok(())),
                Ok(_) => {}
                Err(none) => return Ok(Err(none)),
            }
        }
        Ok(Err(NoPrincipal::Refused))
    }

    /// The status of a session, which is not older than `lifetime`.
    async fn status(&self, secrets: &Secrets, id: SessionId, lifetime: Duration) -> Result<Status, IdentityError> {
        if let Some((_, status)) = self.statuses.get(&id).filter(|(read_at, _)| read_at.elapsed() <= lifetime) {
            return Ok(status);
        }
        let read_at = Instant::now();
        let row = rows::read(&secrets.pool, id).await?.filter(|row| row.is_active);
        let status = row.map(|row| ActiveSession {
            credentials: row.credentials(),
            user: UserId(row.user_id),
            expires_at: row.expires_at,
            tenant: TenantId::from_stored(row.tenant_id),
        });
        self.statuses.insert(id, (read_at, status.clone()));
        Ok(status)
    }

    /// Removes a session from memory, because it has ended or changes.
    pub(crate) fn forget(&self, id: SessionId) {
        self.statuses.invalidate(&id);
    }
}
