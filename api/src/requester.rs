//! Who sends a request, which every resolver receives.

use commands::Principal;
use std::sync::Arc;
use uuid::Uuid;

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    /// The principal that the request runs as.
    pub(crate) principal: Arc<Principal>,
    /// The id of the larger operation that the request is part of, if the client sent one.
    pub(crate) correlation_id: Option<Uuid>,
}
