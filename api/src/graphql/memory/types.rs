//! The object type, and how its rows are loaded.

use crate::graphql::agent::Agent;
use crate::graphql::connection;
use crate::graphql::entity::{self, Entity};
use crate::graphql::ids::Kind;
use crate::graphql::loaders::Rows;
use crate::graphql::scalars::{Long, Position, Timestamp, Uid};
use crate::graphql::services::authorise_content;
use crate::graphql::stored::from_stored_name;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Result, SimpleObject};
use domain::memory::Realm as DomainRealm;
use domain::{AgentId, MemoryId};
use projections::memories::{self, MemoryFilter, MemoryRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;

/// Visibility of a memory. Each realm includes the previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::memory::Realm")]
pub(crate) enum Realm {
    /// Visible to the agent that owns the memory only.
    Private,
    /// Visible to every agent of the tenant.
    Village,
    /// Visible to other tenants too, over a bridge to them.
    Bridge,
}

const REALMS: [DomainRealm; 3] = [DomainRealm::Private, DomainRealm::Village, DomainRealm::Bridge];

/// A memory: text that an agent stored to recall it later.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Memory {
    /// Global id of the memory.
    pub(crate) id: ID,
    /// UUID of the memory, as it occurs in events and exports.
    uuid: Uid,
    /// Global id of the agent that owns the memory.
    agent_id: ID,
    #[graphql(skip)]
    content: String,
    /// Tags of the memory. Empty once the memory is forgotten.
    tags: Vec<String>,
    /// Visibility of the memory.
    realm: Realm,
    /// Number of times that the memory was recalled.
    recalls: Long,
    /// Time at which the memory was stored.
    stored_at: Timestamp,
    /// Time at which the memory was last recalled.
    recalled_at: Option<Timestamp>,
    /// Time at which the memory was forgotten.
    forgotten_at: Option<Timestamp>,
    /// Version of the memory: the number of its events.
    version: Long,
    /// Position of the memory's last event.
    position: Position,
    #[graphql(skip)]
    owner: AgentId,
}

impl Entity for Memory {
    type Row = MemoryRow;
    type Key = MemoryId;
    const KIND: Kind = Kind::Memory;
    const PROJECTIONS: &'static [&'static str] = &["memories"];
}

impl TryFrom<MemoryRow> for Memory {
    type Error = Error;

    fn try_from(row: MemoryRow) -> Result<Self> {
        Ok(Self {
            id: Kind::Memory.id(row.memory_id),
            uuid: row.memory_id.into(),
            agent_id: Kind::Agent.id(row.agent_id),
            content: row.content,
            tags: row.tags,
            realm: from_stored_name(&REALMS, DomainRealm::as_str, &row.realm)?.into(),
            recalls: row.recalls.into(),
            stored_at: row.stored_at.into(),
            recalled_at: row.recalled_at.map(Into::into),
            forgotten_at: row.forgotten_at.map(Into::into),
            version: row.version.into(),
            position: Position::from_row(row.position),
            owner: AgentId(row.agent_id),
        })
    }
}

#[ComplexObject]
impl Memory {
    /// Stored text. Empty once the memory is forgotten. Takes the permission `read:contents`: null without it, with an error.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    async fn content(&self, ctx: &Context<'_>) -> Result<Option<&str>> {
        authorise_content(ctx, |agent| agent == self.owner || self.realm != Realm::Private)?;
        Ok(Some(&self.content))
    }

    /// The agent that owns the memory, as it is now. Null if it was never registered.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<Agent>> {
        entity::by_id(ctx, self.owner.0).await
    }
}

impl Loader<MemoryId> for Rows {
    type Value = MemoryRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[MemoryId]) -> Result<HashMap<MemoryId, MemoryRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let filter = MemoryFilter { ids: keys.iter().map(|id| id.0).collect(), ..Default::default() };
        let page = Page { limit: MAX_PAGE_ROWS, ..Page::default() };
        let rows = memories::list(&self.reads, &access, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (MemoryId(row.memory_id), row)).collect())
    }
}
