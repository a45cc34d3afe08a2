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
    Action, ActionType, Level, MaintainLog, OperateJobs, OperateProjections, ReadData, ReadMetrics, ReadProjections,
    RunInstallation, SendCommand,
};
pub use resource_kind::ResourceKind;
pub use role::{Role, UnknownRole};
pub use table::{Permission, PermissionSet, UnknownPermission};

use crate::TenantId;
use std::fmt;
use std::marker::PhantomData;
use thiserror::Error;
use uuid::Uuid;

/// Restriction of a credential to some permissions. It never adds to those that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// All data of a tenant.
    Tenant(&'a TenantId),
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
            Self::Tenant(tenant) => write!(f, "in the tenant {tenant}"),
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
}

/// An action is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not allowed to {action} {resource}: {remedy}")]
pub struct Forbidden {
    /// The action.
    pub action: Action,
    resource: String,
    remedy: &'static str,
}

/// Proof that the action `A` was authorised. Only [`authorise`] makes one.
#[derive(Debug)]
pub struct Access<A> {
    tenant: TenantId,
    action: PhantomData<fn() -> A>,
}

impl<A> Clone for Access<A> {
    fn clone(&self) -> Self {
        Self { tenant: self.tenant.clone(), action: PhantomData }
    }
}

impl<A> Access<A> {
    /// The tenant of the principal that was authorised, to whose data the access is limited.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}

/// Decides whether an action on a resource is allowed: a role must have the permission, the scopes must contain it, and a
/// resource of a tenant must belong to the tenant of the grants.
///
/// To read the data of a tenant as a whole takes the permission for every kind of it. To send commands in a tenant takes
/// the permission for some kind, because each command is authorised again for the aggregate that it changes.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn authorise<A: ActionType>(grants: Grants<'_>, resource: Resource<'_>) -> Result<Access<A>, Forbidden> {
    check(grants, A::ACTION, resource)?;
    Ok(Access { tenant: grants.tenant.clone(), action: PhantomData })
}

/// As [`authorise`], for an action that is known at run time only. It gives no proof.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn check(grants: Grants<'_>, action: Action, resource: Resource<'_>) -> Result<(), Forbidden> {
    let forbidden = |remedy| Err(Forbidden { action, resource: resource.to_string(), remedy });
    let (level, owner) = match resource {
        Resource::Tenant(tenant) | Resource::Aggregate { tenant, .. } => (Level::Tenant, Some(tenant)),
        Resource::Installation => (Level::Installation, None),
    };
    if level != action.level() || owner.is_some_and(|owner| owner != grants.tenant) {
        return forbidden("it belongs to another tenant or to the installation");
    }
    if !holds(action, resource, |permission| grants.scopes.contain(permission)) {
        return forbidden("it is outside the scopes of the credential");
    }
    if holds(action, resource, |permission| {
        grants.permissions.contains(permission) && grants.scopes.contain(permission)
    }) {
        return Ok(());
    }
    match action.level() {
        Level::Tenant => forbidden("use a credential whose roles in the tenant allow it"),
        Level::Installation => forbidden("use the credential of an operator of the installation"),
    }
}

/// Whether a set of permissions is enough for an action on a resource.
fn holds(action: Action, resource: Resource<'_>, has: impl Fn(Permission) -> bool) -> bool {
    let has = |kind| Permission::of(action, kind).is_some_and(&has);
    match resource {
        Resource::Installation => has(ResourceKind::Installation),
        Resource::Aggregate { category, .. } => ResourceKind::of_category(category).is_some_and(has),
        Resource::Tenant(_) if action == Action::SendCommand => ResourceKind::OF_TENANT.into_iter().any(has),
        Resource::Tenant(_) => ResourceKind::OF_TENANT.into_iter().all(has),
    }
}

#[cfg(test)]
mod tests;
