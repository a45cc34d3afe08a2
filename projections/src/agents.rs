//! The read model of agents.

use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Rows, load, save};
use chrono::{DateTime, Utc};
use domain::agent::AgentEvent;
use domain::{Event, Labels};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

pub(crate) struct Agents;

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Row {
    tenant_id: String,
    agent_id: Uuid,
    name: String,
    kind: Option<String>,
    model: Option<String>,
    #[schemars(with = "Labels")]
    labels: serde_json::Value,
    status: String,
    reason: Option<String>,
    registered_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    version: i64,
    position: i64,
}

const SELECT: &str = "select t.tenant_id, t.agent_id, to_jsonb(t) from agents t
    where (t.tenant_id, t.agent_id) in (select * from unnest($1::text[], $2::uuid[]))";
const UPSERT: &str = "insert into agents
    select * from jsonb_populate_recordset(null::agents, $1)
    on conflict (tenant_id, agent_id) do update set
        status = excluded.status, reason = excluded.reason, changed_at = excluded.changed_at,
        version = excluded.version, position = excluded.position";

impl Projection for Agents {
    fn name(&self) -> &'static str {
        "agents"
    }

    fn needs_log_order(&self) -> bool {
        false
    }

    fn categories(&self) -> &'static [&'static str] {
        &["agent"]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("agents", "tenant_id, agent_id")]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut rows = load(connection, SELECT, events).await?;
            for applied in events {
                if let Event::Agent(event) = &*applied.event {
                    fold(&mut rows, applied, event)?;
                }
            }
            save(connection, UPSERT, &rows).await
        })
    }
}

pub(crate) fn fold(rows: &mut Rows<Row>, applied: &Applied, event: &AgentEvent) -> Result<(), ApplyError> {
    let key = (applied.tenant().to_owned(), applied.recorded.stream.id);
    if let AgentEvent::Registered(registered) = event {
        let profile = &registered.profile;
        let row = Row {
            tenant_id: key.0.clone(),
            agent_id: key.1,
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
        };
        rows.insert(key, row);
        return Ok(());
    }
    let Some(row) = rows.get_mut(&key) else {
        return Err(ApplyError::Row(format!("agent {} has no row", key.1)));
    };
    let (status, reason, at) = match event {
        AgentEvent::Activated(moved) | AgentEvent::Resumed(moved) => ("active", None, moved.at),
        AgentEvent::Paused(stopped) => ("paused", stopped.reason.as_ref(), stopped.at),
        AgentEvent::Retired(stopped) => ("retired", stopped.reason.as_ref(), stopped.at),
        AgentEvent::Registered(registered) => ("registered", None, registered.at),
    };
    status.clone_into(&mut row.status);
    row.reason = reason.map(ToString::to_string);
    row.changed_at = at;
    row.version = applied.version();
    row.position = applied.position();
    Ok(())
}
