//! Reading the read models, in pages.
//!
//! Every list takes a [`Page`]: up to a limit of rows after a cursor, in a fixed order. The cursor is the row's own
//! place in that order, so pages stay right while rows come and go.

use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use domain::{Sum, TenantId};
use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// The most rows a page may have.
pub const MAX_PAGE_ROWS: i64 = 500;

/// A row's place in the order of a list: when, then which.
pub type Cursor = (DateTime<Utc>, Uuid);

/// A part of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// Rows after this place.
    pub after: Option<Cursor>,
    /// At most as many; 1 to [`MAX_PAGE_ROWS`].
    pub limit: i64,
}

impl Page {
    fn limit(self) -> i64 {
        self.limit.clamp(1, MAX_PAGE_ROWS + 1)
    }

    fn after(self) -> (Option<DateTime<Utc>>, Option<Uuid>) {
        (self.after.map(|after| after.0), self.after.map(|after| after.1))
    }
}

/// An agent.
#[derive(Debug, Clone, PartialEq, FromRow, Deserialize)]
pub struct AgentRow {
    /// Its id.
    pub agent_id: Uuid,
    /// Its name.
    pub name: String,
    /// What kind of agent.
    pub kind: Option<String>,
    /// The model that it runs on by default.
    pub model: Option<String>,
    /// Labels as a JSON object.
    pub labels: serde_json::Value,
    /// Where it is in its life.
    pub status: String,
    /// Why it was paused or retired.
    pub reason: Option<String>,
    /// Since when it is known.
    pub registered_at: DateTime<Utc>,
    /// When its status last changed.
    pub changed_at: DateTime<Utc>,
    /// Its events.
    pub version: i64,
    /// The position of its last event.
    pub position: i64,
}

/// Which agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// With these ids; all if empty.
    pub ids: Vec<Uuid>,
    /// With this status.
    pub status: Option<String>,
}

/// Agents, in the order in which they were registered.
///
/// # Errors
/// The database's.
pub async fn agents(
    pool: &PgPool,
    tenant: &TenantId,
    filter: &AgentFilter,
    page: Page,
) -> Result<Vec<AgentRow>, sqlx::Error> {
    let (after_time, after_id) = page.after();
    sqlx::query_as(
        "select agent_id, name, kind, model, labels, status, reason, registered_at, changed_at, version, position
         from apex.agents
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or agent_id = any ($2))
           and ($3::text is null or status = $3)
           and ($4::timestamptz is null or (registered_at, agent_id) > ($4, $5))
         order by registered_at, agent_id limit $6",
    )
    .bind(tenant.as_str())
    .bind(&filter.ids)
    .bind(filter.status.as_deref())
    .bind(after_time)
    .bind(after_id)
    .bind(page.limit())
    .fetch_all(pool)
    .await
}

/// A task.
#[derive(Debug, Clone, PartialEq, FromRow, Deserialize)]
pub struct TaskRow {
    /// Its id.
    pub task_id: Uuid,
    /// Whose task.
    pub agent_id: Uuid,
    /// The graph that it is a part of.
    pub dag_id: Option<Uuid>,
    /// What is to be done.
    pub title: String,
    /// Where it is.
    pub status: String,
    /// How far it is, 0 to 100.
    pub percent: i16,
    /// What was said of the progress last.
    pub note: Option<String>,
    /// Its result, error or reason, by status.
    pub outcome: Option<String>,
    /// When it was put up.
    pub submitted_at: DateTime<Utc>,
    /// When work began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its events.
    pub version: i64,
    /// The position of its last event.
    pub position: i64,
}

/// Which tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// With these ids; all if empty.
    pub ids: Vec<Uuid>,
    /// With this status.
    pub status: Option<String>,
    /// Of this agent.
    pub agent_id: Option<Uuid>,
    /// Of this graph.
    pub dag_id: Option<Uuid>,
}

/// Tasks, in the order in which they were submitted.
///
/// # Errors
/// The database's.
pub async fn tasks(
    pool: &PgPool,
    tenant: &TenantId,
    filter: &TaskFilter,
    page: Page,
) -> Result<Vec<TaskRow>, sqlx::Error> {
    let (after_time, after_id) = page.after();
    sqlx::query_as(
        "select task_id, agent_id, dag_id, title, status, percent, note, outcome, submitted_at, started_at, ended_at,
                version, position
         from apex.tasks
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or task_id = any ($2))
           and ($3::text is null or status = $3) and ($4::uuid is null or agent_id = $4)
           and ($5::uuid is null or dag_id = $5)
           and ($6::timestamptz is null or (submitted_at, task_id) > ($6, $7))
         order by submitted_at, task_id limit $8",
    )
    .bind(tenant.as_str())
    .bind(&filter.ids)
    .bind(filter.status.as_deref())
    .bind(filter.agent_id)
    .bind(filter.dag_id)
    .bind(after_time)
    .bind(after_id)
    .bind(page.limit())
    .fetch_all(pool)
    .await
}

/// A call.
#[derive(Debug, Clone, PartialEq, FromRow, Deserialize)]
pub struct CallRow {
    /// Its id.
    pub call_id: Uuid,
    /// `llm` or `tool`.
    pub kind: String,
    /// Who called.
    pub agent_id: Option<Uuid>,
    /// For which task.
    pub task_id: Option<Uuid>,
    /// Who answered.
    pub provider: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The tool that was called.
    pub tool: Option<String>,
    /// Prompt tokens that came from no cache.
    pub input_tokens: i64,
    /// Generated tokens, reasoning included.
    pub output_tokens: i64,
    /// Prompt tokens read from a cache.
    pub cache_read_tokens: i64,
    /// Prompt tokens written to a cache.
    pub cache_write_tokens: i64,
    /// The part of the output spent on reasoning.
    pub reasoning_tokens: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<i64>,
    /// What it was charged; none if no price is known.
    pub cost: Option<Decimal>,
    /// The effective date of the price that was applied.
    pub price_effective_from: Option<DateTime<Utc>>,
    /// The tier of the price.
    pub price_tier: Option<String>,
    /// The version of the price book that set the price.
    pub price_book_version: Option<i64>,
    /// What the record itself said it cost.
    pub reported_cost: Option<Decimal>,
    /// What went wrong.
    pub error: Option<String>,
    /// Who reported it.
    pub source: String,
    /// Its events.
    pub version: i64,
    /// The position of its last event.
    pub position: i64,
}

/// Which calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// With these ids; all if empty.
    pub ids: Vec<Uuid>,
    /// `llm` or `tool`.
    pub kind: Option<String>,
    /// Of this agent.
    pub agent_id: Option<Uuid>,
    /// For this task.
    pub task_id: Option<Uuid>,
    /// By this model.
    pub model: Option<String>,
    /// That began at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// That began before this time.
    pub to: Option<DateTime<Utc>>,
    /// Without a price only.
    pub unpriced: bool,
}

/// Calls, in the order in which they began.
///
/// # Errors
/// The database's.
pub async fn calls(
    pool: &PgPool,
    tenant: &TenantId,
    filter: &CallFilter,
    page: Page,
) -> Result<Vec<CallRow>, sqlx::Error> {
    let (after_time, after_id) = page.after();
    sqlx::query_as(
        "select call_id, kind, agent_id, task_id, provider, model, tool, input_tokens, output_tokens,
                cache_read_tokens, cache_write_tokens, reasoning_tokens, started_at, latency_ms, cost,
                price_effective_from, price_tier, price_book_version, reported_cost, error, source, version, position
         from apex.calls
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or call_id = any ($2))
           and ($3::text is null or kind = $3) and ($4::uuid is null or agent_id = $4)
           and ($5::uuid is null or task_id = $5) and ($6::text is null or model = $6)
           and ($7::timestamptz is null or started_at >= $7) and ($8::timestamptz is null or started_at < $8)
           and (not $9 or (kind = 'llm' and cost is null))
           and ($10::timestamptz is null or (started_at, call_id) > ($10, $11))
         order by started_at, call_id limit $12",
    )
    .bind(tenant.as_str())
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
    .fetch_all(pool)
    .await
}

/// A remembered item.
#[derive(Debug, Clone, PartialEq, FromRow, Deserialize)]
pub struct MemoryRow {
    /// Its id.
    pub memory_id: Uuid,
    /// Who remembers.
    pub agent_id: Uuid,
    /// What; empty once forgotten.
    pub content: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Who may see it.
    pub realm: String,
    /// How often it was recalled.
    pub recalls: i64,
    /// When it was stored.
    pub stored_at: DateTime<Utc>,
    /// When it was last recalled.
    pub recalled_at: Option<DateTime<Utc>>,
    /// When it was let go.
    pub forgotten_at: Option<DateTime<Utc>>,
    /// Its events.
    pub version: i64,
    /// The position of its last event.
    pub position: i64,
}

/// Which memories. Forgotten ones are left out unless asked for by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryFilter {
    /// With these ids; all if empty.
    pub ids: Vec<Uuid>,
    /// Visible to this agent: its own, and those shared with the village or further.
    pub visible_to: Option<Uuid>,
    /// In this realm.
    pub realm: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Containing these words, in the form of a web search (`websearch_to_tsquery`).
    pub search: Option<String>,
}

/// Memories, in the order in which they were stored.
///
/// # Errors
/// The database's.
pub async fn memories(
    pool: &PgPool,
    tenant: &TenantId,
    filter: &MemoryFilter,
    page: Page,
) -> Result<Vec<MemoryRow>, sqlx::Error> {
    let (after_time, after_id) = page.after();
    sqlx::query_as(
        "select memory_id, agent_id, content, tags, realm, recalls, stored_at, recalled_at, forgotten_at,
                version, position
         from apex.memories
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 and forgotten_at is null or memory_id = any ($2))
           and ($3::uuid is null or agent_id = $3 or realm <> 'private') and ($4::text is null or realm = $4)
           and ($5::text is null or $5 = any (tags))
           and ($6::text is null or words @@ websearch_to_tsquery('simple', $6))
           and ($7::timestamptz is null or (stored_at, memory_id) > ($7, $8))
         order by stored_at, memory_id limit $9",
    )
    .bind(tenant.as_str())
    .bind(&filter.ids)
    .bind(filter.visible_to)
    .bind(filter.realm.as_deref())
    .bind(filter.tag.as_deref())
    .bind(filter.search.as_deref())
    .bind(after_time)
    .bind(after_id)
    .bind(page.limit())
    .fetch_all(pool)
    .await
}

/// A budget.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct BudgetRow {
    /// Its id.
    pub budget_id: Uuid,
    /// Its name.
    pub name: String,
    /// `tenant`, `agent` or `model`.
    pub scope_kind: String,
    /// The agent's id or the model's name; empty for the tenant.
    pub scope_key: String,
    /// How much may be spent in a month.
    pub limit_amount: Decimal,
    /// In which currency.
    pub currency: String,
    /// Where the month begins.
    pub time_zone: String,
    /// Shares of the limit in percent at which alerts are raised.
    pub thresholds: Vec<i32>,
    /// Whether it counts no more.
    pub closed: bool,
    /// When it was defined.
    pub defined_at: DateTime<Utc>,
    /// Its events.
    pub version: i64,
    /// The position of its last event.
    pub position: i64,
}

/// Budgets, in the order in which they were defined.
///
/// # Errors
/// The database's.
pub async fn budgets(
    pool: &PgPool,
    tenant: &TenantId,
    ids: &[Uuid],
    page: Page,
) -> Result<Vec<BudgetRow>, sqlx::Error> {
    let (after_time, after_id) = page.after();
    sqlx::query_as(
        "select budget_id, name, scope_kind, scope_key, limit_amount, currency, time_zone, thresholds, closed,
                defined_at, version, position
         from apex.budgets
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or budget_id = any ($2))
           and ($3::timestamptz is null or (defined_at, budget_id) > ($3, $4))
         order by defined_at, budget_id limit $5",
    )
    .bind(tenant.as_str())
    .bind(ids)
    .bind(after_time)
    .bind(after_id)
    .bind(page.limit())
    .fetch_all(pool)
    .await
}

/// What a budget spent in a month.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct BudgetMonthRow {
    /// Which budget.
    pub budget_id: Uuid,
    /// Which month, such as `2023-09`.
    pub month: String,
    /// Its first moment.
    pub starts_at: DateTime<Utc>,
    /// The next month's first moment.
    pub ends_at: DateTime<Utc>,
    /// What was spent.
    #[sqlx(try_from = "BigDecimal")]
    pub spent: Sum,
    /// The position of the last event that counted.
    pub position: i64,
}

/// The months of some budgets, the latest first.
///
/// # Errors
/// The database's.
pub async fn budget_months(
    pool: &PgPool,
    tenant: &TenantId,
    budget_ids: &[Uuid],
) -> Result<Vec<BudgetMonthRow>, sqlx::Error> {
    sqlx::query_as(
        "select budget_id, month, starts_at, ends_at, spent, position from apex.budget_months
         where tenant_id = $1 and budget_id = any ($2) order by budget_id, month desc",
    )
    .bind(tenant.as_str())
    .bind(budget_ids)
    .fetch_all(pool)
    .await
}

/// An alert that was raised.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct AlertRow {
    /// Whose budget.
    pub budget_id: Uuid,
    /// In which month.
    pub month: String,
    /// Which threshold, in percent of the limit.
    pub threshold_percent: i32,
    /// The version of the budget that set the terms under which it was crossed.
    pub terms_version: i64,
    /// What was spent when it was crossed.
    #[sqlx(try_from = "BigDecimal")]
    pub spent: Sum,
    /// The limit at that time.
    pub limit_amount: Decimal,
    /// The position of the event that crossed it.
    pub crossed_at_position: i64,
    /// The position of the alert itself.
    pub alert_position: i64,
    /// When it was raised.
    pub alerted_at: DateTime<Utc>,
}

/// The alerts of a tenant or of one budget after a position, in the order in which they were raised.
///
/// # Errors
/// The database's.
pub async fn alerts(
    pool: &PgPool,
    tenant: &TenantId,
    budget_id: Option<Uuid>,
    after_position: i64,
    limit: i64,
) -> Result<Vec<AlertRow>, sqlx::Error> {
    sqlx::query_as(
        "select budget_id, month, threshold_percent, terms_version, spent, limit_amount, crossed_at_position,
                alert_position, alerted_at
         from apex.budget_crossings
         where tenant_id = $1 and ($2::uuid is null or budget_id = $2) and alert_position > $3
         order by alert_position limit $4",
    )
    .bind(tenant.as_str())
    .bind(budget_id)
    .bind(after_position)
    .bind(limit.clamp(1, MAX_PAGE_ROWS + 1))
    .fetch_all(pool)
    .await
}

/// The alerts of some budgets, by budget in the order in which they were raised.
///
/// # Errors
/// The database's.
pub async fn alerts_of_budgets(
    pool: &PgPool,
    tenant: &TenantId,
    budget_ids: &[Uuid],
) -> Result<Vec<AlertRow>, sqlx::Error> {
    sqlx::query_as(
        "select budget_id, month, threshold_percent, terms_version, spent, limit_amount, crossed_at_position,
                alert_position, alerted_at
         from apex.budget_crossings
         where tenant_id = $1 and budget_id = any ($2) and alert_position is not null
         order by budget_id, alert_position",
    )
    .bind(tenant.as_str())
    .bind(budget_ids)
    .fetch_all(pool)
    .await
}
