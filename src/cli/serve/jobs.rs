//! The jobs of a server that need its settings: runs of schedules, and deliveries of alerts.

use crate::alerts::{AddressSweep, AlertClient, AlertHandler};
use crate::cli::scheduled::ScheduleHandler;
use crate::config::Server;
use crate::mail::Transport;
use crate::rooms::Rooms;
use identity::Identities;
use policies::{AlertCatchUpHandler, AlertRedeliveryHandler, AlertSilenceHandler, JobHandler};
use std::sync::Arc;

/// Starts the runs of schedules, and the deliveries of alerts.
pub(super) fn start_runs_and_deliveries(
    rooms: &mut Rooms,
    identities: &Identities,
    server: &Server,
) -> anyhow::Result<()> {
    let schedules = schedules(rooms, identities, server);
    rooms.start_schedules(schedules);
    let deliveries = alert_deliveries(rooms, identities, server)?;
    rooms.start_alert_deliveries(deliveries, server.alerts.timeout());
    Ok(())
}

/// The handler of the jobs that make the files of schedules.
fn schedules(rooms: &Rooms, identities: &Identities, server: &Server) -> Arc<dyn JobHandler> {
    Arc::new(ScheduleHandler {
        pool: rooms.pool.clone(),
        reads: rooms.reads.clone(),
        commands: rooms.commands.clone(),
        identities: identities.clone(),
        directory: server.schedule_directory.clone(),
    })
}

/// The handlers of the jobs that deliver alerts.
fn alert_deliveries(
    rooms: &Rooms,
    identities: &Identities,
    server: &Server,
) -> anyhow::Result<Vec<Arc<dyn JobHandler>>> {
    let (commands, identities, settings) = (rooms.commands.clone(), identities.clone(), &server.alerts);
    let client = AlertClient::new(&settings.alert_networks, settings.alert_ca_file.as_deref(), settings.timeout())?;
    let sweep = AddressSweep { commands: commands.clone(), identities: identities.clone() };
    let redelivery = AlertRedeliveryHandler::new(rooms.pool.clone());
    let silence = AlertSilenceHandler::new(commands.clone(), rooms.pool.clone());
    let catch_up = AlertCatchUpHandler::new(commands.clone(), rooms.jobs.clone());
    let mail = Transport::of_settings(&server.mail)?;
    let handler = AlertHandler { commands, identities, client, mail };
    Ok(vec![Arc::new(handler), Arc::new(catch_up), Arc::new(redelivery), Arc::new(silence), Arc::new(sweep)])
}
