//! Calls at a server.

use super::super::correction::Correction;
use super::super::operations::CallOperations;
use super::{OnServer, documents};
use commands::OutcomeKind;
use domain::{Body, CallId};
use serde_json::json;

impl CallOperations for OnServer {
    async fn correct_call(&self, id: CallId, correction: Correction, reason: Body) -> anyhow::Result<OutcomeKind> {
        let input = json!({ "id": id.to_string(), "values": correction.graphql()?, "reason": reason.as_str() });
        self.done(documents::CORRECT_CALL, input, "/correctCall").await
    }

    async fn void_call(&self, id: CallId, reason: Body) -> anyhow::Result<OutcomeKind> {
        self.done(documents::VOID_CALL, json!({ "id": id.to_string(), "reason": reason.as_str() }), "/voidCall").await
    }
}
