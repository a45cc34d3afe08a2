//! The usage and cost report, page by page.
//!
//! A report has a row for each combination of the values that calls have, which may be millions: it is read in pages
//! that begin after a row, and everything that is not on them yet is summed up as the rest.

use crate::transaction;
use bigdecimal::{BigDecimal, ToPrimitive};
use chrono::{DateTime, DurationRound, NaiveDateTime, TimeDelta, Utc};
use domain::{Sum, TenantId};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgPool, PgRow, Postgres};
use sqlx::{AssertSqlSafe, FromRow, Row, Transaction};
use streams::Position;
use thiserror::Error;
use uuid::Uuid;

/// What a report can be broken down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The agent.
    Agent,
    /// Who answered.
    Provider,
    /// The model that answered.
    Model,
    /// The task.
    Task,
    /// The hour (UTC) in which calls began.
    Hour,
    /// The day (UTC) in which calls began.
    Day,
    /// The month (UTC) in which calls began.
    Month,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 7] =
        [Self::Agent, Self::Provider, Self::Model, Self::Task, Self::Hour, Self::Day, Self::Month];

    /// The name used on every wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Task => "task",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn is_time(self) -> bool {
        matches!(self, Self::Hour | Self::Day | Self::Month)
    }

    /// What rows are grouped by: for times their start.
    fn column(self) -> &'static str {
        match self {
            Self::Agent => "u.agent_id",
            Self::Provider => "u.provider",
            Self::Model => "u.model",
            Self::Task => "u.task_id",
            Self::Hour => "u.hour",
            Self::Day => "date_trunc('day', u.hour, 'UTC')",
            Self::Month => "date_trunc('month', u.hour, 'UTC')",
        }
    }

    /// The column as the text of a key; for agents and tasks their id.
    fn text_of(self, column: &str) -> String {
        match self {
            Self::Agent | Self::Task => format!("{column}::text"),
            Self::Provider | Self::Model => column.to_owned(),
            Self::Hour => format!(r#"to_char({column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:00"Z"')"#),
            Self::Day => format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD')"),
            Self::Month => format!("to_char({column} at time zone 'UTC', 'YYYY-MM')"),
        }
    }

    /// Whether a key of a row can have this value.
    fn accepts(self, key: Option<&str>) -> bool {
        match (self, key) {
            (Self::Hour | Self::Day | Self::Month, key) => key.and_then(|key| self.start(key)).is_some(),
            (_, None) => true,
            (Self::Agent | Self::Task, Some(key)) => {
                Uuid::parse_str(key).is_ok_and(|id| id.hyphenated().to_string() == key)
            }
            // PostgreSQL takes no NUL in text.
            (Self::Provider | Self::Model, Some(key)) => !key.contains('\0'),
        }
    }

    /// When the hour, day or month with this key began.
    fn start(self, key: &str) -> Option<DateTime<Utc>> {
        let first_moment = match self {
            Self::Hour => key.to_owned(),
            Self::Day => format!("{key}T00:00Z"),
            Self::Month => format!("{key}-01T00:00Z"),
            Self::Agent | Self::Provider | Self::Model | Self::Task => return None,
        };
        Some(NaiveDateTime::parse_from_str(&first_moment, "%Y-%m-%dT%H:%MZ").ok()?.and_utc())
    }
}

/// The shortest span of time that the report is broken down by. The longer ones are functions of it.
fn finest_time(by: &[Dimension]) -> Option<(usize, Dimension)> {
    [Dimension::Hour, Dimension::Day, Dimension::Month]
        .into_iter()
        .find_map(|time| by.iter().position(|by| *by == time).map(|place| (place, time)))
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportQuery {
    /// Whose calls.
    pub tenant: TenantId,
    /// Broken down by these, in this order; none for the total alone.
    pub by: Vec<Dimension>,
    /// Calls that began at or after this full hour.
    pub from: Option<DateTime<Utc>>,
    /// Calls that began before this full hour.
    pub to: Option<DateTime<Utc>>,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Usage is kept by the hour.
    #[error("usage is kept by the hour: {0} is not a full hour")]
    NotAFullHour(DateTime<Utc>),
    /// Nothing lies between.
    #[error("the report ends at {to}, which is not after its start at {from}")]
    EmptyRange {
        /// Its start.
        from: DateTime<Utc>,
        /// Its end.
        to: DateTime<Utc>,
    },
    /// A cursor of another report, or none at all.
    #[error("it is no cursor of a report that is broken down by these dimensions")]
    BadCursor,
    /// A dimension occurs twice.
    #[error("the report is broken down by {0} twice")]
    Twice(&'static str),
    /// The read model cannot be read.
    #[error("the usage cannot be read")]
    Database(#[from] sqlx::Error),
}

/// Sums over calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// LLM calls.
    pub calls: i64,
    /// Tool calls.
    pub tool_calls: i64,
    /// Calls of either kind that failed.
    pub failed_calls: i64,
    /// LLM calls that no price was known for. They are in no cost.
    pub unpriced_calls: i64,
    /// Prompt tokens that came from no cache.
    pub input_tokens: i128,
    /// Generated tokens, reasoning included.
    pub output_tokens: i128,
    /// Prompt tokens read from a cache.
    pub cache_read_tokens: i128,
    /// Prompt tokens written to a cache.
    pub cache_write_tokens: i128,
    /// The part of the output spent on reasoning.
    pub reasoning_tokens: i128,
    /// All latencies together, in milliseconds.
    pub latency_ms: i128,
    /// What the calls were charged, in US dollars; see [`Totals::known_cost`].
    pub cost: Sum,
    /// What the records themselves said they cost, in US dollars, where they did.
    pub reported_cost: Sum,
}

impl Totals {
    /// The cost, unless nothing is known of it: no LLM call among them had a price. Then it is not 0.
    #[must_use]
    pub fn known_cost(&self) -> Option<&Sum> {
        (self.calls == 0 || self.unpriced_calls < self.calls).then_some(&self.cost)
    }
}

impl FromRow<'_, PgRow> for Totals {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            calls: row.try_get("calls")?,
            tool_calls: row.try_get("tool_calls")?,
            failed_calls: row.try_get("failed_calls")?,
            unpriced_calls: row.try_get("unpriced_calls")?,
            input_tokens: whole(row, "input_tokens")?,
            output_tokens: whole(row, "output_tokens")?,
            cache_read_tokens: whole(row, "cache_read_tokens")?,
            cache_write_tokens: whole(row, "cache_write_tokens")?,
            reasoning_tokens: whole(row, "reasoning_tokens")?,
            latency_ms: whole(row, "latency_ms")?,
            cost: row.try_get::<BigDecimal, _>("cost")?.into(),
            reported_cost: row.try_get::<BigDecimal, _>("reported_cost")?.into(),
        })
    }
}

/// A sum of whole numbers: fewer than 2^63 events with counts below 2^53, so that it stays below 2^127.
fn whole(row: &PgRow, column: &str) -> Result<i128, sqlx::Error> {
    let sum: BigDecimal = row.try_get(column)?;
    sum.to_i128().ok_or_else(|| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{sum} is no sum of the counts of events").into(),
    })
}

/// A line of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportRow {
    /// The value of each dimension, in the order asked for; none where calls have none.
    pub keys: Vec<Option<String>>,
    /// The names of agents and the titles of tasks, at the place of their ids.
    pub names: Vec<Option<String>>,
    /// The sums.
    pub totals: Totals,
}

impl ReportRow {
    /// The place of this row in the order of a report that is broken down like this.
    #[must_use]
    pub fn cursor(&self, by: &[Dimension]) -> ReportCursor {
        let by = by.iter().map(|dimension| dimension.as_str().to_owned()).collect();
        ReportCursor { by, cost: self.totals.cost.clone(), calls: self.totals.calls, keys: self.keys.clone() }
    }
}

/// A place in the order of a report. Rows that come and go elsewhere do not move it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportCursor {
    by: Vec<String>,
    cost: Sum,
    calls: i64,
    keys: Vec<Option<String>>,
}

impl ReportCursor {
    fn check(&self, by: &[Dimension]) -> Result<(), ReportError> {
        let is_of_report = self.by.iter().map(String::as_str).eq(by.iter().map(|dimension| dimension.as_str()));
        let fits = self.keys.len() == by.len() && by.iter().zip(&self.keys).all(|(by, key)| by.accepts(key.as_deref()));
        if is_of_report && fits && self.calls >= 0 { Ok(()) } else { Err(ReportError::BadCursor) }
    }

    /// When the hour, day or month of the row began, whichever is the shortest. No row after this one is earlier.
    fn time(&self) -> Option<DateTime<Utc>> {
        let times = [Dimension::Hour, Dimension::Day, Dimension::Month];
        times.into_iter().find_map(|time| {
            let place = self.by.iter().position(|by| by == time.as_str())?;
            time.start(self.keys.get(place)?.as_deref()?)
        })
    }
}

/// The part of a report that is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportPage {
    /// After this row; from the first on if none.
    pub after: Option<ReportCursor>,
    /// So many rows at most.
    pub size: usize,
    /// Whether the sums over all rows are wanted.
    pub wants_total: bool,
    /// Whether the sums over the rows after this page are wanted.
    pub wants_rest: bool,
}

/// A page of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its rows, the highest cost first; by time where time is a dimension. None where nothing is broken down.
    pub rows: Vec<ReportRow>,
    /// Whether there are rows after this page.
    pub has_next_page: bool,
    /// All rows together, where that was wanted.
    pub total: Option<Totals>,
    /// All rows after this page together, where that was wanted.
    pub rest: Option<Totals>,
    /// Everything up to this position is in it.
    pub position: Position,
}

/// Sums of the columns of the table, or of rows that are such sums.
const SUMS: &str = "coalesce(sum(calls), 0)::bigint as calls, coalesce(sum(tool_calls), 0)::bigint as tool_calls,
    coalesce(sum(failed_calls), 0)::bigint as failed_calls, coalesce(sum(unpriced_calls), 0)::bigint as unpriced_calls,
    coalesce(sum(input_tokens), 0) as input_tokens, coalesce(sum(output_tokens), 0) as output_tokens,
    coalesce(sum(cache_read_tokens), 0) as cache_read_tokens,
    coalesce(sum(cache_write_tokens), 0) as cache_write_tokens,
    coalesce(sum(reasoning_tokens), 0) as reasoning_tokens, coalesce(sum(latency_ms), 0) as latency_ms,
    coalesce(sum(cost), 0) as cost, coalesce(sum(reported_cost), 0) as reported_cost";

const RANGE: &str = "from apex.usage_hourly u
    where u.tenant_id = $1 and ($2::timestamptz is null or u.hour >= $2) and ($3::timestamptz is null or u.hour < $3)";

/// A page of the report, with the position that it is of.
///
/// # Errors
/// [`ReportError`].
pub async fn usage_report(pool: &PgPool, query: &ReportQuery, page: &ReportPage) -> Result<Report, ReportError> {
    check(query)?;
    if let Some(after) = &page.after {
        after.check(&query.by)?;
    }
    let (mut transaction, position) = begin(pool).await?;
    let connection = &mut *transaction;
    let total = match page.wants_total {
        true => Some(sums(connection, query).await?),
        false => None,
    };
    let mut rows = Vec::new();
    let mut has_next_page = false;
    if !query.by.is_empty() {
        rows = rows_after(connection, query, page.after.as_ref(), page.size.saturating_add(1)).await?;
        has_next_page = rows.len() > page.size;
        rows.truncate(page.size);
    }
    let rest = match (page.wants_rest, rows.last()) {
        (false, _) => None,
        (true, Some(last)) if has_next_page => Some(sums_after(connection, query, &last.cursor(&query.by)).await?),
        // Nothing is broken down: no row has anything of the total.
        (true, None) if query.by.is_empty() => Some(sums(connection, query).await?),
        (true, _) => Some(Totals::default()),
    };
    transaction::commit(transaction).await?;
    Ok(Report { rows, has_next_page, total, rest, position })
}

/// A whole report, which is read row by row.
#[derive(Debug)]
pub struct WholeReport {
    /// All rows together.
    pub total: Totals,
    /// Everything up to this position is in it.
    pub position: Position,
    query: ReportQuery,
    transaction: Transaction<'static, Postgres>,
}

impl WholeReport {
    /// Reads the sums, and prepares to read the rows of the same moment.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn open(pool: &PgPool, query: ReportQuery) -> Result<Self, ReportError> {
        check(&query)?;
        let (mut transaction, position) = begin(pool).await?;
        let total = sums(&mut transaction, &query).await?;
        Ok(Self { total, position, query, transaction })
    }

    /// The rows, in the order of [`Report::rows`]. They are not kept in memory.
    pub fn rows(&mut self) -> BoxStream<'_, Result<ReportRow, ReportError>> {
        let (query, width) = (&self.query, self.query.by.len());
        if width == 0 {
            return futures::stream::empty().boxed();
        }
        let read = sqlx::query(AssertSqlSafe(page_of_rows(&query.by, false)));
        let read = read.bind(query.tenant.as_str()).bind(query.from).bind(query.to).bind(None::<i64>);
        read.fetch(&mut *self.transaction).map(move |row| Ok(read_row(&row?, width)?)).boxed()
    }
}

/// One moment for all statements of a report, and the position of the read model.
async fn begin(pool: &PgPool) -> Result<(Transaction<'static, Postgres>, Position), sqlx::Error> {
    let mut transaction = transaction::begin(pool).await?;
    sqlx::query("set transaction isolation level repeatable read read only").execute(&mut *transaction).await?;
    let position: Option<i64> =
        sqlx::query_scalar("select min(position) from apex.checkpoints where follower = 'calls'")
            .fetch_one(&mut *transaction)
            .await?;
    Ok((transaction, Position::from_i64(position.unwrap_or(0))))
}

/// All of it together.
async fn sums(connection: &mut PgConnection, query: &ReportQuery) -> Result<Totals, sqlx::Error> {
    let statement = format!("select {SUMS} {RANGE}");
    let read = sqlx::query_as(AssertSqlSafe(statement)).bind(query.tenant.as_str()).bind(query.from).bind(query.to);
    read.fetch_one(connection).await
}

/// All rows after one together.
async fn sums_after(
    connection: &mut PgConnection,
    query: &ReportQuery,
    after: &ReportCursor,
) -> Result<Totals, sqlx::Error> {
    let statement = format!("select {SUMS} from ({}) g where {}", groups(&query.by), is_after(&query.by, 4));
    let from = query.from.max(after.time());
    let read = sqlx::query_as(AssertSqlSafe(statement)).bind(query.tenant.as_str()).bind(from).bind(query.to);
    let read = read.bind(after.cost.as_number()).bind(after.calls).bind(&after.keys).bind(after.time());
    read.fetch_one(connection).await
}

async fn rows_after(
    connection: &mut PgConnection,
    query: &ReportQuery,
    after: Option<&ReportCursor>,
    limit: usize,
) -> Result<Vec<ReportRow>, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = sqlx::query(AssertSqlSafe(page_of_rows(&query.by, after.is_some())));
    let from = query.from.max(after.and_then(ReportCursor::time));
    let mut read = read.bind(query.tenant.as_str()).bind(from).bind(query.to).bind(limit);
    if let Some(after) = after {
        read = read.bind(after.cost.as_number()).bind(after.calls).bind(&after.keys).bind(after.time());
    }
    let found = read.fetch_all(connection).await?;
    found.iter().map(|row| read_row(row, query.by.len())).collect()
}

fn check(query: &ReportQuery) -> Result<(), ReportError> {
    for moment in [query.from, query.to].into_iter().flatten() {
        if moment.duration_trunc(TimeDelta::hours(1)).ok() != Some(moment) {
            return Err(ReportError::NotAFullHour(moment));
        }
    }
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from >= to
    {
        return Err(ReportError::EmptyRange { from, to });
    }
    let twice = query.by.iter().enumerate().find(|(place, dimension)| query.by[..*place].contains(dimension));
    twice.map_or(Ok(()), |(_, dimension)| Err(ReportError::Twice(dimension.as_str())))
}

/// One row for each combination of keys. Cells that amendments have emptied are no calls. Columns are grouped by in the
/// order of the table's index, so that a report by the hour needs no sort of the whole table.
fn groups(by: &[Dimension]) -> String {
    let finest = finest_time(by);
    let mut columns: Vec<_> = by.iter().copied().enumerate().filter(|(_, by)| !by.is_time()).chain(finest).collect();
    columns.sort_by_key(|(_, by)| match by {
        Dimension::Hour | Dimension::Day | Dimension::Month => 0,
        Dimension::Agent => 1,
        Dimension::Provider => 2,
        Dimension::Model => 3,
        Dimension::Task => 4,
    });
    let keys: Vec<_> = columns.iter().map(|(n, by)| format!("{} as column_{n}", by.column())).collect();
    let places: Vec<_> = (1..=columns.len()).map(|place| place.to_string()).collect();
    let (keys, places) = (keys.join(", "), places.join(", "));
    format!("select {keys}, {SUMS} {RANGE} group by {places} having sum(calls) <> 0 or sum(tool_calls) <> 0")
}

/// What rows are ordered by, ascending: the time, then the highest cost, the most calls, and all keys with those that are
/// null last. The arguments give the expressions. Bytes are compared, so that all databases agree.
fn order(by: &[Dimension], time: &str, cost: &str, calls: &str, column: impl Fn(usize) -> String) -> String {
    let time = finest_time(by).map(|_| time.to_owned());
    let ties = by.iter().enumerate().filter(|(_, by)| !by.is_time()).map(|(n, by)| {
        let column = column(n);
        match by {
            Dimension::Agent | Dimension::Task => {
                let nil = Uuid::nil();
                format!("({column})::uuid is null, coalesce(({column})::uuid, '{nil}')")
            }
            _ => format!("({column}) is null, coalesce({column}, '') collate \"C\""),
        }
    });
    time.into_iter().chain([format!("-({cost})"), format!("-({calls})")]).chain(ties).collect::<Vec<_>>().join(", ")
}

fn order_of_rows(by: &[Dimension]) -> String {
    let time = finest_time(by).map_or_else(String::new, |(n, _)| format!("g.column_{n}"));
    order(by, &time, "g.cost", "g.calls", |n| format!("g.column_{n}"))
}

/// Whether a row comes after the one whose cost, calls, keys and time are the parameters from `first` on.
fn is_after(by: &[Dimension], first: usize) -> String {
    let key = |n: usize| format!("(${}::text[])[{}]", first + 2, n + 1);
    let (cost, calls) = (format!("${first}::numeric"), format!("${}::bigint", first + 1));
    let after = order(by, &format!("${}::timestamptz", first + 3), &cost, &calls, key);
    format!("({}) > ({after})", order_of_rows(by))
}

/// Rows with the names of agents and tasks, which are looked up for these rows alone. The fourth parameter is their
/// greatest number; those from the fifth on are the row to begin after.
fn page_of_rows(by: &[Dimension], is_continued: bool) -> String {
    let finest = finest_time(by);
    let keys = by.iter().enumerate().map(|(n, by)| {
        let column = if by.is_time() { finest.map_or(n, |(finest, _)| finest) } else { n };
        format!("{} as key_{n}", by.text_of(&format!("g.column_{column}")))
    });
    let names = by.iter().enumerate().map(|(n, by)| match by {
        Dimension::Agent => format!(
            "(select a.name from apex.agents a where a.tenant_id = $1 and a.agent_id = g.column_{n}) as name_{n}"
        ),
        Dimension::Task => {
            format!(
                "(select t.title from apex.tasks t where t.tenant_id = $1 and t.task_id = g.column_{n}) as name_{n}"
            )
        }
        _ => format!("null::text as name_{n}"),
    });
    let columns: Vec<_> = keys.chain(names).collect();
    let (columns, order, groups) = (columns.join(", "), order_of_rows(by), groups(by));
    let after = if is_continued { format!("where {}", is_after(by, 5)) } else { String::new() };
    format!(
        "select g.*, {columns} from (select * from ({groups}) g {after} order by {order} limit $4::bigint) g
         order by {order}"
    )
}

fn read_row(row: &PgRow, width: usize) -> Result<ReportRow, sqlx::Error> {
    let column = |kind: &str, n: usize| row.try_get(format!("{kind}_{n}").as_str());
    Ok(ReportRow {
        keys: (0..width).map(|n| column("key", n)).collect::<Result<_, _>>()?,
        names: (0..width).map(|n| column("name", n)).collect::<Result<_, _>>()?,
        totals: Totals::from_row(row)?,
    })
}
