//! The object types.

use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Timestamp, Uid};
use async_graphql::{Enum, Error, ID, Result, SimpleObject};
use domain::permissions::{Role as DomainRole, Scopes};
use domain::role_assignment::AssignedRole;
use identity::{AccountSummary, KeySummary};

/// Named set of permissions in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum Role {
    /// Manages everything in a tenant, and who may do what in it.
    Admin,
    /// Operates agents, tasks, budgets and prices in a tenant.
    Operator,
    /// Reads everything in a tenant but the texts that agents work with.
    Viewer,
    /// Works in a tenant as an agent does: takes tasks, reports calls, stores memories. It reads the objects of the agent that
    /// its key is bound to.
    Agent,
    /// Manages budgets and prices in a tenant, and reads what was spent.
    Billing,
    /// Reads everything in a tenant, to examine it.
    Auditor,
}

pub(super) const ROLES: [(Role, DomainRole); 6] = [
    (Role::Admin, DomainRole::Admin),
    (Role::Operator, DomainRole::Operator),
    (Role::Viewer, DomainRole::Viewer),
    (Role::Agent, DomainRole::Agent),
    (Role::Billing, DomainRole::Billing),
    (Role::Auditor, DomainRole::Auditor),
];

impl Role {
    /// The role that the domain has; none for one that cannot be granted in a tenant.
    pub(super) fn of(role: DomainRole) -> Option<Self> {
        ROLES.iter().find(|(_, known)| *known == role).map(|(role, _)| *role)
    }
}

impl From<Role> for DomainRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Operator => Self::Operator,
            Role::Viewer => Self::Viewer,
            Role::Agent => Self::Agent,
            Role::Billing => Self::Billing,
            Role::Auditor => Self::Auditor,
        }
    }
}

/// The roles that can be granted in a tenant, of some roles. No others are granted.
pub(crate) fn roles(roles: &[DomainRole]) -> Vec<Role> {
    roles.iter().filter_map(|role| Role::of(*role)).collect()
}

/// The built-in roles, and the global ids of the custom ones, of roles that a holder has. No other built-in roles are granted
/// than those that can be granted in a tenant.
pub(crate) fn assigned(roles: &[AssignedRole]) -> (Vec<Role>, Vec<ID>) {
    let built_in = |role: &AssignedRole| match role {
        AssignedRole::BuiltIn(role) => Role::of(*role),
        AssignedRole::Custom(_) => None,
    };
    let custom = |role: &AssignedRole| match role {
        AssignedRole::Custom(id) => Some(Kind::CustomRole.id(id)),
        AssignedRole::BuiltIn(_) => None,
    };
    (roles.iter().filter_map(built_in).collect(), roles.iter().filter_map(custom).collect())
}

/// A service account: a program that acts in a tenant. Its credentials are API keys.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ServiceAccount {
    /// Global id of the account.
    pub(crate) id: ID,
    /// UUID of the account, as it occurs in events and exports.
    pub(crate) uuid: Uid,
    /// What the account is for.
    name: String,
    /// Whether the account is disabled: its keys are refused until it is enabled.
    disabled: bool,
    /// Built-in roles on the whole tenant that were granted to the account itself.
    roles: Vec<Role>,
    /// Global ids of the custom roles on the whole tenant that were granted to the account itself.
    custom_role_ids: Vec<ID>,
}

impl TryFrom<AccountSummary> for ServiceAccount {
    type Error = Error;

    fn try_from(account: AccountSummary) -> Result<Self> {
        let (roles, custom_role_ids) = assigned(&account.roles);
        Ok(Self {
            id: Kind::ServiceAccount.id(account.id.0),
            uuid: account.id.0.into(),
            name: account.name,
            disabled: account.is_disabled,
            roles,
            custom_role_ids,
        })
    }
}

/// Permissions that an API key is restricted to.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ApiKeyScopes {
    /// Whether the key has all permissions of its account.
    all: bool,
    /// Permissions that the key is restricted to, such as `command:calls`. Null if `all` is true.
    only: Option<Vec<String>>,
}

impl From<Scopes> for ApiKeyScopes {
    fn from(scopes: Scopes) -> Self {
        match scopes {
            Scopes::All => Self { all: true, only: None },
            Scopes::Only(permissions) => {
                Self { all: false, only: Some(permissions.iter().map(|permission| permission.to_string()).collect()) }
            }
        }
    }
}

/// An API key: a credential of a service account. Its secret is returned once, by the mutation that creates it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ApiKey {
    /// Global id of the key.
    pub(crate) id: ID,
    /// UUID of the key, which is also in its text.
    uuid: Uid,
    /// Global id of the service account whose credential the key is.
    service_account_id: ID,
    /// Permissions that the key is restricted to.
    scopes: ApiKeyScopes,
    /// Global id of the agent that the key is bound to: it reaches nothing that belongs to other agents. Null if it is not
    /// bound.
    agent_id: Option<ID>,
    /// Global id of the team whose agents the key is bound to: it reaches nothing that belongs to other agents. Null if it is not
    /// bound to a team.
    team_id: Option<ID>,
    /// Time from which the key is refused. Null if it does not expire.
    expires_at: Option<Timestamp>,
    /// Whether the key was revoked.
    revoked: bool,
    /// Hour in which the key was last used. Null if it was not used, or was revoked.
    last_used_hour: Option<Timestamp>,
}

impl TryFrom<KeySummary> for ApiKey {
    type Error = Error;

    fn try_from(key: KeySummary) -> Result<Self> {
        Ok(Self {
            id: Kind::ApiKey.id(key.id.0),
            uuid: key.id.0.into(),
            service_account_id: Kind::ServiceAccount.id(key.service_account_id.0),
            scopes: key.scopes.into(),
            agent_id: key.agent_id.map(|agent| Kind::Agent.id(agent.0)),
            team_id: key.team_id.map(|team| Kind::Team.id(team.0)),
            expires_at: key.expires_at.map(Into::into),
            revoked: key.is_revoked,
            last_used_hour: key.last_used_at.map(Into::into),
        })
    }
}
