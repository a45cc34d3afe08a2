//! Lists of what is in the directory, and lookups in it.

use super::Directory;
use super::state::NoPrincipal;
use chrono::{DateTime, Utc};
use commands::Principal;
use domain::api_key::KeyTerms;
use domain::permissions::{Access, Forbidden, ReadData, ReadIdentities, Role, Scopes};
use domain::role_assignment::Holder;
use domain::tenant::Tenant;
use domain::user::User;
use domain::{AgentId, Aggregate as _, ApiKeyId, InvitationId, ServiceAccountId, TenantId, UserId};
use std::ops::RangeBounds;

/// A service account in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The id of the account.
    pub id: ServiceAccountId,
    /// What the account is for.
    pub name: String,
    /// Whether the account is disabled.
    pub is_disabled: bool,
    /// The roles of the account.
    pub roles: Vec<Role>,
}

/// An API key in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The id of the key, which is the first part of its text.
    pub id: ApiKeyId,
    /// The account whose credential the key is.
    pub service_account_id: ServiceAccountId,
    /// The permissions that the key is restricted to, or all that the account has.
    pub scopes: Scopes,
    /// The agent that the key is bound to, if it is.
    pub agent_id: Option<AgentId>,
    /// The time from which the key is refused, if any.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the key was revoked.
    pub is_revoked: bool,
    /// When the key was last used, to the hour; none if it was not, or was revoked.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A user in a list, without what is stored beside the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DirectoryUser {
    pub(crate) id: UserId,
    pub(crate) user: User,
    pub(crate) roles: Vec<Role>,
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

/// A tenant in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSummary {
    /// The id of the tenant.
    pub id: TenantId,
    /// Whether the tenant is suspended.
    pub is_suspended: bool,
}

impl Directory {
    /// A user that exists or was deleted, whether it can sign in or not; none if there is none.
    ///
    /// # Errors
    /// [`NoPrincipal::Unreadable`] if that is not known.
    pub(crate) fn user(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, NoPrincipal> {
        self.with(|state| state.user(tenant, id).map(Option::<&User>::cloned))
    }

    /// The roles that are granted to a user.
    pub(crate) fn roles_of_user(&self, tenant: &TenantId, id: UserId) -> Vec<Role> {
        self.with(|state| state.roles_of(tenant, Holder::User(id)))
    }

    /// The users who were deleted, of all tenants.
    pub(crate) fn deleted_users(&self) -> Vec<UserId> {
        self.with(|state| state.deleted_users().collect())
    }

    /// Whether there are events about an invitation, readable or not.
    pub(crate) fn has_invitation(&self, tenant: &TenantId, id: InvitationId) -> bool {
        self.with(|state| state.has_invitation(tenant, id))
    }

    /// The users of a tenant with ids in a range, by id; at most `limit`.
    pub(crate) fn users(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<UserId>,
        limit: usize,
    ) -> Vec<DirectoryUser> {
        self.with(|state| {
            let users = state.users(access.tenant(), ids).filter(|(_, user, _)| user.origin.is_some());
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
            let summary = state.invitations(access.tenant(), ids).filter_map(|(id, invitation)| {
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

    /// The tenants of the installation, by id.
    ///
    /// # Errors
    /// [`Forbidden`] if the principal may not read them.
    pub fn tenants(&self, principal: &Principal) -> Result<Vec<TenantSummary>, Forbidden> {
        principal.authorise_on::<ReadData>(Tenant::CATEGORY, principal.tenant().stream_id())?;
        Ok(self.with(|state| {
            let tenants = state.tenants().into_iter();
            let summary = tenants.filter_map(|tenant| {
                Some(TenantSummary { id: tenant.tenant_id.clone()?, is_suspended: tenant.is_suspended })
            });
            summary.collect()
        }))
    }

    /// The service accounts of a tenant with ids in a range, by id; at most `limit`.
    #[must_use]
    pub fn accounts(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<ServiceAccountId>,
        limit: usize,
    ) -> Vec<AccountSummary> {
        self.with(|state| {
            let accounts = state.accounts(access.tenant()).filter(|(id, ..)| ids.contains(id));
            let summary = accounts.filter_map(|(id, account, roles)| {
                let name = account.name.as_ref()?.to_string();
                Some(AccountSummary { id, name, is_disabled: account.is_disabled, roles })
            });
            summary.take(limit).collect()
        })
    }

    /// The API keys of a tenant, or of one of its accounts, with ids in a range, by id, without their last use; at most `limit`.
    pub(crate) fn keys(
        &self,
        access: &Access<ReadIdentities>,
        account: Option<ServiceAccountId>,
        ids: impl RangeBounds<ApiKeyId>,
        limit: usize,
    ) -> Vec<KeySummary> {
        self.with(|state| {
            let keys = state.keys(access.tenant(), ids);
            let summary = keys.filter_map(|(id, key)| {
                let of_account = |terms: &&KeyTerms| account.is_none_or(|account| account == terms.service_account_id);
                let terms = key.terms.as_ref().filter(of_account)?;
                Some(KeySummary {
                    id,
                    service_account_id: terms.service_account_id,
                    scopes: terms.scopes,
                    agent_id: terms.agent_id,
                    expires_at: key.expires_at(),
                    is_revoked: key.is_revoked,
                    last_used_at: None,
                })
            });
            summary.take(limit).collect()
        })
    }
}
