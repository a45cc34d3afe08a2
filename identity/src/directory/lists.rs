//! What is listed of the directory. Each list is a page of a range of ids, and takes the access to what it lists.

use super::state::{self, Admin, Loss, Origin, ReviewKey, ReviewRow};
use super::{AccountSummary, Directory, KeySummary, TenantSummary};
use chrono::{DateTime, Utc};
use commands::Principal;
use domain::permissions::{Access, Forbidden, PermissionSet, ReadData, ReadIdentities};
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleExtent};
use domain::team::Member;
use domain::tenant::Tenant;
use domain::{AgentId, Aggregate as _, ApiKeyId, RoleId, ServiceAccountId, TeamId, TenantId};
use std::ops::{Bound, RangeBounds};

/// A team in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamSummary {
    /// The id of the team.
    pub id: TeamId,
    /// What the team is called.
    pub name: String,
    /// Whether the team was closed: its members have none of its roles.
    pub is_closed: bool,
    /// The number of members; of a closed team, how many it had.
    pub members: usize,
    /// The number of agents that roles on the team are about; of a closed team, how many it had.
    pub agents: usize,
}

/// A member of a team in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSummary {
    /// The member.
    pub member: Member,
    /// The name of the account; none for users, whose names are not in the log.
    pub name: Option<String>,
    /// When the member was added, and by whom; none if the team was closed.
    pub added: Option<Origin>,
}

/// An agent of a team in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamAgentSummary {
    /// The agent.
    pub agent_id: AgentId,
    /// When the agent was added, and by whom; none if the team was closed.
    pub added: Option<Origin>,
}

/// A custom role in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSummary {
    /// The id of the role.
    pub id: RoleId,
    /// What the role is called.
    pub name: String,
    /// The permissions of the role; of a withdrawn role, those that it had.
    pub permissions: PermissionSet,
    /// Whether the role was withdrawn: it gives nothing.
    pub is_withdrawn: bool,
}

/// A role that a holder has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentSummary {
    /// Who has the role.
    pub holder: Holder,
    /// The name of the holder; none for users, whose names are not in the log.
    pub holder_name: Option<String>,
    /// The role.
    pub role: AssignedRole,
    /// The name of the role, if it is known.
    pub role_name: Option<String>,
    /// What the role was granted on.
    pub extent: RoleExtent,
    /// When the role was granted, and by whom.
    pub granted: Origin,
}

impl Directory {
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
            let accounts = state.accounts(access.tenant(), state::owned(&ids));
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
        let (tenant, ids) = (access.tenant(), state::owned(&ids));
        self.with(|state| match account {
            Some(account) => {
                let keys = state.keys_of_account(tenant, account, ids);
                keys.filter_map(|(id, key)| KeySummary::of(id, key)).take(limit).collect()
            }
            None => {
                let keys = state.keys_of_tenant(tenant, ids);
                keys.filter_map(|(id, key)| KeySummary::of(id, key)).take(limit).collect()
            }
        })
    }

    /// The teams of a tenant with ids in a range, closed ones too, by id; at most `limit`.
    #[must_use]
    pub fn teams(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<TeamId>,
        limit: usize,
    ) -> Vec<TeamSummary> {
        self.with(|state| {
            let teams = state.teams(access.tenant(), state::owned(&ids));
            let summary = teams.filter_map(|(id, team)| {
                let (name, members) = (team.name.as_ref()?.to_string(), team.members.len());
                Some(TeamSummary { id, name, is_closed: team.is_closed, members, agents: team.agents.len() })
            });
            summary.take(limit).collect()
        })
    }

    /// The members of a team after one of them; at most `limit`. Of a closed team, those that it had.
    #[must_use]
    pub fn members(
        &self,
        access: &Access<ReadIdentities>,
        team: TeamId,
        after: Option<Member>,
        limit: usize,
    ) -> Vec<MemberSummary> {
        let tenant = access.tenant();
        self.with(|state| {
            let found = state.teams(tenant, (Bound::Included(team), Bound::Included(team))).next();
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let members = found.into_iter().flat_map(|(_, team)| team.members.range((from, Bound::Unbounded)));
            let summary = members.map(|&member| MemberSummary {
                member,
                name: state.name_of(tenant, member.into()),
                added: state.membership(tenant, member, team).cloned(),
            });
            summary.take(limit).collect()
        })
    }

    /// The agents of a team after one of them, by id; at most `limit`. Of a closed team, those that it had.
    #[must_use]
    pub fn agents_of_team(
        &self,
        access: &Access<ReadIdentities>,
        team: TeamId,
        after: Option<AgentId>,
        limit: usize,
    ) -> Vec<TeamAgentSummary> {
        let tenant = access.tenant();
        self.with(|state| {
            let found = state.teams(tenant, (Bound::Included(team), Bound::Included(team))).next();
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let agents = found.into_iter().flat_map(|(_, team)| team.agents.range((from, Bound::Unbounded)));
            let summary = agents.map(|&agent_id| TeamAgentSummary {
                agent_id,
                added: state.agent_added(tenant, team, agent_id).cloned(),
            });
            summary.take(limit).collect()
        })
    }

    /// The custom roles of a tenant with ids in a range, withdrawn ones too, by id; at most `limit`.
    #[must_use]
    pub fn roles(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<RoleId>,
        limit: usize,
    ) -> Vec<RoleSummary> {
        self.with(|state| {
            let roles = state.roles(access.tenant(), state::owned(&ids));
            let summary = roles.filter_map(|(id, role)| {
                let definition = role.definition.as_ref()?;
                let (name, permissions) = (definition.name.to_string(), definition.permissions);
                Some(RoleSummary { id, name, permissions, is_withdrawn: role.is_withdrawn })
            });
            summary.take(limit).collect()
        })
    }

    /// The role assignments of a tenant after one of them, of a holder, of a role, of both or all, by holder, then by role, then
    /// by extent; at most `limit`. What was revoked is not listed.
    #[must_use]
    pub fn assignments(
        &self,
        access: &Access<ReadIdentities>,
        (holder, role): (Option<Holder>, Option<AssignedRole>),
        after: Option<(Holder, AssignedRole, RoleExtent)>,
        limit: usize,
    ) -> Vec<AssignmentSummary> {
        let tenant = access.tenant();
        self.with(|state| {
            let assignments = state.assignments(tenant, holder, role, after);
            let summary = assignments.map(|((holder, role, extent), granted)| AssignmentSummary {
                holder,
                holder_name: state.name_of(tenant, holder),
                role,
                role_name: state.name_of_role(tenant, role),
                extent,
                granted: granted.clone(),
            });
            summary.take(limit).collect()
        })
    }

    /// Who can do what in a tenant at a time: at most `limit` rows after one of them, without the last use of keys.
    pub(crate) fn review(
        &self,
        access: &Access<ReadIdentities>,
        after: Option<ReviewKey>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Vec<ReviewRow> {
        self.with(|state| state.review(access.tenant(), after, now).take(limit).collect())
    }

    /// The name of a holder, if it has one in the log.
    #[must_use]
    pub fn name_of(&self, access: &Access<ReadIdentities>, holder: Holder) -> Option<String> {
        self.with(|state| state.name_of(access.tenant(), holder))
    }

    /// A role assignment of a tenant, if it is not revoked.
    #[must_use]
    pub fn assignment(&self, access: &Access<ReadIdentities>, assignment: Assignment) -> Option<AssignmentSummary> {
        let Assignment { holder, role, extent } = assignment;
        let of_both = self.assignments(access, (Some(holder), Some(role)), None, usize::MAX);
        of_both.into_iter().find(|found| found.extent == extent)
    }

    /// The number of roles that were granted to a holder itself.
    pub(crate) fn count_roles(&self, tenant: &TenantId, holder: Holder) -> usize {
        self.with(|state| state.count_roles(tenant, holder))
    }

    /// The number of teams that a member is in.
    pub(crate) fn count_teams(&self, tenant: &TenantId, member: Member) -> usize {
        self.with(|state| state.count_teams(tenant, member))
    }

    /// Whether an account or a user of a tenant may decide who may do what in it. Whether an account has an API key is not
    /// looked at.
    #[must_use]
    pub fn has_admin(&self, tenant: &TenantId) -> bool {
        self.with(|state| state.admin_after(tenant, None).is_some())
    }

    /// The admin of a tenant that is left after a change: none in `Ok` if it has none before either, none in `Err` if it loses
    /// the last one.
    pub(crate) fn admin_after(&self, tenant: &TenantId, loss: Loss) -> Result<Option<Admin>, LastAdmin> {
        self.with(|state| match (state.admin_after(tenant, Some(loss)), state.admin_after(tenant, None)) {
            (Some(admin), _) => Ok(Some(admin)),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(LastAdmin),
        })
    }
}

/// A change would take away the last admin of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastAdmin;
