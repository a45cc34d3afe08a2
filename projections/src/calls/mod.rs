//! The read model of calls: one row for each call, and usage and cost by hour.

mod usage;

use crate::page::Page;
use crate::projection::{Applied, ApplyError, Projection, Sharding};
use crate::rows::{Rows, StreamRow, bind_columns, fold_into};
use crate::state::{StateTable, StateTopic};
use chrono::{DateTime, Utc};
use domain::call::{Call, ChargedCall};
use domain::permissions::{Access, ReadData};
use domain::{Aggregate, Event, Money, Name, Usage};
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::types::Json;
use streams::DatabaseError;
use uuid::Uuid;

/// An LLM call or a tool call.
#[derive(Debug, Clone, PartialEq, FromRow, JsonSchema)]
pub struct CallRow {
    /// The tenant that the call belongs to.
    pub tenant_id: String,
    /// The id of the call.
    pub call_id: Uuid,
    /// The kind of call: `llm` or `tool`.
    pub kind: String,
    /// The agent that made the call.
    pub agent_id: Option<Uuid>,
    /// The task that the call was made for.
    pub task_id: Option<Uuid>,
    /// The provider of the model.
    pub provider: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The tool that was called.
    pub tool: Option<String>,
    /// What the call used, by meter, without the meters that are zero.
    #[sqlx(json)]
    pub usage: Usage,
    /// When the call started.
    pub started_at: DateTime<Utc>,
    /// The latency in milliseconds.
    #[schemars(range(min = 0))]
    pub latency_ms: Option<i64>,
    /// The charged cost in US dollars, a decimal string; null if no price is known.
    #[schemars(with = "Option<Money>")]
    pub cost: Option<Decimal>,
    /// The effective date of the applied price.
    pub price_effective_from: Option<DateTime<Utc>>,
    /// The conditions of the applied price, or `standard`.
    pub price_tier: Option<String>,
    /// The version of the price book by which the call was charged.
    #[schemars(range(min = 0))]
    pub price_book_version: Option<i64>,
    /// The cost in US dollars that the source reported, a decimal string. It is never charged.
    #[schemars(with = "Option<Money>")]
    pub reported_cost: Option<Decimal>,
    /// The error, if the call failed.
    pub error: Option<String>,
    /// The source that reported the call first, such as `claude-code`.
    pub source: String,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

impl StreamRow for CallRow {
    const CATEGORY: &'static str = Call::CATEGORY;

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Call(event) = &*applied.event else { return Ok(row) };
        // Every event carries all that is known of the call.
        Ok(Some(Self::charged(applied, event.before_and_after().1)))
    }
}

impl CallRow {
    fn charged(applied: &Applied, charged: &ChargedCall) -> Self {
        let facts = &charged.facts;
        let charge = charged.charge.as_ref();
        let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string);
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            tenant_id: applied.tenant().to_owned(),
            call_id: applied.stream_id(),
            kind: facts.kind.as_str().to_owned(),
            agent_id: facts.agent_id.map(Into::into),
            task_id: facts.task_id.map(Into::into),
            provider: text(&facts.provider),
            model: text(&facts.model),
            tool: text(&facts.tool),
            usage: facts.usage,
            started_at: facts.started_at,
            latency_ms: facts.latency_ms.map(count),
            cost: charged.cost().map(Money::as_decimal),
            price_effective_from: charge.map(|charge| charge.effective_from),
            price_tier: charge.map(|charge| charge.conditions()),
            price_book_version: charge.map(|charge| count(charge.book_version)),
            reported_cost: facts.reported_cost.map(Money::as_decimal),
            error: facts.error.as_ref().map(ToString::to_string),
            source: facts.source.to_string(),
            version: applied.version(),
            position: applied.position(),
        }
    }
}

async fn save(connection: &mut PgConnection, rows: &Rows<CallRow>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = bind_columns!(sqlx::query(include_str!("upsert.sql")), rows.values(), |row| {
        row.tenant_id.as_str(),
        row.call_id,
        row.kind.as_str(),
        row.agent_id,
        row.task_id,
        row.provider.as_deref(),
        row.model.as_deref(),
        row.tool.as_deref(),
        Json(row.usage),
        row.started_at,
        row.latency_ms,
        row.cost,
        row.price_effective_from,
        row.price_tier.as_deref(),
        row.price_book_version,
        row.reported_cost,
        row.error.as_deref(),
        row.source.as_str(),
        row.version,
        row.position,
    });
    query.execute(connection).await?;
    Ok(())
}

pub(crate) struct Calls;

impl Projection for Calls {
    fn name(&self) -> &'static str {
        "calls"
    }

    fn version(&self) -> i32 {
        usage::VERSION
    }

    /// Most events of most logs are calls. On two cores, two workers build this read model a third faster than one; the
    /// more shards there are, the more of them update the same usage rows.
    fn sharding(&self) -> Sharding {
        Sharding::ByStream(2)
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Call::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        const { &[("calls", "tenant_id, call_id"), usage::TABLE] }
    }

    fn state_topic(&self) -> Option<StateTopic> {
        let table = StateTable {
            name: "calls",
            checkpoint: "state:calls",
            category: Call::CATEGORY,
            table: "apex.calls",
            id: "call_id",
            hidden: &[],
            // Many JSON readers parse numbers as floats.
            decimals: &["cost", "reported_cost"],
        };
        Some(StateTopic::new::<CallRow>("a call", table))
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut rows = Rows::new();
            let mut usage = usage::UsageSums::default();
            for applied in events {
                let Event::Call(event) = &*applied.event else { continue };
                usage.add(applied.tenant(), event)?;
                fold_into(&mut rows, applied)?;
            }
            save(connection, &rows).await?;
            usage.save(connection).await
        })
    }
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
    /// Only calls that started at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only calls that started before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only LLM calls without a price.
    pub unpriced: bool,
}

/// Lists the calls of a tenant in order of their start; the cursor is (`started_at`, `call_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    pool: &PgPool,
    access: &Access<ReadData>,
    filter: &CallFilter,
    page: Page,
) -> Result<Vec<CallRow>, DatabaseError> {
    let (after_time, after_id) = page.after();
    let rows = sqlx::query_as(include_str!("list.sql"))
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
        .fetch_all(pool)
        .await?;
    Ok(rows)
}
