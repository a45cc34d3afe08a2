//! Commands to memories.

use super::types::{Memory, Realm};
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, command_input};
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, payload};
use async_graphql::{Context, ID, Object, Result};
use domain::AgentId;
use domain::memory::{Memory as Aggregate, MemoryCommand, MemoryError};

command_error! {
    /// Reason for which a command to a memory was rejected.
    MemoryCommandError,
    /// Reasons for which a command to a memory is rejected.
    MemoryErrorCode {
        /// No memory with this id is stored.
        NotStored,
        /// A different memory is stored under this id.
        AlreadyStored,
        /// The memory is forgotten.
        Forgotten,
        /// The memory was forgotten before, for a different reason.
        ForgottenOtherwise,
        /// The realm is narrower than the current one. A memory that was shared cannot be made private again.
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
    /// Payload of the mutations of a memory.
    MemoryPayload {
        /// The memory as of `position`. If the command was rejected, the memory as it is now.
        memory: Memory, error: MemoryCommandError
    }
}

command_input! {
    /// Input of `storeMemory`.
    StoreMemoryInput {
        /// Id of the new memory: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise
        /// a new UUID.
        id: new Memory,
        /// Global id or UUID of the agent that owns the memory.
        agent_id: ID,
        /// Text to store, at most 64 KiB.
        content: String,
        /// Tags by which the memory can be found, at most 32, each one line of at most 256 bytes. Default: none.
        tags: Option<Vec<String>>,
    }
}

command_input! {
    /// Input of `shareMemory`.
    ShareMemoryInput {
        /// Global id or UUID of the memory.
        id: Memory,
        /// New visibility, which must not be narrower than the current one.
        realm: Realm,
    }
}

command_input! {
    /// Input of `recallMemory`.
    RecallMemoryInput {
        /// Global id or UUID of the memory.
        id: Memory,
        /// Global id or UUID of the agent that recalls the memory.
        agent_id: ID,
    }
}

command_input! {
    /// Input of `forgetMemory`.
    ForgetMemoryInput {
        /// Global id or UUID of the memory.
        id: Memory,
        /// Reason for forgetting the memory: text of at most 64 KiB.
        reason: Option<String>,
    }
}

/// Commands to memories.
#[derive(Default)]
pub(crate) struct MemoryMutation;

#[Object]
impl MemoryMutation {
    /// Stores a memory, private to its agent. Storing the same memory again has no effect.
    async fn store_memory(&self, ctx: &Context<'_>, input: StoreMemoryInput) -> Result<MemoryPayload> {
        let options = input.options(ctx)?;
        let agent_id = AgentId(Kind::Agent.parse(&input.agent_id)?);
        let command = || {
            let content = input::body("content", input.content)?;
            let tags = input::names("tags", input.tags)?;
            Ok(MemoryCommand::Store { agent_id, content, tags, at: options.at })
        };
        execute(ctx, options, command()).await
    }

    /// Widens the visibility of a memory. It cannot be narrowed again.
    async fn share_memory(&self, ctx: &Context<'_>, input: ShareMemoryInput) -> Result<MemoryPayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, Ok(MemoryCommand::Share { realm: input.realm.into(), at: options.at })).await
    }

    /// Records that an agent recalled a memory.
    async fn recall_memory(&self, ctx: &Context<'_>, input: RecallMemoryInput) -> Result<MemoryPayload> {
        let options = input.options(ctx)?;
        let agent_id = AgentId(Kind::Agent.parse(&input.agent_id)?);
        execute(ctx, options, Ok(MemoryCommand::Recall { agent_id, at: options.at })).await
    }

    /// Forgets a memory. Its content and tags are no longer returned, and it is no longer listed.
    async fn forget_memory(&self, ctx: &Context<'_>, input: ForgetMemoryInput) -> Result<MemoryPayload> {
        let options = input.options(ctx)?;
        let reason = input::body_opt("reason", input.reason);
        execute(ctx, options, reason.map(|reason| MemoryCommand::Forget { reason, at: options.at })).await
    }
}

async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<MemoryCommand, Invalid>,
) -> Result<MemoryPayload> {
    payload::execute::<Aggregate, MemoryCommandError>(ctx, options, command).await.map(Into::into)
}
