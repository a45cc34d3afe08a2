//! `apex report`

mod arguments;
mod dimension;
mod known;
mod messages;
mod policy;
mod print;
mod server;
mod source;

pub(super) use dimension::Named;
pub(super) use print::print;
#[cfg(test)]
pub(super) use server::{DOCUMENTS, document};
pub(super) use source::OnDatabase as ReportOnDatabase;

use self::arguments::Cost;
use self::dimension::tag_key;
use self::messages::{CALLS, MAX_WAIT, describe, incomplete, warn};
use self::source::OnDatabase;
use super::backend;
use super::exports;
use super::session::{Session, interruptible, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::TagKey;
use domain::tag_keys::TagKeys;
use projections::{ReportQuery, ReportTag, WaitError, WholeReport};
use std::process::ExitCode;
use std::time::Duration;
use streams::Position;

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
}

impl ReportCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let Kind::Cost(cost) = self.kind;
        let key = tag_key(&cost.by, &cost.filters)?;
        if let Some(client) = backend::client(session)? {
            interruptible(server::report(&client, &cost, key)).await?;
            return Ok(ExitCode::SUCCESS);
        }
        with_rooms(session, async |rooms| {
            let declared_at = match key {
                Some(key) => declared_at(rooms, key).await?,
                None => None,
            };
            let query = ReportQuery {
                access: rooms.principal.authorise()?,
                by: cost.by.iter().map(|by| by.dimension).collect(),
                filters: cost.filters.iter().map(|filter| filter.filter.clone()).collect(),
                from: cost.from,
                to: cost.to,
                tag: key.map(|key| ReportTag { key: key.clone(), is_declared: declared_at.is_some() }),
            };
            if let Some(known_at) = cost.known_at {
                known::report(rooms, &cost, &query, known_at).await?;
                return Ok(ExitCode::SUCCESS);
            }
            let head = rooms.log.head().await?;
            if exports::is_export(cost.format) {
                exports::record(rooms, "usage_report").await;
            }
            if !cost.no_wait {
                catch_up(rooms, &query.projections(), head, cost.wait).await?;
            }
            let mut report = OnDatabase::from(WholeReport::open(&rooms.reads, &query).await?);
            print(&mut report, head, &cost.by, (cost.format, cost.cost.into())).await?;
            describe(&report, head, declared_at);
            warn_of_parked(rooms).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

/// When a tag key was declared; none if it is not declared now.
async fn declared_at(rooms: &Rooms, key: &TagKey) -> anyhow::Result<Option<DateTime<Utc>>> {
    let keys = rooms.commands.load::<TagKeys>(&rooms.principal, TagKeys::id()).await?;
    Ok(keys.state.declared_at(key))
}

/// Updates read models up to a position of the log. Other processes may be doing the same.
pub(super) async fn catch_up(
    rooms: &mut Rooms,
    names: &[&'static str],
    head: Position,
    timeout: Duration,
) -> anyhow::Result<()> {
    let pool = rooms.pool.clone();
    let reached = match projections::wait_for(&pool, names, head, Duration::ZERO).await {
        Ok(_) => return Ok(()),
        Err(WaitError::TimedOut { position, .. }) => position,
        Err(error) => return Err(error.into()),
    };
    say!("The read models are at position {reached} of {head}; waiting for them (use --no-wait to skip this).");
    for projection in projections::all().into_iter().filter(|projection| names.contains(&projection.name())) {
        rooms.start_projection(projection);
    }
    let waited = tokio::select! {
        waited = projections::wait_for(&pool, names, head, timeout.min(MAX_WAIT)) => waited,
        died = rooms.worker_died() => return died,
    };
    waited.map(|_| ()).with_context(|| incomplete(timeout, &format!(" ({})", names.join(", "))))
}

/// Warns of parked events, which are not included in the report.
async fn warn_of_parked(rooms: &Rooms) -> anyhow::Result<()> {
    let statuses = projections::statuses(&rooms.principal.authorise()?, &rooms.pool)
        .await
        .context("the checkpoints cannot be read")?;
    warn(statuses.iter().find(|status| status.name == CALLS).map_or(0, |status| status.parked_events));
    Ok(())
}
