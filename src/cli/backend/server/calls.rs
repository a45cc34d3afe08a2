//! Calls at a server.

use super::super::correction::Correction;
use super::super::operations::CallOperations;
use super::{OnServer, documents};
use commands::OutcomeKind;
use domain::{Body, CallId};
use serde::Deserialize;
use serde_json::{Value, json};

impl CallOperations for OnServer {
    async fn correct_call(&self, id: CallId, correction: Correction, reason: Body) -> anyhow::Result<OutcomeKind> {
        let input = json!({ "id": id.to_string(), "values": correction.graphql()?, "reason": reason.as_str() });
        self.done(documents::CORRECT_CALL, input, "/correctCall").await
    }

    async fn void_call(&self, id: CallId, reason: Body) -> anyhow::Result<OutcomeKind> {
        self.done(documents::VOID_CALL, json!({ "id": id.to_string(), "reason": reason.as_str() }), "/voidCall").await
    }

    async fn receipt(&self, id: CallId) -> anyhow::Result<Option<String>> {
        let receipt = self.receipt_of(id, documents::RECEIPT).await?;
        let text = receipt.map(|mut receipt| self.value(&mut receipt, "/text"));
        text.transpose()
    }

    async fn receipt_document(&self, id: CallId) -> anyhow::Result<Option<Value>> {
        self.receipt_of(id, documents::RECEIPT_DOCUMENT).await
    }
}

impl OnServer {
    /// The receipt with the fields of a document.
    async fn receipt_of(&self, id: CallId, document: &str) -> anyhow::Result<Option<Value>> {
        #[derive(Deserialize)]
        struct Call {
            receipt: Option<Value>,
        }
        // As of the end of the log: the read model of calls may not have the newest events.
        let head = self.client.head().await?;
        let variables = json!({ "id": id.to_string(), "head": head.to_string() });
        let call: Option<Call> = self.client.get(document, variables, "/call").await?;
        Ok(call.and_then(|call| call.receipt))
    }
}
