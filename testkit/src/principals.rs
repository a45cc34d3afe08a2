//! Principals of tests.

use crate::tenant;
use commands::{Context, Principal};
use domain::permissions::{Access, ActionType, Role, Scopes};
use domain::{Name, TenantId};
use uuid::Uuid;

/// The holder of a shared token who is an admin of a tenant and an operator of the installation.
pub fn principal(tenant: TenantId, actor: &str) -> Principal {
    with_roles(tenant, actor, vec![Role::Admin, Role::InstallationOperator])
}

/// The holder of a shared token with these roles.
pub fn with_roles(tenant: TenantId, actor: &str, roles: Vec<Role>) -> Principal {
    Principal::shared_token(tenant, Name::new(actor).unwrap(), roles, Scopes::All).unwrap()
}

/// An operator in the tenant of the tests.
pub fn operator() -> Principal {
    principal(tenant(), "test")
}

/// Access of the operator.
pub fn access<A: ActionType>() -> Access<A> {
    operator().authorise().unwrap()
}

/// The context of a command that an operator sends.
pub fn context(tenant: TenantId, actor: &str, command_id: Uuid) -> Context {
    Context::new(principal(tenant, actor), command_id)
}
