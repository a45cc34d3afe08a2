//! The read model of calls: one row for each call, and sums of usage and cost over them.

mod list;
pub(crate) mod rollup;
mod usage;

pub(crate) use list::with_columns;
pub use list::{CallFilter, list, part};

use crate::projection::{Applied, ApplyError, Projection, Sharding};
use crate::rows::{Key, Rows, StreamRow, fold_into, nullable, required};
use crate::state::{StateTable, StateTopic};
use chrono::{DateTime, Utc};
use domain::call::{Call, CallEvent, ChargedCall, DataClass, Provenance, Tags};
use domain::permissions::ReadCalls;
use domain::{AgentId, Aggregate, Event, Money, Name, Usage};
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use std::collections::{BTreeMap, BTreeSet};
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
    /// The task graph that the call was made for.
    pub dag_id: Option<Uuid>,
    /// The conversation that the call is a part of, by its id in the source.
    pub conversation: Option<String>,
    /// The user that the call was made for, by an id that the source gives.
    #[schemars(extend("x-apex-data" = DataClass::Personal.as_str()))]
    pub user_id: Option<String>,
    /// The team that the call was made for.
    pub team: Option<String>,
    /// The name or id of the API key that the call was made with.
    pub key: Option<String>,
    /// The provider of the model.
    pub provider: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The tool that was called.
    pub tool: Option<String>,
    /// The service tier that the call was served in.
    pub service_tier: Option<String>,
    /// The speed that the call was served at.
    pub speed: Option<String>,
    /// The region that the call was served in.
    pub region: Option<String>,
    /// How the call ended: `ok`, `error`, `timeout`, `cancelled` or `refused`.
    pub outcome: Option<String>,
    /// The tags of the call.
    #[sqlx(json(nullable))]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub tags: Option<Tags>,
    /// What the call used, by meter, without the meters that are zero.
    #[sqlx(json)]
    pub usage: Usage,
    /// Whether the reader of the record derived the usage, which the record does not state.
    pub usage_assumed: bool,
    /// When the call started.
    pub started_at: DateTime<Utc>,
    /// The latency in milliseconds.
    #[schemars(range(min = 0))]
    pub latency_ms: Option<i64>,
    /// The time to the first token of the response, in milliseconds.
    #[schemars(range(min = 0))]
    pub first_token_ms: Option<i64>,
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
    /// Where the reported cost comes from: `provider`, `gateway` or `client`.
    pub reported_cost_source: Option<String>,
    /// The error, if the call failed.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub error: Option<String>,
    /// The source of the first record of the call, such as `claude-code`.
    pub source: String,
    /// The trace that the call is a part of.
    pub trace_id: Option<String>,
    /// The span that the call was.
    pub span_id: Option<String>,
    /// The span that the span of the call is a part of.
    pub parent_span_id: Option<String>,
    /// The id that the provider gave the response.
    pub response_id: Option<String>,
    /// The id that the provider gave the request.
    pub request_id: Option<String>,
    /// The id of the first record in its source.
    pub record_id: Option<String>,
    /// Which records the facts were taken from; null if all are from the first one.
    #[sqlx(json(nullable))]
    pub provenance: Option<Provenance>,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

impl StreamRow for CallRow {
    type Read = ReadCalls;
    const CATEGORY: &'static str = Call::CATEGORY;

    fn is_read_by(&self, agent: AgentId) -> bool {
        self.agent_id == Some(agent.0)
    }

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Call(event) = &*applied.event else { return Ok(row) };
        if is_about_reporters(event) {
            let (version, position) = (applied.version(), applied.position());
            return Ok(row.map(|row| Self { version, position, ..row }));
        }
        // Every other event carries all that is known of the call. A call that was voided into another one, or
        // reversed, has no row.
        Ok(event.befores_and_after().1.map(|charged| Self::charged(applied, charged)))
    }
}

/// Whether an event says who reported the call, and nothing about the call.
fn is_about_reporters(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Confirmed(_) | CallEvent::ReportWithdrawn(_))
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
            dag_id: facts.dag_id.map(Into::into),
            conversation: text(&facts.conversation),
            user_id: text(&facts.user),
            team: text(&facts.team),
            key: text(&facts.key),
            provider: text(&facts.provider),
            model: text(&facts.model),
            tool: text(&facts.tool),
            service_tier: text(&facts.service_tier),
            speed: text(&facts.speed),
            region: text(&facts.region),
            outcome: facts.outcome.map(|outcome| outcome.as_str().to_owned()),
            tags: facts.tags.clone(),
            usage: facts.usage,
            usage_assumed: facts.usage_assumed,
            started_at: facts.started_at,
            latency_ms: facts.latency_ms.map(count),
            first_token_ms: facts.first_token_ms.map(count),
            cost: charged.cost().map(Money::as_decimal),
            price_effective_from: charge.map(|charge| charge.effective_from),
            price_tier: charge.map(|charge| charge.conditions()),
            price_book_version: charge.map(|charge| count(charge.book_version)),
            reported_cost: facts.reported_cost.map(|cost| cost.amount.as_decimal()),
            reported_cost_source: facts
                .reported_cost
                .and_then(|cost| cost.source)
                .map(|source| source.as_str().to_owned()),
            error: facts.error.as_ref().map(ToString::to_string),
            source: facts.source.to_string(),
            trace_id: facts.span.map(|span| span.trace_id.to_string()),
            span_id: facts.span.map(|span| span.span_id.to_string()),
            parent_span_id: facts.span.and_then(|span| span.parent_span_id).map(|id| id.to_string()),
            response_id: text(&facts.response_id),
            request_id: text(&facts.request_id),
            record_id: text(&facts.record_id),
            provenance: Some(charged.provenance.clone()).filter(|provenance| !provenance.is_single_record()),
            version: applied.version(),
            position: applied.position(),
        }
    }
}

async fn save(connection: &mut PgConnection, rows: &Rows<CallRow>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(include_str!("upsert.sql"))
        .bind(required(rows, |row| row.tenant_id.as_str()))
        .bind(required(rows, |row| row.call_id))
        .bind(required(rows, |row| row.kind.as_str()))
        .bind(nullable(rows, |row| row.agent_id))
        .bind(nullable(rows, |row| row.task_id))
        .bind(nullable(rows, |row| row.dag_id))
        .bind(nullable(rows, |row| row.conversation.as_deref()))
        .bind(nullable(rows, |row| row.user_id.as_deref()))
        .bind(nullable(rows, |row| row.team.as_deref()))
        .bind(nullable(rows, |row| row.key.as_deref()))
        .bind(nullable(rows, |row| row.provider.as_deref()))
        .bind(nullable(rows, |row| row.model.as_deref()))
        .bind(nullable(rows, |row| row.tool.as_deref()))
        .bind(nullable(rows, |row| row.service_tier.as_deref()))
        .bind(nullable(rows, |row| row.speed.as_deref()))
        .bind(nullable(rows, |row| row.region.as_deref()))
        .bind(nullable(rows, |row| row.outcome.as_deref()))
        .bind(nullable(rows, |row| row.tags.as_ref().map(Json)))
        .bind(required(rows, |row| Json(row.usage)))
        .bind(required(rows, |row| row.usage_assumed))
        .bind(required(rows, |row| row.started_at))
        .bind(nullable(rows, |row| row.latency_ms))
        .bind(nullable(rows, |row| row.first_token_ms))
        .bind(nullable(rows, |row| row.cost))
        .bind(nullable(rows, |row| row.price_effective_from))
        .bind(nullable(rows, |row| row.price_tier.as_deref()))
        .bind(nullable(rows, |row| row.price_book_version))
        .bind(nullable(rows, |row| row.reported_cost))
        .bind(nullable(rows, |row| row.reported_cost_source.as_deref()))
        .bind(nullable(rows, |row| row.error.as_deref()))
        .bind(required(rows, |row| row.source.as_str()))
        .bind(nullable(rows, |row| row.trace_id.as_deref()))
        .bind(nullable(rows, |row| row.span_id.as_deref()))
        .bind(nullable(rows, |row| row.parent_span_id.as_deref()))
        .bind(nullable(rows, |row| row.response_id.as_deref()))
        .bind(nullable(rows, |row| row.request_id.as_deref()))
        .bind(nullable(rows, |row| row.record_id.as_deref()))
        .bind(nullable(rows, |row| row.provenance.as_ref().map(Json)))
        .bind(required(rows, |row| row.version))
        .bind(required(rows, |row| row.position));
    query.execute(connection).await?;
    Ok(())
}

/// Deletes the rows of calls that were voided into others or reversed.
async fn delete(connection: &mut PgConnection, removed: &BTreeSet<Key>) -> Result<(), ApplyError> {
    if removed.is_empty() {
        return Ok(());
    }
    let (tenants, ids): (Vec<_>, Vec<_>) = removed.iter().map(|(tenant, id)| (tenant.as_str(), *id)).unzip();
    let delete = "delete from calls where (tenant_id, call_id) in (select * from unnest($1::text[], $2::uuid[]))";
    sqlx::query(delete).bind(tenants).bind(ids).execute(connection).await?;
    Ok(())
}

/// Sets the versions and positions of rows whose last events say nothing else about the call.
async fn touch(connection: &mut PgConnection, touched: &BTreeMap<Key, (i64, i64)>) -> Result<(), ApplyError> {
    if touched.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("touch.sql"))
        .bind(touched.keys().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>())
        .bind(touched.keys().map(|(_, id)| *id).collect::<Vec<_>>())
        .bind(touched.values().map(|(version, _)| *version).collect::<Vec<_>>())
        .bind(touched.values().map(|(_, position)| *position).collect::<Vec<_>>())
        .execute(connection)
        .await?;
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
        const { &[("calls", "tenant_id, call_id"), usage::TABLES[0], usage::TABLES[1], usage::TABLES[2]] }
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
            let (mut rows, mut removed) = (Rows::new(), BTreeSet::new());
            let (mut usage, mut touched) = (usage::UsageSums::new(), BTreeMap::new());
            for applied in events {
                let Event::Call(event) = &*applied.event else { continue };
                usage.add(applied.tenant(), event)?;
                fold_into(&mut rows, applied)?;
                let key = || (applied.tenant().to_owned(), applied.stream_id());
                match event {
                    // Under most ids that are voided nothing was recorded: their streams begin with it.
                    CallEvent::Voided(_) if applied.version() > 1 => _ = removed.insert(key()),
                    CallEvent::Reversed(_) => _ = removed.insert(key()),
                    CallEvent::Confirmed(_) | CallEvent::ReportWithdrawn(_) => {
                        touched.insert(key(), (applied.version(), applied.position()));
                    }
                    CallEvent::Voided(_)
                    | CallEvent::Recorded(_)
                    | CallEvent::Amended(_)
                    | CallEvent::Corrected(_)
                    | CallEvent::Repriced(_) => {}
                }
            }
            // A row of the batch is saved with its last version.
            touched.retain(|key, _| !rows.contains_key(key));
            delete(connection, &removed).await?;
            touch(connection, &touched).await?;
            save(connection, &rows).await?;
            usage.save(connection).await
        })
    }
}
