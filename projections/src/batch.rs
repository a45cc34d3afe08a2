//! Applying events to the tables of one version, within the caller's transaction.

use crate::decode::{DecodedEvent, DecodedPages};
use crate::parked::{Exclusions, PARKED_BEFORE, park};
use crate::projection::{Applied, ApplyError};
use crate::target::Target;
use domain::error_with_causes;
use sqlx::Acquire;
use sqlx::postgres::PgConnection;
use std::collections::HashSet;
use std::sync::Arc;
use streams::{Position, ReadError, RecordedEvent, StreamKey};

/// Applies a batch of events that the target consumes. Parks the streams of events that cannot be applied.
pub(crate) async fn apply_batch(
    target: &Target,
    connection: &mut PgConnection,
    events: &[DecodedEvent],
) -> Result<(), ApplyError> {
    if events.is_empty() {
        return Ok(());
    }
    let exclusions = Exclusions::load(target, connection, events.iter().map(|event| &*event.recorded)).await?;
    let Plan { to_apply, to_park } = plan(events, &exclusions);
    for (event, cause) in to_park {
        park(target, connection, &event, &cause).await?;
    }
    if to_apply.is_empty() {
        return Ok(());
    }
    let mut savepoint = connection.begin().await?;
    match target.projection.apply(&mut savepoint, &to_apply).await {
        Ok(()) => Ok(savepoint.commit().await?),
        Err(error) if error.is_permanent() => {
            savepoint.rollback().await?;
            apply_singly(target, connection, &to_apply).await
        }
        Err(error) => Err(error),
    }
}

/// What to do with the events of a batch. Skipped events are in neither list.
#[derive(Default)]
struct Plan {
    to_apply: Vec<Applied>,
    to_park: Vec<(Arc<RecordedEvent>, Arc<str>)>,
}

/// An event that cannot be decoded is parked, as is every event after it on its stream.
fn plan(events: &[DecodedEvent], exclusions: &Exclusions) -> Plan {
    let mut parked: HashSet<&StreamKey> = exclusions.parked.iter().collect();
    let mut plan = Plan::default();
    for DecodedEvent { recorded, event } in events.iter().filter(|event| !exclusions.is_skipped(&event.recorded)) {
        match event {
            _ if parked.contains(&recorded.stream) => plan.to_park.push((recorded.clone(), PARKED_BEFORE.into())),
            Ok(event) => plan.to_apply.push(Applied { recorded: recorded.clone(), event: event.clone() }),
            Err(cause) => {
                plan.to_park.push((recorded.clone(), cause.clone()));
                parked.insert(&recorded.stream);
            }
        }
    }
    plan
}

/// Applies the pages of the log within one transaction, and reports the position after each. Returns the position up to
/// which the log was applied.
pub(crate) async fn apply_log<E: From<ApplyError> + From<ReadError>>(
    target: &Target,
    connection: &mut PgConnection,
    mut pages: DecodedPages<impl Fn(&RecordedEvent) -> bool>,
    mut progress: impl FnMut(Position),
) -> Result<Position, E> {
    let mut applied = pages.through();
    while let Some(page) = pages.next_page().await? {
        apply_batch(target, connection, &page.events).await?;
        applied = page.through;
        progress(applied);
    }
    Ok(applied)
}

/// Applies events one at a time, to find the ones that cannot be applied.
async fn apply_singly(target: &Target, connection: &mut PgConnection, batch: &[Applied]) -> Result<(), ApplyError> {
    let mut parked = HashSet::new();
    for applied in batch {
        if parked.contains(&applied.recorded.stream) {
            park(target, connection, &applied.recorded, PARKED_BEFORE).await?;
            continue;
        }
        if let Err(cause) = try_apply(target, connection, applied).await? {
            park(target, connection, &applied.recorded, &cause).await?;
            parked.insert(applied.recorded.stream.clone());
        }
    }
    Ok(())
}

/// Applies one event, or returns why it cannot be applied and leaves the tables unchanged.
pub(crate) async fn try_apply(
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
            Ok(Err(error_with_causes(&error)))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::recorded;

    /// An event on a stream, which cannot be decoded if its type is unknown.
    fn event(position: u64, stream: u128, name: &str) -> DecodedEvent {
        DecodedEvent::decode(recorded(position, "agent", stream, name, r#"{"at":"2023-09-01T00:00:00Z"}"#))
    }

    fn positions(plan: &Plan) -> (Vec<i64>, Vec<(u64, &str)>) {
        let applied = plan.to_apply.iter().map(Applied::position).collect();
        (applied, plan.to_park.iter().map(|(event, cause)| (event.position.get(), &**cause)).collect())
    }

    const GOOD: &str = "agent.activated";
    const UNKNOWN: &str = "agent.vanished";

    #[test]
    fn all_events_that_can_be_decoded_are_applied_in_order() {
        let plan = plan(&[event(1, 7, GOOD), event(2, 8, GOOD), event(3, 7, GOOD)], &Exclusions::default());
        assert_eq!(positions(&plan), (vec![1, 2, 3], vec![]));
    }

    #[test]
    fn an_undecodable_event_parks_its_stream_from_there_on_and_no_other() {
        let events =
            [event(1, 7, GOOD), event(2, 7, UNKNOWN), event(3, 8, GOOD), event(4, 7, GOOD), event(5, 7, UNKNOWN)];
        let plan = plan(&events, &Exclusions::default());
        let (applied, parked) = positions(&plan);
        assert_eq!(applied, [1, 3]);
        assert_eq!(parked.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [2, 4, 5]);
        assert!(parked[0].1.contains("agent.vanished"), "{}", parked[0].1);
        assert_eq!((parked[1].1, parked[2].1), (PARKED_BEFORE, PARKED_BEFORE));
    }

    #[test]
    fn events_of_a_parked_stream_are_parked() {
        let events = [event(5, 7, GOOD), event(6, 8, GOOD)];
        let exclusions =
            Exclusions { parked: HashSet::from([events[0].recorded.stream.clone()]), ..Exclusions::default() };
        assert_eq!(positions(&plan(&events, &exclusions)), (vec![6], vec![(5, PARKED_BEFORE)]));
    }

    #[test]
    fn a_skipped_event_is_neither_applied_nor_parked_and_its_stream_goes_on() {
        let events = [event(1, 7, UNKNOWN), event(2, 7, GOOD)];
        let exclusions = Exclusions { skipped: HashSet::from([1]), ..Exclusions::default() };
        assert_eq!(positions(&plan(&events, &exclusions)), (vec![2], vec![]));
    }

    #[test]
    fn a_skipped_event_of_a_parked_stream_is_not_parked_again() {
        let events = [event(1, 7, UNKNOWN), event(2, 7, GOOD)];
        let parked = HashSet::from([events[0].recorded.stream.clone()]);
        let exclusions = Exclusions { parked, skipped: HashSet::from([1]) };
        assert_eq!(positions(&plan(&events, &exclusions)), (vec![], vec![(2, PARKED_BEFORE)]));
    }
}
