//! What the parts of the gateway share.

use crate::config::GatewayConfig;
use crate::endpoint::Endpoint;
use crate::known::KnownCatalogues;
use crate::settle::Ending;
use crate::upstream::Upstream;
use bytes::Bytes;
use commands::{Commands, Principal};
use domain::ReservationId;
use metrics::gauge;
use reqwest::header::HeaderMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A request to the gateway.
pub struct CallInput {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// The id of the larger operation that the call is part of, if the client sent one.
    pub correlation_id: Option<Uuid>,
    /// What is called.
    pub endpoint: Endpoint,
    /// The name of the upstream.
    pub upstream: String,
    /// The query of the URL.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What bounds the calls that are open. It is dropped once the call is settled.
    pub permit: Box<dyn CallPermit>,
}

/// The permit of a call, which counts as open until it is dropped.
pub trait CallPermit: Send + Sync {
    /// Counts further bytes that are held for the call; false if there are too many, and they are not counted.
    fn take_bytes(&self, bytes: u64) -> bool;
}

/// What calls share.
pub(crate) struct Shared {
    pub(crate) commands: Commands,
    pub(crate) config: GatewayConfig,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) known: KnownCatalogues,
    /// The calls that are not settled yet.
    pub(crate) tasks: TaskTracker,
    /// Permits for reservations that were not answered, and are to be released.
    pub(crate) unanswered: Arc<Semaphore>,
}

impl Shared {
    /// What ends a call.
    pub(crate) fn ending(&self, input: &CallInput, reservation_id: Option<ReservationId>) -> Ending {
        Ending {
            commands: self.commands.clone(),
            principal: input.principal.clone(),
            correlation_id: input.correlation_id,
            reservation_id,
            timeout: self.config.limits.settle_timeout,
        }
    }
}

/// The bytes of a response that are not counted, and the steps in which the others are.
const STEP_BYTES: u64 = 64 * 1024;

/// Counts as an open call until it is dropped.
pub(crate) struct OpenCall {
    permit: Box<dyn CallPermit>,
    /// The bytes of the response that are counted, and those that are not.
    covered: AtomicU64,
}

impl OpenCall {
    pub(crate) fn new(permit: Box<dyn CallPermit>) -> Self {
        gauge!("apex_gateway_open_calls").increment(1);
        Self { permit, covered: AtomicU64::new(STEP_BYTES) }
    }

    /// Counts the bytes of the response that are held at the same time, if they are more than before; false if all calls hold too many.
    /// A call holds its response in one task.
    pub(crate) fn covers(&self, held_bytes: usize) -> bool {
        let (held, covered) = (held_bytes as u64, self.covered.load(Ordering::Relaxed));
        let more = held.saturating_sub(covered).next_multiple_of(STEP_BYTES);
        let is_covered = more == 0 || self.permit.take_bytes(more);
        if is_covered {
            self.covered.store(covered.saturating_add(more), Ordering::Relaxed);
        }
        is_covered
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        gauge!("apex_gateway_open_calls").decrement(1);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A permit for a number of bytes.
    struct Allowance(AtomicU64);

    impl CallPermit for Allowance {
        fn take_bytes(&self, bytes: u64) -> bool {
            let left = |left: u64| left.checked_sub(bytes);
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
        }
    }

    pub(crate) fn open_call(max_bytes: u64) -> OpenCall {
        OpenCall::new(Box::new(Allowance(AtomicU64::new(max_bytes))))
    }

    #[test]
    fn what_is_held_of_a_response_is_counted_once_and_limited() {
        let step = usize::try_from(STEP_BYTES).unwrap();
        let open = open_call(2 * STEP_BYTES);
        for held in [0, step, step + 1, 2 * step, 5, 3 * step] {
            assert!(open.covers(held), "{held}");
        }
        assert!(!open.covers(3 * step + 1));
        assert!(open.covers(3 * step), "it has what it had");
    }
}
