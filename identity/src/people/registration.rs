//! Becoming a user: by an invitation, or where the installation lets all people register.

use super::attempt::Attempt;
use super::email::Email;
use super::links;
use super::password::Password;
use super::profiles;
use super::users::{create_with_roles, is_unknown, log_failure, rejected};
use crate::client::Client;
use crate::error::{IdentityError, PeopleRejection};
use crate::identities::Identities;
use crate::sessions::{SessionTokens, UserCredentials};
use crate::sign_in_error::SignInError;
use chrono::Utc;
use commands::{Context, Error, Outcome, Principal, States, Undecided};
use domain::invitation::{Invitation, InvitationCommand};
use domain::user::{User, UserCommand, UserSource};
use domain::{Aggregate as _, InvitationId, Name, TenantId, UserId, derived_id};
use uuid::Uuid;

/// What a person who becomes a user says.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The password, as it was typed.
    pub password: NewPasswordText,
    /// The name that others see, if any.
    pub display_name: Option<Name>,
}

/// The text of a password that a person chooses. It is redacted in `Debug` output.
#[derive(Clone)]
pub struct NewPasswordText(pub String);

impl std::fmt::Debug for NewPasswordText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The rows of a new user, which are stored before its events.
struct NewRows {
    user: UserId,
    credential_id: Uuid,
}

impl Identities {
    /// Accepts an invitation: the person becomes a user with the roles of the invitation, and is signed in.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the token is not that of an invitation that can be accepted.
    pub async fn accept_invitation(
        &self,
        token: &str,
        registration: &Registration,
        client: &Client,
    ) -> Result<SessionTokens, SignInError> {
        let mut attempt = Attempt::new(client);
        let accepted = self.try_accept_invitation(token, registration, client, &mut attempt).await;
        self.note_attempt(attempt, accepted)
    }

    async fn try_accept_invitation(
        &self,
        token: &str,
        registration: &Registration,
        client: &Client,
        attempt: &mut Attempt<'_>,
    ) -> Result<SessionTokens, SignInError> {
        self.throttle().take_address(client.address())?;
        let invited = links::find_invitation(self.secrets(), token).await?.ok_or(SignInError::Refused)?;
        let (tenant, invitation) = (&invited.tenant, invited.id);
        attempt.set_tenant(tenant);
        self.check_tenant(tenant).await?;
        let user = UserId(derived_id(&["user", tenant.as_str(), "invitation", &invitation.to_string()]));
        let stored = self.store(tenant, user, &invited.email, registration).await;
        let stored = stored.map_err(|error| match error {
            SignInError::Unavailable(error) if matches!(*error, IdentityError::EmailTaken) => {
                SignInError::invalid("token", "there is a user with this address already: sign in, or ask for a link")
            }
            // It was accepted before, under another name.
            SignInError::Unavailable(error) if matches!(*error, IdentityError::OtherProfile(_)) => SignInError::Refused,
            error => error,
        })?;
        let created = self.create(tenant, &stored, Some(invitation)).await;
        let created = created.map_err(|error| match error {
            SignInError::Unavailable(error) if matches!(*error, IdentityError::People(Error::Rejected(_))) => {
                SignInError::Refused
            }
            error => error,
        });
        created?;
        log_failure(links::delete(self.secrets(), invitation.0).await);
        let credentials = UserCredentials { password: Some(stored.credential_id), totp: None };
        Ok(self.start_session(tenant, (user, credentials), client).await?)
    }

    /// Registers a person without an invitation, as a user without roles. It is not said whether there is a user with the
    /// address already: nothing is changed then.
    ///
    /// # Errors
    /// [`SignInError::Invalid`] if an input is not valid, and [`SignInError::RegistrationFull`] if as many people have
    /// registered as the settings allow.
    pub async fn register(
        &self,
        tenant: &TenantId,
        email: &Email,
        registration: &Registration,
        client: &Client,
    ) -> Result<(), SignInError> {
        let mut attempt = Attempt::new(client);
        attempt.set_tenant(tenant);
        let registered = async {
            self.throttle().take_address(client.address())?;
            self.throttle().take_registration(client.address())?;
            self.throttle().take_account(tenant, email)?;
            self.check_tenant(tenant).await?;
            if let Some((limit, roleless_limit)) = self.exceeded_limits(tenant, false) {
                return Err(SignInError::RegistrationFull { limit, roleless_limit });
            }
            match self.store(tenant, UserId(Uuid::new_v4()), email, registration).await {
                Ok(stored) => self.create(tenant, &stored, None).await,
                Err(SignInError::Unavailable(error)) if matches!(*error, IdentityError::EmailTaken) => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.note_attempt(attempt, registered.await)
    }

    /// The limits on users whom nobody has created or invited, if a tenant has as many as they allow: of all, and of those
    /// without roles, which count for a person who is to have none. It is checked on what is known: requests at the same moment
    /// may exceed the limits by their number, which that of the passwords that are hashed at once, or of answers of providers,
    /// bounds.
    pub(crate) fn exceeded_limits(&self, tenant: &TenantId, has_roles: bool) -> Option<(usize, usize)> {
        let config = &self.sessions().config;
        let (limit, roleless_limit) = (config.max_registered_users, config.max_roleless_users);
        let (registered, roleless) = self.directory().count_registered(tenant);
        let is_exceeded = registered >= limit || (!has_roles && roleless >= roleless_limit);
        is_exceeded.then_some((limit, roleless_limit))
    }

    /// Stores the profile and the hash of the password of a new user. The password is hashed first, so that it takes as long
    /// whether there is a user with the address or not.
    async fn store(
        &self,
        tenant: &TenantId,
        user: UserId,
        email: &Email,
        registration: &Registration,
    ) -> Result<NewRows, SignInError> {
        let Registration { password, display_name } = registration;
        let password = Password::chosen(&password.0, email).map_err(|error| SignInError::invalid("password", error))?;
        let pool = &self.secrets().pool;
        let newest = self.secrets().newest_key().await?;
        let hash = self.hasher().hash(&newest.key, password).await?;
        profiles::insert(pool, tenant, user, Some(email), display_name.as_ref()).await?;
        let credential_id = Uuid::now_v7();
        profiles::insert_password(pool, tenant, user, credential_id, (newest.version, &hash)).await?;
        Ok(NewRows { user, credential_id })
    }

    /// Appends the events of a new user whose rows are stored.
    async fn create(
        &self,
        tenant: &TenantId,
        stored: &NewRows,
        invitation: Option<InvitationId>,
    ) -> Result<(), SignInError> {
        let context = Context::new(Principal::sign_in(tenant.clone()), Uuid::now_v7());
        let created: Result<Outcome<User>, Error<PeopleRejection>> =
            self.commands.decide(&context, stored.user.0, |states| decide(states, stored, invitation)).await;
        let pool = &self.secrets().pool;
        match &created {
            Ok(_) => {
                log_failure(profiles::confirm(pool, tenant, stored.user).await);
                log_failure(profiles::confirm_password(pool, stored.user, stored.credential_id, None).await);
            }
            Err(_) if is_unknown(&created) => {}
            Err(_) => {
                log_failure(profiles::delete_password(pool, stored.credential_id).await);
                // The profile stays: a user who accepted the invitation before has the same id. The sweeper deletes it if there
                // is no such user.
            }
        }
        self.follow_to(created.map_err(IdentityError::from)?.position).await;
        Ok(())
    }
}

/// The decision: the invitation is accepted once, and gives its roles to the new user.
fn decide(
    states: &mut States<'_>,
    stored: &NewRows,
    invitation: Option<InvitationId>,
) -> Result<(), Undecided<PeopleRejection>> {
    let (at, id) = (Utc::now(), stored.user);
    let (source, roles) = match invitation {
        Some(invitation) => {
            let state = states.get::<Invitation>(invitation.0)?;
            // Also if it was accepted by the same person: the password would be replaced.
            let terms = state.acceptable_at(at).map_err(rejected)?;
            let accepted = state.decide(InvitationCommand::Accept { user_id: id, at }).map_err(rejected)?;
            let roles: Vec<_> = terms.roles.iter().copied().collect();
            states.append::<Invitation, _>(invitation.0, accepted)?;
            (UserSource::Invitation, roles)
        }
        None => (UserSource::Registration, Vec::new()),
    };
    create_with_roles(states, id, UserCommand::Create { source, invitation_id: invitation, at }, &roles, at)?;
    let set = UserCommand::SetPassword { credential_id: stored.credential_id, link_id: None, at };
    let set = states.get::<User>(id.0)?.decide(set).map_err(rejected)?;
    states.append::<User, _>(id.0, set)
}
