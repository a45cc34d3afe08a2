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
    ReadAgents, ReadAny, ReadBudgets, ReadCalls, ReadContents, ReadData, ReadEvents, ReadIdentities, ReadMemories,
    ReadMetrics, ReadOwnData, ReadPrices, ReadProjections, ReadReports, ReadTagKeys, ReadTasks, RunInstallation,
    SendCommand,
};
pub use resource_kind::{ResourceKind, WhenBound};
pub use role::{Role, UnknownRole};
pub use table::{NoPermissions, Permission, PermissionSet, UnknownPermission};

use crate::{AgentId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
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

/// What a principal may do: the tenant, its permissions in it, and the scopes of the credential.
#[derive(Debug, Clone, Copy)]
pub struct Grants<'a> {
    /// The tenant in which the permissions hold.
    pub tenant: &'a TenantId,
    /// The permissions of the principal's roles.
    pub permissions: PermissionSet,
    /// The scopes of the credential.
    pub scopes: Scopes,
    /// The agent that the credential is bound to, if it is. It reaches nothing that belongs to other agents.
    pub agent: Option<AgentId>,
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
    agent: Option<AgentId>,
    action: PhantomData<fn() -> A>,
}

impl<A> Clone for Access<A> {
    fn clone(&self) -> Self {
        Self { tenant: self.tenant.clone(), agent: self.agent, action: PhantomData }
    }
}

impl<A> Access<A> {
    /// The tenant of the principal that was authorised, to whose data the access is limited.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The agent to whose objects the access is limited, of the kinds that belong to agents. None if it is not limited.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        self.agent
    }
}

/// Decides whether an action on a resource is allowed: a role must have the permission, the scopes must contain it, and a
/// resource of a tenant must belong to the tenant of the grants. A credential that is bound to an agent reads what belongs
/// to the agent and what all agents share; the permission `read_own` is enough for the former.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn authorise<A: ActionType>(grants: Grants<'_>, resource: Resource<'_>) -> Result<Access<A>, Forbidden> {
    check(grants, A::ACTION, resource)?;
    Ok(Access { tenant: grants.tenant.clone(), agent: grants.agent, action: PhantomData })
}

/// As [`authorise`], for an action that is known at run time only. It gives no proof.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn check(grants: Grants<'_>, action: Action, resource: Resource<'_>) -> Result<(), Forbidden> {
    let forbidden = |remedy| Err(Forbidden::new(action, resource, remedy));
    let (level, owner) = match resource {
        Resource::Tenant(tenant, _) | Resource::Aggregate { tenant, .. } => (Level::Tenant, Some(tenant)),
        Resource::Installation => (Level::Installation, None),
    };
    if level != action.level() || owner.is_some_and(|owner| owner != grants.tenant) {
        return forbidden("it belongs to another tenant or to the installation");
    }
    let (is_bound, in_scopes) = (grants.agent.is_some(), |permission| grants.scopes.contain(permission));
    let is_held = |permission| grants.permissions.contains(permission) && in_scopes(permission);
    if holds(action, resource, is_bound, is_held) {
        return Ok(());
    }
    if !holds(action, resource, is_bound, |_| true) {
        return forbidden("the credential is bound to an agent: use one that is not");
    }
    if !holds(action, resource, is_bound, in_scopes) {
        return forbidden("it is outside the scopes of the credential");
    }
    if holds(action, resource, true, is_held) {
        return forbidden("use an API key that is bound to an agent");
    }
    match action.level() {
        Level::Tenant => forbidden("use a credential whose roles in the tenant allow it"),
        Level::Installation => forbidden("use the credential of an operator of the installation"),
    }
}

/// Checks that a credential that is bound to an agent changes only what belongs to that agent.
///
/// # Errors
/// [`Forbidden`] if the credential is bound to another agent than the one in whose name the change is.
pub fn check_agent(grants: Grants<'_>, resource: Resource<'_>, agents: &[Option<AgentId>]) -> Result<(), Forbidden> {
    let Some(bound) = grants.agent else { return Ok(()) };
    let mut named = agents.iter().flatten().peekable();
    if named.peek().is_some() && named.all(|agent| *agent == bound) {
        return Ok(());
    }
    Err(Forbidden::new(Action::SendCommand, resource, "the credential is bound to another agent"))
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
        WhenBound::Everything => has(action) && action == Action::ReadData,
        WhenBound::Nothing => false,
    }
}

#[cfg(test)]
mod tests;
