//! What a user does to its own account: changing the password, and one-time codes.

use super::email::Email;
use super::profiles::{self, Profile};
use super::registration::NewPasswordText;
use super::sign_in::SecondFactor;
use super::totp::TotpSecret;
use super::totp_rows;
use super::users::{log_failure, rejected};
use crate::error::{IdentityError, PeopleRejection};
use crate::identities::Identities;
use crate::key_text::SecretText;
use crate::sign_in_error::SignInError;
use chrono::Utc;
use commands::{Context, Error, Outcome, Principal, Subject};
use domain::role_assignment::AssignedRole;
use domain::user::{User, UserCommand};
use domain::{Aggregate as _, SessionId, UserId};
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
    ) -> Result<(), SignInError> {
        let own = Own::of(principal)?;
        self.check_own_password(&own, current).await?;
        self.set_password(own.principal, own.id, password, None).await?;
        Ok(self.end_sessions(own.id, Some(own.session)).await?)
    }

    /// Checks the password of a user who has a session.
    async fn check_own_password(&self, own: &Own, password: &str) -> Result<User, SignInError> {
        let tenant = own.principal.tenant();
        let email = self.own_email(own).await?;
        let (id, user) = self.check_password(tenant, &email, password).await?;
        if id == own.id { Ok(user) } else { Err(SignInError::Refused) }
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
    ) -> Result<NewTotp, SignInError> {
        let own = Own::of(principal)?;
        let user = self.check_own_password(&own, password).await?;
        // Otherwise a stolen session and password would be enough to replace the device.
        self.check_second_factor(own.id, &user, second_factor).await?;
        let (tenant, email) = (principal.tenant(), self.own_email(&own).await?);
        let (credential_id, secret) = (Uuid::now_v7(), TotpSecret::generate()?);
        totp_rows::insert(self.secrets(), tenant, own.id, credential_id, &secret).await?;
        let url = SecretText::new(secret.url(email.as_str()));
        Ok(NewTotp { credential_id, secret: SecretText::new(secret.text()), url })
    }

    /// Demands one-time codes of a user from now on, if a code shows that it has the secret.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the code is wrong, or the principal is no user.
    pub async fn confirm_totp(
        &self,
        principal: &Principal,
        credential_id: Uuid,
        code: &str,
    ) -> Result<RecoveryCodes, SignInError> {
        let own = Own::of(principal)?;
        self.take_own_attempt(&own).await?;
        let stored = totp_rows::read(self.secrets(), own.id, credential_id).await?.ok_or(SignInError::Refused)?;
        let now = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
        let step = stored.secret.step_of(code, now)?.ok_or(SignInError::Refused)?;
        if !totp_rows::use_step(self.secrets(), credential_id, step).await? {
            return Err(SignInError::Refused);
        }
        let codes = totp_rows::replace_recovery_codes(self.secrets(), credential_id, &stored.key).await?;
        self.command_own(&own, UserCommand::EnableTotp { credential_id, at: Utc::now() }).await?;
        log_failure(totp_rows::confirm(self.secrets(), own.id, credential_id).await);
        Ok(RecoveryCodes(codes))
    }

    /// Demands no one-time codes of a user any more, who knows its password and has a second factor.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if one of them is wrong, or the principal is no user.
    pub async fn disable_totp(
        &self,
        principal: &Principal,
        password: &str,
        second_factor: SecondFactor,
    ) -> Result<(), SignInError> {
        let own = Own::of(principal)?;
        let user = self.check_own_password(&own, password).await?;
        self.check_second_factor(own.id, &user, Some(second_factor)).await?;
        self.command_own(&own, UserCommand::DisableTotp { at: Utc::now() }).await?;
        log_failure(totp_rows::delete(self.secrets(), own.id).await);
        Ok(())
    }

    /// Counts an attempt for the account of a user who has a session.
    async fn take_own_attempt(&self, own: &Own) -> Result<(), SignInError> {
        let (tenant, email) = (own.principal.tenant(), self.own_email(own).await?);
        self.throttle().take_account(tenant, &email).map_err(SignInError::throttled)
    }

    /// The address of a user who has a session. One without an address has no password, and so no one-time codes.
    async fn own_email(&self, own: &Own) -> Result<Email, SignInError> {
        let profile = profiles::read(&self.secrets().pool, own.principal.tenant(), &[own.id]).await?.pop();
        let email = profile.and_then(|profile| profile.email).ok_or(SignInError::Refused)?;
        Ok(Email::parse(&email).map_err(|_| IdentityError::OtherProfile(own.id))?)
    }

    async fn command_own(&self, own: &Own, command: UserCommand) -> Result<(), IdentityError> {
        let context = Context::new(own.principal.clone(), Uuid::now_v7());
        let executed: Result<Outcome<User>, Error<PeopleRejection>> = self
            .commands
            .decide_on(&context, own.id.0, |user: &User, _| user.decide(command.clone()).map_err(rejected))
            .await;
        self.follow_to(executed?.position).await;
        Ok(())
    }
}
