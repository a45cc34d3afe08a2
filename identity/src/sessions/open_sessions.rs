//! The sessions of open connections: one task of a process finds out which of them have ended.

use super::rows;
use crate::directory::{Directory, EndReason, NoPrincipal};
use domain::{SessionId, TenantId, UserId};
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use uuid::Uuid;

/// How often the sessions of open connections are looked up.
const INTERVAL: Duration = Duration::from_millis(350);
/// The shortest time between two lookups, however often the directory changes.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
/// How long they may not be found out before open connections are closed.
const MAX_STALENESS: Duration = Duration::from_secs(1);
/// The number of sessions in one query.
const AT_ONCE: usize = 1000;

/// The sessions of open connections.
#[derive(Default)]
pub(crate) struct OpenSessions {
    ends: Mutex<HashMap<SessionId, watch::Sender<Option<EndReason>>>>,
}

impl OpenSessions {
    /// Completes when a session has ended, or when that cannot be found out any more.
    pub(crate) async fn ended(&self, id: SessionId) -> EndReason {
        let mut end = {
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.entry(id).or_insert_with(|| watch::Sender::new(None)).subscribe()
        };
        loop {
            if let Some(reason) = *end.borrow_and_update() {
                return reason;
            }
            if end.changed().await.is_err() {
                return EndReason::Unavailable;
            }
        }
    }

    /// Ends connections of a session in this process at once.
    pub(crate) fn end(&self, id: SessionId, reason: EndReason) {
        let end = self.ends.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(end) = end {
            end.send_replace(Some(reason));
        }
    }

    /// The sessions that connections wait for. Those without any are forgotten.
    fn open(&self) -> Vec<Uuid> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.retain(|_, end| end.receiver_count() > 0);
        ends.keys().map(|id| id.0).collect()
    }

    /// Looks up the sessions of open connections for ever, every interval and when the directory changes: they end when they
    /// are revoked, when they expire, and when they do not rest on the credentials of their user any more.
    pub(crate) async fn follow(&self, pool: &PgPool, directory: &Directory) {
        let (mut known_at, mut changes) = (Instant::now(), directory.changes());
        loop {
            tokio::time::sleep(MIN_INTERVAL).await;
            // A change that was missed is found at the next interval.
            _ = tokio::time::timeout(INTERVAL, changes.changed()).await;
            let (open, started) = (self.open(), Instant::now());
            let mut has_failed = false;
            for ids in open.chunks(AT_ONCE) {
                match tokio::time::timeout(MAX_STALENESS, rows::active(pool, ids)).await {
                    Ok(Ok(active)) => self.end_others(ids, &active, directory),
                    Ok(Err(_)) | Err(_) => has_failed = true,
                }
            }
            if !has_failed {
                known_at = started;
            } else if known_at.elapsed() > MAX_STALENESS {
                tracing::warn!("the sessions of open connections cannot be read: the connections are closed");
                open.into_iter().for_each(|id| self.end(SessionId(id), EndReason::Unavailable));
            }
        }
    }

    /// Ends connections of those of some sessions that have ended.
    fn end_others(&self, ids: &[Uuid], active: &[rows::Row], directory: &Directory) {
        let active: HashMap<Uuid, &rows::Row> = active.iter().map(|row| (row.session_id, row)).collect();
        for id in ids {
            let ended = match active.get(id) {
                None => Some(EndReason::Ended),
                Some(row) => {
                    let tenant = TenantId::from_stored(row.tenant_id.clone());
                    match directory.active_user(&tenant, UserId(row.user_id)) {
                        Ok(user) => (!row.credentials().are_of(&user)).then_some(EndReason::Ended),
                        Err(NoPrincipal::Refused) => Some(EndReason::Ended),
                        Err(NoPrincipal::Unreadable) => Some(EndReason::Unavailable),
                    }
                }
            };
            if let Some(reason) = ended {
                self.end(SessionId(*id), reason);
            }
        }
    }
}
