//! Reading calls page by page in one snapshot.

use super::call::WIDTH;
use super::copy::{Decoder, Fields, Rows};
use super::error::ExportError;
use crate::report::CallFilters;
use bytes::Bytes;
use chrono::{DateTime, Datelike as _, DurationRound as _, SecondsFormat, TimeDelta, Utc};
use domain::{ACCEPTED_YEARS, AgentId, Sum, TenantId};
use futures::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use streams::TenantTransaction;
use tokio::sync::mpsc;
use uuid::Uuid;

/// The number of calls of a page. A page is read to its end, even if nobody waits for it any more.
const PAGE_CALLS: usize = 32_768;
/// The number of calls that are passed on together.
const BATCH_CALLS: usize = 2_048;
/// The bytes of calls that are passed on together.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How many of these wait to be written.
pub(super) const MAX_WAITING_BATCHES: usize = 2;
/// The most agents whose names are in memory, some ten MiB.
const MAX_AGENT_NAMES: usize = 100_000;

/// The calls that started in a time range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportRange {
    /// Only calls that started at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only calls that started before this time.
    pub to: Option<DateTime<Utc>>,
}

impl ExportRange {
    pub(crate) fn check(&self) -> Result<(), ExportError> {
        let mut limits = [self.from, self.to].into_iter().flatten();
        if let Some(time) = limits.find(|time| !ACCEPTED_YEARS.contains(&time.year())) {
            return Err(ExportError::YearNotAccepted(time));
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(ExportError::EmptyRange { from, to }),
            _ => Ok(()),
        }
    }

    fn is_whole(&self, step: TimeDelta) -> bool {
        let is_start = |time: &DateTime<Utc>| time.duration_trunc(step).is_ok_and(|start| start == *time);
        [self.from, self.to].iter().flatten().all(is_start)
    }

    /// Checks that the range is of whole days.
    pub(super) fn check_days(&self) -> Result<(), ExportError> {
        let is_start = |time: &&DateTime<Utc>| !Self { from: Some(**time), to: None }.is_whole(TimeDelta::days(1));
        match [self.from, self.to].iter().flatten().find(is_start) {
            Some(time) => Err(ExportError::NotADay(*time)),
            None => Ok(()),
        }
    }
}

/// Which calls an export has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportQuery {
    /// When the calls started.
    pub range: ExportRange,
    /// The filters that they meet.
    pub filters: CallFilters,
}

/// The sums that reports read of the calls of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The calls of both kinds.
    pub calls: u64,
    /// The LLM calls without a price.
    pub unpriced_calls: u64,
    /// The charged cost in US dollars.
    pub cost: Sum,
}

/// The sums over the calls of an export, of a tenant, of some agents if they are given. None if no sums are kept of them, and they
/// are more than a report reads.
pub(super) async fn expected(
    connection: &mut PgConnection,
    of: (&TenantId, Option<&[AgentId]>),
    query: &ExportQuery,
) -> Result<Option<Expected>, ExportError> {
    let ExportRange { from, to } = query.range;
    let totals = query.filters.totals(connection, of, (from, to)).await?;
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(totals.map(|totals| Expected {
        calls: count(totals.calls + totals.tool_calls),
        unpriced_calls: count(totals.unpriced_calls),
        cost: totals.cost,
    }))
}

/// The calls that are read, some at a time. None is their end.
pub(super) type Batches = mpsc::Sender<Result<Option<Rows>, ExportError>>;

/// The names of all agents of the tenant; none if there are too many to have them in memory.
pub(super) type AgentNames = Option<HashMap<Uuid, Bytes>>;

pub(super) async fn agent_names(connection: &mut PgConnection, tenant: &TenantId) -> Result<AgentNames, ExportError> {
    let text = "select agent_id, name from apex.agents where tenant_id = $1 limit $2";
    let limit = i64::try_from(MAX_AGENT_NAMES).unwrap_or(i64::MAX);
    let query = sqlx::query_as::<_, (Uuid, String)>(text).bind(tenant.as_str()).bind(limit.saturating_add(1));
    let found = query.fetch_all(connection).await?;
    let are_few = found.len() <= MAX_AGENT_NAMES;
    Ok(are_few.then(|| found.into_iter().map(|(id, name)| (id, Bytes::from(name))).collect()))
}

/// Reads calls in the order of their start.
pub(crate) struct Reader {
    transaction: TenantTransaction,
    /// The statement of every page, but for what follows the cursor.
    statement: String,
    /// The start and the id of the last call.
    after: Option<(i64, Uuid)>,
}

fn literal(time: DateTime<Utc>) -> String {
    format!("'{}'::timestamptz", time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

impl Reader {
    pub(crate) async fn new(
        mut transaction: TenantTransaction,
        agents: Option<&[AgentId]>,
        ExportQuery { range, filters }: &ExportQuery,
        has_names: bool,
    ) -> Result<Self, ExportError> {
        filters.set(&mut transaction).await?;
        let from = range.from.map(|from| format!("and c.started_at >= {}", literal(from)));
        let to = range.to.map(|to| format!("and c.started_at < {}", literal(to)));
        let agents = agents.map(|agents| {
            let ids: Vec<_> = agents.iter().map(|agent| format!("'{}'::uuid", agent.0)).collect();
            format!("and c.agent_id in ({})", ids.join(", "))
        });
        let conditions: Vec<_> = [from, to, agents, Some(filters.conditions()?)].into_iter().flatten().collect();
        let (name, join) = match has_names {
            true => ("null::text", ""),
            false => ("a.name", "left join apex.agents a on a.tenant_id = c.tenant_id and a.agent_id = c.agent_id"),
        };
        let statement = include_str!("export.sql").replace("{agent_name}", name).replace("{join}", join);
        let statement = statement.replace("{conditions}", &format!("{} {{after}}", conditions.join(" ")));
        let statement = statement.replace("{limit}", &PAGE_CALLS.to_string());
        Ok(Self { transaction, statement, after: None })
    }

    /// Passes all calls on, until they end or nobody waits for them any more.
    pub(super) async fn read(mut self, batches: &Batches) -> Result<(), ExportError> {
        while self.page(batches).await? == PAGE_CALLS && !batches.is_closed() {}
        Ok(self.transaction.commit().await?)
    }

    /// Passes a page on, and returns the number of its calls.
    ///
    /// The page is read to its end also where nobody waits for it any more: a connection with half of an answer is of no use.
    async fn page(&mut self, batches: &Batches) -> Result<usize, ExportError> {
        let after = self.after.map(|(started_at, id)| {
            let started_at = DateTime::from_timestamp_micros(started_at).unwrap_or_default();
            format!("and (c.started_at, c.call_id) > ({}, '{id}'::uuid)", literal(started_at))
        });
        let text = self.statement.replace("{after}", &after.unwrap_or_default());
        let mut messages = self.transaction.copy_out_raw(&text).await?;
        let (mut decoder, mut rows, mut calls) = (Decoder::default(), Rows::default(), 0);
        let (mut last, mut decoded) = (None, Ok(()));
        while let Some(message) = messages.try_next().await? {
            decoded = decoded.and_then(|()| decoder.read(message, WIDTH, &mut rows));
            let found = rows.fields.len() / WIDTH;
            if found >= BATCH_CALLS || rows.bytes >= BATCH_BYTES {
                calls += found;
                last = cursor(&rows)?.or(last);
                drop(batches.send(Ok(Some(std::mem::take(&mut rows)))).await);
            }
        }
        decoded?;
        calls += rows.fields.len() / WIDTH;
        self.after = cursor(&rows)?.or(last);
        if !rows.fields.is_empty() {
            drop(batches.send(Ok(Some(rows))).await);
        }
        Ok(calls)
    }
}

/// The start and the id of the last row.
fn cursor(rows: &Rows) -> Result<Option<(i64, Uuid)>, ExportError> {
    let Some(row) = rows.fields.rchunks_exact(WIDTH).next() else { return Ok(None) };
    let fields = &mut Fields::of(row);
    let id = fields.uuid("call_id")?;
    let _kind = fields.text("kind")?;
    Ok(fields.time("started_at")?.zip(id))
}
