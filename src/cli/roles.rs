//! `apex roles`

use super::arguments::{body, name};
use super::backend::{self, Backend, Listed, Work};
use super::holders::{ExtentArgument, HolderArgument};
use super::output::{self, Format};
use super::session::Session;
use domain::custom_role::RoleDefinition;
use domain::permissions::{Action, Permission, PermissionSet, Role};
use domain::role_assignment::{AssignedRole, Assignment};
use domain::{Body, Name, RoleId};
use identity::{AssignmentSummary, MAX_LISTED, RoleSummary};
use std::process::ExitCode;
use uuid::Uuid;

/// Manage the roles of the tenant, and who has them.
///
/// A role is a set of permissions: a built-in one (admin, operator, viewer, agent, billing or auditor), or a custom one that
/// the tenant defines. It is granted to a service account, a user or a team. A custom role with the permission
/// command:identities is as much as admin: its holders can grant themselves every other permission in the tenant.
#[derive(Debug, clap::Args)]
pub(super) struct Roles {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the roles that can be granted, with their permissions
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// List who has which role
    Assignments {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Define a custom role, and print its id
    Define {
        /// What the role is called
        #[arg(value_parser = name)]
        name: Name,
        /// A permission of the role, such as read:agents; may be repeated
        #[arg(long = "permission", value_name = "PERMISSION", required = true)]
        permissions: Vec<Permission>,
    },
    /// Change the permissions of a custom role: all who have it have these permissions from now on
    Change {
        /// The id of the custom role
        id: Uuid,
        /// A permission that the role has from now on; may be repeated
        #[arg(long = "permission", value_name = "PERMISSION", required = true)]
        permissions: Vec<Permission>,
        /// What the role is called from now on [default: as before]
        #[arg(long, value_parser = name)]
        name: Option<Name>,
    },
    /// Withdraw a custom role for ever: it gives nothing any more, and cannot be granted
    Withdraw {
        /// The id of the custom role
        id: Uuid,
        /// The reason, which is recorded
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
    /// Grant a role to a service account, a user or a team
    Grant {
        /// The name of a built-in role, or the id of a custom one
        role: AssignedRole,
        #[command(flatten)]
        holder: HolderArgument,
        #[command(flatten)]
        on: ExtentArgument,
    },
    /// Revoke a role of a service account, a user or a team
    Revoke {
        /// The name of a built-in role, or the id of a custom one
        role: AssignedRole,
        #[command(flatten)]
        holder: HolderArgument,
        #[command(flatten)]
        on: ExtentArgument,
        /// The reason, which is recorded
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
}

impl Roles {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } | Command::Assignments { .. } => Action::ReadData,
            Command::Define { .. }
            | Command::Change { .. }
            | Command::Withdraw { .. }
            | Command::Grant { .. }
            | Command::Revoke { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::List { format } => list(backend.roles().await?, format)?,
            Self::Assignments { format } => assignments(backend.assignments(None).await?, format)?,
            Self::Define { name, permissions } => {
                let definition = RoleDefinition { name, permissions: permissions.into_iter().collect() };
                let id = backend.define_role(definition).await?;
                say!("The role was defined. Its id:");
                output::write(&format!("{id}\n"))?;
            }
            Self::Change { id, permissions, name } => {
                let name = match name {
                    Some(name) => name,
                    None => name_of(backend, RoleId(id)).await?,
                };
                let definition = RoleDefinition { name, permissions: permissions.into_iter().collect() };
                backend.change_role(RoleId(id), definition).await?;
                say!("The role was changed: all who have it have these permissions.");
            }
            Self::Withdraw { id, reason } => {
                backend.withdraw_role(RoleId(id), reason).await?;
                say!("The role is withdrawn: it gives nothing any more.");
            }
            Self::Grant { role, holder, on } => {
                let extent = on.extent()?;
                let assignment = Assignment { holder: holder.holder()?, role, extent };
                backend.grant_role(assignment).await?;
                say!("The {} has the role {role} on the {extent}.", assignment.holder);
            }
            Self::Revoke { role, holder, on, reason } => {
                let extent = on.extent()?;
                let assignment = Assignment { holder: holder.holder()?, role, extent };
                backend.revoke_role(assignment, reason).await?;
                say!("The {} no longer has the role {role} on the {extent}.", assignment.holder);
            }
        }
        Ok(())
    }
}

async fn name_of(backend: &impl Backend, id: RoleId) -> anyhow::Result<Name> {
    let role = backend.roles().await?.items.into_iter().find(|role| role.id == id);
    let role = role.ok_or_else(|| anyhow::anyhow!("the custom role {id} does not exist"))?;
    Ok(Name::new(role.name)?)
}

pub(super) fn names(permissions: PermissionSet) -> String {
    permissions.iter().map(|permission| permission.to_string()).collect::<Vec<_>>().join(" ")
}

fn list(custom: Listed<RoleSummary>, format: Format) -> anyhow::Result<()> {
    if custom.is_cut {
        say!("Only the first {MAX_LISTED} custom roles are listed: query `roles` over GraphQL for all of them.");
    }
    let row =
        |role: String, name: String, state: &str, permissions| vec![role, name, state.to_owned(), names(permissions)];
    let built_in = Role::ALL
        .into_iter()
        .filter(|role| role.is_of_tenant())
        .map(|role| row(role.to_string(), role.to_string(), "built-in", PermissionSet::of_roles(&[role])));
    let custom = custom.items.into_iter().map(|role| {
        let state = if role.is_withdrawn { "withdrawn" } else { "active" };
        row(role.id.to_string(), role.name, state, role.permissions)
    });
    output::list(&["role", "name", "state", "permissions"], built_in.chain(custom).collect(), 0..0, format)
}

fn assignments(all: Listed<AssignmentSummary>, format: Format) -> anyhow::Result<()> {
    if all.is_cut {
        say!("Only the first {MAX_LISTED} are listed: query `roleAssignments` over GraphQL for all of them.");
    }
    let rows = all.items.into_iter().map(|assignment| {
        vec![
            assignment.holder.kind().to_owned(),
            assignment.holder.id().to_string(),
            assignment.holder_name.unwrap_or_default(),
            assignment.role.to_string(),
            assignment.role_name.unwrap_or_default(),
            assignment.extent.to_string(),
            output::time(assignment.granted.at),
            assignment.granted.by,
        ]
    });
    let header = ["kind", "holder", "holder_name", "role", "role_name", "extent", "granted_at", "granted_by"];
    output::list(&header, rows.collect(), 0..0, format)
}
