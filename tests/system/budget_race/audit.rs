//! The audit of a log that may not fit into memory: page by page, with a count of what ended which reservation.

use domain::Event;
use domain::reservation::ReservationEvent;
use domain::spend_audit::{AuditedEvent, SpendAudit, Violation};
use std::collections::BTreeSet;
use streams::{Log, LogConfig, Position, ReadFilter};
use testkit::{TestDatabase, tenant};
use uuid::Uuid;

const PAGE_EVENTS: usize = 5_000;

/// What ends a reservation. A settlement may follow one of the others, since the call was made after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Refused,
    Released,
    Expired,
    Settled,
}

fn end_of(event: &ReservationEvent) -> Option<End> {
    match event {
        ReservationEvent::Granted(_) | ReservationEvent::Extended(_) => None,
        ReservationEvent::Refused(_) => Some(End::Refused),
        ReservationEvent::Released(_) => Some(End::Released),
        ReservationEvent::Expired(_) => Some(End::Expired),
        ReservationEvent::Settled(_) => Some(End::Settled),
    }
}

/// What the log says.
#[derive(Debug, Default)]
pub(super) struct Audited {
    pub(super) events: u64,
    /// Reservations that were granted.
    pub(super) granted: u64,
    /// Reservations that were refused.
    pub(super) refused: u64,
    /// Grants and extensions by hard budgets, each budget by itself.
    pub(super) grants_of_hard_budgets: u64,
    pub(super) violations: Vec<Violation>,
    /// Reservations that ended twice in the same way.
    pub(super) ended_twice: Vec<(Uuid, End)>,
}

/// Audits the whole log of the tenant.
pub(super) async fn audit_log(database: &TestDatabase) -> Audited {
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    let mut pages = log.pages(Position::ZERO, ReadFilter::default(), PAGE_EVENTS);
    let (mut audit, mut audited, mut ends) = (SpendAudit::default(), Audited::default(), BTreeSet::new());
    let tenant = tenant();
    while let Some(page) = pages.next_page().await.unwrap() {
        for recorded in page.into_iter().filter(|recorded| recorded.stream.tenant == tenant) {
            let position = recorded.position.get();
            assert!(recorded.content_is_intact(), "the content at position {position} does not match its hash");
            let (stream_id, event) = (recorded.stream.id, recorded.decode().unwrap());
            audited.events += 1;
            if let Event::Reservation(event) = &event {
                audited.granted += u64::from(matches!(event, ReservationEvent::Granted(_)));
                audited.refused += u64::from(matches!(event, ReservationEvent::Refused(_)));
                if let Some(end) = end_of(event)
                    && !ends.insert((stream_id, end))
                {
                    audited.ended_twice.push((stream_id, end));
                }
            }
            let command_id = recorded.metadata().unwrap().command_id;
            audit.read(&AuditedEvent { position, stream_id, command_id, event });
        }
    }
    (audited.grants_of_hard_budgets, audited.violations) = audit.finish();
    audited
}
