//! `apex roles`

use super::arguments::{body, name};
use super::holders::{HolderArgument, warn_without_admin};
use super::output::{self, Format};
use super::session::{Session, with_identities};
use crate::rooms::Rooms;
use chrono::Utc;
use commands::Context;
use domain::custom_role::{CustomRoleCommand, RoleDefinition};
use domain::permissions::{Action, Permission, PermissionSet, Role};
use domain::role_assignment::{AssignedRole, Assignment, RoleExtent};
use domain::{AgentId, Body, Name, RoleId};
use identity::{Identities, MAX_LISTED};
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
        /// The id of an agent that the role is granted on: it holds for the agent, its tasks, calls and memories, and nothing
        /// else [default: the whole tenant]
        #[arg(long, value_name = "ID")]
        agent: Option<Uuid>,
    },
    /// Revoke a role of a service account, a user or a team
    Revoke {
        /// The name of a built-in role, or the id of a custom one
        role: AssignedRole,
        #[command(flatten)]
        holder: HolderArgument,
        /// The id of the agent that the role was granted on [default: the whole tenant]
        #[arg(long, value_name = "ID")]
        agent: Option<Uuid>,
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
        with_identities(session, async |rooms, identities| self.command.run(rooms, identities).await).await
    }
}

impl Command {
    async fn run(self, rooms: &Rooms, identities: &Identities) -> anyhow::Result<()> {
        let (at, context) = (Utc::now(), Context::new(rooms.principal.clone(), Uuid::now_v7()));
        let had_admin = identities.directory().has_admin(rooms.principal.tenant());
        match self {
            Self::List { format } => list(rooms, identities, format)?,
            Self::Assignments { format } => assignments(rooms, identities, format)?,
            Self::Define { name, permissions } => {
                let definition = RoleDefinition { name, permissions: permissions.into_iter().collect() };
                let defined = identities.define_role(&context, definition, at).await?;
                say!("The role was defined. Its id:");
                output::write(&format!("{}\n", defined.id))?;
            }
            Self::Change { id, permissions, name } => {
                let name = match name {
                    Some(name) => name,
                    None => name_of(rooms, identities, RoleId(id))?,
                };
                let definition = RoleDefinition { name, permissions: permissions.into_iter().collect() };
                identities.command_role(&context, RoleId(id), CustomRoleCommand::Change { definition, at }).await?;
                say!("The role was changed: all who have it have these permissions.");
            }
            Self::Withdraw { id, reason } => {
                identities.command_role(&context, RoleId(id), CustomRoleCommand::Withdraw { reason, at }).await?;
                say!("The role is withdrawn: it gives nothing any more.");
            }
            Self::Grant { role, holder, agent } => {
                let extent = RoleExtent::from(agent.map(AgentId));
                let assignment = Assignment { holder: holder.holder()?, role, extent };
                identities.grant_role(&context, assignment, at).await?;
                say!("The {} has the role {role} on the {extent}.", assignment.holder);
            }
            Self::Revoke { role, holder, agent, reason } => {
                let extent = RoleExtent::from(agent.map(AgentId));
                let assignment = Assignment { holder: holder.holder()?, role, extent };
                identities.revoke_role(&context, assignment, reason, at).await?;
                say!("The {} no longer has the role {role} on the {extent}.", assignment.holder);
            }
        }
        warn_without_admin(identities, rooms.principal.tenant(), had_admin);
        Ok(())
    }
}

fn name_of(rooms: &Rooms, identities: &Identities, id: RoleId) -> anyhow::Result<Name> {
    let role = identities.directory().roles(&rooms.principal.authorise()?, id..=id, 1).pop();
    let role = role.ok_or_else(|| anyhow::anyhow!("the custom role {id} does not exist"))?;
    Ok(Name::new(role.name)?)
}

pub(super) fn names(permissions: PermissionSet) -> String {
    permissions.iter().map(|permission| permission.to_string()).collect::<Vec<_>>().join(" ")
}

fn list(rooms: &Rooms, identities: &Identities, format: Format) -> anyhow::Result<()> {
    let custom = identities.directory().roles(&rooms.principal.authorise()?, .., MAX_LISTED);
    if custom.len() == MAX_LISTED {
        say!("Only the first {MAX_LISTED} custom roles are listed: query `roles` over GraphQL for all of them.");
    }
    let row =
        |role: String, name: String, state: &str, permissions| vec![role, name, state.to_owned(), names(permissions)];
    let built_in = Role::ALL
        .into_iter()
        .filter(|role| role.is_of_tenant())
        .map(|role| row(role.to_string(), role.to_string(), "built-in", PermissionSet::of_roles(&[role])));
    let custom = custom.into_iter().map(|role| {
        let state = if role.is_withdrawn { "withdrawn" } else { "active" };
        row(role.id.to_string(), role.name, state, role.permissions)
    });
    output::list(&["role", "name", "state", "permissions"], built_in.chain(custom).collect(), 0..0, format)
}

fn assignments(rooms: &Rooms, identities: &Identities, format: Format) -> anyhow::Result<()> {
    let all = identities.directory().assignments(&rooms.principal.authorise()?, (None, None), None, MAX_LISTED);
    if all.len() == MAX_LISTED {
        say!("Only the first {MAX_LISTED} are listed: query `roleAssignments` over GraphQL for all of them.");
    }
    let rows = all.into_iter().map(|assignment| {
        vec![
            assignment.holder.kind().to_owned(),
            assignment.holder.id().to_string(),
            assignment.holder_name.unwrap_or_default(),
            assignment.role.to_string(),
            assignment.role_name.unwrap_or_default(),
            assignment.extent.to_string(),
            assignment.granted.at.to_rfc3339(),
            assignment.granted.by,
        ]
    });
    let header = ["kind", "holder", "holder_name", "role", "role_name", "extent", "granted_at", "granted_by"];
    output::list(&header, rows.collect(), 0..0, format)
}
