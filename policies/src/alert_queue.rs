//! The names of what delivers alerts, what it acts as, and the queues of deliveries.

use crate::job::NewJob;
use commands::{Component, Principal};
use domain::{AlertEndpointId, TenantId, derived_id};
use serde::{Deserialize, Serialize};
use streams::RecordedEvent;

/// The name of the [`AlertDelivery`](crate::AlertDelivery) policy, used for its actor and its checkpoint.
pub const ALERT_DELIVERIES: &str = "alert-deliveries";

/// The kind of the jobs that deliver an alert to an endpoint.
pub const ALERT_DELIVERY: &str = "alert-delivery";

/// What a delivery acts on: the endpoint. Those of an endpoint that fails do not delay those of others.
pub(crate) fn destination(tenant: &TenantId, endpoint: AlertEndpointId) -> String {
    format!("{tenant}/{endpoint}")
}

/// The queue of the deliveries to an endpoint.
pub(crate) fn queue(tenant: &TenantId, endpoint: AlertEndpointId) -> String {
    format!("{ALERT_DELIVERY}:{}", destination(tenant, endpoint))
}

/// What reads and decides in a tenant on behalf of deliveries.
#[must_use]
pub fn delivery_component(tenant: &TenantId) -> Principal {
    Principal::component(tenant.clone(), Component::Policy(ALERT_DELIVERIES))
}

/// The kind of the jobs that deliver alerts that could not be decoded.
pub const ALERT_CATCH_UP: &str = "alert-catch-up";

/// What the job says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct CatchUp {
    /// The position of the event.
    pub(crate) position: u64,
}

/// The job of an event that cannot be decoded.
pub(crate) fn catch_up_job(recorded: &RecordedEvent) -> Result<NewJob, serde_json::Error> {
    let tenant = recorded.stream.tenant.clone();
    Ok(NewJob {
        id: derived_id(&[ALERT_CATCH_UP, &recorded.event_id.to_string()]),
        kind: ALERT_CATCH_UP,
        destination: Some(tenant.to_string()),
        tenant: Some(tenant),
        payload: serde_json::to_value(CatchUp { position: recorded.position.get() })?,
        due_at: None,
    })
}
