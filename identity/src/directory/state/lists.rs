//! Pages of what is in the state. Each one is a range of an ordered map, so that its cost depends on its size.

use super::State;
use super::folded::Folded;
use super::grants::{Held, Origin, all_of};
use super::ranges::{self, Range};
use domain::api_key::ApiKey;
use domain::custom_role::CustomRole;
use domain::role_assignment::{AssignedRole, Holder, RoleExtent};
use domain::service_account::ServiceAccount;
use domain::team::{Member, Team};
use domain::tenant::Tenant;
use domain::{AgentId, ApiKeyId, RoleId, ServiceAccountId, TeamId, TenantId};
use std::cmp::Ordering;
use std::ops::Bound;
use uuid::Uuid;

impl State {
    /// The tenants, by id.
    pub(crate) fn tenants(&self) -> Vec<&Tenant> {
        let mut tenants: Vec<_> = self.tenants.values().filter_map(Folded::readable).collect();
        tenants.sort_by(|one, other| one.tenant_id.cmp(&other.tenant_id));
        tenants
    }

    /// The accounts of a tenant with ids in a range, with the roles on the tenant that were granted to them, by id.
    pub(crate) fn accounts<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<ServiceAccountId>,
    ) -> impl Iterator<Item = (ServiceAccountId, &'a ServiceAccount, Vec<AssignedRole>)> + use<'a> {
        let (first, last) = (ServiceAccountId(Uuid::nil()), ServiceAccountId(Uuid::max()));
        self.accounts.range(ranges::of_tenant(tenant, ids, first, last)).filter_map(move |((tenant, id), account)| {
            let roles = self.grants.direct_on_tenant(tenant, Holder::ServiceAccount(*id)).collect();
            Some((*id, account.readable()?, roles))
        })
    }

    /// The keys of a tenant with ids in a range, by id.
    pub(crate) fn keys_of_tenant<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<ApiKeyId>,
    ) -> impl Iterator<Item = (ApiKeyId, &'a ApiKey)> + use<'a> {
        let range = ranges::of_tenant(tenant, ids, ApiKeyId(Uuid::nil()), ApiKeyId(Uuid::max()));
        self.keys_of_tenant.range(range).filter_map(move |(_, id)| Some((*id, self.keys.get(id)?.key.readable()?)))
    }

    /// The keys of an account with ids in a range, by id.
    pub(crate) fn keys_of_account<'a>(
        &'a self,
        tenant: &TenantId,
        account: ServiceAccountId,
        ids: Range<ApiKeyId>,
    ) -> impl Iterator<Item = (ApiKeyId, &'a ApiKey)> + use<'a> {
        let of_account = |bound: Bound<ApiKeyId>| bound.map(|id| (account, id));
        let ids = (of_account(ids.0), of_account(ids.1));
        let (first, last) = ((account, ApiKeyId(Uuid::nil())), (account, ApiKeyId(Uuid::max())));
        let range = ranges::of_tenant(tenant, ids, first, last);
        self.keys_of_account
            .range(range)
            .filter_map(move |(_, (_, id))| Some((*id, self.keys.get(id)?.key.readable()?)))
    }

    /// The teams of a tenant with ids in a range, closed ones too, by id.
    pub(crate) fn teams<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<TeamId>,
    ) -> impl Iterator<Item = (TeamId, &'a Team)> + use<'a> {
        self.grants.teams(tenant, ids)
    }

    /// The custom roles of a tenant with ids in a range, withdrawn ones too, by id.
    pub(crate) fn roles<'a>(
        &'a self,
        tenant: &TenantId,
        ids: Range<RoleId>,
    ) -> impl Iterator<Item = (RoleId, &'a CustomRole)> + use<'a> {
        self.grants.roles(tenant, ids)
    }

    /// The role assignments of a tenant after one of them, of a holder, of a role, of both or all, by holder, then by role, then
    /// by extent.
    pub(crate) fn assignments(
        &self,
        tenant: &TenantId,
        holder: Option<Holder>,
        role: Option<AssignedRole>,
        after: Option<Held>,
    ) -> Box<dyn Iterator<Item = (Held, &Origin)> + '_> {
        match (holder, role) {
            (None, None) => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                Box::new(self.grants.assignments(tenant, (from, Bound::Unbounded)))
            }
            (Some(_), _) => {
                let (first, last) = all_of(holder, role);
                let of_holder = self.grants.assignments(tenant, (Bound::Included(first), Bound::Included(last)));
                // The number of roles of a holder is limited.
                Box::new(of_holder.filter(move |(held, _)| after.is_none_or(|after| *held > after)))
            }
            (None, Some(role)) => {
                let from = after.map_or(Bound::Unbounded, |(holder, last, extent)| match last.cmp(&role) {
                    Ordering::Less => Bound::Included((holder, RoleExtent::FIRST)),
                    Ordering::Equal => Bound::Excluded((holder, extent)),
                    Ordering::Greater => Bound::Excluded((holder, RoleExtent::LAST)),
                });
                Box::new(self.grants.assignments_of_role(tenant, role, (from, Bound::Unbounded)))
            }
        }
    }

    /// The number of roles that were granted to a holder itself.
    pub(crate) fn count_roles(&self, tenant: &TenantId, holder: Holder) -> usize {
        self.grants.direct(tenant, holder).count()
    }

    /// The number of teams that a member is in.
    pub(crate) fn count_teams(&self, tenant: &TenantId, member: Member) -> usize {
        self.grants.count_teams(tenant, member)
    }

    /// When a member was added to a team that is not closed, and by whom.
    pub(crate) fn membership(&self, tenant: &TenantId, member: Member, team: TeamId) -> Option<&Origin> {
        self.grants.membership(tenant, member, team)
    }

    /// When an agent was added to a team that is not closed, and by whom.
    pub(crate) fn agent_added(&self, tenant: &TenantId, team: TeamId, agent: AgentId) -> Option<&Origin> {
        self.grants.agent_added(tenant, team, agent)
    }

    /// The name of a holder, if it has one in the log.
    pub(crate) fn name_of(&self, tenant: &TenantId, holder: Holder) -> Option<String> {
        match holder {
            Holder::ServiceAccount(id) => {
                Some(self.accounts.get(&(tenant.clone(), id))?.readable()?.name.as_ref()?.to_string())
            }
            Holder::Team(id) => Some(self.grants.team(tenant, id)?.name.as_ref()?.to_string()),
            Holder::User(_) => None,
        }
    }

    /// The name of a role, if it is known.
    pub(crate) fn name_of_role(&self, tenant: &TenantId, role: AssignedRole) -> Option<String> {
        match role {
            AssignedRole::BuiltIn(role) => Some(role.to_string()),
            AssignedRole::Custom(id) => Some(self.grants.role(tenant, id)?.definition.as_ref()?.name.to_string()),
        }
    }
}
