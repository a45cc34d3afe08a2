//! `apex tenants`

use super::arguments::body;
use super::output::{self, Format};
use super::session::{Session, with_rooms};
use crate::rooms::Rooms;
use chrono::Utc;
use commands::{Component, Context, OutcomeKind, Principal};
use domain::permissions::Action;
use domain::tenant::{Tenant, TenantCommand};
use domain::{Body, TenantId};
use identity::Directory;
use std::process::ExitCode;
use uuid::Uuid;

/// Create, list, suspend and resume tenants.
///
/// A tenant has to be created before its service accounts and API keys are. The credentials of a suspended tenant are
/// refused; its data stays.
#[derive(Debug, clap::Args)]
pub(super) struct Tenants {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a tenant. Data that was written under its id before belongs to it
    Create {
        /// The id of the tenant
        id: TenantId,
    },
    /// List the tenants
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Suspend a tenant: its credentials are refused from now on, and its data stays
    Suspend {
        /// The id of the tenant
        id: TenantId,
        /// The reason, which is recorded
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
    /// Resume a suspended tenant
    Resume {
        /// The id of the tenant
        id: TenantId,
    },
}

impl Tenants {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } => Action::ReadData,
            Command::Create { .. } | Command::Suspend { .. } | Command::Resume { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_rooms(session, async |rooms| {
            let at = Utc::now();
            match self.command {
                Command::List { format } => list(rooms, format).await?,
                Command::Create { id } => {
                    let create = TenantCommand::Create { tenant_id: id.clone(), at };
                    execute(rooms, &id, create, "was created").await?;
                    // Its first calls have a price, as those of the tenant of the settings have.
                    let apex = Principal::component(id, Component::Apex);
                    ingest::prices::load_or_init(&rooms.commands, &apex).await?;
                }
                Command::Suspend { id, reason } => {
                    execute(rooms, &id, TenantCommand::Suspend { reason, at }, "was suspended").await?;
                }
                Command::Resume { id } => execute(rooms, &id, TenantCommand::Resume { at }, "was resumed").await?,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

async fn execute(rooms: &Rooms, id: &TenantId, command: TenantCommand, done: &str) -> anyhow::Result<()> {
    let context = Context::new(rooms.principal.in_installation(), Uuid::now_v7());
    let outcome = rooms.commands.execute::<Tenant>(&context, id.stream_id(), command).await?;
    match outcome.kind {
        OutcomeKind::Done | OutcomeKind::Duplicate => say!("The tenant {id} {done}."),
        OutcomeKind::AlreadyDone => say!("The tenant {id} {done} before; nothing has changed."),
    }
    Ok(())
}

async fn list(rooms: &Rooms, format: Format) -> anyhow::Result<()> {
    let directory = Directory::open(&rooms.pool, rooms.log.clone()).await?;
    let rows = directory.tenants(&rooms.principal.in_installation())?.into_iter().map(|tenant| {
        let state = if tenant.is_suspended { "suspended" } else { "active" };
        vec![tenant.id.to_string(), state.to_owned()]
    });
    output::list(&["tenant", "state"], rows.collect(), 0..0, format)
}
