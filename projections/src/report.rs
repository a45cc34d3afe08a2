//! The usage and cost report.

use bigdecimal::{BigDecimal, ToPrimitive};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{Sum, TenantId};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, FromRow, Row};
use streams::Position;
use thiserror::Error;

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

    /// The dimension as text; for agents and tasks their id.
    fn key(self) -> &'static str {
        match self {
            Self::Agent => "u.agent_id::text",
            Self::Provider => "u.provider",
            Self::Model => "u.model",
            Self::Task => "u.task_id::text",
            Self::Hour => r#"to_char(u.hour at time zone 'UTC', 'YYYY-MM-DD"T"HH24:00"Z"')"#,
            Self::Day => "to_char(u.hour at time zone 'UTC', 'YYYY-MM-DD')",
            Self::Month => "to_char(u.hour at time zone 'UTC', 'YYYY-MM')",
        }
    }
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

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its lines, the dearest first; by time where time is a dimension.
    pub rows: Vec<ReportRow>,
    /// All of it together.
    pub total: Totals,
    /// Everything up to this position is in it.
    pub position: Position,
}

const SUMS: &str = "coalesce(sum(u.calls), 0)::bigint as calls, coalesce(sum(u.tool_calls), 0)::bigint as tool_calls,
    coalesce(sum(u.failed_calls), 0)::bigint as failed_calls,
    coalesce(sum(u.unpriced_calls), 0)::bigint as unpriced_calls,
    coalesce(sum(u.input_tokens), 0) as input_tokens, coalesce(sum(u.output_tokens), 0) as output_tokens,
    coalesce(sum(u.cache_read_tokens), 0) as cache_read_tokens,
    coalesce(sum(u.cache_write_tokens), 0) as cache_write_tokens,
    coalesce(sum(u.reasoning_tokens), 0) as reasoning_tokens, coalesce(sum(u.latency_ms), 0) as latency_ms,
    coalesce(sum(u.cost), 0) as cost, coalesce(sum(u.reported_cost), 0) as reported_cost";

const RANGE: &str = "from apex.usage_hourly u
    where u.tenant_id = $1 and ($2::timestamptz is null or u.hour >= $2) and ($3::timestamptz is null or u.hour < $3)";

/// The report, with the position that it stands at.
///
/// # Errors
/// [`ReportError`].
pub async fn usage_report(pool: &PgPool, query: &ReportQuery) -> Result<Report, ReportError> {
    check(query)?;
    let mut transaction = pool.begin().await?;
    sqlx::query("set transaction isolation level repeatable read read only").execute(&mut *transaction).await?;
    let position: Option<i64> =
        sqlx::query_scalar("select min(position) from apex.checkpoints where follower = 'calls'")
            .fetch_one(&mut *transaction)
            .await?;
    let total = sqlx::query_as(AssertSqlSafe(format!("select {SUMS} {RANGE}")))
        .bind(query.tenant.as_str())
        .bind(query.from)
        .bind(query.to)
        .fetch_one(&mut *transaction)
        .await?;
    let mut rows = Vec::new();
    if !query.by.is_empty() {
        let found = sqlx::query(AssertSqlSafe(grouped(&query.by)))
            .bind(query.tenant.as_str())
            .bind(query.from)
            .bind(query.to)
            .fetch_all(&mut *transaction)
            .await?;
        rows = found.iter().map(|row| read_row(row, query.by.len())).collect::<Result<_, _>>()?;
    }
    transaction.commit().await?;
    Ok(Report { rows, total, position: Position::from_i64(position.unwrap_or(0)) })
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

fn grouped(by: &[Dimension]) -> String {
    let keys: Vec<_> = by.iter().enumerate().map(|(n, by)| format!("{} as key_{n}", by.key())).collect();
    let places: Vec<_> = (1..=by.len()).map(|place| place.to_string()).collect();
    let names: Vec<_> = by
        .iter()
        .enumerate()
        .map(|(n, by)| match by {
            Dimension::Agent => format!(
                "(select a.name from apex.agents a where a.tenant_id = $1 and a.agent_id = g.key_{n}::uuid) as name_{n}"
            ),
            Dimension::Task => format!(
                "(select t.title from apex.tasks t where t.tenant_id = $1 and t.task_id = g.key_{n}::uuid) as name_{n}"
            ),
            _ => format!("null::text as name_{n}"),
        })
        .collect();
    let times: Vec<_> = by
        .iter()
        .enumerate()
        .filter(|(_, by)| matches!(by, Dimension::Hour | Dimension::Day | Dimension::Month))
        .map(|(n, _)| format!("g.key_{n}"))
        .collect();
    let ties = (0..by.len()).map(|n| format!("g.key_{n}"));
    let order: Vec<_> =
        times.iter().cloned().chain(["g.cost desc".to_owned(), "g.calls desc".to_owned()]).chain(ties).collect();
    format!(
        "select g.*, {} from (select {}, {SUMS} {RANGE} group by {} having sum(u.calls) <> 0 or sum(u.tool_calls) <> 0) g
         order by {}",
        names.join(", "),
        keys.join(", "),
        places.join(", "),
        order.join(", ")
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
