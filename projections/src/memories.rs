//! The read model of memory.

use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Rows, load, save};
use chrono::{DateTime, Utc};
use domain::Event;
use domain::memory::MemoryEvent;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

pub(crate) struct Memories;

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Row {
    tenant_id: String,
    memory_id: Uuid,
    agent_id: Uuid,
    content: String,
    tags: Vec<String>,
    realm: String,
    recalls: i64,
    stored_at: DateTime<Utc>,
    recalled_at: Option<DateTime<Utc>>,
    forgotten_at: Option<DateTime<Utc>>,
    version: i64,
    position: i64,
}

const SELECT: &str = "select t.tenant_id, t.memory_id, to_jsonb(t) from memories t
    where (t.tenant_id, t.memory_id) in (select * from unnest($1::text[], $2::uuid[]))";
// Not `select *`: the words are generated.
const UPSERT: &str = "insert into memories (tenant_id, memory_id, agent_id, content, tags, realm, recalls,
        stored_at, recalled_at, forgotten_at, version, position)
    select tenant_id, memory_id, agent_id, content, tags, realm, recalls,
        stored_at, recalled_at, forgotten_at, version, position
    from jsonb_populate_recordset(null::memories, $1)
    on conflict (tenant_id, memory_id) do update set
        content = excluded.content, tags = excluded.tags,
        realm = excluded.realm, recalls = excluded.recalls, recalled_at = excluded.recalled_at,
        forgotten_at = excluded.forgotten_at, version = excluded.version, position = excluded.position";

impl Projection for Memories {
    fn name(&self) -> &'static str {
        "memories"
    }

    fn needs_log_order(&self) -> bool {
        false
    }

    fn categories(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("memories", "tenant_id, memory_id")]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut rows = load(connection, SELECT, events).await?;
            for applied in events {
                if let Event::Memory(event) = &*applied.event {
                    fold(&mut rows, applied, event)?;
                }
            }
            save(connection, UPSERT, &rows).await
        })
    }
}

pub(crate) fn fold(rows: &mut Rows<Row>, applied: &Applied, event: &MemoryEvent) -> Result<(), ApplyError> {
    let key = (applied.tenant().to_owned(), applied.recorded.stream.id);
    if let MemoryEvent::Stored(stored) = event {
        let row = Row {
            tenant_id: key.0.clone(),
            memory_id: key.1,
            agent_id: stored.agent_id.0,
            content: stored.content.to_string(),
            tags: stored.tags.iter().map(ToString::to_string).collect(),
            realm: "private".to_owned(),
            recalls: 0,
            stored_at: stored.at,
            recalled_at: None,
            forgotten_at: None,
            version: applied.version(),
            position: applied.position(),
        };
        rows.insert(key, row);
        return Ok(());
    }
    let Some(row) = rows.get_mut(&key) else {
        return Err(ApplyError::Row(format!("memory {} has no row", key.1)));
    };
    match event {
        MemoryEvent::Stored(_) => {}
        MemoryEvent::Shared(shared) => shared.realm.as_str().clone_into(&mut row.realm),
        MemoryEvent::Recalled(recalled) => {
            row.recalls += 1;
            row.recalled_at = Some(recalled.at);
        }
        MemoryEvent::Forgotten(forgotten) => {
            // What is forgotten is no longer found or shown; the log keeps what was said.
            row.content.clear();
            row.tags.clear();
            row.forgotten_at = Some(forgotten.at);
        }
    }
    row.version = applied.version();
    row.position = applied.position();
    Ok(())
}
