//! Users and invitations.

use super::folded::Folded;
use super::ranges::{self, Range};
use super::{NoPrincipal, State};
use chrono::{DateTime, Utc};
use commands::Principal;
use domain::invitation::Invitation;
use domain::role_assignment::{AssignedRole, Holder, RoleExtent};
use domain::user::{User, UserSource};
use domain::{InvitationId, SessionId, TenantId, UserId};
use uuid::Uuid;

impl State {
    /// A user who is active, in an active tenant.
    ///
    /// # Errors
    /// [`NoPrincipal::Refused`] if either is not active, and [`NoPrincipal::Unreadable`] if that is not known.
    pub(crate) fn active_user(&self, tenant: &TenantId, id: UserId) -> Result<&User, NoPrincipal> {
        self.active_tenant(tenant)?;
        self.enabled_user(tenant, id)
    }

    /// A user who exists, can be read, and is neither disabled nor deleted, whether its tenant is active or not.
    pub(super) fn enabled_user(&self, tenant: &TenantId, id: UserId) -> Result<&User, NoPrincipal> {
        let user = self.users.get(&(tenant.clone(), id)).ok_or(NoPrincipal::Refused)?.required()?;
        if user.is_active() { Ok(user) } else { Err(NoPrincipal::Refused) }
    }

    /// The principal of a user whose session was checked.
    ///
    /// # Errors
    /// As [`State::active_user`].
    pub(crate) fn user_principal(
        &self,
        tenant: &TenantId,
        id: UserId,
        session: SessionId,
    ) -> Result<Principal, NoPrincipal> {
        self.active_user(tenant, id)?;
        Ok(Principal::user(tenant.clone(), id, session, self.permissions_of(tenant, Holder::User(id))))
    }

    /// A user that exists or was deleted; none if there is none.
    ///
    /// # Errors
    /// [`NoPrincipal::Unreadable`] if that is not known.
    pub(crate) fn user(&self, tenant: &TenantId, id: UserId) -> Result<Option<&User>, NoPrincipal> {
        self.users.get(&(tenant.clone(), id)).map(Folded::required).transpose()
    }

    /// The roles on the tenant that were granted to a user itself.
    pub(crate) fn roles_of_user(&self, tenant: &TenantId, id: UserId) -> Vec<AssignedRole> {
        self.grants.direct_on_tenant(tenant, Holder::User(id)).collect()
    }

    /// The roles that were granted to a user itself, each with what it is granted on and the actor who granted it.
    pub(crate) fn granted_roles_of_user(
        &self,
        tenant: &TenantId,
        id: UserId,
    ) -> Vec<(AssignedRole, RoleExtent, String)> {
        let direct = self.grants.direct(tenant, Holder::User(id));
        direct.map(|(role, extent, origin)| (role, extent, origin.by.clone())).collect()
    }

    /// The users of a tenant with ids in a range, by id, without those that were deleted.
    pub(crate) fn users<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<UserId>,
    ) -> impl Iterator<Item = (UserId, &'a User, Vec<AssignedRole>)> + use<'a> {
        let range = ranges::of_tenant(tenant, ids, UserId(Uuid::nil()), UserId(Uuid::max()));
        self.users.range(range).filter_map(move |((tenant, id), user)| {
            let user = user.readable().filter(|user| !user.is_deleted)?;
            Some((*id, user, self.roles_of_user(tenant, *id)))
        })
    }

    /// The users of a tenant who registered without an invitation or whom an identity provider created, and those of them who
    /// have no permission.
    pub(crate) fn count_registered(&self, tenant: &TenantId) -> (usize, usize) {
        let range = ranges::of_tenant(tenant, ranges::all(), UserId(Uuid::nil()), UserId(Uuid::max()));
        let users = self.users.range(range).filter_map(|((_, id), user)| Some((*id, user.readable()?)));
        let registered = users.filter(|(_, user)| {
            let has_come_alone = |(source, _)| matches!(source, UserSource::Registration | UserSource::Provider);
            !user.is_deleted && user.origin.is_some_and(has_come_alone)
        });
        registered.fold((0, 0), |(registered, roleless), (id, _)| {
            let is_roleless = self.permissions_of(tenant, Holder::User(id)).is_empty();
            (registered + 1, roleless + usize::from(is_roleless))
        })
    }

    /// The invitations of a tenant that can be accepted at a time.
    pub(crate) fn count_pending_invitations(&self, tenant: &TenantId, now: DateTime<Utc>) -> usize {
        let invitations = self.invitations(tenant, ranges::all());
        invitations.filter(|(_, invitation)| invitation.acceptable_at(now).is_ok()).count()
    }

    /// The ids of the users who were deleted, of all tenants.
    pub(crate) fn deleted_users(&self) -> impl Iterator<Item = UserId> {
        let deleted = self.users.iter().filter(|(_, user)| user.readable().is_some_and(|user| user.is_deleted));
        deleted.map(|((_, id), _)| *id)
    }

    /// Whether there are events about an invitation, readable or not.
    pub(crate) fn has_invitation(&self, tenant: &TenantId, id: InvitationId) -> bool {
        self.invitations.contains_key(&(tenant.clone(), id))
    }

    /// The invitations of a tenant with ids in a range, by id.
    pub(crate) fn invitations<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<InvitationId>,
    ) -> impl Iterator<Item = (InvitationId, &'a Invitation)> + use<'a> {
        let range = ranges::of_tenant(tenant, ids, InvitationId(Uuid::nil()), InvitationId(Uuid::max()));
        self.invitations.range(range).filter_map(|((_, id), invitation)| Some((*id, invitation.readable()?)))
    }
}
