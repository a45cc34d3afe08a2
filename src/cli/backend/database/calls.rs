//! Calls on the database.

use super::super::correction::Correction;
use super::super::operations::CallOperations;
use super::{OnDatabase, now};
use commands::OutcomeKind;
use domain::call::CallCommand;
use domain::price_book::PriceBook;
use domain::tag_keys::TagKeys;
use domain::{Body, CallId};

impl OnDatabase<'_> {
    async fn command_call(&self, id: CallId, command: CallCommand) -> anyhow::Result<OutcomeKind> {
        Ok(self.rooms.commands.execute_call(&self.context(), &id.into(), command).await?.kind)
    }
}

impl CallOperations for OnDatabase<'_> {
    async fn correct_call(&self, id: CallId, correction: Correction, reason: Body) -> anyhow::Result<OutcomeKind> {
        let (commands, charging) = (&self.rooms.commands, self.rooms.principal.charging());
        let prices = commands.load::<PriceBook>(&charging, PriceBook::id()).await?;
        let tag_keys = commands.load::<TagKeys>(&charging, TagKeys::id()).await?;
        let (prices, tag_keys) = (PriceBook::clone(&prices.state), TagKeys::clone(&tag_keys.state));
        let Correction { fields, values } = correction;
        self.command_call(id, CallCommand::Correct { fields, values, reason, at: now(), prices, tag_keys }).await
    }

    async fn void_call(&self, id: CallId, reason: Body) -> anyhow::Result<OutcomeKind> {
        self.command_call(id, CallCommand::Void { reason, at: now() }).await
    }
}
