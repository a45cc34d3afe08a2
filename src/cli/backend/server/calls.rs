//! Calls at a server.

use super::super::correction::Correction;
use super::super::operations::CallOperations;
use super::{OnServer, documents};
use commands::OutcomeKind;
use domain::{Body, CallId};
use serde::Deserialize;
use serde_json::json;

impl CallOperations for OnServer {
    async fn correct_call(&self, id: CallId, correction: Correction, reason: Body) -> anyhow::Result<OutcomeKind> {
        let input = json!({ "id": id.to_string(), "values": correction.graphql()?, "reason": reason.as_str() });
        self.done(documents::CORRECT_CALL, input, "/correctCall").await
    }

    async fn void_call(&self, id: CallId, reason: Body) -> anyhow::Result<OutcomeKind> {
        self.done(documents::VOID_CALL, json!({ "id": id.to_string(), "reason": reason.as_str() }), "/voidCall").await
    }

    async fn receipt(&self, id: CallId) -> anyhow::Result<Option<String>> {
        #[derive(Deserialize)]
        struct Call {
            receipt: Option<Text>,
        }
        #[derive(Deserialize)]
        struct Text {
            text: String,
        }
        // As of the end of the log: the read model of calls may not have the newest events.
        let head: String = self.client.get(documents::HEAD, json!({}), "/head").await?;
        let variables = json!({ "id": id.to_string(), "head": head });
        let call: Option<Call> = self.client.get(documents::RECEIPT, variables, "/call").await?;
        Ok(call.and_then(|call| call.receipt).map(|receipt| receipt.text))
    }
}
