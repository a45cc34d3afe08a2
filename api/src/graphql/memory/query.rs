//! Queries for memories.

use super::types::{Memory, Realm};
use crate::graphql::as_of::AsOf;
use crate::graphql::entity::{self, Entity};
use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::Position;
use crate::graphql::services::{authorise, authorise_contents, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, Object, Result};
use domain::memory::Realm as DomainRealm;
use domain::permissions::ReadMemories;
use projections::memories::{self, MemoryFilter};

/// The longest search, in bytes.
const MAX_SEARCH_BYTES: usize = 1000;

/// Conditions on memories. A memory must meet all conditions that are given. Forgotten memories are never listed.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "MemoryFilter")]
pub(crate) struct Filter {
    /// Selects memories whose content matches this full-text search, in web search syntax:
    /// `tea -coffee "green tea" or milk`. At most 1000 bytes. Takes the permission `read:contents`.
    search: Option<String>,
    /// Selects memories that this agent may see: its own, and those that are shared with the village or further. Global id
    /// or UUID.
    visible_to: Option<ID>,
    /// Selects memories in this realm. Default: any realm.
    realm: Option<Realm>,
    /// Selects memories with this tag.
    tag: Option<String>,
}

impl Filter {
    fn check(self) -> Result<MemoryFilter> {
        if self.search.as_ref().is_some_and(|search| search.len() > MAX_SEARCH_BYTES || search.contains('\0')) {
            let message = format!("a search has at most {MAX_SEARCH_BYTES} bytes and no NUL character");
            return Err(errors::bad_input("BAD_SEARCH", message));
        }
        Ok(MemoryFilter {
            ids: Vec::new(),
            visible_to: Kind::Agent.parse_opt(self.visible_to.as_ref())?,
            realm: self.realm.map(|realm| DomainRealm::from(realm).as_str().to_owned()),
            tag: self.tag,
            search: self.search,
            content_readers: None,
        })
    }
}

/// Queries for memories.
#[derive(Default)]
pub(crate) struct MemoryQuery;

#[Object]
impl MemoryQuery {
    /// Returns a memory by its id. Null if it does not exist.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn memory(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the memory.")] id: ID,
        #[graphql(
            desc = "Returns the memory as it was at this position or time. `minPosition` has no effect then. Default: as it \
                    is now."
        )]
        as_of: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Memory>> {
        entity::find(ctx, &id, as_of, min_position).await
    }

    /// Lists memories in the order in which they were stored.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn memories(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only memories that meet these conditions. Default: all memories.")] filter: Option<
            Filter,
        >,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of memories to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the memories after this cursor. Default: from the first memory on.")] after: Option<
            String,
        >,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, Memory>> {
        let access = authorise::<ReadMemories>(ctx)?;
        let mut content_readers = None;
        // What is found tells what the content is.
        if filter.as_ref().is_some_and(|filter| filter.search.is_some()) {
            let contents = authorise_contents(ctx)?;
            content_readers = contents.agents().map(|agents| agents.iter().map(|agent| agent.0).collect());
        }
        let filter = MemoryFilter { content_readers, ..filter.unwrap_or_default().check()? };
        let page = connection::page(ctx, first, after.as_deref())?;
        await_projections(ctx, Memory::PROJECTIONS, min_position).await?;
        let rows = memories::list(&services(ctx)?.reads, &access, &filter, page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.stored_at, row.memory_id))
    }
}
