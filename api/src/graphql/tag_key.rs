//! The tag keys by whose values usage is summed up.

use super::command_error::command_error;
use super::command_options::{CommandOptions, MaySend};
use super::input::Invalid;
use super::payload::{self, CommandResult, Outcome};
use super::scalars::{Long, Position, Timestamp, Uid, or_now};
use super::services::{Services, authorise, requester, services};
use super::{connection, errors};
use async_graphql::{ComplexObject, Context, InputObject, Object, Result, SimpleObject};
use commands::{Loaded, Principal};
use domain::TagKey;
use domain::permissions::ReadTagKeys;
use domain::tag_keys::{TagKeys, TagKeysCommand, TagKeysError};
use std::sync::Arc;

command_error! {
    /// Reason for which `declareTagKey` or `withdrawTagKey` was rejected.
    TagKeyCommandError,
    /// Reasons for which `declareTagKey` or `withdrawTagKey` is rejected.
    TagKeyErrorCode {
        /// Eight keys are declared already.
        TooMany,
        /// The key to withdraw is not declared.
        NotDeclared,
    }
}

impl From<TagKeysError> for TagKeyCommandError {
    fn from(error: TagKeysError) -> Self {
        let code = match error {
            TagKeysError::TooMany => TagKeyErrorCode::TooMany,
            TagKeysError::NotDeclared(_) => TagKeyErrorCode::NotDeclared,
        };
        Self::new(code, error)
    }
}

/// Tag key by whose values sums of usage are kept.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct DeclaredTagKey {
    /// Key of the tag.
    key: String,
    /// Time at which the key was last declared. Calls that were reported only while it was not declared are not counted under
    /// it, see `usageReport`.
    declared_at: Timestamp,
}

fn declared_tag_keys(keys: &TagKeys) -> Vec<DeclaredTagKey> {
    keys.iter().map(|(key, at)| DeclaredTagKey { key: key.to_string(), declared_at: at.into() }).collect()
}

/// The tag keys of the tenant of the request as they are now.
pub(crate) async fn declared(ctx: &Context<'_>) -> Result<Arc<Loaded<TagKeys>>> {
    declared_in(services(ctx)?, &requester(ctx)?.principal).await
}

/// The tag keys of the tenant of a principal as they are now.
pub(crate) async fn declared_in(services: &Services, principal: &Principal) -> Result<Arc<Loaded<TagKeys>>> {
    services.commands.load::<TagKeys>(principal, TagKeys::id()).await.map_err(|error| errors::failed(&error))
}

/// Payload of `declareTagKey` and `withdrawTagKey`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct TagKeyPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command. It is `ALREADY_DONE` if the key to declare is declared.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<TagKeyCommandError>,
}

#[ComplexObject]
impl TagKeyPayload {
    /// Keys that are declared now, sorted by key.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn tag_keys(&self, ctx: &Context<'_>) -> Result<Vec<DeclaredTagKey>> {
        Ok(declared_tag_keys(&declared(ctx).await?.state))
    }
}

impl From<CommandResult<TagKeyCommandError>> for TagKeyPayload {
    fn from(result: CommandResult<TagKeyCommandError>) -> Self {
        let CommandResult { command_id, outcome, position, error, .. } = result;
        Self { command_id: command_id.into(), outcome, position, error }
    }
}

macro_rules! tag_key_input {
    ($(#[$doc:meta])* $name:ident => $command:ident) => {
        $(#[$doc])*
        #[derive(Debug, InputObject)]
        pub(crate) struct $name {
            /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
            /// position of the first execution. A key that was used for another mutation, object or input is rejected with
            /// `COMMAND_ID_REUSED`. Default: a new UUID.
            command_id: Option<Uid>,
            /// Key of the tag: one line of at most 64 bytes.
            key: String,
            /// Version that the set of tag keys must have, which is the number of its events. The command is rejected with
            /// `WRONG_VERSION` if it has another one. Default: any version.
            expected_version: Option<Long>,
            /// Time at which this happened. Default: the current time of the server.
            at: Option<Timestamp>,
        }

        impl $name {
            async fn execute(self, ctx: &Context<'_>) -> Result<TagKeyPayload> {
                let options = CommandOptions {
                    may_send: MaySend::check(ctx)?,
                    target: TagKeys::id(),
                    command_id: self.command_id,
                    expected_version: self.expected_version,
                    at: or_now(self.at),
                };
                let key = TagKey::new(self.key).map_err(|error| Invalid::new("key", error));
                let command = key.map(|key| TagKeysCommand::$command { key, at: options.at });
                payload::execute::<TagKeys, TagKeyCommandError>(ctx, options, command).await.map(Into::into)
            }
        }
    };
}

tag_key_input! {
    /// Input of `declareTagKey`.
    DeclareTagKeyInput => Declare
}
tag_key_input! {
    /// Input of `withdrawTagKey`.
    WithdrawTagKeyInput => Withdraw
}

/// Commands to the tag keys.
#[derive(Default)]
pub(crate) struct TagKeyMutation;

#[Object]
impl TagKeyMutation {
    /// Declares a tag key, by whose values sums of usage are kept from now on. At most 8 keys are declared at the same time.
    /// Declare keys with few values: each value and hour has a row.
    ///
    /// A call is counted under the key when it is reported with the tag, or its tags are corrected, while the key is declared.
    /// Calls that were reported before are counted under it once they are reported again. An import that is running goes on
    /// with the keys that were declared at its first record with tags.
    async fn declare_tag_key(&self, ctx: &Context<'_>, input: DeclareTagKeyInput) -> Result<TagKeyPayload> {
        input.execute(ctx).await
    }

    /// Withdraws a tag key. No more calls are counted under it from now on; those that are counted stay so. It may be declared
    /// again.
    async fn withdraw_tag_key(&self, ctx: &Context<'_>, input: WithdrawTagKeyInput) -> Result<TagKeyPayload> {
        input.execute(ctx).await
    }
}

/// The query for the tag keys.
#[derive(Default)]
pub(crate) struct TagKeyQuery;

#[Object]
impl TagKeyQuery {
    /// Lists the tag keys by whose values sums of usage are kept, sorted by key. There are at most 8.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn tag_keys(&self, ctx: &Context<'_>) -> Result<Vec<DeclaredTagKey>> {
        authorise::<ReadTagKeys>(ctx)?;
        Ok(declared_tag_keys(&declared(ctx).await?.state))
    }
}
