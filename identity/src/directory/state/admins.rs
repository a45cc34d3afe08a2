//! Who may manage a tenant, so that its last admin is not lost by mistake.

use super::{State, ranges};
use domain::permissions::{Action, Permission, PermissionSet, ResourceKind};
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleExtent};
use domain::team::{Member, Team};
use domain::{RoleId, ServiceAccountId, TeamId, TenantId, UserId};

/// Whether permissions make an admin: who may send commands about identities can grant everything in the tenant.
pub(crate) fn makes_admin(permissions: PermissionSet) -> bool {
    let manages = Permission::of(Action::SendCommand, ResourceKind::Identities);
    manages.is_some_and(|permission| permissions.contains(permission))
}

/// A change that takes something away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// A role assignment is revoked.
    Assignment(Assignment),
    /// A member is removed from a team.
    Member(TeamId, Member),
    /// A team is closed.
    Team(TeamId),
    /// A custom role is withdrawn, or is changed to one that does not make an admin.
    Role(RoleId),
    /// A service account is disabled.
    Account(ServiceAccountId),
    /// A user is disabled or deleted.
    User(UserId),
}

/// An account or a user that may manage a tenant, and by what. All of it was active when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admin {
    pub(crate) member: Member,
    /// The team by which it has the role; none if the role was granted to the account or the user.
    pub(crate) team: Option<TeamId>,
    pub(crate) assignment: Assignment,
}

impl State {
    /// An admin of a tenant that is left after a change. It does not count whether an account has an API key.
    pub(crate) fn admin_after(&self, tenant: &TenantId, loss: Option<Loss>) -> Option<Admin> {
        let grants = &self.grants;
        // A role on one agent manages no tenant.
        let on_tenant = grants
            .assignments(tenant, ranges::all())
            .filter_map(|((holder, role, extent), _)| (extent == RoleExtent::Tenant).then_some((holder, role)));
        let assignments = on_tenant.filter(|(holder, role)| {
            let is_role_lost =
                matches!((role, loss), (AssignedRole::Custom(id), Some(Loss::Role(lost))) if *id == lost);
            let is_lost = loss == Some(Loss::Assignment(Assignment::on_tenant(*holder, *role)));
            !is_role_lost && !is_lost && makes_admin(grants.permissions_of_role(tenant, *role))
        });
        let mut admins = assignments.flat_map(|(holder, role)| {
            let assignment = Assignment::on_tenant(holder, role);
            let (member, team) = match holder {
                Holder::ServiceAccount(id) => (Some(Member::ServiceAccount(id)), None),
                Holder::User(id) => (Some(Member::User(id)), None),
                Holder::Team(id) => (None, Some(id).filter(|id| loss != Some(Loss::Team(*id)))),
            };
            let members = team.and_then(|id| grants.team(tenant, id)).filter(|team| Team::is_active(team));
            let members = members.into_iter().flat_map(|team| team.members.iter().copied());
            let members = members.filter(move |member| team.map(|id| Loss::Member(id, *member)) != loss);
            member.into_iter().chain(members).map(move |member| Admin { member, team, assignment })
        });
        admins.find(|Admin { member, .. }| {
            let lost = match loss {
                Some(Loss::Account(id)) => Some(Member::ServiceAccount(id)),
                Some(Loss::User(id)) => Some(Member::User(id)),
                Some(Loss::Assignment(_) | Loss::Member(..) | Loss::Team(_) | Loss::Role(_)) | None => None,
            };
            lost != Some(*member) && self.is_active_member(tenant, *member)
        })
    }
}
