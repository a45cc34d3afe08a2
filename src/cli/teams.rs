//! `apex teams`

use super::arguments::{body, name};
use super::holders::{MemberArgument, warn_without_admin};
use super::output::{self, Format};
use super::session::{Session, with_identities};
use crate::rooms::Rooms;
use chrono::Utc;
use commands::Context;
use domain::permissions::Action;
use domain::role_assignment::{Holder, RoleExtent};
use domain::team::{Team, TeamCommand};
use domain::{Body, Name, TeamId};
use identity::{Identities, MAX_LISTED};
use std::process::ExitCode;
use uuid::Uuid;

/// Manage the teams of the tenant, and their members.
///
/// A team is a set of users and service accounts. Roles are granted to it with `apex roles grant`: each member has them while
/// it is a member, and until the team is closed.
#[derive(Debug, clap::Args)]
pub(super) struct Teams {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a team without members, and print its id
    Create {
        /// What the team is called. It is recorded for ever: not the name of a person
        #[arg(value_parser = name)]
        name: Name,
    },
    /// List the teams, those that were closed too
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// List the members of a team
    Members {
        /// The id of the team
        id: Uuid,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Give a team another name
    Rename {
        /// The id of the team
        id: Uuid,
        /// What the team is called from now on. It is recorded for ever: not the name of a person
        #[arg(value_parser = name)]
        name: Name,
    },
    /// Add a service account or a user to a team: it has the roles of the team from now on
    Add {
        /// The id of the team
        id: Uuid,
        #[command(flatten)]
        member: MemberArgument,
    },
    /// Remove a service account or a user from a team, whose roles it no longer has
    Remove {
        /// The id of the team
        id: Uuid,
        #[command(flatten)]
        member: MemberArgument,
    },
    /// Close a team for ever: its members no longer have its roles
    Close {
        /// The id of the team
        id: Uuid,
        /// The reason, which is recorded
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
}

impl Teams {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } | Command::Members { .. } => Action::ReadData,
            Command::Create { .. }
            | Command::Rename { .. }
            | Command::Add { .. }
            | Command::Remove { .. }
            | Command::Close { .. } => Action::SendCommand,
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
        let execute = async |id: Uuid, command| identities.command_team(&context, TeamId(id), command).await;
        match self {
            Self::List { format } => list(rooms, identities, format)?,
            Self::Members { id, format } => members(rooms, identities, TeamId(id), format)?,
            Self::Create { name } => {
                let created = identities.create_team(&context, name, at).await?;
                say!("The team was created. Its id:");
                output::write(&format!("{}\n", created.id))?;
            }
            Self::Rename { id, name } => {
                execute(id, TeamCommand::Rename { name: name.clone(), at }).await?;
                say!("The team is called {name}.");
            }
            Self::Add { id, member } => {
                let member = member.member()?;
                execute(id, TeamCommand::AddMember { member, at }).await?;
                say!("The {member} is a member of the team.");
            }
            Self::Remove { id, member } => {
                let member = member.member()?;
                execute(id, TeamCommand::RemoveMember { member, at }).await?;
                say!("The {member} is not a member of the team any more.");
            }
            Self::Close { id, reason } => {
                execute(id, TeamCommand::Close { reason, at }).await?;
                say!("The team is closed: its members no longer have its roles.");
            }
        }
        warn_without_admin(identities, rooms.principal.tenant(), had_admin);
        Ok(())
    }
}

fn list(rooms: &Rooms, identities: &Identities, format: Format) -> anyhow::Result<()> {
    let access = rooms.principal.authorise()?;
    let teams = identities.directory().teams(&access, .., MAX_LISTED);
    if teams.len() == MAX_LISTED {
        say!("Only the first {MAX_LISTED} teams are listed: query `teams` over GraphQL for all of them.");
    }
    let rows = teams.into_iter().map(|team| {
        let holder = (Some(Holder::Team(team.id)), None);
        let roles = identities.directory().assignments(&access, holder, None, MAX_LISTED);
        let roles = roles.iter().map(|assignment| match assignment.extent {
            RoleExtent::Tenant => assignment.role.to_string(),
            RoleExtent::Agent(agent) => format!("{}@{agent}", assignment.role),
        });
        let roles: Vec<_> = roles.collect();
        let state = if team.is_closed { "closed" } else { "active" };
        vec![team.id.to_string(), team.name, state.to_owned(), team.members.to_string(), roles.join(" ")]
    });
    output::list(&["team", "name", "state", "members", "roles"], rows.collect(), 3..4, format)
}

fn members(rooms: &Rooms, identities: &Identities, id: TeamId, format: Format) -> anyhow::Result<()> {
    let access = rooms.principal.authorise()?;
    if identities.directory().teams(&access, id..=id, 1).is_empty() {
        anyhow::bail!("the team {id} does not exist");
    }
    let members = identities.directory().members(&access, id, None, Team::MAX_MEMBERS);
    let rows = members.into_iter().map(|member| {
        let holder = Holder::from(member.member);
        let (at, by) = member.added.map(|added| (added.at.to_rfc3339(), added.by)).unwrap_or_default();
        vec![holder.kind().to_owned(), holder.id().to_string(), member.name.unwrap_or_default(), at, by]
    });
    output::list(&["kind", "member", "name", "added_at", "added_by"], rows.collect(), 0..0, format)
}
