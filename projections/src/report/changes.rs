//! Two moments compared: how a report changed from one point of the log to a later one, and which events changed it.
//!
//! A report as known at a point is the sum over the events of calls up to it, so that its change is the sum over the events
//! between. What each of them adds is computed from the event alone.

use super::error::ReportError;
use super::known::{KnownAt, KnownLimits, KnownReport, KnownSums, add_names, end};
use super::query::{ReportQuery, Selection};
use super::{ReportRow, Totals};
use chrono::{DateTime, Utc};
use domain::Aggregate as _;
use domain::Sum;
use domain::call::Call;
use std::collections::BTreeMap;
use streams::{Log, Position, RecordedEvent, TenantFilter, TenantLog, TenantReads};
use uuid::Uuid;

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1_000;

/// A row of a report that is another one at the later point.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedRow {
    /// The row at the later point, with keys and names; with sums of zero if it has no calls then. Its base has the sums at the
    /// earlier point.
    pub row: ReportRow,
}

impl ChangedRow {
    /// The sums at the earlier point.
    #[must_use]
    pub fn before(&self) -> Totals {
        self.row.base.clone().unwrap_or_default()
    }

    /// The sums at the later point.
    #[must_use]
    pub fn after(&self) -> &Totals {
        &self.row.totals
    }

    /// How much higher the charged cost is at the later point.
    #[must_use]
    pub fn cost_difference(&self) -> Sum {
        cost_difference(&self.before(), self.after())
    }
}

/// How much higher the charged cost of some sums is than that of others, over the calls that have one.
#[must_use]
pub fn cost_difference(before: &Totals, after: &Totals) -> Sum {
    &after.cost - &before.cost
}

/// How a report changed from one point of the log to a later one.
#[derive(Debug, Clone, PartialEq)]
pub struct CostChanges {
    /// The earlier point: the report then contains every event up to this position.
    pub from: Position,
    /// The later point, likewise.
    pub to: Position,
    /// The sums over all rows at the earlier point.
    pub before: Totals,
    /// The sums over all rows at the later point.
    pub after: Totals,
    /// The rows that changed: those whose cost changed most first, then by keys.
    pub rows: Vec<ChangedRow>,
}

impl CostChanges {
    /// Reads the report at both points, and what changed between them. The names of agents and tasks are the present ones.
    ///
    /// # Errors
    /// [`ReportError`] if the query is invalid, the second point is before the first one, there are more events or rows than the
    /// limits allow, or the log or the database cannot be read.
    pub async fn read(
        (log, events): (&Log, &TenantLog),
        reads: &TenantReads,
        query: &ReportQuery,
        (from, to): (KnownAt, KnownAt),
        limits: KnownLimits,
    ) -> Result<Self, ReportError> {
        let selection = check_changes(query)?;
        let (from, to) = in_order(log, from, to).await?;
        let before = KnownReport::sum_up(events, query, query.select()?, from, limits).await?;
        let after = KnownReport::sum_up(events, query, query.select()?, to, limits).await?;
        let mut changes = Self::between(&before, &after);
        add_names(reads, &query.access, &selection.by, changes.named_rows()).await?;
        Ok(changes)
    }

    pub(super) fn between(before: &KnownReport, after: &KnownReport) -> Self {
        let (mut earlier, mut rows): (BTreeMap<_, _>, Vec<_>) = (BTreeMap::new(), Vec::new());
        for row in &before.rows {
            earlier.insert(&row.keys, &row.totals);
        }
        let mut add = |row: &ReportRow, before: &Totals, after: &Totals| {
            if before != after {
                let (totals, base) = (after.clone(), Some(before.clone()));
                rows.push(ReportRow { totals, base, ..row.clone() });
            }
        };
        for row in &after.rows {
            add(row, earlier.remove(&row.keys).unwrap_or(&Totals::default()), &row.totals);
        }
        for row in before.rows.iter().filter(|row| earlier.contains_key(&row.keys)) {
            add(row, &row.totals, &Totals::default());
        }
        let mut rows: Vec<_> = rows.into_iter().map(|row| ChangedRow { row }).collect();
        rows.sort_by_cached_key(|row| {
            let size = row.cost_difference().as_number().abs();
            (std::cmp::Reverse(size), row.row.keys.clone())
        });
        let (from, to) = (before.position, after.position);
        Self { from, to, before: before.total.clone(), after: after.total.clone(), rows }
    }

    pub(super) fn named_rows(&mut self) -> impl Iterator<Item = &mut ReportRow> {
        self.rows.iter_mut().map(|changed| &mut changed.row)
    }

    /// How much higher the charged cost of all rows is at the later point.
    #[must_use]
    pub fn cost_difference(&self) -> Sum {
        cost_difference(&self.before, &self.after)
    }
}

/// Checks a query whose changes are read: neither compared with another period, nor with a row of the rest.
pub(super) fn check_changes(query: &ReportQuery) -> Result<Selection, ReportError> {
    let selection = query.select()?;
    match (selection.base, selection.top) {
        (Some(_), _) => Err(ReportError::ChangesCompared),
        // Which rows are of highest cost differs between the points.
        (None, Some(top)) => Err(ReportError::TopOfChanges(top)),
        (None, None) => Ok(selection),
    }
}

/// The positions of two points.
pub(super) async fn in_order(log: &Log, from: KnownAt, to: KnownAt) -> Result<(Position, Position), ReportError> {
    let (from, to) = (end(log, from).await?, end(log, to).await?);
    if from > to { Err(ReportError::NotInOrder { from, to }) } else { Ok((from, to)) }
}

/// An event that changed a report.
#[derive(Debug, Clone, PartialEq)]
pub struct CausingEvent {
    /// The position of the event.
    pub position: Position,
    /// The type of the event, such as `call.corrected`.
    pub name: String,
    /// When the event was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The call.
    pub call_id: Uuid,
    /// Who gave the command, as the metadata of the event have it.
    pub actor: Option<String>,
    /// By how much the event changed the sums of the calls that the report is about.
    pub difference: Totals,
}

impl CausingEvent {
    fn new(recorded: &RecordedEvent, difference: Totals) -> Self {
        let metadata: serde_json::Value = serde_json::from_str(&recorded.metadata).unwrap_or_default();
        Self {
            position: recorded.position,
            name: recorded.name.clone(),
            recorded_at: recorded.recorded_at,
            call_id: recorded.stream.id,
            actor: metadata.get("actor").and_then(serde_json::Value::as_str).map(str::to_owned),
            difference,
        }
    }
}

/// The events after one position, up to another one, that changed a report: its total or one of its rows. Their differences add
/// up to the difference between the totals at the two positions.
///
/// Reads at most `size` of them, and no more events of calls than the limits allow.
///
/// # Errors
/// [`ReportError`] if the query is invalid, there are more events than the limits allow, or the log cannot be read.
pub async fn causing_events(
    events: &TenantLog,
    query: &ReportQuery,
    (after, through): (Position, Position),
    size: usize,
    limits: KnownLimits,
) -> Result<Vec<CausingEvent>, ReportError> {
    let selection = check_changes(query)?;
    let filter = TenantFilter::new(&query.access, Some(Call::CATEGORY.to_owned()), Vec::new(), None);
    let mut pages = events.pages(after, filter, PAGE_EVENTS);
    let (mut found, mut seen) = (Vec::new(), 0);
    while let Some(page) = pages.next_page().await? {
        for event in &page {
            if event.position > through || found.len() >= size {
                return Ok(found);
            }
            seen += 1;
            if let Some(limit) = limits.max_events.filter(|limit| seen > *limit) {
                return Err(ReportError::TooManyEvents { position: through, limit });
            }
            let mut sums = KnownSums::new(&selection);
            sums.add_recorded(event)?;
            found.extend(sums.effect().map(|difference| CausingEvent::new(event, difference)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::Dimension;
    use super::*;

    fn totals(calls: i64, cost: &str) -> Totals {
        Totals { calls, cost: Sum::parse(cost).unwrap(), ..Totals::default() }
    }

    fn report(position: u64, total: Totals, rows: &[(&str, Totals)]) -> KnownReport {
        let row = |(key, totals): &(&str, Totals)| ReportRow {
            keys: vec![Some((*key).to_owned())],
            names: vec![None],
            is_rest: false,
            totals: totals.clone(),
            base: None,
        };
        let rows = rows.iter().map(row).collect();
        let mut report = KnownReport::of_rows(position.into(), vec![Dimension::Model], rows);
        report.total = total;
        report
    }

    #[test]
    fn rows_that_came_went_and_changed_add_up_to_the_change_of_the_total() {
        let before = report(3, totals(3, "6"), &[("a", totals(1, "1")), ("b", totals(1, "2")), ("c", totals(1, "3"))]);
        let after =
            report(9, totals(3, "4.5"), &[("a", totals(1, "1")), ("c", totals(1, "0.5")), ("d", totals(1, "3"))]);
        let changes = CostChanges::between(&before, &after);
        let rows: Vec<_> =
            changes.rows.iter().map(|row| (row.row.keys[0].as_deref(), row.cost_difference().to_string())).collect();
        let text = |key, cost: &str| (Some(key), cost.to_owned());
        assert_eq!(rows, [text("d", "3"), text("c", "-2.5"), text("b", "-2")]);
        let mut sum = Sum::default();
        changes.rows.iter().for_each(|row| sum += &row.cost_difference());
        assert_eq!(sum, changes.cost_difference());
        assert_eq!((changes.from, changes.to), (3.into(), 9.into()));
        assert!(CostChanges::between(&after, &after).rows.is_empty());
    }
}
