//! Calls on the database.

use super::super::correction::Correction;
use super::super::operations::CallOperations;
use super::{OnDatabase, now};
use commands::OutcomeKind;
use domain::call::CallCommand;
use domain::price_book::PriceBook;
use domain::receipt::Receipt;
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

    async fn receipt(&self, id: CallId) -> anyhow::Result<Option<String>> {
        let (commands, principal) = (&self.rooms.commands, &self.rooms.principal);
        let (id, call) = commands.load_call(principal, id, None).await?;
        let Some(charged) = &call.state.charged else { return Ok(None) };
        let book = commands.load::<PriceBook>(&principal.charging(), PriceBook::id()).await?;
        Ok(Some(Receipt::new(id, charged, &book.state).to_string()))
    }
}
