//! What the inputs of all mutations have in common: the target, the idempotency key, the expected version and the time.

use super::request_hash;
use super::scalars::{Long, Uid};
use super::services::{authorise, requester};
use async_graphql::{Context, Result};
use chrono::{DateTime, Utc};
use domain::permissions::SendCommand;
use uuid::Uuid;

/// Proof that the principal of the request may send commands. Every mutation needs it before it looks at its input: a
/// principal that may not learns nothing of what is valid. `commands` authorises the command itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaySend(());

impl MaySend {
    /// # Errors
    /// `FORBIDDEN` if the principal may not send commands.
    pub(crate) fn check(ctx: &Context<'_>) -> Result<Self> {
        authorise::<SendCommand>(ctx).map(|_| Self(()))
    }
}

/// The common part of a mutation's input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommandOptions {
    /// Proof that the input was looked at after the principal was authorised.
    pub(crate) may_send: MaySend,
    /// The id of the aggregate.
    pub(crate) target: Uuid,
    /// The idempotency key; generated if the client sends none.
    pub(crate) command_id: Option<Uid>,
    /// The version that the aggregate must have; any if none.
    pub(crate) expected_version: Option<Long>,
    /// When it happened.
    pub(crate) at: DateTime<Utc>,
}

impl CommandOptions {
    /// Builds the context in which the command runs: principal, idempotency key, and the hash of the request. Every mutation
    /// builds it here, so that none omits a part.
    pub(crate) fn context(self, ctx: &Context<'_>) -> Result<commands::Context> {
        let (MaySend(()), requester) = (self.may_send, requester(ctx)?);
        let command_id = self.command_id.map_or_else(Uuid::now_v7, |id| id.0);
        let mut context = commands::Context::new(requester.principal.clone(), command_id);
        context.correlation_id = requester.correlation_id.unwrap_or(command_id);
        context.expected_version = self.expected_version.map(|version| version.unsigned().into());
        context.request = Some(request_hash::hash(&ctx.field(), self.target)?);
        Ok(context)
    }
}

/// Declares the input of a mutation: its own fields, and those that every input has, `commandId`, `id`, `at` and, for an
/// object that exists already, `expectedVersion`. `id: new Kind` declares the input of a mutation that creates an object.
///
/// The type gets a method `options`, which authorises the principal of the request and returns the common part as
/// [`CommandOptions`].
macro_rules! command_input {
    (@type $(#[$doc:meta])* $name:ident {
        $(#[$id_doc:meta])* $id_type:ty,
        [$($expected_version:ident)?],
        $($(#[$field_doc:meta])* $field:ident: $field_type:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, async_graphql::InputObject)]
        pub(crate) struct $name {
            /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
            /// the position of the first execution. A key that was used for another mutation, object or input is rejected
            /// with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
            /// Default: a new UUID.
            command_id: Option<$crate::graphql::scalars::Uid>,
            $(#[$id_doc])*
            id: $id_type,
            $($(#[$field_doc])* $field: $field_type,)*
            $(
            /// Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
            /// Default: any version.
            $expected_version: Option<$crate::graphql::scalars::Long>,
            )?
            /// Time at which this happened. Default: the current time of the server.
            at: Option<$crate::graphql::scalars::Timestamp>,
        }
    };
    ($(#[$doc:meta])* $name:ident {
        $(#[$id_doc:meta])* id: new $kind:ident
        $(, $(#[$field_doc:meta])* $field:ident: $field_type:ty)* $(,)?
    }) => {
        $crate::graphql::command_options::command_input!(@type $(#[$doc])* $name {
            $(#[$id_doc])* Option<async_graphql::ID>, [], $($(#[$field_doc])* $field: $field_type),*
        });

        impl $name {
            fn options(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<$crate::graphql::command_options::CommandOptions> {
                let may_send = $crate::graphql::command_options::MaySend::check(ctx)?;
                Ok($crate::graphql::command_options::CommandOptions {
                    may_send,
                    target: $crate::graphql::ids::Kind::$kind.new_id(self.id.as_ref(), self.command_id)?,
                    command_id: self.command_id,
                    expected_version: None,
                    at: $crate::graphql::scalars::or_now(self.at),
                })
            }
        }
    };
    ($(#[$doc:meta])* $name:ident {
        $(#[$id_doc:meta])* id: $kind:ident
        $(, $(#[$field_doc:meta])* $field:ident: $field_type:ty)* $(,)?
    }) => {
        $crate::graphql::command_options::command_input!(@type $(#[$doc])* $name {
            $(#[$id_doc])* async_graphql::ID, [expected_version], $($(#[$field_doc])* $field: $field_type),*
        });

        impl $name {
            fn options(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<$crate::graphql::command_options::CommandOptions> {
                let may_send = $crate::graphql::command_options::MaySend::check(ctx)?;
                Ok($crate::graphql::command_options::CommandOptions {
                    may_send,
                    target: $crate::graphql::ids::Kind::$kind.parse(&self.id)?,
                    command_id: self.command_id,
                    expected_version: self.expected_version,
                    at: $crate::graphql::scalars::or_now(self.at),
                })
            }
        }
    };
}
pub(crate) use command_input;
