//! What the commands to identities have in common.

use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::scalars::Uid;
use crate::graphql::services::authorise;
use async_graphql::{Context, Result};
use chrono::{DateTime, Utc};
use domain::permissions::CommandIdentities;
use uuid::Uuid;

/// Builds the context of a command, after the principal was authorised and before its input is looked at.
pub(crate) struct Start {
    may_send: MaySend,
    pub(crate) command_id: Uuid,
    pub(crate) at: DateTime<Utc>,
}

impl Start {
    pub(crate) fn new(ctx: &Context<'_>, command_id: Option<Uid>) -> Result<Self> {
        authorise::<CommandIdentities>(ctx)?;
        let command_id = command_id.map_or_else(Uuid::now_v7, |id| id.0);
        Ok(Self { may_send: MaySend::check(ctx)?, command_id, at: Utc::now() })
    }

    /// The context of a command to an object; of one that creates an object, whose id follows from that of the command,
    /// without one.
    pub(crate) fn context(&self, ctx: &Context<'_>, target: Option<Uuid>) -> Result<commands::Context> {
        let options = CommandOptions {
            may_send: self.may_send,
            target: target.unwrap_or(self.command_id),
            command_id: Some(self.command_id.into()),
            expected_version: None,
            at: self.at,
        };
        options.context(ctx)
    }
}
