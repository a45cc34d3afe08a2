//! Receipts of calls.

use crate::error::Error;
use crate::executor::Commands;
use crate::loaded::AsOf;
use crate::principal::Principal;
use domain::CallId;
use domain::call::CallError;
use domain::receipt::Receipt;

impl Commands {
    /// The receipt of a call as it is now or as it was; none if the call was voided then. It names the call by the id that all
    /// of its ids lead to, and the prices by the present price book, which still knows them.
    ///
    /// # Errors
    /// As for [`Commands::load_call`].
    pub async fn receipt(
        &self,
        principal: &Principal,
        id: CallId,
        as_of: Option<AsOf>,
    ) -> Result<Option<Receipt>, Error<CallError>> {
        let (id, call) = self.load_call(principal, id, as_of).await?;
        let Some(charged) = &call.state.charged else { return Ok(None) };
        Ok(Some(Receipt::new(id, charged, &*self.newest_book(principal).await?)))
    }
}
