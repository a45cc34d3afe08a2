//! The count of open connections.

use super::address_connections::AddressPermit;
use metrics::gauge;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// An open connection. It is counted until both its request and the WebSocket that it was upgraded to have ended.
pub(crate) struct OpenConnection {
    _permit: OwnedSemaphorePermit,
    /// None for connections of trusted proxies, each of which has many clients.
    _of_address: Option<AddressPermit>,
}

impl OpenConnection {
    pub(super) fn new(permit: OwnedSemaphorePermit, of_address: Option<AddressPermit>) -> Arc<Self> {
        gauge!("apex_http_connections").increment(1.0);
        Arc::new(Self { _permit: permit, _of_address: of_address })
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        gauge!("apex_http_connections").decrement(1.0);
    }
}
