//! The read model of memories.

use crate::page::Page;
use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Key, StoredRow, StreamRow, agent_ids, apply_rows};
use crate::state::{StateTable, StateTopic};
use chrono::{DateTime, Utc};
use domain::memory::{Memory, MemoryEvent, MemoryStored, Realm};
use domain::permissions::{Access, ReadMemories};
use domain::{AgentId, Aggregate, Event};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// A memory of an agent.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize, JsonSchema)]
pub struct MemoryRow {
    /// The tenant that the memory belongs to.
    pub tenant_id: String,
    /// The id of the memory.
    pub memory_id: Uuid,
    /// The agent that stored the memory.
    pub agent_id: Uuid,
    /// The content; empty once the memory is forgotten.
    pub content: String,
    /// The tags; none once the memory is forgotten.
    pub tags: Vec<String>,
    /// The realm, which says who may see the memory: `private`, `village` or `bridge`.
    pub realm: String,
    /// How many times the memory was recalled.
    pub recalls: i64,
    /// When the memory was stored.
    pub stored_at: DateTime<Utc>,
    /// When the memory was last recalled.
    pub recalled_at: Option<DateTime<Utc>>,
    /// When the memory was forgotten.
    pub forgotten_at: Option<DateTime<Utc>>,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

// Without `words`, which PostgreSQL generates from `content`.
macro_rules! columns {
    () => {
        "tenant_id, memory_id, agent_id, content, tags, realm, recalls, stored_at, recalled_at, forgotten_at, version,
         position"
    };
}

impl StoredRow for MemoryRow {
    const LOAD: &'static str = concat!(
        "select ",
        columns!(),
        " from memories where (tenant_id, memory_id) in (select * from unnest($1::text[], $2::uuid[]))"
    );
    const UPSERT: &'static str = concat!(
        "insert into memories (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::memories, $1)
         on conflict (tenant_id, memory_id) do update set
             content = excluded.content, tags = excluded.tags, realm = excluded.realm, recalls = excluded.recalls,
             recalled_at = excluded.recalled_at, forgotten_at = excluded.forgotten_at,
             version = excluded.version, position = excluded.position"
    );

    fn key(&self) -> Key {
        (self.tenant_id.clone(), self.memory_id)
    }
}

impl StreamRow for MemoryRow {
    type Read = ReadMemories;
    const CATEGORY: &'static str = Memory::CATEGORY;

    fn is_read_by(&self, agent: AgentId) -> bool {
        self.agent_id == agent.0 || self.realm != Realm::Private.as_str()
    }

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Memory(event) = &*applied.event else { return Ok(row) };
        if let MemoryEvent::Stored(stored) = event {
            return Ok(Some(Self::stored(applied, stored)));
        }
        let mut row = row.ok_or_else(|| applied.missing_row())?;
        match event {
            MemoryEvent::Stored(_) => {}
            MemoryEvent::Shared(shared) => shared.realm.as_str().clone_into(&mut row.realm),
            MemoryEvent::Recalled(recalled) => {
                row.recalls += 1;
                row.recalled_at = Some(recalled.at);
            }
            MemoryEvent::Forgotten(forgotten) => {
                // Queries neither find nor return it any more; the log keeps the content.
                row.content.clear();
                row.tags.clear();
                row.forgotten_at = Some(forgotten.at);
            }
        }
        row.version = applied.version();
        row.position = applied.position();
        Ok(Some(row))
    }
}

impl MemoryRow {
    fn stored(applied: &Applied, stored: &MemoryStored) -> Self {
        Self {
            tenant_id: applied.tenant().to_owned(),
            memory_id: applied.stream_id(),
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
        }
    }
}

pub(crate) struct Memories;

impl Projection for Memories {
    fn name(&self) -> &'static str {
        "memories"
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Memory::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("memories", "tenant_id, memory_id")]
    }

    fn state_topic(&self) -> Option<StateTopic> {
        let table = StateTable {
            name: "memories",
            checkpoint: "state:memories",
            category: Memory::CATEGORY,
            table: "apex.memories",
            id: "memory_id",
            hidden: &["words"],
            decimals: &[],
        };
        Some(StateTopic::new::<MemoryRow>("a memory", table))
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(apply_rows::<MemoryRow>(connection, events))
    }
}

/// Which memories to list. Forgotten memories are left out unless `ids` names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryFilter {
    /// Only memories with one of these ids; all memories if empty.
    pub ids: Vec<Uuid>,
    /// Only memories that this agent may see: its own, and those shared beyond the `private` realm.
    pub visible_to: Option<Uuid>,
    /// Only memories in this realm.
    pub realm: Option<String>,
    /// Only memories with this tag.
    pub tag: Option<String>,
    /// Only memories whose content matches this full-text search, in the syntax of PostgreSQL's
    /// `websearch_to_tsquery`.
    pub search: Option<String>,
    /// Only memories that one of these agents may see; those of all agents if none. It limits a search to what the caller may
    /// read the content of.
    pub content_readers: Option<Vec<Uuid>>,
}

/// Lists the memories of a tenant in the order in which they were stored; the cursor is (`stored_at`, `memory_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadMemories>,
    filter: &MemoryFilter,
    page: Page,
) -> Result<Vec<MemoryRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.memories
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 and forgotten_at is null or memory_id = any ($2))
           and ($3::uuid is null or agent_id = $3 or realm <> 'private') and ($4::text is null or realm = $4)
           and ($5::text is null or $5 = any (tags))
           and ($6::timestamptz is null or (stored_at, memory_id) > ($6, $7))
           and ($9::uuid[] is null or agent_id = any ($9) or realm <> 'private')
         order by stored_at, memory_id limit $8"
    );
    // A function searches: under row-level security, no index answers a text search.
    const SEARCH: &str = concat!(
        "select ",
        columns!(),
        " from apex.find_memories($10, $2, $3, $4, $5, $9, $6, $7, $8)
         where tenant_id = $1 order by stored_at, memory_id"
    );
    let readers = match (agent_ids(access.agents()), filter.content_readers.clone()) {
        (Some(readers), Some(others)) => Some(readers.into_iter().filter(|reader| others.contains(reader)).collect()),
        (readers, others) => readers.or(others),
    };
    let (after_time, after_id) = page.after();
    let query = sqlx::query_as(if filter.search.is_some() { SEARCH } else { LIST });
    let query = query.bind(access.tenant().as_str()).bind(&filter.ids).bind(filter.visible_to);
    let query = query.bind(filter.realm.as_deref()).bind(filter.tag.as_deref());
    let query = query.bind(after_time).bind(after_id).bind(page.limit()).bind(readers);
    let query = match &filter.search {
        Some(search) => query.bind(search.as_str()),
        None => query,
    };
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fold;

    const STORED: (&str, &str) = (
        "memory.stored",
        r#"{"agent_id":"0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01","content":"The build ends at four.","tags":["build"],
            "at":"2023-09-01T07:00:00Z"}"#,
    );

    #[test]
    fn a_forgotten_memory_keeps_neither_content_nor_tags() {
        let stored: MemoryRow = fold(&[STORED]).unwrap().unwrap();
        assert_eq!((&*stored.content, &*stored.realm), ("The build ends at four.", "private"));
        let forgotten = ("memory.forgotten", r#"{"at":"2023-09-01T09:00:00Z"}"#);
        let row: MemoryRow = fold(&[STORED, forgotten]).unwrap().unwrap();
        assert_eq!((&*row.content, row.tags.len(), row.forgotten_at.is_some()), ("", 0, true));
    }

    #[test]
    fn recalls_are_counted() {
        let recalled =
            ("memory.recalled", r#"{"agent_id":"0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01","at":"2023-09-01T08:00:00Z"}"#);
        let row: MemoryRow = fold(&[STORED, recalled, recalled]).unwrap().unwrap();
        assert_eq!((row.recalls, row.version), (2, 3));
    }
}
