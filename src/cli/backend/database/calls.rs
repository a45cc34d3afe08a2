//! Calls on the database.

use super::super::correction::Correction;
use super::super::operations::CallOperations;
use super::{OnDatabase, now, receipt};
use commands::OutcomeKind;
use domain::call::CallCommand;
use domain::price_book::PriceBook;
use domain::receipt::Receipt;
use domain::tag_keys::TagKeys;
use domain::{Body, CallId};
use serde_json::Value;

impl OnDatabase<'_> {
    async fn command_call(&self, id: CallId, command: CallCommand) -> anyhow::Result<OutcomeKind> {
        Ok(self.rooms.commands.execute_call(&self.context(), &id.into(), &command).await?.kind)
    }

    async fn read_receipt(&self, id: CallId) -> anyhow::Result<Option<Receipt>> {
        let (commands, principal) = (&self.rooms.commands, &self.rooms.principal);
        Ok(commands.receipt(principal, id, None).await?)
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
        Ok(self.read_receipt(id).await?.map(|receipt| receipt.to_string()))
    }

    async fn receipt_document(&self, id: CallId) -> anyhow::Result<Option<Value>> {
        Ok(self.read_receipt(id).await?.as_ref().map(receipt::document))
    }
}
