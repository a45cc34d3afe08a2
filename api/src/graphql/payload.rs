//! What mutations answer.
//!
//! One pattern for all: a payload with the command's id, what it came to, the position to wait for, the object as of
//! that position, and the refusal if there is one. A refusal is data, not an error of the response: clients see it in
//! the schema, and a request with several mutations keeps the answers of the others.

use super::Services;
use super::as_of::AsOf;
use super::errors::Failure;
use super::input::Invalid;
use super::request;
use super::scalars::{Position, Uid};
use crate::caller::Caller;
use async_graphql::{Context, Enum, Result};
use commands::{Outcome as Executed, OutcomeKind};
use domain::Aggregate;
use projections::StreamRow;
use std::error::Error as StdError;
use std::sync::Arc;
use streams::Version;
use uuid::Uuid;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "CommandOutcome")]
pub(crate) enum Outcome {
    /// It was executed, and its events are durable.
    Done,
    /// What was asked for held already; nothing was written.
    AlreadyDone,
    /// A command with the same id was executed before; `position` is where its events stand.
    Duplicate,
    /// It was refused, and nothing was written; `error` says why.
    Refused,
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

/// A refusal that can say what every aggregate's can.
pub(crate) trait Refusal {
    fn wrong_version(expected: Version, current: Version) -> Self;
    fn command_id_reused() -> Self;
    fn too_large(message: String) -> Self;
}

/// A command that was answered.
pub(crate) struct Settled<E> {
    pub(crate) command_id: Uuid,
    pub(crate) id: Uuid,
    pub(crate) outcome: Outcome,
    pub(crate) position: Option<streams::Position>,
    pub(crate) error: Option<E>,
}

/// The command's side of an input.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Order {
    command_id: Option<Uid>,
    expected_version: Option<super::scalars::Long>,
}

impl Order {
    pub(crate) fn new(command_id: Option<Uid>) -> Self {
        Self { command_id, expected_version: None }
    }

    pub(crate) fn expecting(self, expected_version: Option<super::scalars::Long>) -> Self {
        Self { expected_version, ..self }
    }

    /// On whose behalf it is given, and what was sent with it. Every mutation takes it from here, so that none forgets.
    pub(crate) fn context(self, ctx: &Context<'_>, target: Uuid) -> Result<commands::Context> {
        let caller = ctx.data::<Caller>()?;
        let command_id = self.command_id.map_or_else(Uuid::now_v7, |id| id.0);
        let mut context = commands::Context::new(caller.tenant.clone(), caller.actor.clone(), command_id);
        context.correlation_id = caller.correlation_id.unwrap_or(command_id);
        context.expected_version = self.expected_version.map(|version| version.unsigned().into());
        context.request = Some(request::hash(&ctx.field(), target)?);
        Ok(context)
    }
}

/// Turns the result of a command into its answer.
pub(crate) fn settle<A: Aggregate, R: StdError + 'static, E: Refusal + From<R>>(
    context: &commands::Context,
    id: Uuid,
    result: Result<Executed<A>, commands::Error<R>>,
) -> Result<Settled<E>> {
    let settled = |outcome, position, error| Settled { command_id: context.command_id, id, outcome, position, error };
    let refused = |error| Ok(settled(Outcome::Refused, None, Some(error)));
    match result.map_err(Failure::from) {
        Ok(executed) => Ok(settled(executed.kind.into(), Some(executed.position), None)),
        Err(Failure::Refused(refusal)) => refused(refusal.into()),
        Err(Failure::WrongVersion { expected, current }) => refused(E::wrong_version(expected, current)),
        Err(Failure::CommandIdReused) => refused(E::command_id_reused()),
        Err(Failure::Invalid(invalid)) => refused(E::too_large(invalid.to_string())),
        Err(Failure::Failed(error)) => Err(error),
    }
}

/// Executes a command that concerns one aggregate alone.
pub(crate) async fn run<A: Aggregate, E: Refusal + From<Invalid> + From<A::Error>>(
    ctx: &Context<'_>,
    id: Uuid,
    order: Order,
    command: Result<A::Command, Invalid>,
) -> Result<Settled<E>> {
    let context = order.context(ctx, id)?;
    match command {
        Ok(command) => {
            let result = ctx.data::<Arc<Services>>()?.commands.execute::<A>(&context, id, command).await;
            settle(&context, id, result)
        }
        Err(invalid) => Ok(refused(&context, id, invalid)),
    }
}

/// The answer to a command whose input does not fit.
pub(crate) fn refused<E>(context: &commands::Context, id: Uuid, error: impl Into<E>) -> Settled<E> {
    let error = Some(error.into());
    Settled { command_id: context.command_id, id, outcome: Outcome::Refused, position: None, error }
}

/// Reads an object as it was at a position; as it is now if none is given.
pub(crate) async fn object_at<R: StreamRow>(
    ctx: &Context<'_>,
    id: Uuid,
    position: Option<streams::Position>,
) -> Result<Option<R>> {
    let position = position.unwrap_or(streams::Position::from_i64(i64::MAX));
    super::as_of::row(ctx, id, AsOf::Position(Position(position))).await
}

/// What a position is in a payload.
pub(crate) fn position(settled: Option<streams::Position>) -> Option<Position> {
    settled.map(Position)
}

/// Declares the payload of an aggregate's mutations.
macro_rules! payload {
    ($(#[$doc:meta])* $payload:ident { $(#[$entity_doc:meta])* $entity:ident: $object:ident($row:ty), error: $error:ident }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        #[graphql(complex)]
        pub(crate) struct $payload {
            /// The command's id: give it again to retry safely.
            command_id: $crate::graphql::scalars::Uid,
            /// What the command came to.
            outcome: $crate::graphql::payload::Outcome,
            /// The position to ask for as `minPosition` to see the result in queries; none if the command was refused.
            position: Option<$crate::graphql::scalars::Position>,
            /// Why the command was refused.
            error: Option<$error>,
            #[graphql(skip)]
            id: uuid::Uuid,
        }

        #[async_graphql::ComplexObject]
        impl $payload {
            $(#[$entity_doc])*
            #[graphql(complexity = "10 + child_complexity")]
            async fn $entity(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Option<$object>> {
                let position = self.position.map(|position| position.0);
                let row = $crate::graphql::payload::object_at::<$row>(ctx, self.id, position).await?;
                row.map($object::try_from).transpose()
            }
        }

        impl From<$crate::graphql::payload::Settled<$error>> for $payload {
            fn from(settled: $crate::graphql::payload::Settled<$error>) -> Self {
                Self {
                    command_id: settled.command_id.into(),
                    outcome: settled.outcome,
                    position: $crate::graphql::payload::position(settled.position),
                    error: settled.error,
                    id: settled.id,
                }
            }
        }
    };
}
pub(crate) use payload;
