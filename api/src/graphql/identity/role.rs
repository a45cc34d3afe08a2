//! Roles: the built-in ones, and queries and commands of custom ones.

use super::error::Executed;
use super::query::access;
use super::start::Start;
use super::types::{ROLES, Role};
use crate::graphql::connection;
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::scalars::Uid;
use crate::graphql::services::services;
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Error, ID, InputObject, Object, Result, SimpleObject};
use domain::RoleId;
use domain::custom_role::{CustomRoleCommand, RoleDefinition as DomainDefinition};
use domain::permissions::{Permission, PermissionSet};
use domain::role_assignment::AssignedRole;
use identity::RoleSummary;
use std::ops::Bound;
use uuid::Uuid;

/// The most permissions in one command.
const MAX_LISTED: usize = 100;

/// A custom role: a set of permissions that the tenant named.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CustomRole {
    /// Global id of the role.
    pub(crate) id: ID,
    /// UUID of the role, as it occurs in events and exports.
    uuid: Uid,
    /// What the role is called.
    name: String,
    /// Permissions of the role, such as `read:agents`. Of a withdrawn role, those that it had.
    permissions: Vec<String>,
    /// Whether the role was withdrawn: it gives nothing to those to whom it was granted.
    withdrawn: bool,
}

pub(super) fn names(permissions: PermissionSet) -> Vec<String> {
    permissions.iter().map(|permission| permission.to_string()).collect()
}

impl TryFrom<RoleSummary> for CustomRole {
    type Error = Error;

    fn try_from(role: RoleSummary) -> Result<Self> {
        Ok(Self {
            id: Kind::CustomRole.id(role.id),
            uuid: role.id.0.into(),
            name: role.name,
            permissions: names(role.permissions),
            withdrawn: role.is_withdrawn,
        })
    }
}

/// A role that can be granted: a built-in or a custom one.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RoleDefinition {
    /// Built-in role. Null for a custom role.
    built_in: Option<Role>,
    /// Custom role. Null for a built-in role.
    custom: Option<CustomRole>,
    /// What the role is called.
    name: String,
    /// Permissions of the role, such as `read:agents`. None if the role was withdrawn.
    permissions: Vec<String>,
}

/// A row of the list of roles.
enum Listed {
    BuiltIn(Role, domain::permissions::Role),
    Custom(RoleSummary),
}

impl Listed {
    fn role(&self) -> AssignedRole {
        match self {
            Self::BuiltIn(_, role) => AssignedRole::BuiltIn(*role),
            Self::Custom(role) => AssignedRole::Custom(role.id),
        }
    }
}

impl TryFrom<Listed> for RoleDefinition {
    type Error = Error;

    fn try_from(listed: Listed) -> Result<Self> {
        Ok(match listed {
            Listed::BuiltIn(built_in, role) => Self {
                built_in: Some(built_in),
                custom: None,
                name: role.to_string(),
                permissions: names(PermissionSet::of_roles(&[role])),
            },
            Listed::Custom(role) => {
                let permissions = if role.is_withdrawn { Vec::new() } else { names(role.permissions) };
                Self { built_in: None, name: role.name.clone(), permissions, custom: Some(role.try_into()?) }
            }
        })
    }
}

/// Reads a custom role.
pub(crate) async fn custom_role(ctx: &Context<'_>, id: Uuid) -> Result<Option<CustomRole>> {
    let (access, id) = (access(ctx).await?, RoleId(id));
    services(ctx)?.identities.directory().roles(&access, id..=id, 1).pop().map(CustomRole::try_from).transpose()
}

/// Queries for roles.
#[derive(Default)]
pub(crate) struct RoleQuery;

#[Object]
impl RoleQuery {
    /// Lists the roles that can be granted in the tenant, with their permissions: the built-in ones, then the custom ones
    /// sorted by UUID, those that were withdrawn too.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn roles(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of roles to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the roles after this cursor. Default: from the first role on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, RoleDefinition>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let decode = |cursor: &str| connection::decode_text(cursor).and_then(|text| text.parse::<AssignedRole>().ok());
        let after = after.as_deref().map(|cursor| decode(cursor).ok_or_else(|| connection::bad_cursor(cursor)));
        let after = after.transpose()?;
        let from = match after {
            Some(AssignedRole::Custom(id)) => Bound::Excluded(id),
            Some(AssignedRole::BuiltIn(_)) | None => Bound::Unbounded,
        };
        let custom = services(ctx)?.identities.directory().roles(&access, (from, Bound::Unbounded), size + 1);
        let built_in = ROLES.into_iter().map(|(role, known)| Listed::BuiltIn(role, known));
        let built_in = built_in.filter(|listed| after.is_none_or(|after| listed.role() > after));
        let listed: Vec<_> = built_in.chain(custom.into_iter().map(Listed::Custom)).take(size + 1).collect();
        let cursor = |listed: &Listed| connection::encode_text(&listed.role().to_string());
        connection::connect_by(listed, size, after.is_some(), cursor)
    }
}

/// Input of `defineRole`.
#[derive(Debug, InputObject)]
pub(crate) struct DefineRoleInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// What the role is called: one line of at most 256 bytes.
    name: String,
    /// Permissions of the role, at least one, such as `read:agents`. One with `command:identities` is as much as the role
    /// `ADMIN`: its holders can grant themselves every other permission in the tenant.
    permissions: Vec<String>,
}

/// Input of `changeRole`.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeRoleInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the custom role.
    id: ID,
    /// What the role is called from now on: one line of at most 256 bytes.
    name: String,
    /// Permissions that the role has from now on, at least one, such as `read:agents`. One with `command:identities` is as
    /// much as the role `ADMIN`.
    permissions: Vec<String>,
}

/// Input of `withdrawRole`.
#[derive(Debug, InputObject)]
pub(crate) struct WithdrawRoleInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the custom role.
    id: ID,
    /// Reason for withdrawing the role: text of at most 64 KiB, which is recorded.
    reason: Option<String>,
}

/// Payload of the mutations of a custom role.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct RolePayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    #[graphql(skip)]
    target: Option<Uuid>,
}

#[ComplexObject]
impl RolePayload {
    /// The role as it is now. Null if the command was rejected.
    async fn role(&self, ctx: &Context<'_>) -> Result<Option<CustomRole>> {
        match self.target {
            Some(id) => custom_role(ctx, id).await,
            None => Ok(None),
        }
    }
}

fn payload(start: &Start, executed: Executed, role: Option<Uuid>) -> RolePayload {
    let target = role.filter(|_| executed.error.is_none());
    RolePayload { command_id: start.command_id.into(), executed, target }
}

fn definition(name: String, permissions: Vec<String>) -> Result<DomainDefinition, Invalid> {
    let name = input::name("name", name)?;
    let invalid = |message: String| Invalid::new("permissions", message);
    if permissions.len() > MAX_LISTED {
        return Err(invalid(format!("{} permissions, at most {MAX_LISTED} are allowed", permissions.len())));
    }
    let parse = |name: String| name.parse::<Permission>().map_err(|error| invalid(error.to_string()));
    // That there is at least one is checked by the command.
    let permissions = permissions.into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok(DomainDefinition { name, permissions })
}

/// Executes a command to a custom role. A command whose input is not valid is rejected.
async fn execute(
    ctx: &Context<'_>,
    command_id: Option<Uid>,
    id: &ID,
    command: impl FnOnce(&Start) -> Result<CustomRoleCommand, Invalid>,
) -> Result<RolePayload> {
    let start = Start::new(ctx, command_id)?;
    let id = Kind::CustomRole.parse(id)?;
    let context = start.context(ctx, Some(id))?;
    let executed = match command(&start) {
        Ok(command) => Executed::of(services(ctx)?.identities.command_role(&context, RoleId(id), command).await)?,
        Err(invalid) => Executed::rejected(invalid),
    };
    Ok(payload(&start, executed, Some(id)))
}

/// Commands to custom roles.
#[derive(Default)]
pub(crate) struct RoleMutation;

#[Object]
impl RoleMutation {
    /// Defines a custom role: a set of permissions on the data of the tenant, which is granted as a built-in role is.
    async fn define_role(&self, ctx: &Context<'_>, input: DefineRoleInput) -> Result<RolePayload> {
        let start = Start::new(ctx, input.command_id)?;
        let context = start.context(ctx, None)?;
        let definition = match definition(input.name, input.permissions) {
            Ok(definition) => definition,
            Err(invalid) => return Ok(payload(&start, Executed::rejected(invalid), None)),
        };
        match services(ctx)?.identities.define_role(&context, definition, start.at).await {
            Ok(role) => Ok(payload(&start, Executed::done(role.kind, role.position), Some(role.id.0))),
            Err(error) => Ok(payload(&start, Executed::failed(error)?, None)),
        }
    }

    /// Changes a custom role: all who have it have its new permissions from now on. Refused as `LAST_ADMIN` if no account or
    /// user could decide who may do what then.
    async fn change_role(&self, ctx: &Context<'_>, input: ChangeRoleInput) -> Result<RolePayload> {
        let (name, permissions) = (input.name, input.permissions);
        let change = |start: &Start| {
            let definition = definition(name, permissions)?;
            Ok(CustomRoleCommand::Change { definition, at: start.at })
        };
        execute(ctx, input.command_id, &input.id, change).await
    }

    /// Withdraws a custom role for ever: it gives nothing any more, and cannot be granted. Refused as `LAST_ADMIN` if no account
    /// or user could decide who may do what then.
    async fn withdraw_role(&self, ctx: &Context<'_>, input: WithdrawRoleInput) -> Result<RolePayload> {
        let reason = input.reason;
        let withdraw = |start: &Start| {
            let reason = input::body_opt("reason", reason)?;
            Ok(CustomRoleCommand::Withdraw { reason, at: start.at })
        };
        execute(ctx, input.command_id, &input.id, withdraw).await
    }
}
