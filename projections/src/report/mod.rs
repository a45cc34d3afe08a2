//! The usage and cost report, page by page.
//!
//! A report has a row for each combination of the values of its dimensions, which may be millions: it is read in pages
//! after a cursor, and the rows after a page are summed up as the rest.

mod dimension;
mod known;
mod known_reports;
mod query;
mod sql;
mod usage_source;

pub(crate) use sql::sums_of_trace;

pub use dimension::{Dimension, UnknownDimension};
pub use known::{KnownAt, KnownLimits, KnownReport};
pub use known_reports::{KnownReports, MAX_KNOWN_REPORTS};
pub use query::{InvalidFilter, MAX_FILTERS, ReportError, ReportFilter, ReportQuery, ReportTag};
pub use usage_source::{MAX_REPORT_CALLS, UsageSource};

use self::dimension::finest_time;
use self::query::Selection;
use self::sql::Statement;
use bigdecimal::{BigDecimal, ToPrimitive};
use chrono::{DateTime, Utc};
use domain::{Meter, Sum};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};
use streams::{Position, TenantReads, TenantTransaction};

/// Sums over calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// LLM calls.
    pub calls: i64,
    /// Tool calls.
    pub tool_calls: i64,
    /// Failed calls of both kinds, see [`domain::call::CallFacts::failed`].
    pub failed_calls: i64,
    /// LLM calls without a known price, which are not part of the cost.
    pub unpriced_calls: i64,
    /// The sum of each meter, in the order of [`Meter::ALL`].
    quantities: [i128; Meter::COUNT],
    /// The sum of the latencies, in milliseconds.
    pub latency_ms: i128,
    /// The charged cost in US dollars; see [`Totals::known_cost`].
    pub cost: Sum,
    /// The cost in US dollars that the sources reported.
    pub reported_cost: Sum,
    /// The charged cost of the calls that have a reported one too.
    pub compared_cost: Sum,
    /// The reported cost of the calls that have a charge too.
    pub compared_reported_cost: Sum,
}

/// Which cost of a call counts: the one that Apex charges by the price book, or the one that its source reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CostPolicy {
    /// The charged cost; calls without a price have none.
    #[default]
    Charged,
    /// The reported cost; calls without one have none.
    Reported,
    /// The charged cost, or else the reported one.
    PreferCharged,
    /// The reported cost, or else the charged one.
    PreferReported,
}

impl Totals {
    /// The cost by a policy, over the calls that have it.
    #[must_use]
    pub fn cost_by(&self, policy: CostPolicy) -> Sum {
        let Self { cost, reported_cost, compared_cost, compared_reported_cost, .. } = self;
        let union = |less: &Sum| {
            let mut sum = cost.clone();
            sum += reported_cost;
            &sum - less
        };
        match policy {
            CostPolicy::Charged => cost.clone(),
            CostPolicy::Reported => reported_cost.clone(),
            CostPolicy::PreferCharged => union(compared_reported_cost),
            CostPolicy::PreferReported => union(compared_cost),
        }
    }

    /// How much more the sources reported than was charged, over the calls that have both costs.
    #[must_use]
    pub fn reported_difference(&self) -> Sum {
        &self.compared_reported_cost - &self.compared_cost
    }

    /// Returns the sum of a meter.
    #[must_use]
    pub fn quantity(&self, meter: Meter) -> i128 {
        self.quantities[meter as usize]
    }

    /// The sums with another sum of a meter.
    #[must_use]
    pub fn with_quantity(mut self, meter: Meter, quantity: i128) -> Self {
        self.quantities[meter as usize] = quantity;
        self
    }

    /// Returns the cost, or none if there are LLM calls and none of them has a price: then the cost is unknown, not 0.
    #[must_use]
    pub fn known_cost(&self) -> Option<&Sum> {
        (self.calls == 0 || self.unpriced_calls < self.calls).then_some(&self.cost)
    }
}

impl FromRow<'_, PgRow> for Totals {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let mut quantities = [0; Meter::COUNT];
        for meter in Meter::ALL {
            quantities[*meter as usize] = whole(row, meter.column())?;
        }
        Ok(Self {
            calls: row.try_get("calls")?,
            tool_calls: row.try_get("tool_calls")?,
            failed_calls: row.try_get("failed_calls")?,
            unpriced_calls: row.try_get("unpriced_calls")?,
            quantities,
            latency_ms: whole(row, "latency_ms")?,
            cost: row.try_get::<BigDecimal, _>("cost")?.into(),
            reported_cost: row.try_get::<BigDecimal, _>("reported_cost")?.into(),
            compared_cost: row.try_get::<BigDecimal, _>("compared_cost")?.into(),
            compared_reported_cost: row.try_get::<BigDecimal, _>("compared_reported_cost")?.into(),
        })
    }
}

/// A sum of integers. A log has fewer than 2^63 events, with quantities below 2^53, so that it is below 2^127.
fn whole(row: &PgRow, column: &str) -> Result<i128, sqlx::Error> {
    let sum: BigDecimal = row.try_get(column)?;
    sum.to_i128().ok_or_else(|| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{sum} is not an integer in the range of i128").into(),
    })
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportRow {
    /// The value of each dimension, in the order of [`ReportQuery::by`]; none if the calls have no value.
    pub keys: Vec<Option<String>>,
    /// For each dimension, the name of the agent or the title of the task; none for other dimensions.
    pub names: Vec<Option<String>>,
    /// The sums.
    pub totals: Totals,
}

impl ReportRow {
    /// Returns the cursor of this row in a report with these dimensions.
    #[must_use]
    pub fn cursor(&self, by: &[Dimension]) -> ReportCursor {
        let by = by.iter().map(|dimension| dimension.as_str().to_owned()).collect();
        ReportCursor { by, cost: self.totals.cost.clone(), calls: self.totals.calls, keys: self.keys.clone() }
    }
}

/// The sort key of a row. It stays valid while other rows are inserted and deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportCursor {
    by: Vec<String>,
    cost: Sum,
    calls: i64,
    keys: Vec<Option<String>>,
}

impl ReportCursor {
    fn check(&self, by: &[Dimension]) -> Result<(), ReportError> {
        let has_dimensions = self.by.iter().map(String::as_str).eq(by.iter().map(|dimension| dimension.as_str()));
        let fits = self.keys.len() == by.len() && by.iter().zip(&self.keys).all(|(by, key)| by.accepts(key.as_deref()));
        if has_dimensions && fits && self.calls >= 0 { Ok(()) } else { Err(ReportError::InvalidCursor) }
    }

    /// When the shortest period of time of the row began. No later row of the report is earlier.
    fn time(&self, by: &[Dimension]) -> Option<DateTime<Utc>> {
        let (index, time) = finest_time(by)?;
        time.start(self.keys.get(index)?.as_deref()?)
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
        after.check(&selection.by)?;
    }
    let (mut transaction, position) = begin(reads, query).await?;
    let connection = &mut *transaction;
    check_calls(connection, &selection).await?;
    let total = match page.wants_total {
        true => Some(sums(connection, &selection, None).await?),
        false => None,
    };
    let mut rows = Vec::new();
    let mut has_next_page = false;
    if !selection.by.is_empty() {
        rows = rows_after(connection, &selection, page.after.as_ref(), page.size.saturating_add(1)).await?;
        has_next_page = rows.len() > page.size;
        rows.truncate(page.size);
    }
    let rest = match (page.wants_rest, rows.last()) {
        (false, _) => None,
        (true, Some(last)) if has_next_page => {
            Some(sums(connection, &selection, Some(&last.cursor(&selection.by))).await?)
        }
        // Without dimensions there are no rows, so that the rest is the total.
        (true, None) if selection.by.is_empty() => Some(sums(connection, &selection, None).await?),
        (true, _) => Some(Totals::default()),
    };
    transaction.commit().await?;
    Ok(Report { rows, has_next_page, total, rest, position, summed_from: selection.source.to_string() })
}

/// A complete report, which is read row by row.
#[derive(Debug)]
pub struct WholeReport {
    /// The sums over all rows.
    pub total: Totals,
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
        let total = sums(&mut transaction, &selection, None).await?;
        Ok(Self { total, position, selection, transaction })
    }

    /// What the report is summed from.
    #[must_use]
    pub fn source(&self) -> UsageSource {
        self.selection.source
    }

    /// Streams the rows in the order of [`Report::rows`], without keeping them in memory.
    pub fn rows(&mut self) -> BoxStream<'_, Result<ReportRow, ReportError>> {
        let width = self.selection.by.len();
        if width == 0 {
            return futures::stream::empty().boxed();
        }
        match Statement::page(&self.selection, None, None) {
            Ok(page) => page.rows().fetch(&mut *self.transaction).map(move |row| Ok(read_row(&row?, width)?)).boxed(),
            Err(error) => futures::stream::iter([Err(error.into())]).boxed(),
        }
    }
}

/// Begins a transaction with one snapshot for all statements of a report, and reads the position of the read model.
async fn begin(reads: &TenantReads, query: &ReportQuery) -> Result<(TenantTransaction, Position), sqlx::Error> {
    let mut transaction = reads.begin_snapshot(&query.access).await?;
    let position: Option<i64> =
        sqlx::query_scalar("select min(position) from apex.checkpoints where follower = 'calls'")
            .fetch_one(&mut *transaction)
            .await?;
    Ok((transaction, Position::from_i64(position.unwrap_or(0))))
}

/// Refuses a report that is summed from the calls themselves if there are too many.
async fn check_calls(connection: &mut PgConnection, selection: &Selection) -> Result<(), ReportError> {
    if selection.source != UsageSource::Calls {
        return Ok(());
    }
    let count = Statement::count_calls(selection, MAX_REPORT_CALLS + 1)?.number().fetch_one(connection).await?;
    if count > MAX_REPORT_CALLS { Err(selection.too_many_calls()) } else { Ok(()) }
}

/// Sums over all rows, or over all rows after a cursor.
async fn sums(
    connection: &mut PgConnection,
    selection: &Selection,
    after: Option<&ReportCursor>,
) -> Result<Totals, sqlx::Error> {
    Statement::total(selection, after)?.sums().fetch_one(connection).await
}

async fn rows_after(
    connection: &mut PgConnection,
    selection: &Selection,
    after: Option<&ReportCursor>,
    limit: usize,
) -> Result<Vec<ReportRow>, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = Statement::page(selection, after, Some(limit))?.rows().fetch_all(connection).await?;
    found.iter().map(|row| read_row(row, selection.by.len())).collect()
}

fn read_row(row: &PgRow, width: usize) -> Result<ReportRow, sqlx::Error> {
    let column = |kind: &str, n: usize| row.try_get(format!("{kind}_{n}").as_str());
    Ok(ReportRow {
        keys: (0..width).map(|n| column("key", n)).collect::<Result<_, _>>()?,
        names: (0..width).map(|n| column("name", n)).collect::<Result<_, _>>()?,
        totals: Totals::from_row(row)?,
    })
}
