//! `apex teams`

use super::arguments::{body, name};
use super::backend::{self, Backend, Work};
use super::holders::{InTeam, InTeamArgument};
use super::output::{self, Format};
use super::session::Session;
use domain::permissions::Action;
use domain::role_assignment::{Holder, RoleExtent};
use domain::{Body, Name, TeamId};
use identity::MAX_LISTED;
use std::process::ExitCode;
use uuid::Uuid;

/// Manage the teams of the tenant, their members and their agents.
///
/// A team is a set of users and service accounts, its members. Roles are granted to it with `apex roles grant … --team`: each
/// member has them while it is a member, and until the team is closed. A team has agents, too, which are no members: a role
/// that is granted with `apex roles grant … --on-team` holds for each agent while it is in the team.
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
    /// List the agents of a team
    Agents {
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
    /// Add a service account or a user to a team, whose roles it has from now on, or an agent, for which the roles on the team hold
    Add {
        /// The id of the team
        id: Uuid,
        #[command(flatten)]
        added: InTeamArgument,
    },
    /// Remove a service account or a user from a team, whose roles it no longer has, or an agent
    Remove {
        /// The id of the team
        id: Uuid,
        #[command(flatten)]
        removed: InTeamArgument,
    },
    /// Close a team for ever: its members no longer have its roles, and roles on its agents give nothing
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
            Command::List { .. } | Command::Members { .. } | Command::Agents { .. } => Action::ReadData,
            Command::Create { .. }
            | Command::Rename { .. }
            | Command::Add { .. }
            | Command::Remove { .. }
            | Command::Close { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::List { format } => list(backend, format).await?,
            Self::Members { id, format } => members(backend, TeamId(id), format).await?,
            Self::Create { name } => {
                let id = backend.create_team(name).await?;
                say!("The team was created. Its id:");
                output::write(&format!("{id}\n"))?;
            }
            Self::Rename { id, name } => {
                backend.rename_team(TeamId(id), name.clone()).await?;
                say!("The team is called {name}.");
            }
            Self::Agents { id, format } => agents(backend, TeamId(id), format).await?,
            Self::Add { id, added } => {
                let added = added.value()?;
                match added {
                    InTeam::Member(member) => backend.add_member(TeamId(id), member).await?,
                    InTeam::Agent(agent) => backend.add_agent(TeamId(id), agent).await?,
                }
                say!("The {added} is in the team.");
            }
            Self::Remove { id, removed } => {
                let removed = removed.value()?;
                match removed {
                    InTeam::Member(member) => backend.remove_member(TeamId(id), member).await?,
                    InTeam::Agent(agent) => backend.remove_agent(TeamId(id), agent).await?,
                }
                say!("The {removed} is not in the team any more.");
            }
            Self::Close { id, reason } => {
                backend.close_team(TeamId(id), reason).await?;
                say!("The team is closed: its members no longer have its roles, and roles on its agents give nothing.");
            }
        }
        Ok(())
    }
}

async fn list(backend: &impl Backend, format: Format) -> anyhow::Result<()> {
    let teams = backend.teams().await?;
    if teams.is_cut {
        say!("Only the first {MAX_LISTED} teams are listed: query `teams` over GraphQL for all of them.");
    }
    let all = backend.assignments(None).await?;
    let mut rows = Vec::new();
    for team in teams.items {
        let holder = Holder::Team(team.id);
        // Of more roles than one list has, each team has its own.
        let own = if all.is_cut { Some(backend.assignments(Some(holder)).await?) } else { None };
        let roles = own.as_ref().unwrap_or(&all).items.iter().filter(|assignment| assignment.holder == holder);
        let roles = roles.map(|assignment| match assignment.extent {
            RoleExtent::Tenant => assignment.role.to_string(),
            RoleExtent::Agent(agent) => format!("{}@{agent}", assignment.role),
            RoleExtent::Team(team) => format!("{}@team:{team}", assignment.role),
        });
        let roles: Vec<_> = roles.collect();
        let state = if team.is_closed { "closed" } else { "active" };
        rows.push(vec![
            team.id.to_string(),
            team.name,
            state.to_owned(),
            team.members.to_string(),
            team.agents.to_string(),
            roles.join(" "),
        ]);
    }
    output::list(&["team", "name", "state", "members", "agents", "roles"], rows, 3..5, format)
}

async fn members(backend: &impl Backend, id: TeamId, format: Format) -> anyhow::Result<()> {
    let members = backend.members(id).await?.ok_or_else(|| anyhow::anyhow!("the team {id} does not exist"))?;
    let rows = members.into_iter().map(|member| {
        let holder = Holder::from(member.member);
        let (at, by) = member.added.map(|added| (output::time(added.at), added.by)).unwrap_or_default();
        vec![holder.kind().to_owned(), holder.id().to_string(), member.name.unwrap_or_default(), at, by]
    });
    output::list(&["kind", "member", "name", "added_at", "added_by"], rows.collect(), 0..0, format)
}

async fn agents(backend: &impl Backend, id: TeamId, format: Format) -> anyhow::Result<()> {
    let agents = backend.agents_of_team(id).await?.ok_or_else(|| anyhow::anyhow!("the team {id} does not exist"))?;
    let rows = agents.into_iter().map(|agent| {
        let (at, by) = agent.added.map(|added| (output::time(added.at), added.by)).unwrap_or_default();
        vec![agent.agent_id.to_string(), at, by]
    });
    output::list(&["agent", "added_at", "added_by"], rows.collect(), 0..0, format)
}
