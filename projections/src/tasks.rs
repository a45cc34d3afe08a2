//! The read model of tasks.

use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Rows, load, save};
use chrono::{DateTime, Utc};
use domain::Event;
use domain::task::{TaskEvent, TaskSubmitted};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

pub(crate) struct Tasks;

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Row {
    tenant_id: String,
    task_id: Uuid,
    agent_id: Uuid,
    dag_id: Option<Uuid>,
    title: String,
    status: String,
    percent: i16,
    note: Option<String>,
    outcome: Option<String>,
    submitted_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    version: i64,
    position: i64,
}

const SELECT: &str = "select t.tenant_id, t.task_id, to_jsonb(t) from tasks t
    where (t.tenant_id, t.task_id) in (select * from unnest($1::text[], $2::uuid[]))";
const UPSERT: &str = "insert into tasks
    select * from jsonb_populate_recordset(null::tasks, $1)
    on conflict (tenant_id, task_id) do update set
        status = excluded.status, percent = excluded.percent, note = excluded.note, outcome = excluded.outcome,
        started_at = excluded.started_at, ended_at = excluded.ended_at,
        version = excluded.version, position = excluded.position";

impl Projection for Tasks {
    fn name(&self) -> &'static str {
        "tasks"
    }

    fn needs_log_order(&self) -> bool {
        false
    }

    fn categories(&self) -> &'static [&'static str] {
        &["task"]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("tasks", "tenant_id, task_id")]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut rows = load(connection, SELECT, events).await?;
            for applied in events {
                if let Event::Task(event) = &*applied.event {
                    fold(&mut rows, applied, event)?;
                }
            }
            save(connection, UPSERT, &rows).await
        })
    }
}

pub(crate) fn fold(rows: &mut Rows<Row>, applied: &Applied, event: &TaskEvent) -> Result<(), ApplyError> {
    let key = (applied.tenant().to_owned(), applied.recorded.stream.id);
    if let TaskEvent::Submitted(submitted) = event {
        let row = submitted_row(&key, submitted, applied);
        rows.insert(key, row);
        return Ok(());
    }
    let Some(row) = rows.get_mut(&key) else {
        return Err(ApplyError::Row(format!("task {} has no row", key.1)));
    };
    let text = |body: &Option<domain::Body>| body.as_ref().map(ToString::to_string);
    match event {
        TaskEvent::Submitted(_) => {}
        TaskEvent::Started(started) => {
            "running".clone_into(&mut row.status);
            row.started_at = Some(started.at);
        }
        TaskEvent::Progressed(progressed) => {
            row.percent = i16::from(progressed.percent);
            row.note = text(&progressed.note);
        }
        TaskEvent::Completed(completed) => {
            end(row, "completed", text(&completed.result), completed.at);
            row.percent = 100;
        }
        TaskEvent::Failed(failed) => end(row, "failed", Some(failed.error.to_string()), failed.at),
        TaskEvent::Cancelled(cancelled) => end(row, "cancelled", text(&cancelled.reason), cancelled.at),
    }
    row.version = applied.version();
    row.position = applied.position();
    Ok(())
}

fn submitted_row(key: &(String, Uuid), submitted: &TaskSubmitted, applied: &Applied) -> Row {
    Row {
        tenant_id: key.0.clone(),
        task_id: key.1,
        agent_id: submitted.spec.agent_id.0,
        dag_id: submitted.spec.dag_id.map(|dag| dag.0),
        title: submitted.spec.title.to_string(),
        status: "submitted".to_owned(),
        percent: 0,
        note: None,
        outcome: None,
        submitted_at: submitted.at,
        started_at: None,
        ended_at: None,
        version: applied.version(),
        position: applied.position(),
    }
}

fn end(row: &mut Row, status: &str, outcome: Option<String>, at: DateTime<Utc>) {
    status.clone_into(&mut row.status);
    row.outcome = outcome;
    row.ended_at = Some(at);
}
