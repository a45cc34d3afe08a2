//! Applies a batch to the tables of one version, on the transaction of the caller.

use crate::parking::{PARKED_BEFORE, held_streams, park};
use crate::projection::{Applied, ApplyError, Target};
use domain::Event;
use sqlx::Acquire;
use sqlx::postgres::PgConnection;
use std::collections::HashSet;
use std::sync::Arc;
use streams::{Pages, Position, ReadError, RecordedEvent};

/// An event that was read, with what the domain makes of it. Decoded once for all that apply it.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) recorded: Arc<RecordedEvent>,
    /// Or why it cannot be read.
    pub(crate) event: Result<Arc<Event>, Arc<str>>,
}

impl Incoming {
    pub(crate) fn decode(recorded: Arc<RecordedEvent>) -> Self {
        let event = recorded.decode().map(Arc::new).map_err(|error| chain(&error).into());
        Self { recorded, event }
    }
}

/// Decodes the events that are wanted.
pub(crate) fn decode(events: &[Arc<RecordedEvent>], wanted: impl Fn(&RecordedEvent) -> bool) -> Vec<Incoming> {
    events.iter().filter(|event| wanted(event)).map(|event| Incoming::decode(event.clone())).collect()
}

/// Applies a batch of events that the target wants, parking the streams of those that cannot be applied.
pub(crate) async fn apply_batch(
    target: &Target,
    connection: &mut PgConnection,
    events: &[Incoming],
) -> Result<(), ApplyError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut held = held_streams(target, connection, events).await?;
    let mut batch = Vec::with_capacity(events.len());
    for Incoming { recorded, event } in events {
        if held.is_skipped(recorded) {
            continue;
        }
        if held.parked.contains(&recorded.stream) {
            park(target, connection, recorded, PARKED_BEFORE).await?;
            continue;
        }
        match event {
            Ok(event) => batch.push(Applied { recorded: recorded.clone(), event: event.clone() }),
            Err(cause) => {
                park(target, connection, recorded, cause).await?;
                held.parked.insert(recorded.stream.clone());
            }
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    let mut savepoint = connection.begin().await?;
    match target.projection.apply(&mut savepoint, &batch).await {
        Ok(()) => Ok(savepoint.commit().await?),
        Err(error) if error.is_permanent() => {
            savepoint.rollback().await?;
            apply_singly(target, connection, &batch).await
        }
        Err(error) => Err(error),
    }
}

/// Applies what is wanted of the log after one position and up to another, on one transaction, saying after each page where
/// it stands; returns where it came to, which is less where the log is shorter.
pub(crate) async fn apply_log<E: From<ApplyError> + From<ReadError>>(
    target: &Target,
    connection: &mut PgConnection,
    mut pages: Pages,
    (after, to): (Position, Position),
    wanted: impl Fn(&RecordedEvent) -> bool,
    mut progress: impl FnMut(Position),
) -> Result<Position, E> {
    let mut reached = after;
    while reached < to {
        let Some(page) = pages.next_page().await? else { break };
        reached = page.last().map_or(to, |event| event.position);
        let events: Vec<_> = page.into_iter().map(Arc::new).collect();
        let is_wanted = |event: &RecordedEvent| event.position <= to && target.wants(event) && wanted(event);
        apply_batch(target, connection, &decode(&events, is_wanted)).await?;
        progress(reached);
    }
    Ok(reached.min(to))
}

/// One event at a time, to find the one that is to blame.
async fn apply_singly(target: &Target, connection: &mut PgConnection, batch: &[Applied]) -> Result<(), ApplyError> {
    let mut parked = HashSet::new();
    for applied in batch {
        if parked.contains(&applied.recorded.stream) {
            park(target, connection, &applied.recorded, PARKED_BEFORE).await?;
            continue;
        }
        if let Err(cause) = try_one(target, connection, applied).await? {
            park(target, connection, &applied.recorded, &cause).await?;
            parked.insert(applied.recorded.stream.clone());
        }
    }
    Ok(())
}

/// Applies one event, or says why it cannot be; then nothing of it is left.
pub(crate) async fn try_one(
    target: &Target,
    connection: &mut PgConnection,
    applied: &Applied,
) -> Result<Result<(), String>, ApplyError> {
    let mut savepoint = connection.begin().await?;
    match target.projection.apply(&mut savepoint, std::slice::from_ref(applied)).await {
        Ok(()) => {
            savepoint.commit().await?;
            Ok(Ok(()))
        }
        Err(error) if error.is_permanent() => {
            savepoint.rollback().await?;
            Ok(Err(chain(&error)))
        }
        Err(error) => Err(error),
    }
}

/// An error with its causes, for people.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
