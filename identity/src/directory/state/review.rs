//! The access review: who can do what in a tenant, and by which grant.

use super::State;
use super::grants::{Origin, Way};
use crate::directory::KeySummary;
use chrono::{DateTime, Utc};
use domain::permissions::PermissionSet;
use domain::role_assignment::{AssignedRole, Holder, RoleExtent};
use domain::team::Member;
use domain::{ApiKeyId, ServiceAccountId, TeamId, TenantId, UserId};
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// A row of an access review. Together, the rows of an account or a user that are grants have its permissions; a row that is
/// a key has those that the key gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRow {
    /// The account or the user.
    pub holder: Member,
    /// The name of the account. Names of users are not in the log.
    pub name: Option<String>,
    /// What is allowed by this grant, or to this key, on the extent. Of a key that is bound to agents: for those agents, and what
    /// all agents share.
    pub permissions: PermissionSet,
    /// What of the tenant it is allowed on. A key has a row for the tenant, and one for each agent and each team that its account has
    /// roles on.
    pub extent: RoleExtent,
    /// What allows it.
    pub basis: Basis,
}

/// What allows something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// A role that was granted.
    Grant(GrantBasis),
    /// An API key, which has the permissions of its account as far as its scopes and its agents allow.
    Key(KeySummary),
}

/// A role that was granted to an account or a user, or to a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantBasis {
    /// The role.
    pub role: AssignedRole,
    /// The name of the role.
    pub role_name: String,
    /// The team that the role was granted to; none if it was granted to the account or the user itself.
    pub team: Option<TeamBasis>,
    /// When the role was granted, and by whom.
    pub granted: Origin,
}

/// A team by which an account or a user has a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamBasis {
    /// The team.
    pub id: TeamId,
    /// The name of the team.
    pub name: String,
    /// When the account or the user was added to the team, and by whom.
    pub member: Origin,
}

/// The key by which rows are sorted. A page begins after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReviewKey {
    holder: Member,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Grant(AssignedRole, RoleExtent, Option<TeamId>),
    Key(ApiKeyId, RoleExtent),
}

/// The text is not the key of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the key of a row of an access review")]
pub struct NotAReviewKey;

/// As in `user:UUID:grant:ROLE:EXTENT:TEAM`, `user:UUID:grant:ROLE:EXTENT` and `service_account:UUID:key:UUID:EXTENT`.
impl fmt::Display for ReviewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holder = Holder::from(self.holder);
        write!(f, "{}:{}:", holder.kind(), holder.id())?;
        match self.part {
            Part::Grant(role, extent, None) => write!(f, "grant:{role}:{extent}"),
            Part::Grant(role, extent, Some(team)) => write!(f, "grant:{role}:{extent}:{team}"),
            Part::Key(id, extent) => write!(f, "key:{id}:{extent}"),
        }
    }
}

impl FromStr for ReviewKey {
    type Err = NotAReviewKey;

    fn from_str(text: &str) -> Result<Self, NotAReviewKey> {
        let parts: Vec<_> = text.split(':').take(7).collect();
        let id = |text: &str| Uuid::try_parse(text).map_err(|_| NotAReviewKey);
        let role = |text: &str| text.parse::<AssignedRole>().map_err(|_| NotAReviewKey);
        let extent = |text: &str| text.parse::<RoleExtent>().map_err(|_| NotAReviewKey);
        let (kind, holder, part) = match parts.as_slice() {
            [kind, holder, "grant", of, on] => (kind, holder, Part::Grant(role(of)?, extent(on)?, None)),
            [kind, holder, "grant", of, on, team] => {
                (kind, holder, Part::Grant(role(of)?, extent(on)?, Some(TeamId(id(team)?))))
            }
            [kind, holder, "key", key, on] => (kind, holder, Part::Key(ApiKeyId(id(key)?), extent(on)?)),
            _ => return Err(NotAReviewKey),
        };
        let holder = match *kind {
            "service_account" => Member::ServiceAccount(ServiceAccountId(id(holder)?)),
            "user" => Member::User(UserId(id(holder)?)),
            _ => return Err(NotAReviewKey),
        };
        Ok(Self { holder, part })
    }
}

impl ReviewRow {
    /// The key by which the row is sorted.
    #[must_use]
    pub fn key(&self) -> ReviewKey {
        let part = match &self.basis {
            Basis::Grant(grant) => Part::Grant(grant.role, self.extent, grant.team.as_ref().map(|team| team.id)),
            Basis::Key(key) => Part::Key(key.id, self.extent),
        };
        ReviewKey { holder: self.holder, part }
    }
}

impl State {
    /// Who can do what in a tenant at a time: the rows after one of them, sorted by account or user, grants before keys. There
    /// are none of a tenant that is not active, whose credentials are refused.
    pub(crate) fn review<'a>(
        &'a self,
        tenant: &'a TenantId,
        after: Option<ReviewKey>,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = ReviewRow> + 'a {
        let first = after.map(|after| after.holder);
        let members = self.is_active(tenant).then(|| self.members_from(tenant, first)).into_iter().flatten();
        members.flat_map(move |member| {
            let part = after.filter(|after| after.holder == member).map(|after| after.part);
            self.grants_of(tenant, member, part).into_iter().chain(self.keys_in_use(tenant, member, part, now))
        })
    }

    /// The accounts and users of a tenant whose credentials can be accepted, from one on.
    fn members_from<'a>(&'a self, tenant: &'a TenantId, first: Option<Member>) -> impl Iterator<Item = Member> + 'a {
        let (accounts, users) = match first {
            None => (Some(ServiceAccountId(Uuid::nil())), UserId(Uuid::nil())),
            Some(Member::ServiceAccount(first)) => (Some(first), UserId(Uuid::nil())),
            Some(Member::User(first)) => (None, first),
        };
        let accounts = accounts.into_iter().flat_map(move |first| {
            let range = (tenant.clone(), first)..=(tenant.clone(), ServiceAccountId(Uuid::max()));
            self.accounts.range(range).map(|((_, id), _)| Member::ServiceAccount(*id))
        });
        let users = self.grants.users_from(tenant, users).map(Member::User);
        accounts.chain(users).filter(move |member| self.is_active_member(tenant, *member))
    }

    /// The rows of the grants of an account or a user. Their number is limited.
    fn grants_of(&self, tenant: &TenantId, holder: Member, after: Option<Part>) -> Vec<ReviewRow> {
        let ways = self.grants.ways(tenant, holder.into()).filter(|way| !way.permissions.is_empty());
        let rows = ways.map(|way| self.row(tenant, holder, &way));
        let mut rows: Vec<_> = rows.filter(|row| after.is_none_or(|after| row.key().part > after)).collect();
        rows.sort_by_key(ReviewRow::key);
        rows
    }

    fn row(&self, tenant: &TenantId, holder: Member, way: &Way<'_>) -> ReviewRow {
        let team = way.team.map(|(id, member)| {
            let name = self.name_of(tenant, Holder::Team(id)).unwrap_or_default();
            TeamBasis { id, name, member: member.clone() }
        });
        let role_name = self.name_of_role(tenant, way.role).unwrap_or_default();
        let grant = GrantBasis { role: way.role, role_name, team, granted: way.granted.clone() };
        let name = self.name_of(tenant, holder.into());
        ReviewRow { holder, name, permissions: way.permissions, extent: way.extent, basis: Basis::Grant(grant) }
    }

    /// The rows of the keys of an account that are accepted, without their last use.
    fn keys_in_use<'a>(
        &'a self,
        tenant: &'a TenantId,
        holder: Member,
        after: Option<Part>,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = ReviewRow> + 'a {
        let account = match holder {
            Member::ServiceAccount(account) => Some(account),
            Member::User(_) => None,
        };
        let from = match after {
            // It may have rows for further agents and teams.
            Some(Part::Key(last, _)) => Bound::Included(last),
            Some(Part::Grant(..)) | None => Bound::Unbounded,
        };
        let range = (from, Bound::Unbounded);
        let keys = account.into_iter().flat_map(move |account| self.keys_of_account(tenant, account, range));
        let extents = account.map(|_| self.grants.permissions_by_extent(tenant, holder.into())).unwrap_or_default();
        let rows = keys.filter_map(move |(id, key)| {
            let (principal, key) = (self.principal(id, now).ok()?, KeySummary::of(id, key)?);
            let name = self.name_of(tenant, holder.into());
            let row = move |extent, permissions| {
                let (name, basis) = (name.clone(), Basis::Key(key.clone()));
                ReviewRow { holder, name, permissions, extent, basis }
            };
            let on_agents =
                extents.iter().filter(|(extent, _)| **extent != RoleExtent::Tenant).map(|(extent, held)| {
                    let of_team = extent.team().into_iter().flat_map(|team| self.grants.agents_of_team(tenant, team));
                    (*extent, principal.allowed_on(extent.agent().into_iter().chain(of_team), *held))
                });
            let on_agents: Vec<_> = on_agents.filter(|(_, permissions)| !permissions.is_empty()).collect();
            let on_tenant = (RoleExtent::Tenant, principal.allowed());
            let on_tenant = Some(on_tenant).filter(|(_, allowed)| on_agents.is_empty() || !allowed.is_empty());
            Some(on_tenant.into_iter().chain(on_agents).map(move |(extent, permissions)| row(extent, permissions)))
        });
        rows.flatten().filter(move |row| after.is_none_or(|after| row.key().part > after))
    }
}
