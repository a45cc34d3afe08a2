//! The usage and cost report, page by page.
//!
//! A report has a row for each combination of the values of its dimensions, which may be millions: it is read in pages
//! after a cursor, and the rows after a page are summed up as the rest.

mod call_selection;
mod changes;
mod comparison;
mod dimension;
mod error;
mod hours;
mod known;
mod known_order;
mod known_reports;
mod named;
mod parameters;
mod period;
mod query;
mod scheduled;
mod sql;
mod sums;
mod task_costs;
mod totals;
mod trace_sums;
mod usage_source;
mod zone;

pub use hours::start_of_hour;
pub(crate) use hours::{LocalHour, hours, is_start_of_day, is_start_of_hour, month};
pub(crate) use trace_sums::sums_of_trace;

pub(crate) use call_selection::CallGroups;
pub use call_selection::{CallFilterError, CallFilters};
pub use changes::{CausingEvent, ChangedRow, CostChanges, causing_events, cost_difference};
pub use comparison::{BasePeriod, Change, PERCENT_PLACES, TimeRange};
pub use dimension::{Dimension, UnknownDimension};
pub use error::{InvalidFilter, MAX_FILTERS, MAX_TOP, ReportError};
pub use known::{KnownAt, KnownLimits, KnownReport};
pub use known_reports::{KnownReports, MAX_KNOWN_REPORTS};
pub use named::{InvalidName, NamedDimension, NamedFilter, SeveralTagKeys, tag_key};
pub use query::{ReportFilter, ReportQuery, ReportTag};
pub use scheduled::{ScheduledReportError, scheduled_report};
pub use task_costs::{MAX_COMPLETED_TASKS, TaskCosts, completed_task_costs};
pub use totals::{CostPolicy, Totals, UNIT_COST_PLACES};
pub use usage_source::{MAX_REPORT_CALLS, UsageSource};
pub use zone::{UnknownTimeZone, start_of_day, time_zone};

use self::dimension::times;
use self::period::Start;
use self::query::Selection;
use self::sql::{Statement, keys_and_names};
use chrono::{DateTime, Utc};
use domain::Sum;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow as _, Row as _};
use streams::{Position, TenantReads, TenantTransaction};

/// A row of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportRow {
    /// The value of each dimension, in the order of [`ReportQuery::by`]; none if the calls have no value.
    pub keys: Vec<Option<String>>,
    /// For each dimension, the name of the agent or the title of the task; none for other dimensions.
    pub names: Vec<Option<String>>,
    /// Whether the row has the sums over all rows after those of highest cost, see [`ReportQuery::top`]. Then it has the keys of
    /// its period, and no others.
    pub is_rest: bool,
    /// The sums.
    pub totals: Totals,
    /// The sums in the period that the report is compared with.
    pub base: Option<Totals>,
}

impl ReportRow {
    /// Returns the cursor of this row in a report.
    #[must_use]
    pub fn cursor(&self, query: &ReportQuery) -> ReportCursor {
        self.cursor_of(&query.by, query.top)
    }

    fn cursor_of(&self, by: &[Dimension], top: Option<u32>) -> ReportCursor {
        let by = by.iter().map(|dimension| dimension.as_str().to_owned()).collect();
        let (cost, calls) = (self.totals.cost.clone(), self.totals.calls);
        ReportCursor { by, cost, calls, keys: self.keys.clone(), is_rest: self.is_rest, top }
    }
}

/// The sort key of a row. It stays valid while other rows are inserted and deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportCursor {
    by: Vec<String>,
    cost: Sum,
    calls: i64,
    keys: Vec<Option<String>>,
    #[serde(default)]
    is_rest: bool,
    #[serde(default)]
    top: Option<u32>,
}

impl ReportCursor {
    fn check(&self, selection: &Selection) -> Result<(), ReportError> {
        let by = &selection.by;
        let has_dimensions = self.by.iter().map(String::as_str).eq(by.iter().map(|dimension| dimension.as_str()));
        let fits = |(by, key): (&Dimension, &Option<String>)| by.accepts(&selection.zone, key.as_deref());
        let fits = self.keys.len() == by.len() && by.iter().zip(&self.keys).all(fits);
        let is_rest = !self.is_rest || self.top.is_some();
        if has_dimensions && fits && is_rest && self.top == selection.top && self.calls >= 0 {
            Ok(())
        } else {
            Err(ReportError::InvalidCursor)
        }
    }

    /// The periods of time that the row is sorted by.
    fn times(&self, selection: &Selection) -> Vec<Start> {
        let start = |(index, time): (usize, Dimension)| time.start(&selection.zone, self.keys.get(index)?.as_deref()?);
        times(&selection.by).into_iter().filter_map(start).collect()
    }

    /// When the shortest period of time of the row began. No later row of the report is earlier.
    fn time(&self, selection: &Selection) -> Option<DateTime<Utc>> {
        let (_, time) = times(&selection.by).into_iter().next()?;
        time.unit()?.range(&selection.zone, self.times(selection).into_iter().next()?).0
    }
}

/// Which part of a report to read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportPage {
    /// Only rows after this cursor; from the first row on if none is given.
    pub after: Option<ReportCursor>,
    /// The maximum number of rows.
    pub size: usize,
    /// Whether to sum over all rows.
    pub wants_total: bool,
    /// Whether to sum over the rows after this page.
    pub wants_rest: bool,
}

/// A page of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The rows, by time if time is a dimension, then highest cost first. Empty if there are no dimensions.
    pub rows: Vec<ReportRow>,
    /// Whether there are rows after this page.
    pub has_next_page: bool,
    /// The sums over all rows, if they were requested.
    pub total: Option<Totals>,
    /// The sums over all rows in the period that the report is compared with, if they were requested.
    pub base_total: Option<Totals>,
    /// The period that the report is compared with.
    pub base_range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The sums over all rows after this page, if they were requested.
    pub rest: Option<Totals>,
    /// The report contains every call up to this position.
    pub position: Position,
    /// What the report was summed from, in words.
    pub summed_from: String,
}

/// Reads a page of a report. Rows, sums and position are of one snapshot.
///
/// A page reads at most what the whole report without filters would read: the rows of the tenant in the time range, of the
/// table of sums that answers the dimensions, or of at most [`MAX_REPORT_CALLS`] calls.
///
/// # Errors
/// [`ReportError`] if the query or the cursor is invalid, no sums answer the query and there are too many calls, or the
/// database fails.
pub async fn usage_report(reads: &TenantReads, query: &ReportQuery, page: &ReportPage) -> Result<Report, ReportError> {
    let selection = query.select()?;
    if let Some(after) = &page.after {
        after.check(&selection)?;
    }
    let (mut transaction, position) = begin(reads, query).await?;
    let connection = &mut *transaction;
    check_calls(connection, &selection).await?;
    let mut rows = Vec::new();
    let mut has_next_page = false;
    if !selection.by.is_empty() {
        rows = rows_after(connection, &selection, page.after.as_ref(), page.size.saturating_add(1)).await?;
        has_next_page = rows.len() > page.size;
        rows.truncate(page.size);
    }
    // The rows of a page that is the whole report add up to its total: the sums are not read twice.
    let is_whole = page.after.is_none() && !has_next_page && !selection.by.is_empty();
    let (total, base_total) = match page.wants_total {
        true if is_whole => {
            (Some(sum_of(rows.iter().map(|row| &row.totals))), selection.base.map(|_| sum_of(bases(&rows))))
        }
        true => sums(connection, &selection, None).await.map(|(total, base)| (Some(total), base))?,
        false => (None, None),
    };
    let rest = match (page.wants_rest, rows.last()) {
        (false, _) => None,
        (true, Some(last)) if has_next_page => Some(sums(connection, &selection, Some(&last.cursor(query))).await?.0),
        // Without dimensions there are no rows, so that the rest is the total.
        (true, None) if selection.by.is_empty() => Some(sums(connection, &selection, None).await?.0),
        (true, _) => Some(Totals::default()),
    };
    transaction.commit().await?;
    let summed_from = selection.source.to_string();
    Ok(Report { rows, has_next_page, total, base_total, base_range: selection.base, rest, position, summed_from })
}

/// The sums of the rows in the period that a report is compared with.
fn bases(rows: &[ReportRow]) -> impl Iterator<Item = &Totals> {
    rows.iter().filter_map(|row| row.base.as_ref())
}

/// The sums of some sums.
fn sum_of<'t>(of: impl Iterator<Item = &'t Totals>) -> Totals {
    of.fold(Totals::default(), |mut all, totals| {
        all.add(totals);
        all
    })
}

/// A complete report, which is read row by row.
#[derive(Debug)]
pub struct WholeReport {
    /// The sums over all rows.
    pub total: Totals,
    /// The sums over all rows in the period that the report is compared with.
    pub base_total: Option<Totals>,
    /// The report contains every call up to this position.
    pub position: Position,
    selection: Selection,
    transaction: TenantTransaction,
}

impl WholeReport {
    /// Opens a report: reads the sums, and keeps the snapshot for the rows.
    ///
    /// # Errors
    /// [`ReportError`] if the query is invalid, no sums answer it and there are too many calls, or the database fails.
    pub async fn open(reads: &TenantReads, query: &ReportQuery) -> Result<Self, ReportError> {
        let selection = query.select()?;
        let (mut transaction, position) = begin(reads, query).await?;
        check_calls(&mut transaction, &selection).await?;
        let (total, base_total) = sums(&mut transaction, &selection, None).await?;
        Ok(Self { total, base_total, position, selection, transaction })
    }

    /// What the report is summed from.
    #[must_use]
    pub fn source(&self) -> UsageSource {
        self.selection.source
    }

    /// The period that the report is compared with.
    #[must_use]
    pub fn base_range(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        self.selection.base
    }

    /// Streams the rows in the order of [`Report::rows`], without keeping them in memory.
    pub fn rows(&mut self) -> BoxStream<'_, Result<ReportRow, ReportError>> {
        let selection = &self.selection;
        if selection.by.is_empty() {
            return futures::stream::empty().boxed();
        }
        match Statement::page(selection, None, None) {
            Ok(page) => {
                let rows = page.rows().fetch(&mut *self.transaction);
                rows.map(move |row| Ok(read_row(&row?, selection)?)).boxed()
            }
            Err(error) => futures::stream::iter([Err(error.into())]).boxed(),
        }
    }
}

/// A snapshot from which several reports of a tenant are read.
pub(crate) struct ReportSnapshot {
    transaction: TenantTransaction,
    /// The reports contain every call up to this position.
    pub(crate) position: Position,
}

impl ReportSnapshot {
    /// Begins the snapshot.
    pub(crate) async fn begin(reads: &TenantReads, query: &ReportQuery) -> Result<Self, ReportError> {
        let (transaction, position) = begin(reads, query).await?;
        Ok(Self { transaction, position })
    }

    /// All rows of a report, which its time range or [`ReportQuery::top`] must bound.
    pub(crate) async fn rows(&mut self, query: &ReportQuery) -> Result<Vec<ReportRow>, ReportError> {
        let selection = query.select()?;
        check_calls(&mut self.transaction, &selection).await?;
        Ok(rows_after(&mut self.transaction, &selection, None, usize::MAX).await?)
    }

    /// Ends the snapshot.
    pub(crate) async fn end(self) -> Result<(), ReportError> {
        Ok(self.transaction.commit().await?)
    }
}

/// Begins a transaction with one snapshot for all statements of a report, and reads the position of the read model.
async fn begin(reads: &TenantReads, query: &ReportQuery) -> Result<(TenantTransaction, Position), sqlx::Error> {
    let mut transaction = reads.begin_snapshot(&query.access).await?;
    let position = position(&mut transaction, &["calls"]).await?;
    Ok((transaction, position))
}

/// The position up to which read models have applied every event.
pub(crate) async fn position(connection: &mut PgConnection, projections: &[&str]) -> Result<Position, sqlx::Error> {
    let position: Option<i64> =
        sqlx::query_scalar("select min(position) from apex.checkpoints where follower = any($1)")
            .bind(projections)
            .fetch_one(connection)
            .await?;
    Ok(Position::from_i64(position.unwrap_or(0)))
}

/// Refuses a report that is summed from the calls themselves if there are too many.
async fn check_calls(connection: &mut PgConnection, selection: &Selection) -> Result<(), ReportError> {
    if selection.source != UsageSource::Calls {
        return Ok(());
    }
    let base = selection.base.map(|(from, to)| (Some(from), Some(to)));
    let mut count = 0;
    for range in [Some((selection.from, selection.to)), base].into_iter().flatten() {
        let counted = Statement::count_calls(selection, range, MAX_REPORT_CALLS + 1)?;
        count += counted.number().fetch_one(&mut *connection).await?;
    }
    if count > MAX_REPORT_CALLS { Err(selection.too_many_calls()) } else { Ok(()) }
}

/// Sums over all rows, or over all rows after a cursor, and the same of the period that the report is compared with.
async fn sums(
    connection: &mut PgConnection,
    selection: &Selection,
    after: Option<&ReportCursor>,
) -> Result<(Totals, Option<Totals>), sqlx::Error> {
    let row = Statement::total(selection, after)?.rows().fetch_one(connection).await?;
    Ok((Totals::from_row(&row)?, base(&row, selection)?))
}

async fn rows_after(
    connection: &mut PgConnection,
    selection: &Selection,
    after: Option<&ReportCursor>,
    limit: usize,
) -> Result<Vec<ReportRow>, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = Statement::page(selection, after, Some(limit))?.rows().fetch_all(connection).await?;
    found.iter().map(|row| read_row(row, selection)).collect()
}

fn read_row(row: &PgRow, selection: &Selection) -> Result<ReportRow, sqlx::Error> {
    let (keys, names) = keys_and_names(selection, row)?;
    let is_rest = selection.top.is_some() && row.try_get("is_rest")?;
    Ok(ReportRow { keys, names, is_rest, totals: Totals::from_row(row)?, base: base(row, selection)? })
}

fn base(row: &PgRow, selection: &Selection) -> Result<Option<Totals>, sqlx::Error> {
    selection.base.map(|_| Totals::of_base(row)).transpose()
}
