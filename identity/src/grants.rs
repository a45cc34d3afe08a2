//! Granting and revoking roles. A tenant does not lose its last admin by it, except at the command line.

use crate::directory::{Admin, LastAdmin, Loss, makes_admin};
use crate::error::{GrantRejection, IdentityError};
use crate::identities::Identities;
use chrono::{DateTime, Utc};
use commands::{Context, Error, NotLoaded, OtherStates, Outcome, OutcomeKind, Position, Subject, Undecided};
use domain::agent::Agent;
use domain::custom_role::CustomRole;
use domain::permissions::{PermissionSet, SendCommand};
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleAssignment, RoleAssignmentCommand, RoleExtent};
use domain::service_account::ServiceAccount;
use domain::team::{Member, Team};
use domain::user::User;
use domain::{Aggregate as _, Body, derived_id};
use uuid::Uuid;

/// The maximum number of roles that are granted to one holder. It is checked on what was granted when the command is given:
/// commands at the same moment may exceed it by their number.
pub const MAX_ROLES_OF_HOLDER: usize = 64;

/// What a command has created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created<T> {
    /// The id of the new object.
    pub id: T,
    /// Whether the command was executed now.
    pub kind: OutcomeKind,
    /// The position of the last event. A retry of the command gives the same.
    pub position: Position,
}

/// The id of an object of a category that a command creates, so that a retry does not create a second one.
pub(crate) fn derived(category: &str, context: &Context) -> Uuid {
    derived_id(&[category, context.principal.tenant().as_str(), &context.command_id.to_string()])
}

/// The admin that a tenant has after a change, if one has to be left.
pub(crate) type AdminLeft = Result<Option<Admin>, LastAdmin>;

pub(crate) fn rejected(error: impl Into<GrantRejection>) -> Undecided<GrantRejection> {
    Undecided::Rejected(error.into())
}

impl Identities {
    /// Grants a role to a holder: an account, a user or a team that exists. Returns whether that was done now, and the
    /// position of the event.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, or the command is not executed.
    pub async fn grant_role(
        &self,
        context: &Context,
        assignment: Assignment,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        context.principal.authorise_on::<SendCommand>(RoleAssignment::CATEGORY, assignment.stream_id())?;
        let tenant = context.principal.tenant();
        self.check_tenant(tenant).await?;
        let is_full = self.directory().count_roles(tenant, assignment.holder) >= MAX_ROLES_OF_HOLDER;
        let granted: Result<Outcome<RoleAssignment>, Error<GrantRejection>> = self
            .commands
            .decide_on(context, assignment.stream_id(), |granted: &RoleAssignment, mut others| {
                check_grantable(&mut others, assignment)?;
                let events = granted.decide(RoleAssignmentCommand::Grant { assignment, at }).map_err(rejected)?;
                if is_full && !events.is_empty() {
                    let (holder, limit) = (assignment.holder, MAX_ROLES_OF_HOLDER);
                    return Err(Undecided::Rejected(GrantRejection::TooManyRoles { holder, limit }));
                }
                Ok(events)
            })
            .await;
        let granted = granted?;
        self.follow_to(granted.position).await;
        Ok((granted.kind, granted.position))
    }

    /// Revokes a role of a holder. Returns whether that was done now, and the position of the event.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant would lose its last admin and the command is not given at
    /// the command line, or the command is not executed.
    pub async fn revoke_role(
        &self,
        context: &Context,
        assignment: Assignment,
        reason: Option<Body>,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        context.principal.authorise_on::<SendCommand>(RoleAssignment::CATEGORY, assignment.stream_id())?;
        let admin = self.admin_after(context, Loss::Assignment(assignment)).await?;
        let revoke = RoleAssignmentCommand::Revoke { reason, at };
        let revoked: Result<Outcome<RoleAssignment>, Error<GrantRejection>> = self
            .commands
            .decide_on(context, assignment.stream_id(), |granted: &RoleAssignment, mut others| {
                let events = granted.decide(revoke.clone()).map_err(rejected)?;
                check_admin(&mut others, admin, &events)?;
                Ok(events)
            })
            .await;
        let revoked = revoked?;
        self.follow_to(revoked.position).await;
        Ok((revoked.kind, revoked.position))
    }

    /// The admin that the tenant has after a change, on which the change has to rest; none if the tenant has no admin before
    /// either, or if the command is given at the command line, which can make another one. That there is none left is for the
    /// decision to say: a retry of a command that was executed is told so.
    pub(crate) async fn admin_after(&self, context: &Context, loss: Loss) -> Result<AdminLeft, IdentityError> {
        if *context.principal.subject() == Subject::CommandLine {
            return Ok(Ok(None));
        }
        let head = self.commands.log().head().await?;
        self.directory().refresh_to(head).await?;
        Ok(self.directory().admin_after(context.principal.tenant(), loss))
    }
}

/// Checks that a role can be granted to a holder.
fn check_grantable(
    others: &mut OtherStates<'_, '_>,
    Assignment { holder, role, extent }: Assignment,
) -> Result<(), Undecided<GrantRejection>> {
    let extent_rejection = match extent {
        RoleExtent::Tenant => None,
        RoleExtent::Agent(id) => others.get::<Agent>(id.0)?.status.is_none().then_some(GrantRejection::NoAgent(id)),
        RoleExtent::Team(id) => (!others.get::<Team>(id.0)?.is_active()).then_some(GrantRejection::TeamNotActive(id)),
    };
    let role = match role {
        AssignedRole::BuiltIn(_) => Ok(None),
        AssignedRole::Custom(id) => others.get::<CustomRole>(id.0).map(|role| Some((id, role))),
    };
    let holder_rejection = match holder {
        Holder::User(id) => (!exists(&*others.get::<User>(id.0)?)).then_some(GrantRejection::NoUser(id)),
        Holder::ServiceAccount(id) => {
            let account = others.get::<ServiceAccount>(id.0)?;
            account.name.is_none().then_some(GrantRejection::NoAccount(id))
        }
        Holder::Team(id) => (!others.get::<Team>(id.0)?.is_active()).then_some(GrantRejection::TeamNotActive(id)),
    };
    let role_rejection = role?.and_then(|(id, role)| (!role.is_active()).then_some(GrantRejection::RoleNotActive(id)));
    holder_rejection
        .or(role_rejection)
        .or(extent_rejection)
        .map_or(Ok(()), |rejection| Err(Undecided::Rejected(rejection)))
}

/// Checks for a change with events that the admin that is to be left still is one. The append depends on all that makes it
/// one, so that two changes at the same moment do not take away one admin each.
pub(crate) fn check_admin<E>(
    others: &mut OtherStates<'_, '_>,
    admin: AdminLeft,
    events: &[E],
) -> Result<(), Undecided<GrantRejection>> {
    if keeps_admin(others, admin, events)? { Ok(()) } else { Err(rejected(GrantRejection::LastAdmin)) }
}

/// As [`check_admin`], for a decision with other rejections: whether the change can be made.
pub(crate) fn keeps_admin<E>(
    others: &mut OtherStates<'_, '_>,
    admin: AdminLeft,
    events: &[E],
) -> Result<bool, NotLoaded> {
    match admin {
        _ if events.is_empty() => Ok(true),
        Ok(None) => Ok(true),
        Ok(Some(admin)) => is_admin(others, admin),
        Err(LastAdmin) => Ok(false),
    }
}

fn is_admin(others: &mut OtherStates<'_, '_>, Admin { member, team, assignment }: Admin) -> Result<bool, NotLoaded> {
    let granted = others.get::<RoleAssignment>(assignment.stream_id());
    let permissions = match assignment.role {
        AssignedRole::BuiltIn(role) => Ok(PermissionSet::of_roles(&[role])),
        AssignedRole::Custom(id) => others.get::<CustomRole>(id.0).map(|role| role.permissions()),
    };
    let is_member = match team {
        None => Ok(true),
        Some(id) => others.get::<Team>(id.0).map(|team| team.is_active() && team.members.contains(&member)),
    };
    let is_active = match member {
        Member::User(id) => others.get::<User>(id.0).map(|user| user.is_active()),
        Member::ServiceAccount(id) => others.get::<ServiceAccount>(id.0).map(|account| account.is_active()),
    };
    Ok(granted?.is_granted && makes_admin(permissions?) && is_member? && is_active?)
}

/// Whether a user was created and not deleted.
pub(crate) fn exists(user: &User) -> bool {
    user.origin.is_some() && !user.is_deleted
}
