//! Exports at the command line, which are in the access logs as those over HTTP are. Each is recorded before anything is written,
//! so that one that is interrupted is recorded too. What a server is asked for is recorded by the server.

use super::output::Format;
use super::session::Session;
use crate::database::Database;
use crate::rooms::Rooms;
use chrono::{DateTime, SubsecRound as _, Utc};
use commands::Principal;
use std::io::IsTerminal as _;

/// Whether output leaves the terminal: in a format for programs, or into a file or another program.
pub(super) fn is_export(format: Format) -> bool {
    format != Format::Table || !std::io::stdout().is_terminal()
}

fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Records that some data of the tenant of the settings are exported.
pub(super) async fn record(session: &Session, rooms: &Rooms, data: &'static str) -> anyhow::Result<()> {
    rooms.identities(session.common()).await?.record_export(&rooms.principal, data, now()).await;
    Ok(())
}

/// Records that some data of every tenant are exported.
pub(super) async fn record_of_all(session: &Session, database: &Database, data: &'static str) -> anyhow::Result<()> {
    let rooms = Rooms::open(database, session.principal()).await?;
    let recorded = record_of_tenants(session, &rooms, data).await;
    let closed = rooms.close().await;
    recorded.and(closed)
}

async fn record_of_tenants(session: &Session, rooms: &Rooms, data: &'static str) -> anyhow::Result<()> {
    let identities = rooms.identities(session.common()).await?;
    for tenant in identities.directory().tenants(&rooms.principal.in_installation())? {
        identities.record_export(&Principal::command_line(tenant.id), data, now()).await;
    }
    Ok(())
}
