//! Rows as they were: the folds of the read models, over one stream read from the log.
//!
//! Time travel and the answer to a command are the same rows as a query gives, made by the same code, and depend on no
//! worker having kept up. What is summed over other streams, such as the spending of a budget, has no history here.

use crate::projection::{Applied, ApplyError};
use crate::query::{AgentRow, BudgetRow, CallRow, MemoryRow, TaskRow};
use crate::rows::Rows;
use crate::{agents, budgets, calls, memories, tasks};
use domain::agent::Agent;
use domain::budget::{Budget, BudgetEvent};
use domain::call::Call;
use domain::memory::Memory;
use domain::task::Task;
use domain::{Aggregate, DecodeError, Event};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use streams::{Log, ReadError, RecordedEvent, StreamKey, Version};
use thiserror::Error;

/// A row that can be folded from the events of its own stream.
pub trait History: Sized + Send {
    /// The category of the streams.
    const CATEGORY: &'static str;

    /// Before the first event.
    fn begin() -> Box<dyn Fold<Self>>;
}

/// A row in the making.
pub trait Fold<R>: Send {
    /// Folds one event.
    ///
    /// # Errors
    /// [`ApplyError`] for an event that cannot follow what came before.
    fn fold(&mut self, applied: &Applied) -> Result<(), ApplyError>;

    /// The row after the last event; none where there were no events.
    ///
    /// # Errors
    /// [`ApplyError::Row`] for a row that cannot be read.
    fn finish(self: Box<Self>) -> Result<Option<R>, ApplyError>;
}

/// Why there is no such row.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A stored event is not one that this code knows.
    #[error("a stored event cannot be read")]
    Decode(#[from] DecodeError),
    /// The events do not fit together.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Events read at once.
const PAGE_EVENTS: usize = 1000;

/// The row as of the last event of its stream that lies within; none if that is before its first.
///
/// # Errors
/// [`HistoryError`].
pub async fn as_of<R: History>(
    log: &Log,
    stream: &StreamKey,
    within: impl Fn(&RecordedEvent) -> bool + Send + Sync,
) -> Result<Option<R>, HistoryError> {
    let mut row = R::begin();
    let mut pages = log.stream_pages(stream.clone(), Version::ZERO, PAGE_EVENTS);
    while let Some(page) = pages.next_page().await? {
        for recorded in page {
            if !within(&recorded) {
                return Ok(row.finish()?);
            }
            let event = recorded.decode()?;
            row.fold(&Applied { recorded: Arc::new(recorded), event: Arc::new(event) })?;
        }
    }
    Ok(row.finish()?)
}

/// The one row of a fold, in the form that queries give.
fn only<R: Serialize, Q: DeserializeOwned>(rows: Rows<R>) -> Result<Option<Q>, ApplyError> {
    let bad = |error: serde_json::Error| ApplyError::Row(error.to_string());
    let Some(row) = rows.into_values().next() else { return Ok(None) };
    let row = serde_json::to_value(row).map_err(bad)?;
    serde_json::from_value(row).map(Some).map_err(bad)
}

/// A fold over the rows of a projection.
struct Folded<R> {
    rows: Rows<R>,
    fold: fn(&mut Rows<R>, &Applied) -> Result<(), ApplyError>,
}

impl<R: Serialize + Send, Q: DeserializeOwned> Fold<Q> for Folded<R> {
    fn fold(&mut self, applied: &Applied) -> Result<(), ApplyError> {
        (self.fold)(&mut self.rows, applied)
    }

    fn finish(self: Box<Self>) -> Result<Option<Q>, ApplyError> {
        only(self.rows)
    }
}

macro_rules! history {
    ($($row:ty, $aggregate:ty, $module:ident, $variant:ident);+ $(;)?) => {$(
        impl History for $row {
            const CATEGORY: &'static str = <$aggregate>::CATEGORY;

            fn begin() -> Box<dyn Fold<Self>> {
                Box::new(Folded {
                    rows: Rows::<$module::Row>::new(),
                    fold: |rows, applied| match &*applied.event {
                        Event::$variant(event) => $module::fold(rows, applied, event),
                        _ => Ok(()),
                    },
                })
            }
        }
    )+};
}

history! {
    AgentRow, Agent, agents, Agent;
    TaskRow, Task, tasks, Task;
    CallRow, Call, calls, Call;
    MemoryRow, Memory, memories, Memory;
}

impl History for BudgetRow {
    const CATEGORY: &'static str = Budget::CATEGORY;

    fn begin() -> Box<dyn Fold<Self>> {
        Box::new(Terms(None))
    }
}

/// A budget without its months: those are sums over calls.
struct Terms(Option<BudgetRow>);

impl Fold<BudgetRow> for Terms {
    fn fold(&mut self, applied: &Applied) -> Result<(), ApplyError> {
        let Event::Budget(event) = &*applied.event else { return Ok(()) };
        match (event, &mut self.0) {
            (BudgetEvent::Defined(defined) | BudgetEvent::Revised(defined), known) => {
                let terms = &defined.terms;
                let (scope_kind, scope_key) = budgets::scope_of(terms);
                *known = Some(BudgetRow {
                    budget_id: applied.recorded.stream.id,
                    name: terms.name.to_string(),
                    scope_kind: scope_kind.to_owned(),
                    scope_key,
                    limit_amount: terms.limit.as_decimal(),
                    currency: terms.currency.to_string(),
                    time_zone: terms.time_zone.name().to_owned(),
                    thresholds: terms.thresholds.iter().map(|threshold| i32::from(threshold.percent())).collect(),
                    closed: false,
                    defined_at: known.as_ref().map_or(defined.at, |known| known.defined_at),
                    version: applied.version(),
                    position: applied.position(),
                });
            }
            (BudgetEvent::Closed(_), Some(row)) => {
                row.closed = true;
                row.version = applied.version();
                row.position = applied.position();
            }
            (BudgetEvent::Closed(_), None) => {}
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Option<BudgetRow>, ApplyError> {
        Ok(self.0)
    }
}
