//! What the subcommands do on the database.

mod alerts;
mod allocation;
mod budgets;
mod calls;
mod grants;
mod invoice;
mod people;
mod receipt;
mod schedules;

use super::operations::{Listed, TagOperations};
use crate::rooms::Rooms;
use chrono::{DateTime, SubsecRound as _, Utc};
use commands::{Context, OutcomeKind};
use domain::TagKey;
use domain::tag_keys::{TagKeys, TagKeysCommand};
use identity::{Identities, MAX_LISTED};
use uuid::Uuid;

/// The operations on the database of the settings, by the operator at the command line.
pub(super) struct OnDatabase<'r> {
    rooms: &'r Rooms,
    identities: &'r Identities,
    had_admin: bool,
}

impl<'r> OnDatabase<'r> {
    pub(super) fn new(rooms: &'r Rooms, identities: &'r Identities) -> Self {
        let had_admin = identities.directory().has_admin(rooms.principal.tenant());
        Self { rooms, identities, had_admin }
    }

    /// A command that is given now.
    fn context(&self) -> Context {
        Context::new(self.rooms.principal.clone(), Uuid::now_v7())
    }

    /// Says so if the tenant had an admin before the subcommand, and has none now. The command line may take the last one away,
    /// because it can make another one.
    pub(super) fn warn_without_admin(&self) {
        let tenant = self.rooms.principal.tenant();
        if self.had_admin && !self.identities.directory().has_admin(tenant) {
            say!(
                "No account or user of the tenant {tenant} can decide who may do what any more. Only the command line and the \
                 tokens of the settings can, as with `apex roles grant admin --account ID`."
            );
        }
    }

    async fn command_tags(&self, command: TagKeysCommand) -> anyhow::Result<OutcomeKind> {
        let executed = self.rooms.commands.execute::<TagKeys>(&self.context(), TagKeys::id(), command).await;
        Ok(executed?.kind)
    }
}

/// The current time in the precision of the read models.
pub(in crate::cli) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn listed<T>(items: Vec<T>) -> Listed<T> {
    Listed { is_cut: items.len() == MAX_LISTED, items }
}

impl TagOperations for OnDatabase<'_> {
    async fn tag_keys(&self) -> anyhow::Result<Vec<(TagKey, DateTime<Utc>)>> {
        let keys = self.rooms.commands.load::<TagKeys>(&self.rooms.principal, TagKeys::id()).await?;
        Ok(keys.state.iter().map(|(key, at)| (key.clone(), at)).collect())
    }

    async fn declare_tag_key(&self, key: TagKey) -> anyhow::Result<OutcomeKind> {
        self.command_tags(TagKeysCommand::Declare { key, at: now() }).await
    }

    async fn withdraw_tag_key(&self, key: TagKey) -> anyhow::Result<()> {
        self.command_tags(TagKeysCommand::Withdraw { key, at: now() }).await.map(|_| ())
    }
}
