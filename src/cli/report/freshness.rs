//! How far behind the log the read models of a report are.

use super::messages::{CALLS, MAX_WAIT, incomplete, warn};
use crate::rooms::Rooms;
use anyhow::Context as _;
use projections::WaitError;
use std::time::Duration;
use streams::Position;

/// Updates read models up to a position of the log. Other processes may be doing the same.
pub(in crate::cli) async fn catch_up(
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

/// Warns of parked events of calls, which are not included in the report.
pub(in crate::cli) async fn warn_of_parked(rooms: &Rooms) -> anyhow::Result<()> {
    warn_of_parked_in(rooms, &[CALLS]).await
}

/// Warns of events that these read models parked.
pub(super) async fn warn_of_parked_in(rooms: &Rooms, names: &[&str]) -> anyhow::Result<()> {
    let statuses = projections::statuses(&rooms.principal.authorise()?, &rooms.pool)
        .await
        .context("the checkpoints cannot be read")?;
    for status in statuses.iter().filter(|status| names.contains(&status.name.as_str())) {
        warn(&status.name, status.parked_events);
    }
    Ok(())
}
