//! Memory: what agents keep, share, recall and forget.

use super::as_of::{self, AsOf};
use super::errors::{self, command_error};
use super::ids::Kind;
use super::input::{self, Invalid};
use super::payload::{self, Order, payload};
use super::scalars::{Long, Position, Timestamp, Uid, or_now};
use super::{Services, agent, connection, from_wire, loaders, ready};
use crate::caller::Caller;
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, InputObject, Object, Result, SimpleObject};
use domain::memory::{Memory as Aggregate, MemoryCommand, MemoryError, Realm as DomainRealm};
use domain::{AgentId, MemoryId};
use projections::memories::{self, MemoryFilter, MemoryRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The projections that feed the lists.
const PROJECTIONS: &[&str] = &["memories"];
/// The longest search, in bytes.
const MAX_SEARCH_BYTES: usize = 1000;

/// Who may see a memory. Each realm holds the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::memory::Realm")]
pub(crate) enum Realm {
    /// Its owner alone.
    Private,
    /// Every agent of the tenant.
    Village,
    /// Other tenants too, where a bridge to them exists.
    Bridge,
}

const REALMS: [DomainRealm; 3] = [DomainRealm::Private, DomainRealm::Village, DomainRealm::Bridge];

/// A memory: something that an agent keeps.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Memory {
    /// Its global id.
    pub(crate) id: ID,
    /// Its id as events and exports carry it.
    uuid: Uid,
    /// Who remembers.
    agent_id: ID,
    /// What; empty once forgotten.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    content: String,
    /// Words to find it by; none once forgotten.
    tags: Vec<String>,
    /// Who may see it.
    realm: Realm,
    /// How often it was recalled.
    recalls: Long,
    /// When it was stored.
    stored_at: Timestamp,
    /// When it was last recalled.
    recalled_at: Option<Timestamp>,
    /// When it was let go.
    forgotten_at: Option<Timestamp>,
    /// How many events it has.
    version: Long,
    /// The position of its last event.
    position: Position,
    #[graphql(skip)]
    owner: AgentId,
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
            realm: from_wire(&REALMS, DomainRealm::as_str, &row.realm)?.into(),
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
    /// Who remembers, as the agent is now; null if the agent was never registered.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<agent::Agent>> {
        agent::by_id(ctx, self.owner.0).await
    }
}

impl Loader<MemoryId> for loaders::Rows {
    type Value = MemoryRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[MemoryId]) -> Result<HashMap<MemoryId, MemoryRow>, Self::Error> {
        let filter = MemoryFilter { ids: keys.iter().map(|id| id.0).collect(), ..Default::default() };
        let page = Page { after: None, limit: MAX_PAGE_ROWS };
        let rows = memories::list(&self.pool, &self.tenant, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (MemoryId(row.memory_id), row)).collect())
    }
}

/// One memory, together with others that are asked for at this moment.
pub(crate) async fn by_id(ctx: &Context<'_>, id: Uuid) -> Result<Option<Memory>> {
    let row = loaders::of(ctx)?.load_one(MemoryId(id)).await.map_err(errors::loader)?;
    row.map(Memory::try_from).transpose()
}

/// Which memories. Forgotten ones are never listed.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "MemoryFilter")]
pub(crate) struct Filter {
    /// Containing these words, in the form of a web search: `tea -coffee "green tea" or milk`.
    search: Option<String>,
    /// Visible to this agent: its own, and those shared with the village or further.
    visible_to: Option<ID>,
    /// In this realm.
    realm: Option<Realm>,
    /// With this tag.
    tag: Option<String>,
}

impl Filter {
    fn check(self) -> Result<MemoryFilter> {
        if self.search.as_ref().is_some_and(|search| search.len() > MAX_SEARCH_BYTES || search.contains('\0')) {
            let message = format!("a search has at most {MAX_SEARCH_BYTES} bytes, and no NUL");
            return Err(errors::bad_input("BAD_SEARCH", message));
        }
        Ok(MemoryFilter {
            ids: Vec::new(),
            visible_to: Kind::Agent.parse_opt(self.visible_to.as_ref())?,
            realm: self.realm.map(|realm| DomainRealm::from(realm).as_str().to_owned()),
            tag: self.tag,
            search: self.search,
        })
    }
}

/// Queries about memories.
#[derive(Default)]
pub(crate) struct MemoryQuery;

#[Object]
impl MemoryQuery {
    /// A memory; null if there is none.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn memory(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id or UUID.")] id: ID,
        #[graphql(desc = "As it was then, rather than as it is now.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Option<Memory>> {
        let id = Kind::Memory.parse(&id)?;
        if let Some(as_of) = as_of {
            return as_of::row::<MemoryRow>(ctx, id, as_of).await?.map(Memory::try_from).transpose();
        }
        ready(ctx, PROJECTIONS, min_position).await?;
        by_id(ctx, id).await
    }

    /// Memories, in the order in which they were stored.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn memories(
        &self,
        ctx: &Context<'_>,
        filter: Option<Filter>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Connection<String, Memory>> {
        let filter = filter.unwrap_or_default().check()?;
        let page = connection::page(ctx, first, after.as_deref())?;
        ready(ctx, PROJECTIONS, min_position).await?;
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let rows = memories::list(&services.pool, &caller.tenant, &filter, page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.stored_at, row.memory_id))
    }
}

command_error! {
    /// Why a command to a memory was refused.
    MemoryCommandError, MemoryErrorCode {
        /// Nothing is stored under this id.
        NotStored,
        /// Something else is stored under this id.
        AlreadyStored,
        /// The memory was forgotten.
        Forgotten,
        /// The memory was forgotten before, for another reason.
        ForgottenOtherwise,
        /// What others saw cannot be unseen.
        CannotNarrow,
        /// The memory is private to another agent.
        NotVisible,
        /// There are more than 32 tags.
        TooManyTags,
    }
}

impl From<MemoryError> for MemoryCommandError {
    fn from(error: MemoryError) -> Self {
        let code = match error {
            MemoryError::NotStored => MemoryErrorCode::NotStored,
            MemoryError::AlreadyStored => MemoryErrorCode::AlreadyStored,
            MemoryError::Forgotten => MemoryErrorCode::Forgotten,
            MemoryError::AlreadyForgotten => MemoryErrorCode::ForgottenOtherwise,
            MemoryError::CannotNarrow { .. } => MemoryErrorCode::CannotNarrow,
            MemoryError::NotVisible => MemoryErrorCode::NotVisible,
            MemoryError::TooManyTags(_) => MemoryErrorCode::TooManyTags,
        };
        Self::new(code, error)
    }
}

payload! {
    /// What became of a command to a memory.
    MemoryPayload {
        /// The memory as of `position`; as it is now if the command was refused.
        memory: Memory(MemoryRow), error: MemoryCommandError
    }
}

/// Something to be remembered.
#[derive(Debug, InputObject)]
pub(crate) struct StoreMemoryInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// The memory's id, where the client knows it; otherwise one is made from `commandId`, or made up.
    id: Option<ID>,
    /// Who remembers.
    agent_id: ID,
    /// What: text of at most 64 KiB.
    content: String,
    /// Words to find it by; at most 32.
    tags: Option<Vec<String>>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A memory that more may see.
#[derive(Debug, InputObject)]
pub(crate) struct ShareMemoryInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which memory.
    id: ID,
    /// The wider realm.
    realm: Realm,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A memory that is used.
#[derive(Debug, InputObject)]
pub(crate) struct RecallMemoryInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which memory.
    id: ID,
    /// Who recalls it.
    agent_id: ID,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A memory to be let go.
#[derive(Debug, InputObject)]
pub(crate) struct ForgetMemoryInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which memory.
    id: ID,
    /// Why.
    reason: Option<String>,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// Commands to memories.
#[derive(Default)]
pub(crate) struct MemoryMutation;

#[Object]
impl MemoryMutation {
    /// Remembers something, for its agent alone. Storing the same again changes nothing.
    async fn store_memory(&self, ctx: &Context<'_>, input: StoreMemoryInput) -> Result<MemoryPayload> {
        let id = Kind::Memory.new_id(input.id.as_ref(), input.command_id)?;
        let agent_id = AgentId(Kind::Agent.parse(&input.agent_id)?);
        let order = Order::new(input.command_id);
        let at = or_now(input.at);
        let command = || {
            let content = input::body("content", input.content)?;
            Ok(MemoryCommand::Store { agent_id, content, tags: input::names("tags", input.tags)?, at })
        };
        execute(ctx, id, order, command()).await
    }

    /// Lets more see a memory. What was shared cannot be taken back.
    async fn share_memory(&self, ctx: &Context<'_>, input: ShareMemoryInput) -> Result<MemoryPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let command = MemoryCommand::Share { realm: input.realm.into(), at: or_now(input.at) };
        execute(ctx, Kind::Memory.parse(&input.id)?, order, Ok(command)).await
    }

    /// Uses a memory: notes who recalled it and when.
    async fn recall_memory(&self, ctx: &Context<'_>, input: RecallMemoryInput) -> Result<MemoryPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let agent_id = AgentId(Kind::Agent.parse(&input.agent_id)?);
        let command = MemoryCommand::Recall { agent_id, at: or_now(input.at) };
        execute(ctx, Kind::Memory.parse(&input.id)?, order, Ok(command)).await
    }

    /// Lets a memory go: it is no longer found or shown.
    async fn forget_memory(&self, ctx: &Context<'_>, input: ForgetMemoryInput) -> Result<MemoryPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let command = input::body_opt("reason", input.reason).map(|reason| MemoryCommand::Forget { reason, at });
        execute(ctx, Kind::Memory.parse(&input.id)?, order, command).await
    }
}

async fn execute(
    ctx: &Context<'_>,
    id: Uuid,
    order: Order,
    command: Result<MemoryCommand, Invalid>,
) -> Result<MemoryPayload> {
    payload::run::<Aggregate, MemoryCommandError>(ctx, id, order, command).await.map(Into::into)
}
