//! `apex report`

mod anomalies;
mod arguments;
mod changes;
mod chargeback;
mod columns;
mod dimension;
mod file;
mod forecast;
mod freshness;
mod known;
mod messages;
mod meters;
mod period;
mod policy;
mod print;
mod series;
mod server;
mod source;
mod tasks;

#[cfg(test)]
pub(super) use anomalies::DOCUMENT as ANOMALIES_DOCUMENT;
#[cfg(test)]
pub(super) use changes::DOCUMENTS as CHANGE_DOCUMENTS;
#[cfg(test)]
pub(super) use chargeback::document as statement_document;
pub(super) use dimension::DimensionParser;
pub(super) use file::{FileLayout, statement_file, write_report};
#[cfg(test)]
pub(super) use forecast::DOCUMENT as FORECAST_DOCUMENT;
pub(super) use freshness::{catch_up, warn_of_parked};
#[cfg(test)]
pub(super) use meters::document as meters_document;
pub(super) use print::{Layout, print};
pub(super) use server::warn_of_parked as warn_of_parked_at;
#[cfg(test)]
pub(super) use server::{DOCUMENTS, document};
pub(super) use source::OnDatabase as ReportOnDatabase;
#[cfg(test)]
pub(super) use tasks::document as tasks_document;

use self::anomalies::Anomalies;
use self::arguments::Cost;
use self::changes::Changes;
use self::chargeback::Chargeback;
use self::forecast::Forecast;
use self::messages::describe;
use self::meters::Meters;
use self::source::OnDatabase;
use self::tasks::Tasks;
use super::backend;
use super::exports;
use super::session::{Session, interruptible, with_rooms};
use crate::rooms::Rooms;
use chrono::{DateTime, Utc};
use domain::TagKey;
use domain::tag_keys::TagKeys;
use projections::{ReportQuery, ReportTag, tag_key};
use std::process::ExitCode;

/// Report usage and cost.
///
/// Reads the read models, after they have caught up with the log.
#[derive(Debug, clap::Args)]
pub(super) struct ReportCommand {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    Cost(Cost),
    Changes(Changes),
    Chargeback(Chargeback),
    Meters(Meters),
    Tasks(Tasks),
    Forecast(Forecast),
    Anomalies(Anomalies),
}

impl ReportCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        match self.kind {
            Kind::Cost(cost) => run_cost(&cost, session).await?,
            Kind::Changes(changes) => return changes.run(session).await,
            Kind::Chargeback(command) => return command.run(session).await,
            Kind::Meters(meters) => match backend::client(session)? {
                Some(client) => interruptible(meters.at_server(&client)).await?,
                None => with_rooms(session, async |rooms| meters.on_database(rooms).await).await?,
            },
            Kind::Forecast(command) => return command.run(session).await,
            Kind::Anomalies(command) => return command.run(session).await,
            Kind::Tasks(tasks) => match backend::client(session)? {
                Some(client) => interruptible(tasks.at_server(&client)).await?,
                None => with_rooms(session, async |rooms| tasks.on_database(rooms).await).await?,
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn run_cost(cost: &Cost, session: &Session) -> anyhow::Result<()> {
    let (key, times) = (tag_key(&cost.by, &cost.filters)?, cost.times()?);
    if let Some(client) = backend::client(session)? {
        return interruptible(server::report(&client, cost, times, key)).await;
    }
    with_rooms(session, async |rooms| {
        let declared_at = match key {
            Some(key) => declared_at(rooms, key).await?,
            None => None,
        };
        let query = ReportQuery {
            access: rooms.principal.authorise()?,
            by: cost.by.iter().map(|by| by.dimension()).collect(),
            filters: cost.filters.iter().map(|filter| filter.filter().clone()).collect(),
            zone: times.zone,
            from: times.from,
            to: times.to,
            top: cost.top,
            compared_with: times.compared_with,
            tag: key.map(|key| ReportTag { key: key.clone(), is_declared: declared_at.is_some() }),
        };
        if let Some(known_at) = cost.known_at {
            return known::report(rooms, cost, &query, known_at).await;
        }
        let head = rooms.log.head().await?;
        if exports::is_export(cost.format) {
            exports::record(rooms, "usage_report").await;
        }
        if !cost.no_wait {
            catch_up(rooms, &query.projections(), head, cost.wait).await?;
        }
        let mut report = OnDatabase::open(&rooms.log, &rooms.reads, &query).await?;
        print(&mut report, head, &Layout::of(cost, times.zone)).await?;
        describe(&report, head, declared_at);
        warn_of_parked(rooms).await
    })
    .await
}

/// When a tag key was declared; none if it is not declared now.
async fn declared_at(rooms: &Rooms, key: &TagKey) -> anyhow::Result<Option<DateTime<Utc>>> {
    let keys = rooms.commands.load::<TagKeys>(&rooms.principal, TagKeys::id()).await?;
    Ok(keys.state.declared_at(key))
}
