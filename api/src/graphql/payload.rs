//! The payloads of mutations.
//!
//! All have one form: the command's id, its outcome, the position to wait for, the object as of that position, and the
//! error if the command was rejected. A rejection is data and not an error of the response: clients find it in the schema,
//! and a request with several mutations keeps the payloads of the others.

use super::command_error::Rejection;
use super::command_options::CommandOptions;
use super::errors::{self, Failure};
use super::scalars::Position;
use super::services::{requester, services};
use async_graphql::{Context, Enum, Result};
use commands::{Commands, Outcome as Executed, OutcomeKind};
use domain::Aggregate;
use domain::permissions::SendCommand;
use std::error::Error as StdError;
use std::future::Future;
use uuid::Uuid;

/// Outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "CommandOutcome")]
pub(crate) enum Outcome {
    /// The command was executed, and its events are durable.
    Done,
    /// The object was in the requested state already. Nothing was written.
    AlreadyDone,
    /// A command with the same `commandId` was executed before. Nothing was written; `position` is the position of the
    /// first execution.
    Duplicate,
    /// The command was rejected. Nothing was written; `error` has the reason.
    Rejected,
}

impl From<OutcomeKind> for Outcome {
    fn from(kind: OutcomeKind) -> Self {
        match kind {
            OutcomeKind::Done => Self::Done,
            OutcomeKind::AlreadyDone => Self::AlreadyDone,
            OutcomeKind::Duplicate => Self::Duplicate,
        }
    }
}

/// The result of a command that was executed or rejected, as payloads report it.
pub(crate) struct CommandResult<E> {
    pub(crate) command_id: Uuid,
    pub(crate) target: Uuid,
    pub(crate) outcome: Outcome,
    pub(crate) position: Option<Position>,
    pub(crate) error: Option<E>,
}

impl<E> CommandResult<E> {
    /// The result of a command that was rejected.
    pub(crate) fn rejected(context: &commands::Context, target: Uuid, error: impl Into<E>) -> Self {
        let error = Some(error.into());
        Self { command_id: context.command_id, target, outcome: Outcome::Rejected, position: None, error }
    }
}

/// Converts the result of a command that was handed to [`commands`].
///
/// # Errors
/// The error of the response for a command that was neither executed nor rejected; see [`super::errors`] for the codes.
pub(crate) fn command_result<R: StdError + 'static, E: Rejection + From<R>>(
    context: &commands::Context,
    target: Uuid,
    result: Result<(OutcomeKind, commands::Position), commands::Error<R>>,
) -> Result<CommandResult<E>> {
    let error: E = match result.map_err(Failure::from) {
        Ok((kind, position)) => {
            let (outcome, position) = (kind.into(), Some(Position(position)));
            return Ok(CommandResult { command_id: context.command_id, target, outcome, position, error: None });
        }
        Err(Failure::Rejected(rejection)) => rejection.into(),
        Err(Failure::WrongVersion { expected, current }) => E::wrong_version(expected, current),
        Err(Failure::CommandIdReused) => E::command_id_reused(),
        Err(Failure::Invalid(invalid)) => E::too_large(invalid.to_string()),
        Err(Failure::Failed(error)) => return Err(error),
    };
    Ok(CommandResult::rejected(context, target, error))
}

/// Executes a command that concerns one aggregate only. A command whose input is not valid is rejected.
pub(crate) async fn execute<A: Aggregate, E: Rejection + From<A::Error>>(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<A::Command, impl Into<E>>,
) -> Result<CommandResult<E>> {
    let execute = |commands: Commands, context: commands::Context, command| async move {
        commands.execute::<A>(&context, options.target, command).await
    };
    execute_by(ctx, options, command, execute).await
}

/// Executes a command by a function of [`Commands`]. A command whose input is not valid is rejected.
pub(crate) async fn execute_by<A, C, R, E, F>(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<C, impl Into<E>>,
    execute: impl FnOnce(Commands, commands::Context, C) -> F,
) -> Result<CommandResult<E>>
where
    A: Aggregate,
    R: StdError + 'static,
    E: Rejection + From<R>,
    F: Future<Output = Result<Executed<A>, commands::Error<R>>>,
{
    let context = options.context(ctx)?;
    match command {
        Ok(command) => {
            let result = execute(services(ctx)?.commands.clone(), context.clone(), command).await;
            command_result(&context, options.target, result.map(|executed| (executed.kind, executed.position)))
        }
        Err(invalid) => {
            // Those who may not send the command are not told what is wrong with it.
            let principal = &requester(ctx)?.principal;
            let authorised = principal.authorise_on::<SendCommand>(A::CATEGORY, options.target);
            authorised.map_err(|forbidden| errors::forbidden(&forbidden))?;
            Ok(CommandResult::rejected(&context, options.target, invalid))
        }
    }
}

/// Declares the payload of an aggregate's mutations.
macro_rules! payload {
    ($(#[$doc:meta])* $payload:ident { $(#[$entity_doc:meta])* $entity:ident: $object:ident, error: $error:ident }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        #[graphql(complex)]
        pub(crate) struct $payload {
            /// Idempotency key of the command. Send it again to retry safely.
            command_id: $crate::graphql::scalars::Uid,
            /// Outcome of the command.
            outcome: $crate::graphql::payload::Outcome,
            /// Position of the command's last event. Pass it as `minPosition` to see the result in queries. Null if the
            /// command was rejected.
            position: Option<$crate::graphql::scalars::Position>,
            /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
            error: Option<$error>,
            #[graphql(skip)]
            target: uuid::Uuid,
        }

        #[async_graphql::ComplexObject]
        impl $payload {
            $(#[$entity_doc])*
            #[graphql(complexity = "10 + child_complexity")]
            async fn $entity(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Option<$object>> {
                $crate::graphql::entity::at_position(ctx, self.target, self.position).await
            }
        }

        impl From<$crate::graphql::payload::CommandResult<$error>> for $payload {
            fn from(result: $crate::graphql::payload::CommandResult<$error>) -> Self {
                Self {
                    command_id: result.command_id.into(),
                    outcome: result.outcome,
                    position: result.position,
                    error: result.error,
                    target: result.target,
                }
            }
        }
    };
}
pub(crate) use payload;
