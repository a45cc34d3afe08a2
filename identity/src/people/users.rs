//! Creating, listing, disabling and erasing users.

use super::email::Email;
use super::links::{self, Purpose};
use super::profiles;
use crate::directory::Loss;
use crate::error::{IdentityError, PeopleRejection};
use crate::grants::{Created, derived, keeps_admin};
use crate::identities::{Identities, MAX_LISTED};
use crate::key_text::SecretText;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Context, Error, Outcome, OutcomeKind, Position, States, Undecided};
use domain::permissions::{Access, ReadIdentities, Role, SendCommand};
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleAssignment, RoleAssignmentCommand};
use domain::user::{User, UserCommand, UserSource};
use domain::{Aggregate as _, Body, Name, ProviderId, TenantId, UserId, derived_id};
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeBounds;
use streams::AppendError;
use uuid::Uuid;

/// A link by which a password can be set, once.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// The token of the link, which is shown once.
    pub token: SecretText,
    /// The time from which the link is refused.
    pub expires_at: DateTime<Utc>,
    /// The position of the event.
    pub position: Position,
}

/// A user in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    /// The id of the user.
    pub id: UserId,
    /// The address of the user; none if it cannot be found.
    pub email: Option<String>,
    /// The name that the user chose, if any.
    pub display_name: Option<String>,
    /// How the user came to exist.
    pub source: UserSource,
    /// When the user was created.
    pub created_at: DateTime<Utc>,
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// Whether the user has a password.
    pub has_password: bool,
    /// Whether one-time codes are demanded of the user.
    pub has_totp: bool,
    /// The providers by which the user signs in.
    pub providers: Vec<ProviderId>,
    /// The roles that were granted to the user itself.
    pub roles: Vec<AssignedRole>,
    /// When a person last asked for a link to set the password anew, if that was not done.
    pub reset_requested_at: Option<DateTime<Utc>>,
}

/// Adds the events of a new user with roles to a decision.
pub(super) fn create_with_roles(
    states: &mut States<'_>,
    id: UserId,
    create: UserCommand,
    roles: &[Role],
    at: DateTime<Utc>,
) -> Result<(), Undecided<PeopleRejection>> {
    let created = states.get::<User>(id.0)?.decide(create).map_err(rejected)?;
    states.append::<User, _>(id.0, created)?;
    for role in roles {
        let assignment = Assignment::on_tenant(Holder::User(id), AssignedRole::BuiltIn(*role));
        let granted = states.get::<RoleAssignment>(assignment.stream_id())?;
        let grant = RoleAssignmentCommand::Grant { assignment, at };
        let events = granted.decide(grant).map_err(rejected)?;
        states.append::<RoleAssignment, _>(assignment.stream_id(), events)?;
    }
    Ok(())
}

pub(crate) fn rejected(error: impl Into<PeopleRejection>) -> Undecided<PeopleRejection> {
    Undecided::Rejected(error.into())
}

/// Whether it is not known if a command was executed, so that rows that it needs have to stay.
pub(crate) fn is_unknown<T>(executed: &Result<T, Error<PeopleRejection>>) -> bool {
    matches!(executed, Err(Error::Append(AppendError::Indeterminate(_))))
}

/// Logs that a row beside the log cannot be changed. The sweeper does the same later.
pub(crate) fn log_failure(changed: Result<(), IdentityError>) {
    if let Err(error) = changed {
        tracing::warn!(error = &error as &dyn std::error::Error, "a row about a user cannot be changed");
    }
}

impl Identities {
    /// Creates a user with roles. The id of the user is derived from that of the command. The user has no password until it
    /// sets one by a link.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, another user has the address, or the command
    /// is not executed.
    pub async fn create_user(
        &self,
        context: &Context,
        email: &Email,
        display_name: Option<&Name>,
        roles: &[Role],
        at: DateTime<Utc>,
    ) -> Result<Created<UserId>, IdentityError> {
        let tenant = context.principal.tenant();
        let id = UserId(derived(User::CATEGORY, context));
        context.principal.authorise_on::<SendCommand>(User::CATEGORY, id.0)?;
        self.check_tenant(tenant).await?;
        let pool = &self.secrets().pool;
        profiles::insert(pool, tenant, id, Some(email), display_name).await?;
        let create = UserCommand::Create { source: UserSource::Admin, invitation_id: None, at };
        let created: Result<Outcome<User>, Error<PeopleRejection>> = self
            .commands
            .decide(context, id.0, |states| create_with_roles(states, id, create.clone(), roles, at))
            .await;
        match &created {
            // A retry whose first execution was erased since.
            Ok(outcome) if outcome.aggregate.state.is_deleted => log_failure(profiles::delete_erased(pool, id).await),
            Ok(_) => log_failure(profiles::confirm(pool, tenant, id).await),
            Err(_) if is_unknown(&created) => {}
            Err(_) => log_failure(profiles::delete_unconfirmed(pool, tenant, id).await),
        }
        let created = created?;
        self.follow_to(created.position).await;
        Ok(Created { id, kind: created.kind, position: created.position })
    }

    /// Executes a command to a user. Returns whether that was done now, and the position of the event.
    async fn command_user(
        &self,
        context: &Context,
        id: UserId,
        command: UserCommand,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        let admin = match &command {
            UserCommand::Disable { .. } | UserCommand::Delete { .. } => {
                self.admin_after(context, Loss::User(id)).await?
            }
            UserCommand::Create { .. }
            | UserCommand::Enable { .. }
            | UserCommand::IssueReset { .. }
            | UserCommand::SetPassword { .. }
            | UserCommand::EnableTotp { .. }
            | UserCommand::DisableTotp { .. }
            | UserCommand::LinkIdentity { .. } => Ok(None),
        };
        let executed: Result<Outcome<User>, Error<PeopleRejection>> = self
            .commands
            .decide_on(context, id.0, |user: &User, mut others| {
                let events = user.decide(command.clone()).map_err(rejected)?;
                if keeps_admin(&mut others, admin, &events)? {
                    Ok(events)
                } else {
                    Err(Undecided::Rejected(PeopleRejection::LastAdmin))
                }
            })
            .await;
        let executed = executed?;
        self.follow_to(executed.position).await;
        Ok((executed.kind, executed.position))
    }

    /// Disables a user: it cannot sign in until it is enabled, and its sessions end.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the user is the last admin and the command is not given at the command
    /// line, or the command is not executed.
    pub async fn disable_user(
        &self,
        context: &Context,
        id: UserId,
        reason: Option<Body>,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        let disabled = self.command_user(context, id, UserCommand::Disable { reason, at }).await?;
        log_failure(self.end_sessions(id, None).await);
        Ok(disabled)
    }

    /// Enables a disabled user. It has to sign in again.
    ///
    /// # Errors
    /// As [`Identities::disable_user`].
    pub async fn enable_user(
        &self,
        context: &Context,
        id: UserId,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        context.principal.authorise_on::<SendCommand>(User::CATEGORY, id.0)?;
        let user = self.directory().user(context.principal.tenant(), id);
        if user.is_ok_and(|user| user.is_some_and(|user| user.is_disabled)) {
            // Those that could not be ended when the user was disabled are not brought back.
            self.end_sessions(id, None).await?;
        }
        self.command_user(context, id, UserCommand::Enable { at }).await
    }

    /// Demands no one-time codes of a user any more, such as one whose device is lost.
    ///
    /// # Errors
    /// As [`Identities::disable_user`].
    pub async fn disable_totp_of(
        &self,
        context: &Context,
        id: UserId,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        let replaced = self.directory().user(context.principal.tenant(), id);
        let replaced = replaced.ok().flatten().and_then(|user| user.totp);
        let (kind, position) = self.command_user(context, id, UserCommand::DisableTotp { at }).await?;
        if kind == OutcomeKind::Done {
            log_failure(self.end_sessions(id, None).await);
            log_failure(super::totp_rows::delete(self.secrets(), replaced).await);
            // The sweeper deletes what was not known yet.
            log_failure(super::totp_rows::unconfirm(self.secrets(), id).await);
        }
        Ok((kind, position))
    }

    /// Deletes a user for ever, and erases what is stored about the person beside the log. What the log says names the user by
    /// its id, and stays. A retry erases again what could not be erased.
    ///
    /// # Errors
    /// As [`Identities::disable_user`]; [`IdentityError::Database`] if the user is deleted and the rows could not be erased yet.
    pub async fn erase_user(
        &self,
        context: &Context,
        id: UserId,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        let deleted = self.command_user(context, id, UserCommand::Delete { at }).await?;
        log_failure(self.end_sessions(id, None).await);
        profiles::erase(&self.secrets().pool, &[id]).await?;
        Ok(deleted)
    }

    /// Issues a link by which a user sets its password, once. An earlier link is refused from then on.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, or the command is not executed; [`IdentityError::LinkAlreadyShown`]
    /// for a retry of a command that was.
    pub async fn issue_reset_link(
        &self,
        context: &Context,
        id: UserId,
        lifetime: TimeDelta,
        at: DateTime<Utc>,
    ) -> Result<NewLink, IdentityError> {
        let tenant = context.principal.tenant();
        context.principal.authorise_on::<SendCommand>(User::CATEGORY, id.0)?;
        let expires_at = expiry(at, lifetime)?;
        self.check_tenant(tenant).await?;
        let link_id = derived_id(&["reset_link", tenant.as_str(), &context.command_id.to_string()]);
        let token = links::insert(self.secrets(), tenant, link_id, Purpose::Reset(id), expires_at).await?;
        let token = token.ok_or(IdentityError::LinkAlreadyShown(link_id))?;
        let issue = UserCommand::IssueReset { link_id, expires_at, at };
        let issued: Result<Outcome<User>, Error<PeopleRejection>> =
            self.commands.decide_on(context, id.0, |user: &User, _| user.decide(issue.clone()).map_err(rejected)).await;
        let position = self.confirm_link(link_id, issued).await?;
        Ok(NewLink { token, expires_at, position })
    }

    /// Deletes the row of a link whose event was not appended. If that is not known, the row stays: it is swept if there is no
    /// event.
    pub(super) async fn confirm_link<A: domain::Aggregate>(
        &self,
        id: Uuid,
        created: Result<Outcome<A>, Error<PeopleRejection>>,
    ) -> Result<Position, IdentityError> {
        match &created {
            Ok(created) if created.kind != OutcomeKind::Done => {
                // A retry after the link was used or revoked: the token would be of no use.
                log_failure(links::delete(self.secrets(), id).await);
                return Err(IdentityError::LinkAlreadyShown(id));
            }
            Ok(_) => log_failure(links::confirm(self.secrets(), id).await),
            Err(_) if is_unknown(&created) => {}
            Err(_) => log_failure(links::delete(self.secrets(), id).await),
        }
        let position = created?.position;
        self.follow_to(position).await;
        Ok(position)
    }

    /// The users of a tenant with ids in a range, by id; at most `limit`, and at most [`MAX_LISTED`].
    ///
    /// # Errors
    /// [`IdentityError::Database`] if names and addresses cannot be read.
    pub async fn users(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<UserId>,
        limit: usize,
    ) -> Result<Vec<UserSummary>, IdentityError> {
        let found = self.directory().users(access, ids, limit.min(MAX_LISTED));
        let ids: Vec<_> = found.iter().map(|user| user.id).collect();
        let mut profiles = self.profiles(access.tenant(), &ids).await?;
        let summaries = found.into_iter().filter_map(|found| {
            let profile = profiles.remove(&found.id.0);
            let (email, display_name, reset_requested_at) = match profile {
                Some(profile) => (profile.email, profile.display_name, profile.reset_requested_at),
                None => (None, None, None),
            };
            Some(UserSummary {
                id: found.id,
                email,
                display_name,
                source: found.user.origin?.0,
                created_at: found.user.created_at?,
                is_disabled: found.user.is_disabled,
                has_password: found.user.password.is_some(),
                has_totp: found.user.totp.is_some(),
                providers: found.user.identities.values().copied().collect::<BTreeSet<_>>().into_iter().collect(),
                roles: found.roles,
                reset_requested_at,
            })
        });
        Ok(summaries.collect())
    }

    async fn profiles(
        &self,
        tenant: &TenantId,
        ids: &[UserId],
    ) -> Result<HashMap<Uuid, profiles::Profile>, IdentityError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let profiles = profiles::read(&self.secrets().pool, tenant, ids).await?;
        Ok(profiles.into_iter().map(|profile| (profile.user_id, profile)).collect())
    }
}

/// The end of a lifetime that begins at a time.
pub(super) fn expiry(at: DateTime<Utc>, lifetime: TimeDelta) -> Result<DateTime<Utc>, IdentityError> {
    use chrono::Datelike as _;
    let max_year = domain::ACCEPTED_YEARS.end - 1;
    let expires_at = at.checked_add_signed(lifetime).filter(|at| at.year() <= max_year);
    expires_at.ok_or(IdentityError::TooLate { max_year })
}
