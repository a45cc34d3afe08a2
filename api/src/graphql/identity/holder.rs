//! Who has a role, and which role it is.

use super::types::Role;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::Uid;
use async_graphql::{Enum, ID, OneofObject, Result, SimpleObject};
use domain::role_assignment::{AssignedRole as DomainRole, Holder as DomainHolder, RoleExtent as DomainExtent};
use domain::team::Member;
use domain::{RoleId, ServiceAccountId, TeamId, UserId};
use uuid::Uuid;

/// Kind of holder of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum HolderKind {
    /// A service account.
    ServiceAccount,
    /// A user.
    User,
    /// A team, whose members have the role.
    Team,
}

/// What of a tenant a role is granted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RoleExtent {
    /// The whole tenant.
    Tenant,
    /// One agent, with its tasks, calls and memories.
    Agent,
    /// The agents of a team, each with its tasks, calls and memories.
    Team,
}

/// The kind of an extent, and the global id of the agent or of the team if it is one.
pub(super) fn extent_of(extent: DomainExtent) -> (RoleExtent, Option<ID>, Option<ID>) {
    match extent {
        DomainExtent::Tenant => (RoleExtent::Tenant, None, None),
        DomainExtent::Agent(agent) => (RoleExtent::Agent, Some(Kind::Agent.id(agent)), None),
        DomainExtent::Team(team) => (RoleExtent::Team, None, Some(Kind::Team.id(team))),
    }
}

/// Holder of a role.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Holder {
    /// Kind of holder.
    kind: HolderKind,
    /// Global id of the service account, the user or the team.
    id: ID,
    /// UUID of the service account, the user or the team.
    uuid: Uid,
    /// Name of the service account or the team. Null for a user.
    name: Option<String>,
}

/// The kind, the global id and the UUID of a holder.
pub(super) fn identify(holder: DomainHolder) -> (HolderKind, ID, Uid) {
    let (kind, id) = match holder {
        DomainHolder::ServiceAccount(_) => (HolderKind::ServiceAccount, Kind::ServiceAccount),
        DomainHolder::User(_) => (HolderKind::User, Kind::User),
        DomainHolder::Team(_) => (HolderKind::Team, Kind::Team),
    };
    (kind, id.id(holder.id()), holder.id().into())
}

impl Holder {
    pub(super) fn new(holder: DomainHolder, name: Option<String>) -> Self {
        let (kind, id, uuid) = identify(holder);
        Self { kind, id, uuid, name }
    }
}

/// Role that a holder has.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AssignedRole {
    /// Built-in role. Null for a custom role.
    built_in: Option<Role>,
    /// Global id of the custom role. Null for a built-in role.
    custom_id: Option<ID>,
    /// Name of the role.
    name: String,
}

impl AssignedRole {
    pub(super) fn new(role: DomainRole, name: Option<String>) -> Self {
        // Without a name, the events of the role cannot be read: it gives nothing.
        let name = name.unwrap_or_else(|| role.to_string());
        match role {
            DomainRole::BuiltIn(role) => Self { built_in: Role::of(role), custom_id: None, name },
            DomainRole::Custom(id) => Self { built_in: None, custom_id: Some(Kind::CustomRole.id(id)), name },
        }
    }
}

/// Holder of a role. Give exactly one of the three.
#[derive(Debug, OneofObject)]
pub(crate) enum HolderInput {
    /// Global id or UUID of a service account.
    #[graphql(name = "serviceAccountId")]
    ServiceAccount(ID),
    /// Global id or UUID of a user.
    #[graphql(name = "userId")]
    User(ID),
    /// Global id or UUID of a team, whose members have the role.
    #[graphql(name = "teamId")]
    Team(ID),
}

impl HolderInput {
    pub(super) fn parse(&self) -> Result<DomainHolder> {
        Ok(match self {
            Self::ServiceAccount(id) => DomainHolder::ServiceAccount(ServiceAccountId(Kind::ServiceAccount.parse(id)?)),
            Self::User(id) => DomainHolder::User(UserId(Kind::User.parse(id)?)),
            Self::Team(id) => DomainHolder::Team(TeamId(Kind::Team.parse(id)?)),
        })
    }
}

/// Member of a team. Give exactly one of the two.
#[derive(Debug, OneofObject)]
pub(crate) enum TeamMemberInput {
    /// Global id or UUID of a service account.
    #[graphql(name = "serviceAccountId")]
    ServiceAccount(ID),
    /// Global id or UUID of a user.
    #[graphql(name = "userId")]
    User(ID),
}

impl TeamMemberInput {
    pub(super) fn parse(&self) -> Result<Member> {
        Ok(match self {
            Self::ServiceAccount(id) => Member::ServiceAccount(ServiceAccountId(Kind::ServiceAccount.parse(id)?)),
            Self::User(id) => Member::User(UserId(Kind::User.parse(id)?)),
        })
    }
}

/// Role to grant or revoke. Give exactly one of the two.
#[derive(Debug, OneofObject)]
pub(crate) enum RoleInput {
    /// Built-in role.
    BuiltIn(Role),
    /// Global id or UUID of a custom role.
    CustomId(ID),
}

impl RoleInput {
    pub(super) fn parse(&self) -> Result<DomainRole> {
        Ok(match self {
            Self::BuiltIn(role) => DomainRole::BuiltIn((*role).into()),
            Self::CustomId(id) => DomainRole::Custom(RoleId(Kind::CustomRole.parse(id)?)),
        })
    }
}

/// The holder in a cursor.
pub(super) fn holder_of(kind: &str, id: &str) -> Option<DomainHolder> {
    let id = Uuid::try_parse(id).ok()?;
    Some(match kind {
        "service_account" => DomainHolder::ServiceAccount(ServiceAccountId(id)),
        "user" => DomainHolder::User(UserId(id)),
        "team" => DomainHolder::Team(TeamId(id)),
        _ => return None,
    })
}
