//! The read model of agents.

use crate::page::Page;
use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Key, StoredRow, StreamRow, agent_ids, apply_rows};
use crate::state::{StateTable, StateTopic};
use chrono::{DateTime, Utc};
use domain::agent::{Agent, AgentEvent, AgentRegistered};
use domain::permissions::{Access, ReadAgents};
use domain::{AgentId, Aggregate, Event, Labels};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// An agent.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize, JsonSchema)]
pub struct AgentRow {
    /// The tenant that the agent belongs to.
    pub tenant_id: String,
    /// The id of the agent.
    pub agent_id: Uuid,
    /// The name of the agent.
    pub name: String,
    /// The kind of agent, such as `coder`.
    pub kind: Option<String>,
    /// The model that the agent uses by default.
    pub model: Option<String>,
    /// The labels, as a JSON object of strings.
    #[schemars(with = "Labels")]
    pub labels: serde_json::Value,
    /// The status: `registered`, `active`, `paused` or `retired`.
    pub status: String,
    /// The reason given when the agent was paused or retired.
    pub reason: Option<String>,
    /// When the agent was registered.
    pub registered_at: DateTime<Utc>,
    /// When the status last changed.
    pub changed_at: DateTime<Utc>,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

macro_rules! columns {
    () => {
        "tenant_id, agent_id, name, kind, model, labels, status, reason, registered_at, changed_at, version, position"
    };
}

impl StoredRow for AgentRow {
    const LOAD: &'static str = concat!(
        "select ",
        columns!(),
        " from agents where (tenant_id, agent_id) in (select * from unnest($1::text[], $2::uuid[]))"
    );
    const UPSERT: &'static str = concat!(
        "insert into agents (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::agents, $1)
         on conflict (tenant_id, agent_id) do update set
             status = excluded.status, reason = excluded.reason, changed_at = excluded.changed_at,
             version = excluded.version, position = excluded.position"
    );

    fn key(&self) -> Key {
        (self.tenant_id.clone(), self.agent_id)
    }
}

impl StreamRow for AgentRow {
    type Read = ReadAgents;
    const CATEGORY: &'static str = Agent::CATEGORY;

    fn is_read_by(&self, agent: AgentId) -> bool {
        self.agent_id == agent.0
    }

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Agent(event) = &*applied.event else { return Ok(row) };
        let (status, reason, at) = match event {
            AgentEvent::Registered(registered) => return Self::registered(applied, registered).map(Some),
            AgentEvent::Activated(moved) | AgentEvent::Resumed(moved) => ("active", None, moved.at),
            AgentEvent::Paused(stopped) => ("paused", stopped.reason.as_ref(), stopped.at),
            AgentEvent::Retired(stopped) => ("retired", stopped.reason.as_ref(), stopped.at),
        };
        let row = row.ok_or_else(|| applied.missing_row())?;
        Ok(Some(Self {
            status: status.to_owned(),
            reason: reason.map(ToString::to_string),
            changed_at: at,
            version: applied.version(),
            position: applied.position(),
            ..row
        }))
    }
}

impl AgentRow {
    fn registered(applied: &Applied, registered: &AgentRegistered) -> Result<Self, ApplyError> {
        let profile = &registered.profile;
        Ok(Self {
            tenant_id: applied.tenant().to_owned(),
            agent_id: applied.stream_id(),
            name: profile.name.to_string(),
            kind: profile.kind.as_ref().map(ToString::to_string),
            model: profile.model.as_ref().map(ToString::to_string),
            labels: serde_json::to_value(&profile.labels).map_err(|error| ApplyError::Row(error.to_string()))?,
            status: "registered".to_owned(),
            reason: None,
            registered_at: registered.at,
            changed_at: registered.at,
            version: applied.version(),
            position: applied.position(),
        })
    }
}

pub(crate) struct Agents;

impl Projection for Agents {
    fn name(&self) -> &'static str {
        "agents"
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Agent::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("agents", "tenant_id, agent_id")]
    }

    fn state_topic(&self) -> Option<StateTopic> {
        let table = StateTable {
            name: "agents",
            checkpoint: "state:agents",
            category: Agent::CATEGORY,
            table: "apex.agents",
            id: "agent_id",
            hidden: &[],
            decimals: &[],
        };
        Some(StateTopic::new::<AgentRow>("an agent", table))
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(apply_rows::<AgentRow>(connection, events))
    }
}

/// Which agents to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// Only agents with one of these ids; all agents if empty.
    pub ids: Vec<Uuid>,
    /// Only agents with this status.
    pub status: Option<String>,
}

/// Counts the agents of a tenant by status. A status that no agent has is not counted.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn count_by_status(
    reads: &TenantReads,
    access: &Access<ReadAgents>,
) -> Result<Vec<(String, i64)>, DatabaseError> {
    let count = "select status, count(*) from apex.agents
         where tenant_id = $1 and ($2::uuid[] is null or agent_id = any ($2)) group by status";
    let query = sqlx::query_as(count).bind(access.tenant().as_str()).bind(agent_ids(access.agents()));
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

/// Lists the agents of a tenant in order of registration; the cursor is (`registered_at`, `agent_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadAgents>,
    filter: &AgentFilter,
    page: Page,
) -> Result<Vec<AgentRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.agents
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or agent_id = any ($2))
           and ($3::text is null or status = $3)
           and ($4::timestamptz is null or (registered_at, agent_id) > ($4, $5))
           and ($7::uuid[] is null or agent_id = any ($7))
         order by registered_at, agent_id limit $6"
    );
    let (after_time, after_id) = page.after();
    let query = sqlx::query_as(LIST).bind(access.tenant().as_str()).bind(&filter.ids).bind(filter.status.as_deref());
    let query = query.bind(after_time).bind(after_id).bind(page.limit()).bind(agent_ids(access.agents()));
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}
