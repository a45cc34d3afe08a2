//! Rows as of an earlier position or time, folded from the events of one stream.
//!
//! The code that folds the rows of the read models folds them, so that they do not depend on any worker's progress. What
//! is summed over other streams, such as the spending of a budget, has no history here.

use crate::projection::{Applied, ApplyError};
use crate::rows::StreamRow;
use domain::DecodeError;
use domain::permissions::Access;
use std::sync::Arc;
use streams::{ReadError, RecordedEvent, TenantLog};
use thiserror::Error;
use uuid::Uuid;

/// Why a row could not be folded from the log.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// This program does not know the type or the schema of a stored event.
    #[error("a stored event cannot be decoded")]
    Decode(#[from] DecodeError),
    /// An event cannot follow the events before it.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Events read from the log at once.
const PAGE_EVENTS: usize = 1000;

/// Folds the events of an object's stream up to the first for which `is_included` is false. Returns none if no event is included,
/// or if the access is limited to agents none of which may read the row.
///
/// # Errors
/// [`HistoryError::Read`] if the log cannot be read, and the other variants if an included event cannot be decoded or
/// folded.
pub async fn as_of<R: StreamRow>(
    log: &TenantLog,
    access: &Access<R::Read>,
    id: Uuid,
    is_included: impl Fn(&RecordedEvent) -> bool + Send + Sync,
) -> Result<Option<R>, HistoryError> {
    let mut row = None;
    let readable = |row: Option<R>| row.filter(|row| access.is_to(|agent| row.is_read_by(agent)));
    let mut pages = log.own_stream_pages(access, R::CATEGORY, id, PAGE_EVENTS);
    while let Some(page) = pages.next_page().await? {
        for recorded in page {
            if !is_included(&recorded) {
                return Ok(readable(row));
            }
            let event = Arc::new(recorded.decode()?);
            row = R::fold(row, &Applied { recorded: Arc::new(recorded), event })?;
        }
    }
    Ok(readable(row))
}
