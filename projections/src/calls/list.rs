//! Lists of calls.

use super::CallRow;
use crate::page::{Cursor, MAX_PAGE_ROWS, Page};
use crate::rows::agent_ids;
use chrono::{DateTime, Utc};
use domain::CallId;
use domain::call::CallKind;
use domain::permissions::{Access, ReadCalls};
use sqlx::AssertSqlSafe;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// The columns of a [`CallRow`]. They are named, so that a statement that is prepared is not outdated by a new column.
const COLUMNS: &str = "tenant_id, call_id, kind, agent_id, task_id, dag_id, conversation, user_id, team, key, provider, model, tool, \
    service_tier, speed, region, outcome, tags, usage, usage_assumed, started_at, latency_ms, first_token_ms, cost, \
    price_effective_from, price_tier, price_book_version, reported_cost, reported_cost_source, error, source, trace_id, \
    span_id, parent_span_id, response_id, request_id, record_id, provenance, version, position";

/// A statement that selects the columns of a [`CallRow`], where its text has `{columns}`.
pub(crate) fn with_columns(text: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(text.replace("{columns}", COLUMNS))
}

/// Which calls to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Only calls with one of these ids; all calls if empty.
    pub ids: Vec<Uuid>,
    /// Only calls of this kind: `llm` or `tool`.
    pub kind: Option<String>,
    /// Only calls that this agent made.
    pub agent_id: Option<Uuid>,
    /// Only calls that were made for this task.
    pub task_id: Option<Uuid>,
    /// Only calls that this model answered.
    pub model: Option<String>,
    /// Only calls that this provider served.
    pub provider: Option<String>,
    /// Only calls of this tool.
    pub tool: Option<String>,
    /// Only calls that ended in this way, as [`CallRow::outcome`] names it.
    pub outcome: Option<String>,
    /// Only calls of this conversation.
    pub conversation: Option<String>,
    /// Only calls of this trace.
    pub trace_id: Option<String>,
    /// Only calls that started at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only calls that started before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only LLM calls without a price.
    pub unpriced: bool,
}

impl CallFilter {
    /// The calls that are charged again: those of language models, of one model if it is given, that started in a time range.
    #[must_use]
    pub fn to_reprice(model: Option<String>, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Self {
        Self { kind: Some(CallKind::Llm.as_str().to_owned()), model, from, to, ..Self::default() }
    }
}

/// Up to `max` calls after a cursor, at most [`MAX_PAGE_ROWS`], and the cursor of the last one if there are more.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn part(
    reads: &TenantReads,
    access: &Access<ReadCalls>,
    filter: &CallFilter,
    after: Option<Cursor>,
    max: usize,
) -> Result<(Vec<CallId>, Option<Cursor>), DatabaseError> {
    let limit = i64::try_from(max).unwrap_or(MAX_PAGE_ROWS).clamp(1, MAX_PAGE_ROWS);
    let mut rows = list(reads, access, filter, Page { after, limit: limit + 1, ..Page::default() }).await?;
    let max = usize::try_from(limit).unwrap_or(1);
    let has_more = rows.len() > max;
    rows.truncate(max);
    let next = rows.last().filter(|_| has_more).map(|last| (last.started_at, last.call_id));
    Ok((rows.into_iter().map(|row| CallId(row.call_id)).collect(), next))
}

/// Lists the calls of a tenant by their start, in the order of the page; the cursor is (`started_at`, `call_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadCalls>,
    filter: &CallFilter,
    page: Page,
) -> Result<Vec<CallRow>, DatabaseError> {
    let (after_time, after_id) = page.after();
    let rows = sqlx::query_as(with_columns(&page.in_order(include_str!("list.sql"))))
        .bind(access.tenant().as_str())
        .bind(&filter.ids)
        .bind(filter.kind.as_deref())
        .bind(filter.agent_id)
        .bind(filter.task_id)
        .bind(filter.model.as_deref())
        .bind(filter.from)
        .bind(filter.to)
        .bind(filter.unpriced)
        .bind(after_time)
        .bind(after_id)
        .bind(page.limit())
        .bind(agent_ids(access.agents()))
        .bind(filter.provider.as_deref())
        .bind(filter.tool.as_deref())
        .bind(filter.outcome.as_deref())
        .bind(filter.conversation.as_deref())
        .bind(filter.trace_id.as_deref())
        .fetch_all(&mut *reads.acquire(access).await?)
        .await?;
    Ok(rows)
}
