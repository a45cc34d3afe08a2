//! Who sends a request, which every resolver receives.

use chrono::Utc;
use commands::{Principal, Subject, current_trace_id};
use identity::{Client, ContentsRead, Identities};
use std::sync::Arc;
use uuid::Uuid;

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    /// The principal that the request runs as.
    pub(crate) principal: Arc<Principal>,
    /// The id of the larger operation that the request is part of, if the client sent one.
    pub(crate) correlation_id: Option<Uuid>,
    /// Where the request comes from.
    pub(crate) client: Client,
}

impl Requester {
    /// Notes for the access log that the request reads texts that agents work with.
    pub(crate) fn note_contents(&self, identities: &Identities, operation: Option<&str>) {
        let read = ContentsRead { client: self.client.clone(), operation, trace_id: current_trace_id() };
        identities.access().read_contents(&self.principal, read, Utc::now());
    }

    /// Notes for the access log that the request exports data of its tenant. Whose a shared token is, nobody knows: as with its
    /// uses, nothing is noted.
    pub(crate) fn note_export(&self, identities: &Identities, data: &'static str) {
        if matches!(self.principal.subject(), Subject::SharedToken { .. }) {
            return;
        }
        identities.access().exported(&self.principal, data, &self.client, Utc::now());
    }
}
