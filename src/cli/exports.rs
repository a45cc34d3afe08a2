//! Exports at the command line, which are in the access logs as those over HTTP are. Each is recorded before anything is written,
//! so that one that is interrupted is recorded too. What a server is asked for is recorded by the server.

use super::backend::now;
use super::output::Format;
use super::session::Session;
use crate::database::Database;
use crate::rooms::Rooms;
use commands::Principal;
use identity::record_export;
use std::io::IsTerminal as _;

/// Whether output leaves the terminal: in a format for programs, or into a file or another program.
pub(super) fn is_export(format: Format) -> bool {
    format != Format::Table || !std::io::stdout().is_terminal()
}

/// Records that some data of the tenant of the settings are exported.
pub(super) async fn record(rooms: &Rooms, data: &'static str) {
    record_export(&rooms.commands, &rooms.principal, data, now()).await;
}

/// Records that some data of every tenant are exported.
pub(super) async fn record_of_all(session: &Session, database: &Database, data: &'static str) -> anyhow::Result<()> {
    let rooms = Rooms::open(database, session.principal()).await?;
    if let Err(error) = record_of_tenants(session, &rooms, data).await {
        tracing::warn!(error = &*error as &dyn std::error::Error, data, "an export is not in the access logs");
    }
    rooms.close().await
}

async fn record_of_tenants(session: &Session, rooms: &Rooms, data: &'static str) -> anyhow::Result<()> {
    let identities = rooms.identities(session.common()).await?;
    for tenant in identities.directory().tenants(&rooms.principal.in_installation())? {
        record_export(&rooms.commands, &Principal::command_line(tenant.id), data, now()).await;
    }
    Ok(())
}
