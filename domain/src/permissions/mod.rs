//! Who may do what: actions, the table of the roles that allow them, and the proof that an action was authorised.
//!
//! [`authorise`] is the one place that decides. It returns an [`Access`], which nothing else can make. Functions that read
//! or change data take one of the right kind, so that code that forgets to authorise does not compile. Deliberately
//! absent: where roles come from. An authenticator finds them before it makes a principal.

mod action;
mod resource_kind;
mod role;
mod table;

pub use action::{
    Action, ActionType, CommandIdentities, Extent, Level, MaintainLog, OperateJobs, OperateProjections, ReadAccessLog,
    ReadAgents, ReadAlertEndpoints, ReadAllocation, ReadAny, ReadBudgets, ReadCalls, ReadContents, ReadData,
    ReadEvents, ReadIdentities, ReadInvoices, ReadMemories, ReadMetrics, ReadOwnData, ReadPrices, ReadProjections,
    ReadReports, ReadSchedules, ReadSpending, ReadTagKeys, ReadTasks, RunInstallation, SendCommand,
};
pub use resource_kind::{ResourceKind, WhenBound};
pub use role::{Role, UnknownRole};
pub use table::{NoPermissions, Permission, PermissionSet, UnknownPermission};

use crate::{AgentId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// Restriction of a credential to some permissions. It never adds to those that it has. No restriction is always stated: no
/// list, or an empty one, never means all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scopes {
    /// Everything that the roles allow.
    All,
    /// Only these permissions, if the roles have them.
    Only(PermissionSet),
}

impl Scopes {
    /// Whether a permission is within the scopes.
    #[must_use]
    pub fn contain(self, permission: Permission) -> bool {
        match self {
            Self::All => true,
            Self::Only(permissions) => permissions.contains(permission),
        }
    }
}

/// What an action is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// Data of a tenant as a whole, or those of some kind.
    Tenant(&'a TenantId, Extent),
    /// One aggregate of a tenant.
    Aggregate {
        /// The tenant that owns the aggregate.
        tenant: &'a TenantId,
        /// The kind of aggregate.
        category: &'a str,
        /// The id of the aggregate.
        id: Uuid,
    },
    /// What all tenants of the installation share.
    Installation,
}

/// Continues the text of an action, as in "read data in the tenant NAME".
impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(tenant, Extent::Kind(kind)) => {
                write!(f, "of the kind {} in the tenant {tenant}", kind.key())
            }
            Self::Tenant(tenant, Extent::Whole | Extent::Any) => write!(f, "in the tenant {tenant}"),
            Self::Aggregate { category, id, .. } => write!(f, "for {category} {id}"),
            Self::Installation => f.write_str("in this installation"),
        }
    }
}

/// The permissions of roles that are granted on single agents.
pub type AgentPermissions = BTreeMap<AgentId, PermissionSet>;

/// The permissions that a holder has by its roles: on the whole tenant, and on single agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldPermissions {
    /// Those of roles on the whole tenant.
    pub on_tenant: PermissionSet,
    /// Those of roles on single agents.
    pub on_agents: AgentPermissions,
}

impl HeldPermissions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.on_tenant.is_empty() && self.on_agents.values().all(|permissions| permissions.is_empty())
    }
}

impl From<PermissionSet> for HeldPermissions {
    fn from(on_tenant: PermissionSet) -> Self {
        Self { on_tenant, on_agents: AgentPermissions::new() }
    }
}

/// What a principal may do: the tenant, its permissions in it, and the scopes of the credential.
#[derive(Debug, Clone, Copy)]
pub struct Grants<'a> {
    /// The tenant in which the permissions hold.
    pub tenant: &'a TenantId,
    /// The permissions of the principal's roles.
    pub permissions: PermissionSet,
    /// The permissions of the principal's roles on single agents. They hold for what belongs to the agent only.
    pub on_agents: &'a AgentPermissions,
    /// The scopes of the credential.
    pub scopes: Scopes,
    /// The agents that the credential is bound to, in the order of their ids, if it is bound to one or to those of a team. It
    /// reaches nothing that belongs to other agents.
    pub bound_to: Option<&'a [AgentId]>,
}

/// An action is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not allowed to {action} {resource}: {remedy}")]
pub struct Forbidden {
    /// The action.
    pub action: Action,
    /// The permission that would have allowed it; none if several would be needed.
    pub permission: Option<Permission>,
    resource: String,
    remedy: &'static str,
}

impl Forbidden {
    fn new(action: Action, resource: Resource<'_>, remedy: &'static str) -> Self {
        let kind = match resource {
            Resource::Installation => Some(ResourceKind::Installation),
            Resource::Aggregate { category, .. } => ResourceKind::of_category(category),
            Resource::Tenant(_, Extent::Kind(kind)) => Some(kind),
            Resource::Tenant(_, Extent::Whole | Extent::Any) => None,
        };
        let permission = kind.and_then(|kind| Permission::of(action, kind));
        Self { action, permission, resource: resource.to_string(), remedy }
    }
}

/// Proof that the action `A` was authorised. Only [`authorise`] makes one.
#[derive(Debug)]
pub struct Access<A> {
    tenant: TenantId,
    agents: Option<Arc<[AgentId]>>,
    action: PhantomData<fn() -> A>,
}

impl<A> Clone for Access<A> {
    fn clone(&self) -> Self {
        Self { tenant: self.tenant.clone(), agents: self.agents.clone(), action: PhantomData }
    }
}

impl<A> Access<A> {
    /// The tenant of the principal that was authorised, to whose data the access is limited.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The agents to whose objects the access is limited, of the kinds that belong to agents, in the order of their ids;
    /// never an empty list. None if it is not limited.
    #[must_use]
    pub fn agents(&self) -> Option<&[AgentId]> {
        self.agents.as_deref()
    }

    /// The same access, if it is to the objects of all agents.
    ///
    /// # Errors
    /// [`Forbidden`] if it is limited to some agents.
    pub fn of_all(self) -> Result<Self, Forbidden>
    where
        A: ActionType,
    {
        let remedy = "the roles that allow it are for some agents";
        match self.agents {
            Some(_) => Err(Forbidden::new(A::ACTION, Resource::Tenant(&self.tenant, A::EXTENT), remedy)),
            None => Ok(self),
        }
    }

    /// Whether the access is to an object of which one agent is a reader, as `is_reader` says.
    #[must_use]
    pub fn is_to(&self, is_reader: impl Fn(AgentId) -> bool) -> bool {
        self.agents().is_none_or(|agents| agents.iter().any(|agent| is_reader(*agent)))
    }
}

/// Decides whether an action on a resource is allowed: a role must have the permission, the scopes must contain it, and a
/// resource of a tenant must belong to the tenant of the grants. A credential that is bound to agents reads what belongs
/// to them and what all agents share; the permission `read_own` is enough for the former. A role on an agent is as much
/// as a credential that is bound to it, without what all agents share.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn authorise<A: ActionType>(grants: Grants<'_>, resource: Resource<'_>) -> Result<Access<A>, Forbidden> {
    let agents = agents_of(grants, A::ACTION, resource)?;
    Ok(Access { tenant: grants.tenant.clone(), agents, action: PhantomData })
}

/// As [`authorise`], for an action that is known at run time only. It gives no proof.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn check(grants: Grants<'_>, action: Action, resource: Resource<'_>) -> Result<(), Forbidden> {
    agents_of(grants, action, resource).map(drop)
}

/// Decides as [`authorise`] does. Returns the agents to whose objects the action is limited, if it is.
fn agents_of(grants: Grants<'_>, action: Action, resource: Resource<'_>) -> Result<Option<Arc<[AgentId]>>, Forbidden> {
    let forbidden = |remedy| Err(Forbidden::new(action, resource, remedy));
    let (level, owner) = match resource {
        Resource::Tenant(tenant, _) | Resource::Aggregate { tenant, .. } => (Level::Tenant, Some(tenant)),
        Resource::Installation => (Level::Installation, None),
    };
    if level != action.level() || owner.is_some_and(|owner| owner != grants.tenant) {
        return forbidden("it belongs to another tenant or to the installation");
    }
    let (is_bound, in_scopes) = (grants.bound_to.is_some(), |permission| grants.scopes.contain(permission));
    let is_held = |permission| grants.permissions.contains(permission) && in_scopes(permission);
    if grants.bound_to.is_some_and(<[_]>::is_empty) && is_about_agents(resource) {
        return forbidden("the credential is bound to a team that has no agents");
    }
    if holds(action, resource, is_bound, is_held) {
        return Ok(grants.bound_to.filter(|_| is_about_agents(resource)).map(Arc::from));
    }
    let on_agents = grants.on_agents.iter().filter(|(agent, permissions)| {
        let has = |permission: Permission| {
            let is_held = permissions.contains(permission) || grants.permissions.contains(permission);
            is_held && in_scopes(permission) && permission.kind().is_of_one_agent()
        };
        grants.bound_to.is_none_or(|bound| bound.binary_search(agent).is_ok()) && holds(action, resource, true, has)
    });
    let on_agents: Arc<[AgentId]> = on_agents.map(|(agent, _)| *agent).collect();
    if !on_agents.is_empty() {
        return Ok(Some(on_agents));
    }
    if !holds(action, resource, is_bound, |_| true) {
        return forbidden("the credential is bound to some agents: use one that is not");
    }
    if !holds(action, resource, is_bound, in_scopes) {
        return forbidden("it is outside the scopes of the credential");
    }
    if holds(action, resource, true, is_held) {
        return forbidden("use an API key that is bound to an agent or a team");
    }
    match action.level() {
        Level::Tenant => forbidden("use a credential whose roles in the tenant allow it"),
        Level::Installation => forbidden("use the credential of an operator of the installation"),
    }
}

/// Whether what is reached of a resource depends on the agents that a credential is bound to.
fn is_about_agents(resource: Resource<'_>) -> bool {
    let kind = match resource {
        Resource::Installation => return false,
        Resource::Aggregate { category, .. } => ResourceKind::of_category(category),
        Resource::Tenant(_, Extent::Kind(kind)) => Some(kind),
        Resource::Tenant(_, Extent::Whole | Extent::Any) => None,
    };
    // Texts are read with the objects that they are stored in.
    kind.is_none_or(|kind| kind.when_bound() != WhenBound::Everything)
}

/// Whether commands to a resource are limited to what belongs to some agents.
#[must_use]
pub fn is_limited_to_agents(grants: Grants<'_>, resource: Resource<'_>) -> bool {
    !matches!(agents_of(grants, Action::SendCommand, resource), Ok(None))
}

/// Checks that a command changes only what belongs to the agents that it is limited to, if it is: those of the roles that allow
/// it, or those that the credential is bound to.
///
/// # Errors
/// [`Forbidden`] if the change is not in the name of one of those agents alone.
pub fn check_agent(grants: Grants<'_>, resource: Resource<'_>, agents: &[Option<AgentId>]) -> Result<(), Forbidden> {
    let Some(limited_to) = agents_of(grants, Action::SendCommand, resource)? else { return Ok(()) };
    let mut named = agents.iter().flatten().peekable();
    let remedy = if named.peek().is_none() {
        "it is of no agent, and the credential or the roles are for some agents: name one of them, or use a key that is bound to one"
    } else if named.all(|agent| limited_to.binary_search(agent).is_ok()) {
        return Ok(());
    } else {
        "neither the credential nor the roles are for its agent"
    };
    Err(Forbidden::new(Action::SendCommand, resource, remedy))
}

/// Whether a set of permissions is enough for an action on a resource.
fn holds(action: Action, resource: Resource<'_>, is_bound: bool, has: impl Fn(Permission) -> bool) -> bool {
    let may = |kind| may(action, kind, is_bound, &has);
    match resource {
        Resource::Installation => may(ResourceKind::Installation),
        Resource::Aggregate { category, .. } => match ResourceKind::of_category(category) {
            Some(kind) => {
                // It is not known here whose the aggregate is: a bound credential reads it by the read models.
                let is_hidden = is_bound && action == Action::ReadData && kind.when_bound() == WhenBound::OwnObjects;
                may(kind) && !is_hidden
            }
            // An aggregate that the table does not know takes the permission for every kind of them but access logs, to which
            // nobody but Apex itself gives commands.
            None => ResourceKind::OF_TENANT
                .into_iter()
                .chain([ResourceKind::Tenants])
                .filter(|kind| kind.has_aggregates() && *kind != ResourceKind::AccessLog)
                .all(may),
        },
        Resource::Tenant(_, Extent::Kind(kind)) => may(kind),
        Resource::Tenant(_, Extent::Whole) if action == Action::ReadData => {
            ResourceKind::OF_TENANT.into_iter().all(may)
        }
        Resource::Tenant(_, Extent::Whole | Extent::Any) => ResourceKind::OF_TENANT.into_iter().any(may),
    }
}

/// Whether a set of permissions is enough for an action on a kind of resource.
fn may(action: Action, kind: ResourceKind, is_bound: bool, has: impl Fn(Permission) -> bool) -> bool {
    let has = |action| Permission::of(action, kind).is_some_and(&has);
    if !is_bound {
        return has(action);
    }
    match kind.when_bound() {
        WhenBound::OwnObjects => has(action) || action == Action::ReadData && has(Action::ReadOwnData),
        // What is charged and reserved changes only with reservations and calls, which are the agent's own.
        WhenBound::Everything => has(action) && (action == Action::ReadData || kind == ResourceKind::Spending),
        WhenBound::Nothing => false,
    }
}

#[cfg(test)]
mod tests;
