//! The object type, and how its rows are loaded.

use crate::graphql::connection::{self, ListOrder};
use crate::graphql::entity::Entity;
use crate::graphql::ids::Kind;
use crate::graphql::input::Label;
use crate::graphql::loaders::Rows;
use crate::graphql::scalars::{Long, Position, Timestamp, Uid};
use crate::graphql::stored::from_stored_name;
use crate::graphql::task::{self, Task, TaskStatus};
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Result, SimpleObject};
use domain::AgentId;
use domain::agent::AgentStatus as Status;
use projections::agents::{self, AgentFilter, AgentRow};
use projections::tasks::TaskFilter;
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;

/// Lifecycle status of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::agent::AgentStatus")]
pub(crate) enum AgentStatus {
    /// The agent is registered and was not activated yet. Its tasks cannot be started.
    Registered,
    /// The agent is active. Its tasks can be started.
    Active,
    /// The agent is paused. Its tasks cannot be started until it is resumed.
    Paused,
    /// The agent is retired for good. Tasks can no longer be submitted to it or started.
    Retired,
}

pub(super) const STATUSES: [Status; 4] = [Status::Registered, Status::Active, Status::Paused, Status::Retired];

/// An agent: a process that works on tasks and makes calls.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Agent {
    /// Global id of the agent.
    pub(crate) id: ID,
    /// UUID of the agent, as it occurs in events and exports.
    uuid: Uid,
    /// Display name.
    name: String,
    /// Kind of agent, such as `coder`.
    kind: Option<String>,
    /// Model that the agent uses by default, such as `gpt-4o`.
    model: Option<String>,
    /// Labels, sorted by key.
    labels: Vec<Label>,
    /// Lifecycle status.
    status: AgentStatus,
    /// Reason for which the agent was paused or retired.
    reason: Option<String>,
    /// Time at which the agent was registered.
    registered_at: Timestamp,
    /// Time at which `status` last changed.
    status_changed_at: Timestamp,
    /// Version of the agent: the number of its events.
    version: Long,
    /// Position of the agent's last event.
    position: Position,
}

impl Entity for Agent {
    type Row = AgentRow;
    type Key = AgentId;
    const KIND: Kind = Kind::Agent;
    const PROJECTIONS: &'static [&'static str] = &["agents"];
}

impl TryFrom<AgentRow> for Agent {
    type Error = Error;

    fn try_from(row: AgentRow) -> Result<Self> {
        let labels = row.labels.as_object().into_iter().flatten();
        let label = |(key, value): (&String, &serde_json::Value)| Label {
            key: key.clone(),
            value: value.as_str().unwrap_or_default().to_owned(),
        };
        Ok(Self {
            id: Kind::Agent.id(row.agent_id),
            uuid: row.agent_id.into(),
            name: row.name,
            kind: row.kind,
            model: row.model,
            labels: labels.map(label).collect(),
            status: from_stored_name(&STATUSES, Status::as_str, &row.status)?.into(),
            reason: row.reason,
            registered_at: row.registered_at.into(),
            status_changed_at: row.changed_at.into(),
            version: row.version.into(),
            position: Position::from_row(row.position),
        })
    }
}

#[ComplexObject]
impl Agent {
    /// Tasks of the agent, by the time at which they were submitted.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of tasks to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the tasks after this cursor. Default: from the first task on.")] after: Option<
            String,
        >,
        #[graphql(
            default_with = "Some(ListOrder::OldestFirst)",
            desc = "Order of the tasks. A cursor leads on in the order in which it is sent."
        )]
        order: Option<ListOrder>,
        #[graphql(desc = "Returns only tasks with this status. Default: any status.")] status: Option<TaskStatus>,
    ) -> Result<Connection<String, Task>> {
        let filter = TaskFilter {
            agent_id: Some(self.uuid.0),
            status: status.map(|status| domain::task::TaskStatus::from(status).as_str().to_owned()),
            ..Default::default()
        };
        task::list(ctx, &filter, connection::page_in_order(ctx, first, after.as_deref(), order)?).await
    }
}

impl Loader<AgentId> for Rows {
    type Value = AgentRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[AgentId]) -> Result<HashMap<AgentId, AgentRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let filter = AgentFilter { ids: keys.iter().map(|id| id.0).collect(), status: None };
        let page = Page { limit: MAX_PAGE_ROWS, ..Page::default() };
        let rows = agents::list(&self.reads, &access, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (AgentId(row.agent_id), row)).collect())
    }
}
