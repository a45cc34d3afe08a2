//! Signing in with a password and a second factor, and setting a password by a link.

use super::attempt::Attempt;
use super::email::Email;
use super::hashing::DECOY;
use super::links;
use super::password::Password;
use super::profiles;
use super::registration::NewPasswordText;
use super::totp_rows;
use super::users::{is_unknown, log_failure, rejected};
use crate::client::Client;
use crate::directory::NoPrincipal;
use crate::error::{IdentityError, PeopleRejection};
use crate::identities::Identities;
use crate::key_file::EncryptionKey;
use crate::sessions::{SessionTokens, UserCredentials, set_next_credentials};
use crate::sign_in_error::SignInError;
use chrono::Utc;
use commands::{Context, Error, Outcome, Principal};
use domain::user::{User, UserCommand};
use domain::{Aggregate as _, SessionId, TenantId, UserId};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// What proves, beside the password, who a person is.
#[derive(Clone)]
pub enum SecondFactor {
    /// A one-time code of the person's device.
    Code(String),
    /// A recovery code, which is used up.
    RecoveryCode(String),
}

/// What a person who signs in presents. It cannot be formatted, because it holds secrets.
pub struct Credentials {
    /// The tenant of the user.
    pub tenant: TenantId,
    /// The address, as it was typed.
    pub email: String,
    /// The password, as it was typed.
    pub password: String,
    /// The second factor, if there is one.
    pub second_factor: Option<SecondFactor>,
}

impl Identities {
    /// Starts a session of the person whose credentials are right. The answer and its time do not tell whether there is a user
    /// with the address.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if a credential is wrong, or the user or the tenant is not active; and
    /// [`SignInError::CodeRequired`] if the password is right and a second factor is required.
    pub async fn sign_in(&self, credentials: Credentials, client: &Client) -> Result<SessionTokens, SignInError> {
        let mut attempt = Attempt::new(client);
        let signed_in = self.try_sign_in(credentials, client, &mut attempt).await;
        self.note_attempt(attempt, signed_in)
    }

    async fn try_sign_in(
        &self,
        credentials: Credentials,
        client: &Client,
        attempt: &mut Attempt<'_>,
    ) -> Result<SessionTokens, SignInError> {
        let Credentials { tenant, email, password, second_factor } = credentials;
        attempt.set_tenant(&tenant);
        self.throttle().take_address(client.address())?;
        let email = Email::parse(&email).map_err(|error| SignInError::invalid("email", error))?;
        let (id, user) = self.check_password(&tenant, &email, &password, attempt).await?;
        self.check_second_factor(id, &user, second_factor).await?;
        Ok(self.start_session(&tenant, (id, UserCredentials::of(&user)), client).await?)
    }

    /// The active user with an address and a password. Each check is counted as an attempt.
    pub(super) async fn check_password(
        &self,
        tenant: &TenantId,
        email: &Email,
        password: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<(UserId, User), SignInError> {
        self.throttle().take_account(tenant, email)?;
        // Longer than any password, for all accounts alike.
        let password = Password::presented(password).ok_or(SignInError::Refused)?;
        self.directory().refresh().await?;
        let rows = profiles::passwords(&self.secrets().pool, tenant, email).await?;
        let found = rows.first().map(|row| UserId(row.user_id));
        if let Some(id) = found {
            attempt.set_user(tenant, id);
        }
        let active = found.map(|id| self.directory().active_user(tenant, id));
        let user = match active {
            Some(Ok(user)) => Some(user),
            Some(Err(NoPrincipal::Unreadable)) => return Err(IdentityError::Unreadable.into()),
            Some(Err(NoPrincipal::Refused)) | None => None,
        };
        let current = user.as_ref().and_then(|user| user.password);
        let row = rows.into_iter().find(|row| current.is_some() && row.credential_id == current);
        let stored = row.and_then(|row| Some((row.key_encryption_key?, row.hash?)));
        let (key, hash) = match stored {
            Some((version, hash)) => (self.secrets().key(version).await?, Some(hash)),
            None => (None, None),
        };
        // Where there is no hash, one is compared that nothing has.
        let key = key.unwrap_or_else(EncryptionKey::decoy);
        let hash = hash.unwrap_or_else(|| DECOY.to_owned());
        let is_right = self.hasher().verifies(&key, password, hash).await?;
        match (found, user) {
            (Some(id), Some(user)) if is_right => {
                attempt.set_has_password();
                Ok((id, user))
            }
            _ => Err(SignInError::Refused),
        }
    }

    /// Checks the second factor of a user whose password is right, and uses it up.
    pub(super) async fn check_second_factor(
        &self,
        id: UserId,
        user: &User,
        second_factor: Option<SecondFactor>,
    ) -> Result<(), SignInError> {
        let Some(credential) = user.totp else { return Ok(()) };
        let second_factor = second_factor.ok_or(SignInError::CodeRequired)?;
        let stored = totp_rows::read(self.secrets(), id, credential).await?;
        let stored = stored.ok_or(IdentityError::Damaged(credential))?;
        totp_rows::count_failure(self.secrets(), credential).await??;
        let is_right = match second_factor {
            SecondFactor::Code(code) => {
                let now = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
                match stored.secret.step_of(&code, now)? {
                    Some(step) => totp_rows::use_step(self.secrets(), credential, step).await?,
                    None => false,
                }
            }
            SecondFactor::RecoveryCode(code) => {
                totp_rows::use_recovery_code(self.secrets(), credential, &stored.key, &code).await?
            }
        };
        if !is_right {
            return Err(SignInError::Refused);
        }
        // If that cannot be stored, the right one counts as wrong.
        log_failure(totp_rows::clear_failures(self.secrets(), credential).await);
        Ok(())
    }

    /// Notes that the person with an address asks for a link to set the password anew, for administrators to see, and mails one
    /// where mail is sent. It is not said whether there is such a user: that is found out when the answer is on its way.
    ///
    /// # Errors
    /// [`SignInError::Invalid`] if the text is no address, [`SignInError::Busy`] if too many are looked for at the moment.
    pub async fn request_reset(&self, tenant: &TenantId, email: &str, client: &Client) -> Result<(), SignInError> {
        let mut attempt = Attempt::new(client);
        attempt.set_tenant(tenant);
        self.note_attempt(attempt, self.start_reset(tenant, email, client))
    }

    fn start_reset(&self, tenant: &TenantId, email: &str, client: &Client) -> Result<(), SignInError> {
        self.throttle().take_address(client.address())?;
        let email = Email::parse(email).map_err(|error| SignInError::invalid("email", error))?;
        self.throttle().take_account(tenant, &email)?;
        let permit = self.reset_permit().ok_or(SignInError::Busy)?;
        let (identities, tenant) = (self.clone(), tenant.clone());
        tokio::spawn(async move {
            if let Err(error) = identities.note_reset(&tenant, &email).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "that a person asks for a link to set the password cannot be noted");
            }
            drop(permit);
        });
        Ok(())
    }

    /// Sets the password of the user whose link it is. All sessions of the user end.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the link is not valid.
    pub async fn set_password_by_link(
        &self,
        token: &str,
        password: &NewPasswordText,
        client: &Client,
    ) -> Result<(), SignInError> {
        let mut attempt = Attempt::new(client);
        let set = self.try_set_password_by_link(token, password, client, &mut attempt).await;
        self.note_attempt(attempt, set)
    }

    async fn try_set_password_by_link(
        &self,
        token: &str,
        password: &NewPasswordText,
        client: &Client,
        attempt: &mut Attempt<'_>,
    ) -> Result<(), SignInError> {
        self.throttle().take_address(client.address())?;
        let link = links::find_reset(self.secrets(), token).await?.ok_or(SignInError::Refused)?;
        attempt.set_user(&link.tenant, link.user);
        self.check_tenant(&link.tenant).await?;
        let principal = Principal::sign_in(link.tenant);
        match self.set_password(principal, link.user, password, Reason::Link(link.id)).await {
            Err(SignInError::Unavailable(error)) if matches!(*error, IdentityError::People(Error::Rejected(_))) => {
                return Err(SignInError::Refused);
            }
            set => set?,
        }
        log_failure(links::delete(self.secrets(), link.id).await);
        // They are refused in any case, since they rest on another password.
        log_failure(self.end_sessions(link.user, None).await);
        Ok(())
    }

    /// Stores the hash of a new password, and appends the event that makes it count.
    pub(super) async fn set_password(
        &self,
        principal: Principal,
        user: UserId,
        password: &NewPasswordText,
        reason: Reason<'_>,
    ) -> Result<(), SignInError> {
        let (pool, tenant) = (&self.secrets().pool, principal.tenant().clone());
        let profile = profiles::read(pool, &tenant, &[user]).await?.pop();
        // A password is of no use without an address to sign in with.
        let email = profile.and_then(|profile| profile.email).ok_or(SignInError::Refused)?;
        let email = Email::parse(&email).map_err(|_| IdentityError::OtherProfile(user))?;
        let chosen = Password::chosen(&password.0, &email).map_err(|error| SignInError::invalid("password", error))?;
        let newest = self.secrets().newest_key().await?;
        let hash = self.hasher().hash(&newest.key, chosen).await?;
        let (credential_id, at) = (Uuid::now_v7(), Utc::now());
        profiles::insert_password(pool, &tenant, user, credential_id, (newest.version, &hash)).await?;
        let link_id = match reason {
            Reason::Link(id) => Some(id),
            Reason::Change { session, known } => {
                let next = UserCredentials { password: Some(credential_id), ..UserCredentials::of(known) };
                self.keep_session(session, known, next).await?;
                None
            }
        };
        let context = Context::new(principal, Uuid::now_v7());
        let set = UserCommand::SetPassword { credential_id, link_id, at };
        // The password that the event replaces, by the state that it was decided on.
        let replaced = Mutex::new(None);
        let set: Result<Outcome<User>, Error<PeopleRejection>> = self
            .commands
            .decide_on(&context, user.0, |state: &User, _| {
                *replaced.lock().unwrap_or_else(PoisonError::into_inner) = state.password;
                state.decide(set.clone()).map_err(rejected)
            })
            .await;
        let replaced = replaced.into_inner().unwrap_or_else(PoisonError::into_inner);
        match &set {
            Ok(_) => log_failure(profiles::confirm_password(pool, user, credential_id, replaced).await),
            Err(_) if is_unknown(&set) => {}
            Err(_) => log_failure(profiles::delete_password(pool, credential_id).await),
        }
        self.follow_to(set.map_err(IdentityError::from)?.position).await;
        Ok(())
    }

    /// Lets a session that changes the credentials of its user rest on those after the change too.
    pub(super) async fn keep_session(
        &self,
        session: SessionId,
        known: &User,
        next: UserCredentials,
    ) -> Result<(), IdentityError> {
        set_next_credentials(&self.secrets().pool, session, UserCredentials::of(known), next).await?;
        self.sessions().forget(session);
        Ok(())
    }
}

/// Why a password is set.
pub(super) enum Reason<'a> {
    /// The person has a link.
    Link(Uuid),
    /// A user who was known by the password before changes it in a session, which goes on.
    Change { session: SessionId, known: &'a User },
}
