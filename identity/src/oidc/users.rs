//! From a person whom a provider has authenticated to a user: one that is linked, is linked now, or is created.

use super::claims::Person;
use super::error::{ProviderSignInError, Refused};
use super::links::{self, Row, Subject};
use super::provider::Provider;
use super::roles::RoleChanges;
use crate::error::{IdentityError, PeopleRejection};
use crate::identities::Identities;
use crate::people::{is_unknown, log_failure, profiles, rejected};
use chrono::Utc;
use commands::{Context, Error, Outcome, Principal};
use domain::user::{User, UserCommand, UserError, UserSource};
use domain::{Aggregate as _, UserId};
use uuid::Uuid;

impl Identities {
    /// The active user that a person is, with the roles that its groups give.
    pub(super) async fn admit(&self, provider: &Provider, person: &Person) -> Result<UserId, ProviderSignInError> {
        let (config, pool) = (&provider.config, &self.secrets().pool);
        let tenant = &config.tenant;
        // Brings the directory up to date, too.
        self.check_tenant(tenant).await?;
        let subject = Subject { tenant, issuer: &config.issuer, subject: &person.subject };
        let row = match links::find(pool, subject).await? {
            Some(row) => row,
            None => self.reserve(provider, person, subject).await?,
        };
        let id = UserId(row.user_id);
        let user = self.directory().user(tenant, id).map_err(|_| IdentityError::Unreadable)?;
        if user.as_ref().is_some_and(|user| !user.is_active()) {
            return Err(Refused::NotActive.into());
        }
        let principal = Principal::sign_in_provider(tenant.clone(), config.id);
        let held = self.directory().granted_roles_of_user(tenant, id);
        let changes = RoleChanges::of(&held, &person.roles, &principal.actor());
        let is_linked = user.as_ref().is_some_and(|user| user.identities.contains_key(&row.identity_id));
        if user.is_none() {
            self.store_profile(provider, person, row).await?;
        }
        if !is_linked || !changes.is_empty() {
            let had_admin = self.directory().has_admin(tenant);
            self.change(provider, Context::new(principal, Uuid::now_v7()), row, &changes).await?;
            self.warn_of_roles(provider, person, id, had_admin);
        }
        if user.is_some_and(|user| user.origin.is_some_and(|(source, _)| source == UserSource::Provider)) {
            let updated = profiles::update(pool, id, person.email.as_ref(), person.display_name.as_ref()).await;
            log_failure(updated);
        }
        Ok(id)
    }

    /// Stores a person for the user that it is to become: the one with the same address, or a new one.
    async fn reserve(
        &self,
        provider: &Provider,
        person: &Person,
        subject: Subject<'_>,
    ) -> Result<Row, ProviderSignInError> {
        let (config, pool) = (&provider.config, &self.secrets().pool);
        let with_address = match &person.email {
            Some(email) => profiles::find(pool, subject.tenant, email).await?,
            None => None,
        };
        let user = match with_address {
            Some(found) => {
                // Another sign-in of the same person may have stored both meanwhile.
                if let Some(row) = links::find(pool, subject).await? {
                    return Ok(row);
                }
                let user = self.directory().user(subject.tenant, found).map_err(|_| IdentityError::Unreadable)?;
                // An address that a person entered when registering proves nothing: whose it is could sign in as that user.
                let is_trusted = user.is_some_and(|user| {
                    user.origin.is_some_and(|(source, _)| source != UserSource::Registration) && !user.is_deleted
                });
                if !config.links_by_email || !is_trusted {
                    return Err(Refused::AddressTaken.into());
                }
                found
            }
            None => {
                self.check_may_create(provider, person)?;
                UserId(Uuid::new_v4())
            }
        };
        // None if the user is erased at this moment.
        Ok(links::insert(pool, subject, config.id, user).await?.ok_or(Refused::NotActive)?)
    }

    /// Checks that a person may become a user: the limits are those on people who register.
    fn check_may_create(&self, provider: &Provider, person: &Person) -> Result<(), Refused> {
        let config = &provider.config;
        if !config.creates_users {
            return Err(Refused::NoUser);
        }
        match self.exceeded_limits(&config.tenant, !person.roles.is_empty()) {
            Some((limit, roleless_limit)) => {
                tracing::warn!(
                    provider = %config.id, tenant = %config.tenant, limit, roleless_limit,
                    "a person cannot become a user: raise APEX_MAX_REGISTERED_USERS, or APEX_MAX_ROLELESS_USERS"
                );
                Err(Refused::RegistrationFull)
            }
            None => Ok(()),
        }
    }

    /// Stores name and address of a new user, whose identity is reserved: the limits were checked then.
    async fn store_profile(&self, provider: &Provider, person: &Person, row: Row) -> Result<(), ProviderSignInError> {
        let (config, pool) = (&provider.config, &self.secrets().pool);
        if !config.creates_users {
            log_failure(links::delete_unconfirmed(pool, row.identity_id).await);
            return Err(Refused::NoUser.into());
        }
        let (email, name) = (person.email.as_ref(), person.display_name.as_ref());
        match profiles::insert(pool, &config.tenant, UserId(row.user_id), email, name).await {
            // Another sign-in of the same person, to whom the provider said something else, has stored it.
            Ok(()) | Err(IdentityError::OtherProfile(_)) => Ok(()),
            Err(IdentityError::EmailTaken) => {
                log_failure(links::delete_unconfirmed(pool, row.identity_id).await);
                Err(Refused::AddressTaken.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Appends the events of a sign-in, all or none: the user is created if there is none, the identity is linked, and roles are
    /// granted and revoked.
    async fn change(
        &self,
        provider: &Provider,
        context: Context,
        row: Row,
        changes: &RoleChanges,
    ) -> Result<(), ProviderSignInError> {
        let (id, at, config) = (UserId(row.user_id), Utc::now(), &provider.config);
        let (identity_id, creates) = (row.identity_id, config.creates_users);
        let changed: Result<Outcome<User>, Error<PeopleRejection>> = self
            .commands
            .decide(&context, id.0, |states| {
                if states.get::<User>(id.0)?.origin.is_none() {
                    let create = UserCommand::Create { source: UserSource::Provider, invitation_id: None, at };
                    let created = states.get::<User>(id.0)?.decide(create).map_err(rejected)?;
                    let created = if creates { created } else { return Err(rejected(UserError::NotCreated)) };
                    states.append::<User, _>(id.0, created)?;
                }
                let link = UserCommand::LinkIdentity { identity_id, provider: config.id, at };
                let linked = states.get::<User>(id.0)?.decide(link).map_err(rejected)?;
                states.append::<User, _>(id.0, linked)?;
                changes.apply(states, id, at)
            })
            .await;
        let pool = &self.secrets().pool;
        match &changed {
            Ok(_) => {
                log_failure(links::confirm(pool, identity_id).await);
                log_failure(profiles::confirm(pool, &config.tenant, id).await);
            }
            Err(_) if is_unknown(&changed) => {}
            Err(_) => {
                log_failure(links::delete_unconfirmed(pool, identity_id).await);
                // The profile stays if another sign-in has created the user. The sweeper deletes it if there is none.
            }
        }
        match changed {
            Ok(outcome) => {
                self.follow_to(outcome.position).await;
                Ok(())
            }
            // It was disabled or deleted meanwhile, or has too many identities.
            Err(Error::Rejected(PeopleRejection::User(error))) => {
                tracing::warn!(provider = %config.id, user = %id, %error, "a person cannot sign in");
                Err(Refused::NotActive.into())
            }
            Err(error) => Err(IdentityError::from(error).into()),
        }
    }

    /// Says in the log of the process what groups gave that could not be granted, and that no admin is left.
    fn warn_of_roles(&self, provider: &Provider, person: &Person, user: UserId, had_admin: bool) {
        let (config, tenant) = (&provider.config, &provider.config.tenant);
        let held = self.directory().roles_of_user(tenant, user);
        for role in person.roles.iter().filter(|role| !held.contains(role)) {
            tracing::warn!(
                provider = %config.id, %tenant, %user, %role,
                "a group gives a role that cannot be granted: it is no role of the tenant, or the user has too many"
            );
        }
        if had_admin && !self.directory().has_admin(tenant) {
            tracing::warn!(
                provider = %config.id, %tenant,
                "no account or user of the tenant can decide who may do what: the command line can"
            );
        }
    }
}
