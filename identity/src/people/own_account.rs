//! What a user does to its own account: changing the password, and one-time codes.

use super::attempt::Attempt;
use super::email::Email;
use super::profiles::{self, Profile};
use super::registration::NewPasswordText;
use super::sign_in::{Reason, SecondFactor};
use super::totp::TotpSecret;
use super::totp_rows;
use super::users::{log_failure, rejected};
use crate::client::Client;
use crate::error::{IdentityError, PeopleRejection};
use crate::identities::Identities;
use crate::key_file::EncryptionKey;
use crate::key_text::SecretText;
use crate::sessions::UserCredentials;
use crate::sign_in_error::SignInError;
use chrono::Utc;
use commands::{Context, Error, Outcome, Principal, Subject};
use domain::role_assignment::AssignedRole;
use domain::user::{User, UserCommand};
use domain::{Aggregate as _, SessionId, UserId};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// The secret of one-time codes that are not demanded yet. It is shown once.
#[derive(Debug, Clone)]
pub struct NewTotp {
    /// The id by which the codes are confirmed.
    pub credential_id: Uuid,
    /// The secret, for authenticator apps.
    pub secret: SecretText,
    /// The address that has the secret, for a QR code.
    pub url: SecretText,
}

/// Codes each of which replaces a one-time code once. They are shown once.
#[derive(Clone)]
pub struct RecoveryCodes(Vec<String>);

impl RecoveryCodes {
    /// The codes.
    #[must_use]
    pub fn reveal(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a user is shown of its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAccount {
    /// The id of the user.
    pub id: UserId,
    /// The session of the principal.
    pub session: SessionId,
    /// The address of the user.
    pub email: Option<String>,
    /// The name of the user, if any.
    pub display_name: Option<String>,
    /// Whether one-time codes are demanded of the user.
    pub has_totp: bool,
    /// The roles that were granted to the user itself.
    pub roles: Vec<AssignedRole>,
}

/// A user who acts on its own account.
struct Own {
    id: UserId,
    session: SessionId,
    /// The principal with the right to commands about the account.
    principal: Principal,
}

impl Own {
    /// # Errors
    /// [`SignInError::Refused`] if the principal is no user.
    fn of(principal: &Principal) -> Result<Self, SignInError> {
        let (_, account) = principal.on_own_account().ok_or(SignInError::Refused)?;
        match *principal.subject() {
            Subject::User { id, session } => Ok(Self { id, session, principal: account }),
            Subject::SharedToken { .. }
            | Subject::ServiceAccount { .. }
            | Subject::CommandLine
            | Subject::Component(_) => Err(SignInError::Refused),
        }
    }
}

impl Identities {
    /// What a principal is shown of its own account; none if it is no user.
    ///
    /// # Errors
    /// [`IdentityError::Database`] if the database cannot be read.
    pub async fn own_account(&self, principal: &Principal) -> Result<Option<OwnAccount>, IdentityError> {
        let Ok(own) = Own::of(principal) else { return Ok(None) };
        let tenant = principal.tenant();
        let profile = profiles::read(&self.secrets().pool, tenant, &[own.id]).await?.pop();
        let has_totp = self.directory().active_user(tenant, own.id).is_ok_and(|user| user.totp.is_some());
        let (email, display_name) = match profile {
            Some(Profile { email, display_name, .. }) => (email, display_name),
            None => (None, None),
        };
        let roles = self.directory().roles_of_user(tenant, own.id);
        Ok(Some(OwnAccount { id: own.id, session: own.session, email, display_name, has_totp, roles }))
    }

    /// Changes the password of a user who knows the current one. Its other sessions end.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the current password is wrong, or the principal is no user.
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: &str,
        password: &NewPasswordText,
        client: &Client,
    ) -> Result<(), SignInError> {
        let own = Own::of(principal)?;
        let mut attempt = Attempt::of(principal, client);
        let known = self.check_own_password(&own, current, &mut attempt).await;
        let known = self.note_attempt(attempt, known)?;
        let reason = Reason::Change { session: own.session, known: &known };
        self.set_password(own.principal, own.id, password, reason).await?;
        // They are refused in any case, since they rest on another password.
        log_failure(self.end_sessions(own.id, Some(own.session)).await);
        Ok(())
    }

    /// Checks the password of a user who has a session.
    async fn check_own_password(
        &self,
        own: &Own,
        password: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<User, SignInError> {
        let email = self.own_email(own).await?;
        let (id, user) = self.check_password(own.principal.tenant(), &email, password, attempt).await?;
        if id == own.id { Ok(user) } else { Err(SignInError::Refused) }
    }

    /// Checks the password and the second factor of a user who has a session.
    async fn check_own_factors(
        &self,
        own: &Own,
        password: &str,
        second_factor: Option<SecondFactor>,
        client: &Client,
    ) -> Result<User, SignInError> {
        let mut attempt = Attempt::of(&own.principal, client);
        let checked = async {
            let user = self.check_own_password(own, password, &mut attempt).await?;
            self.check_second_factor(own.id, &user, second_factor).await?;
            Ok(user)
        };
        let checked = checked.await;
        self.note_attempt(attempt, checked)
    }

    /// Stores the secret of one-time codes for a user who knows its password. They are demanded once
    /// [`Identities::confirm_totp`] was given one.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the password or the second factor is wrong, or the principal is no user, and
    /// [`SignInError::CodeRequired`] if codes are demanded already and there is no second factor.
    pub async fn start_totp(
        &self,
        principal: &Principal,
        password: &str,
        second_factor: Option<SecondFactor>,
        client: &Client,
    ) -> Result<NewTotp, SignInError> {
        let own = Own::of(principal)?;
        // Also the second factor: otherwise a stolen session and password would be enough to replace the device.
        self.check_own_factors(&own, password, second_factor, client).await?;
        let (tenant, email) = (principal.tenant(), self.own_email(&own).await?);
        let (credential_id, secret) = (Uuid::now_v7(), TotpSecret::generate()?);
        totp_rows::insert(self.secrets(), tenant, own.id, credential_id, &secret).await?;
        let url = SecretText::new(secret.url(email.as_str()));
        Ok(NewTotp { credential_id, secret: SecretText::new(secret.text()), url })
    }

    /// Demands one-time codes of a user from now on, if a code shows that it has the secret. Its other sessions end.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the code is wrong, the secret was confirmed before or is older than half an hour, or the
    /// principal is no user.
    pub async fn confirm_totp(
        &self,
        principal: &Principal,
        credential_id: Uuid,
        code: &str,
        client: &Client,
    ) -> Result<RecoveryCodes, SignInError> {
        let own = Own::of(principal)?;
        let mut attempt = Attempt::of(principal, client);
        // The session stands for the password here.
        attempt.set_has_password();
        let checked = self.check_new_totp(&own, credential_id, code).await;
        let key = self.note_attempt(attempt, checked)?;
        let codes = totp_rows::replace_recovery_codes(self.secrets(), credential_id, &key).await?;
        let enable = UserCommand::EnableTotp { credential_id, at: Utc::now() };
        let replaced = self.change_totp(&own, Some(credential_id), enable).await?;
        log_failure(totp_rows::confirm(self.secrets(), credential_id, replaced).await);
        Ok(RecoveryCodes(codes))
    }

    /// Checks that a user has the secret of one-time codes that are not demanded yet. Of several requests to do so, one
    /// succeeds.
    async fn check_new_totp(&self, own: &Own, credential_id: Uuid, code: &str) -> Result<EncryptionKey, SignInError> {
        self.take_own_attempt(own).await?;
        let stored = totp_rows::read_new(self.secrets(), own.id, credential_id).await?.ok_or(SignInError::Refused)?;
        totp_rows::count_failure(self.secrets(), credential_id).await??;
        let now = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
        let step = stored.secret.step_of(code, now)?.ok_or(SignInError::Refused)?;
        if !totp_rows::use_first_step(self.secrets(), credential_id, step).await? {
            return Err(SignInError::Refused);
        }
        log_failure(totp_rows::clear_failures(self.secrets(), credential_id).await);
        Ok(stored.key)
    }

    /// Demands no one-time codes of a user any more, who knows its password and has a second factor. Its other sessions end.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if one of them is wrong, or the principal is no user.
    pub async fn disable_totp(
        &self,
        principal: &Principal,
        password: &str,
        second_factor: SecondFactor,
        client: &Client,
    ) -> Result<(), SignInError> {
        let own = Own::of(principal)?;
        self.check_own_factors(&own, password, Some(second_factor), client).await?;
        let replaced = self.change_totp(&own, None, UserCommand::DisableTotp { at: Utc::now() }).await?;
        log_failure(totp_rows::delete(self.secrets(), replaced).await);
        Ok(())
    }

    /// Counts an attempt for the account of a user who has a session.
    async fn take_own_attempt(&self, own: &Own) -> Result<(), SignInError> {
        let (tenant, email) = (own.principal.tenant(), self.own_email(own).await?);
        Ok(self.throttle().take_account(tenant, &email)?)
    }

    /// The address of a user who has a session. One without an address has no password, and so no one-time codes.
    async fn own_email(&self, own: &Own) -> Result<Email, SignInError> {
        let profile = profiles::read(&self.secrets().pool, own.principal.tenant(), &[own.id]).await?.pop();
        let email = profile.and_then(|profile| profile.email).ok_or(SignInError::Refused)?;
        Ok(Email::parse(&email).map_err(|_| IdentityError::OtherProfile(own.id))?)
    }

    /// Changes the secret of one-time codes that counts. The session goes on, and the others end. Returns the id of the secret
    /// that counted before.
    async fn change_totp(
        &self,
        own: &Own,
        next: Option<Uuid>,
        command: UserCommand,
    ) -> Result<Option<Uuid>, IdentityError> {
        let tenant = own.principal.tenant();
        if let Ok(known) = self.directory().active_user(tenant, own.id) {
            let next = UserCredentials { totp: next, ..UserCredentials::of(&known) };
            self.keep_session(own.session, &known, next).await?;
        }
        let context = Context::new(own.principal.clone(), Uuid::now_v7());
        let replaced = Mutex::new(None);
        let executed: Result<Outcome<User>, Error<PeopleRejection>> = self
            .commands
            .decide_on(&context, own.id.0, |user: &User, _| {
                *replaced.lock().unwrap_or_else(PoisonError::into_inner) = user.totp;
                user.decide(command.clone()).map_err(rejected)
            })
            .await;
        self.follow_to(executed?.position).await;
        log_failure(self.end_sessions(own.id, Some(own.session)).await);
        Ok(replaced.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
