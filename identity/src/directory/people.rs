//! Users and invitations in the directory, without what is stored about them beside the log.

use super::Directory;
use super::state::{self, NoPrincipal};
use chrono::{DateTime, Utc};
use commands::Principal;
use domain::permissions::{Access, ReadIdentities, Role};
use domain::role_assignment::{AssignedRole, RoleExtent};
use domain::user::User;
use domain::{InvitationId, SessionId, TenantId, UserId};
use std::ops::RangeBounds;

/// A user in a list, without what is stored beside the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DirectoryUser {
    pub(crate) id: UserId,
    pub(crate) user: User,
    pub(crate) roles: Vec<AssignedRole>,
}

/// An invitation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationSummary {
    /// The id of the invitation.
    pub id: InvitationId,
    /// The roles that are granted to the user who accepts.
    pub roles: Vec<Role>,
    /// When the invitation was created.
    pub created_at: DateTime<Utc>,
    /// The time from which it cannot be accepted.
    pub expires_at: DateTime<Utc>,
    /// The user who accepted it, if it was accepted.
    pub accepted_by: Option<UserId>,
    /// Whether it was revoked.
    pub is_revoked: bool,
    /// The address of the person who is invited; none once it was accepted or has expired.
    pub email: Option<String>,
}

impl Directory {
    /// The principal of a user whose session was checked.
    ///
    /// # Errors
    /// [`NoPrincipal`] if the user or its tenant is not active, or if that is not known.
    pub(crate) fn user_principal(
        &self,
        tenant: &TenantId,
        id: UserId,
        session: SessionId,
    ) -> Result<Principal, NoPrincipal> {
        self.with(|state| state.user_principal(tenant, id, session))
    }

    /// A user who is active, in an active tenant.
    ///
    /// # Errors
    /// [`NoPrincipal`] if either is not active, or if that is not known.
    pub(crate) fn active_user(&self, tenant: &TenantId, id: UserId) -> Result<User, NoPrincipal> {
        self.with(|state| state.active_user(tenant, id).cloned())
    }

    /// A user that exists or was deleted, whether it can sign in or not; none if there is none.
    ///
    /// # Errors
    /// [`NoPrincipal::Unreadable`] if that is not known.
    pub(crate) fn user(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, NoPrincipal> {
        self.with(|state| state.user(tenant, id).map(Option::<&User>::cloned))
    }

    /// The roles that were granted to a user itself.
    pub(crate) fn roles_of_user(&self, tenant: &TenantId, id: UserId) -> Vec<AssignedRole> {
        self.with(|state| state.roles_of_user(tenant, id))
    }

    /// The roles that were granted to a user itself, each with what it is granted on and the actor who granted it.
    pub(crate) fn granted_roles_of_user(
        &self,
        tenant: &TenantId,
        id: UserId,
    ) -> Vec<(AssignedRole, RoleExtent, String)> {
        self.with(|state| state.granted_roles_of_user(tenant, id))
    }

    /// The users who were deleted, of all tenants.
    pub(crate) fn deleted_users(&self) -> Vec<UserId> {
        self.with(|state| state.deleted_users().collect())
    }

    /// Whether there are events about an invitation, readable or not.
    pub(crate) fn has_invitation(&self, tenant: &TenantId, id: InvitationId) -> bool {
        self.with(|state| state.has_invitation(tenant, id))
    }

    /// The users of a tenant who registered without an invitation or whom an identity provider created, and those of them who
    /// have no role, neither by a team.
    pub(crate) fn count_registered(&self, tenant: &TenantId) -> (usize, usize) {
        self.with(|state| state.count_registered(tenant))
    }

    /// The invitations of a tenant that can be accepted at a time.
    pub(crate) fn count_pending_invitations(&self, tenant: &TenantId, now: DateTime<Utc>) -> usize {
        self.with(|state| state.count_pending_invitations(tenant, now))
    }

    /// The users of a tenant with ids in a range, by id; at most `limit`.
    pub(crate) fn users(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<UserId>,
        limit: usize,
    ) -> Vec<DirectoryUser> {
        self.with(|state| {
            let users = state.users(access.tenant(), state::owned(&ids)).filter(|(_, user, _)| user.origin.is_some());
            users.take(limit).map(|(id, user, roles)| DirectoryUser { id, user: user.clone(), roles }).collect()
        })
    }

    /// The invitations of a tenant with ids in a range, by id, without addresses; at most `limit`.
    pub(crate) fn invitations(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<InvitationId>,
        limit: usize,
    ) -> Vec<InvitationSummary> {
        self.with(|state| {
            let invitations = state.invitations(access.tenant(), state::owned(&ids));
            let summary = invitations.filter_map(|(id, invitation)| {
                let terms = invitation.terms.as_ref()?;
                Some(InvitationSummary {
                    id,
                    roles: terms.roles.iter().copied().collect(),
                    created_at: invitation.created_at?,
                    expires_at: terms.expires_at,
                    accepted_by: invitation.accepted_by,
                    is_revoked: invitation.is_revoked,
                    email: None,
                })
            });
            summary.take(limit).collect()
        })
    }
}
