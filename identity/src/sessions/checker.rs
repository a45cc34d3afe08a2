//! From an access token to the session that it is of.

use super::access_token::{self, Claims};
use super::client::SignInConfig;
use super::open_sessions::OpenSessions;
use super::rows;
use super::signing_keys::SigningKeys;
use crate::error::IdentityError;
use crate::secrets::Secrets;
use chrono::{DateTime, Utc};
use domain::{SessionId, TenantId, UserId};
use moka::sync::Cache;
use std::time::{Duration, Instant};

/// How long the status of a session is used before it is read again: with the time of the read itself less than a second.
const STATUS_LIFETIME: Duration = Duration::from_millis(700);
/// The maximum number of statuses in memory.
const MAX_STATUSES: u64 = 100_000;

/// Whose a session is, and until when it lasts; none if it has ended.
type Status = Option<(TenantId, UserId, DateTime<Utc>)>;

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

    /// Whose session a token is of; none if the token is not valid, or the session has ended.
    pub(crate) async fn check(&self, secrets: &Secrets, text: &str) -> Result<Option<Claims>, IdentityError> {
        let Some(key_id) = access_token::key_id(text) else { return Ok(None) };
        let Some(key) = self.keys.verifying(secrets, key_id).await? else { return Ok(None) };
        let Some(claims) = access_token::verify(&key, text, Utc::now()) else { return Ok(None) };
        let status = self.status(secrets, claims.sid).await?;
        let is_of_session = status.is_some_and(|(tenant, user, expires_at)| {
            tenant == claims.tenant && user == claims.sub && expires_at > Utc::now()
        });
        Ok(is_of_session.then_some(claims))
    }

    /// The status of a session, which is less than a second old.
    async fn status(&self, secrets: &Secrets, id: SessionId) -> Result<Status, IdentityError> {
        if let Some((_, status)) = self.statuses.get(&id).filter(|(read_at, _)| read_at.elapsed() <= STATUS_LIFETIME) {
            return Ok(status);
        }
        let read_at = Instant::now();
        let row = rows::read(&secrets.pool, id).await?.filter(|row| row.is_active);
        let status = row.map(|row| (TenantId::from_stored(row.tenant_id), UserId(row.user_id), row.expires_at));
        self.statuses.insert(id, (read_at, status.clone()));
        Ok(status)
    }

    /// Removes a session from memory, because it has ended.
    pub(crate) fn forget(&self, id: SessionId) {
        self.statuses.invalidate(&id);
    }
}
