//! `apex gateway`

use super::serve::{self, Opened};
use super::session::{AndThenClose as _, Session, opened, stop_signal};
use crate::config::{Common, Server};
use crate::database::Database;
use crate::rooms::Rooms;
use crate::telemetry;
use anyhow::Context as _;
use commands::Component;
use std::net::SocketAddr;
use std::process::ExitCode;

/// Run the gateway to providers of models in a process of its own.
///
/// Agents call models at /gateway/NAME, with a credential of Apex. Each call is reserved in the budgets that apply, passed on to
/// the upstream, and recorded with what it used. Read models, and reservations that expire, are left to `apex serve`, which has
/// the gateway, too, if upstreams are set. Stops on Ctrl-C or SIGTERM, after it has completed open calls.
#[derive(Debug, clap::Args)]
pub(super) struct GatewayCommand {
    #[command(flatten)]
    server: Server,
}

impl GatewayCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let database = opened(Database::open(session.common())).await?;
        let served = async {
            let mut rooms = Rooms::open(&database, session.principal()).await?;
            let address = start(&mut rooms, session.common(), &self.server).await?;
            let scheme = if self.server.edge.has_tls() { "https" } else { "http" };
            say!("Apex listens on {scheme}://{address}");
            rooms.run_until(stop_signal()).await
        };
        let served = served.await;
        served.and_then_close(database.close().await)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Starts the gateway in this process, and returns the address that it listens on.
async fn start(rooms: &mut Rooms, common: &Common, server: &Server) -> anyhow::Result<SocketAddr> {
    let gateway = server.gateway.open(&rooms.commands)?.context(
        "the gateway has no upstreams: set APEX_GATEWAY_CONFIG, APEX_GATEWAY_OPENAI_KEY or APEX_GATEWAY_ANTHROPIC_KEY",
    )?;
    let opened: Opened = serve::open(server).await?;
    let metrics = telemetry::metrics()?;
    ingest::prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
    let identities = rooms.identities_with(common, server.sign_in(common.tenant.clone())).await?;
    serve::follow_identities(rooms, &identities, server).await;
    serve::start_api(rooms, server, opened, (Some(gateway), api::Served::Gateway), (identities, metrics))
}
