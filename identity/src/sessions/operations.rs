//! Starting, renewing, listing and ending sessions.

use super::access_token;
use super::credentials::UserCredentials;
use super::refresh_token::RefreshToken;
use super::rows::{self, NewRow};
use crate::client::Client;
use crate::directory::{EndReason, NoPrincipal};
use crate::error::IdentityError;
use crate::identities::Identities;
use crate::key_text::SecretText;
use crate::people::Attempt;
use crate::sign_in_error::SignInError;
use chrono::{DateTime, Utc};
use commands::{Principal, Subject};
use domain::permissions::{Access, CommandIdentities, ReadIdentities};
use domain::user::User;
use domain::{SessionId, TenantId, UserId};
use std::time::Duration;
use uuid::Uuid;

/// The tokens of a session, which are shown once.
#[derive(Debug, Clone)]
pub struct SessionTokens {
    /// The tenant of the user.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The access token, which is sent with requests.
    pub access: SecretText,
    /// How long the access token is accepted.
    pub access_lifetime: Duration,
    /// The refresh token, which is used once for new tokens.
    pub refresh: SecretText,
    /// When the refresh token expires.
    pub refresh_expires_at: DateTime<Utc>,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// The id of the session.
    pub id: SessionId,
    /// The user who signed in.
    pub user: UserId,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// When the tokens of the session were last renewed.
    pub last_used_at: DateTime<Utc>,
    /// When the session ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// The name of the client's program, as it says.
    pub user_agent: Option<String>,
    /// The address that the client connected from.
    pub address: Option<String>,
}

impl From<rows::Row> for SessionSummary {
    fn from(row: rows::Row) -> Self {
        Self {
            id: SessionId(row.session_id),
            user: UserId(row.user_id),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at.min(row.refresh_expires_at),
            user_agent: row.user_agent,
            address: row.address,
        }
    }
}

impl Identities {
    /// The credentials of a user on which an open session of it rests, and how long the session lasts at most; none if it has
    /// ended.
    pub(crate) async fn credentials_of_session(
        &self,
        id: SessionId,
        user: &User,
    ) -> Result<Option<(UserCredentials, Duration)>, IdentityError> {
        let row = rows::read(&self.secrets().pool, id).await?;
        let open = row.filter(|row| row.is_active && row.credentials().are_of(user));
        Ok(open.map(|row| {
            let remaining = (row.expires_at - Utc::now()).to_std().unwrap_or_default();
            (UserCredentials::of(user), remaining)
        }))
    }

    /// Starts a session of a user who has signed in. It rests on the credentials that the user had when they were checked: if
    /// one was replaced since, the session is refused.
    pub(crate) async fn start_session(
        &self,
        tenant: &TenantId,
        (user, credentials): (UserId, UserCredentials),
        client: &Client,
    ) -> Result<SessionTokens, IdentityError> {
        let limit = self.sessions().config.session_lifetime;
        self.start_session_of(tenant, (user, credentials), client, limit).await
    }

    /// As [`Identities::start_session`], with another limit on how long it lasts.
    pub(crate) async fn start_session_of(
        &self,
        tenant: &TenantId,
        (user, credentials): (UserId, UserCredentials),
        client: &Client,
        max_lifetime: Duration,
    ) -> Result<SessionTokens, IdentityError> {
        let config = &self.sessions().config;
        let (id, newest) = (SessionId(Uuid::new_v4()), self.secrets().newest_key().await?);
        let (refresh, hash) = RefreshToken::generate(id, 1, (newest.version, &newest.key))?;
        let new = NewRow {
            id,
            tenant,
            user,
            credentials,
            client,
            refresh: (newest.version, hash),
            refresh_lifetime: config.refresh_lifetime,
            session_lifetime: config.session_lifetime.min(max_lifetime),
        };
        let refresh_expires_at = rows::insert(&self.secrets().pool, new).await?;
        self.access().signed_in(tenant, (user, id), client, Utc::now());
        self.tokens(tenant.clone(), user, id, refresh, refresh_expires_at).await
    }

    async fn tokens(
        &self,
        tenant: TenantId,
        user: UserId,
        session: SessionId,
        refresh: SecretText,
        refresh_expires_at: DateTime<Utc>,
    ) -> Result<SessionTokens, IdentityError> {
        let key = self.sessions().keys.signing(self.secrets()).await?;
        let access_lifetime = self.sessions().config.access_lifetime;
        let access = access_token::sign(&key, (&tenant, user, session), Utc::now(), access_lifetime)?;
        Ok(SessionTokens { tenant, user, session, access, access_lifetime, refresh, refresh_expires_at })
    }

    /// Replaces the tokens of a session. A refresh token that was used before has been stolen, or was sent twice: its session
    /// ends.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the refresh token is not valid.
    pub async fn renew_session(&self, text: &str, client: &Client) -> Result<SessionTokens, SignInError> {
        let mut attempt = Attempt::new(client);
        let renewed = self.try_renew_session(text, client, &mut attempt).await;
        self.note_attempt(attempt, renewed)
    }

    async fn try_renew_session(
        &self,
        text: &str,
        client: &Client,
        attempt: &mut Attempt<'_>,
    ) -> Result<SessionTokens, SignInError> {
        let Some(token) = self.genuine(text).await? else {
            // Genuine tokens are not counted: many people may share an address.
            self.throttle().take_address(client.address())?;
            return Err(SignInError::Refused);
        };
        let pool = &self.secrets().pool;
        let row = rows::read(pool, token.session).await?.filter(|row| row.is_active).ok_or(SignInError::Refused)?;
        let credentials = row.credentials();
        let (tenant, user) = (TenantId::from_stored(row.tenant_id), UserId(row.user_id));
        attempt.set_user(&tenant, user);
        if token.number < row.refresh_number {
            return self.end_reused(token.session, user).await;
        }
        self.directory().refresh().await?;
        match self.directory().active_user(&tenant, user) {
            Ok(user) if credentials.are_of(&user) => {}
            Ok(_) | Err(NoPrincipal::Refused) => return Err(SignInError::Refused),
            Err(NoPrincipal::Unreadable) => return Err(IdentityError::Unreadable.into()),
        }
        let newest = self.secrets().newest_key().await?;
        let next = token.number.saturating_add(1);
        let (refresh, hash) = RefreshToken::generate(token.session, next, (newest.version, &newest.key))?;
        let key = self.secrets().key(token.key_version).await?.ok_or(SignInError::Refused)?;
        let old = (token.number, token.hash(&key).map_err(IdentityError::from)?);
        let lifetime = self.sessions().config.refresh_lifetime;
        let replaced =
            rows::replace_refresh(pool, token.session, old, (newest.version, hash), lifetime, client).await?;
        match replaced {
            Some(expires_at) => Ok(self.tokens(tenant, user, token.session, refresh, expires_at).await?),
            None => {
                // It has expired, or another request has used it meanwhile.
                let row = rows::read(pool, token.session).await?.filter(|row| row.is_active);
                match row.is_some_and(|row| row.refresh_number > token.number) {
                    true => self.end_reused(token.session, user).await,
                    false => Err(SignInError::Refused),
                }
            }
        }
    }

    async fn end_reused(&self, session: SessionId, user: UserId) -> Result<SessionTokens, SignInError> {
        self.end(session).await?;
        tracing::warn!(%session, %user, "a refresh token was used twice: its session has ended");
        Err(SignInError::Refused)
    }

    /// The parts of a refresh token that was issued at some time; none of any other text.
    async fn genuine(&self, text: &str) -> Result<Option<RefreshToken>, IdentityError> {
        let Some(token) = RefreshToken::parse(text) else { return Ok(None) };
        let Some(key) = self.secrets().key(token.key_version).await? else { return Ok(None) };
        Ok(token.is_genuine(&key)?.then_some(token))
    }

    /// Ends the session that a refresh token is of, even if the token was used or has expired.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the text is no refresh token.
    pub async fn end_session(&self, text: &str) -> Result<(), SignInError> {
        let token = self.genuine(text).await?.ok_or(SignInError::Refused)?;
        Ok(self.end(token.session).await?)
    }

    /// Ends the session of a principal. Returns whether it has one.
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the database cannot be written.
    pub async fn end_own_session(&self, principal: &Principal) -> Result<bool, IdentityError> {
        match principal.subject() {
            Subject::User { session, .. } => {
                self.end(*session).await?;
                Ok(true)
            }
            Subject::SharedToken { .. }
            | Subject::ServiceAccount { .. }
            | Subject::CommandLine
            | Subject::Component(_) => Ok(false),
        }
    }

    async fn end(&self, id: SessionId) -> Result<(), IdentityError> {
        rows::revoke(&self.secrets().pool, id).await?;
        self.forget_session(id);
        Ok(())
    }

    fn forget_session(&self, id: SessionId) {
        self.sessions().forget(id);
        self.sessions().open.end(id, EndReason::Ended);
    }

    /// Ends the sessions of a user, except for one.
    pub(crate) async fn end_sessions(&self, user: UserId, except: Option<SessionId>) -> Result<(), IdentityError> {
        let ended = rows::revoke_all(&self.secrets().pool, user, except).await?;
        ended.into_iter().for_each(|id| self.forget_session(SessionId(id)));
        Ok(())
    }

    /// Ends a session: one of the principal's own, or, with the right to commands about identities, one of another user of
    /// the tenant. Returns whether there is such a session.
    ///
    /// # Errors
    /// [`IdentityError::Forbidden`] if the principal may not do it.
    pub async fn revoke_session(&self, principal: &Principal, id: SessionId) -> Result<bool, IdentityError> {
        let own = own_id(principal);
        if own.is_none() {
            principal.authorise::<CommandIdentities>()?;
        }
        let row = rows::read(&self.secrets().pool, id).await?;
        let row = row.filter(|row| row.tenant_id == principal.tenant().as_str());
        if row.as_ref().is_none_or(|row| own != Some(UserId(row.user_id))) {
            principal.authorise::<CommandIdentities>()?;
        }
        if row.is_some() {
            self.end(id).await?;
        }
        Ok(row.is_some())
    }

    /// The sessions of a principal that have not ended, newest first; none if it is no user.
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the database cannot be read.
    pub async fn own_sessions(&self, principal: &Principal) -> Result<Vec<SessionSummary>, IdentityError> {
        match own_id(principal) {
            Some(user) => self.sessions_in(principal.tenant(), user).await,
            None => Ok(Vec::new()),
        }
    }

    /// The sessions of a user that have not ended, newest first.
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the database cannot be read.
    pub async fn sessions_of(
        &self,
        access: &Access<ReadIdentities>,
        user: UserId,
    ) -> Result<Vec<SessionSummary>, IdentityError> {
        self.sessions_in(access.tenant(), user).await
    }

    async fn sessions_in(&self, tenant: &TenantId, user: UserId) -> Result<Vec<SessionSummary>, IdentityError> {
        let rows = rows::of_user(&self.secrets().pool, tenant, user).await?;
        let user = self.directory().user(tenant, user).ok().flatten();
        // Those that do not rest on the user's credentials have ended.
        let is_valid = |row: &rows::Row| user.as_ref().is_some_and(|user| row.credentials().are_of(user));
        Ok(rows.into_iter().filter(is_valid).map(Into::into).collect())
    }

    /// The public keys that access tokens are signed with: ids with the key itself in base64url.
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the database cannot be read.
    pub async fn signing_keys(&self) -> Result<Vec<(Uuid, String)>, IdentityError> {
        let keys = self.sessions().keys.published(self.secrets()).await?;
        Ok(keys.iter().map(|key| (key.id, key.x.clone())).collect())
    }
}

/// The user whose session a principal is of.
fn own_id(principal: &Principal) -> Option<UserId> {
    principal.on_own_account().map(|(id, _)| id)
}
