//! How much may be open at the gateway at the same time. What is beyond it is refused before its body is read.

use crate::http::ingest::{Permit, Pool};
use domain::TenantId;
use gateway::{CallPermit, GatewayLimits};
use std::sync::{Arc, Mutex, PoisonError};

/// The fewest bytes that a request counts for.
const MIN_BYTES: u64 = 16 * 1024;

/// What may be open at the same time.
pub(crate) struct GatewayPermits {
    calls: Arc<Pool>,
    bytes: Arc<Pool>,
}

/// A permit for a call, with the bytes of its request and of what is held of its response.
pub(super) struct OpenPermit {
    _call: Permit,
    bytes: Mutex<Vec<Permit>>,
    pool: Arc<Pool>,
    tenant: TenantId,
}

impl GatewayPermits {
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        Self { calls: Arc::new(Pool::of(limits.max_calls)), bytes: Arc::new(Pool::of(limits.max_open_bytes)) }
    }

    /// A permit for a call whose body has at most this number of bytes; none if there is too much.
    pub(super) fn try_take(&self, tenant: &TenantId, max_bytes: u64) -> Option<OpenPermit> {
        let call = self.calls.try_take(tenant, 1)?;
        let bytes = self.bytes.try_take(tenant, max_bytes.max(MIN_BYTES))?;
        let (pool, tenant) = (self.bytes.clone(), tenant.clone());
        Some(OpenPermit { _call: call, bytes: Mutex::new(vec![bytes]), pool, tenant })
    }
}

impl CallPermit for OpenPermit {
    fn take_bytes(&self, bytes: u64) -> bool {
        let taken = self.pool.try_take(&self.tenant, bytes);
        let is_taken = taken.is_some();
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_take_bytes_of_those_of_requests_until_their_calls_end() {
        let limits = GatewayLimits { max_open_bytes: 2 * 3 * MIN_BYTES, ..GatewayLimits::default() };
        let (permits, tenant) = (GatewayPermits::new(&limits), TenantId::from_stored("one".to_owned()));
        let call = permits.try_take(&tenant, 1).unwrap();
        assert!(call.take_bytes(2 * MIN_BYTES));
        assert!(!call.take_bytes(1) && permits.try_take(&tenant, 1).is_none(), "a tenant has half");
        drop(call);
        assert!(permits.try_take(&tenant, 3 * MIN_BYTES).is_some());
    }
}
