//! The events of the endpoints for alerts.

use super::endpoint::{AlertDestination, AlertEndpointTerms, DisabledCause, SigningKey};
use super::quiet_hours::QuietHours;
use crate::codec::events;
use crate::ids::AlertEndpointId;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The payload of `alert_endpoint.defined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEndpointDefined {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// What it is named, and what it is told.
    pub terms: AlertEndpointTerms,
    /// Where alerts are sent.
    pub destination: AlertDestination,
    /// What deliveries are signed with; absent of endpoints that are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningKey>,
    /// Why it was defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When it was defined.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.revised`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEndpointRevised {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// What it is named, and what it is told.
    pub terms: AlertEndpointTerms,
    /// Where alerts are sent from now on.
    pub destination: AlertDestination,
    /// Why it was revised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When it was revised.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.secret_rotated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEndpointSecretRotated {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// What deliveries are signed with from now on.
    pub signing: SigningKey,
    /// Until when deliveries are signed with the secret before, too.
    pub previous_until: DateTime<Utc>,
    /// Why it was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When it was rotated.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.disabled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEndpointDisabled {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// What disabled it.
    pub cause: DisabledCause,
    /// Why it was disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When it was disabled.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.enabled` and `alert_endpoint.removed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEndpointMoved {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.silenced`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEndpointSilenced {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// Until when alerts wait; absent if they do not wait any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.quiet_hours_set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertQuietHoursSet {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// The hours of each week in which alerts wait; absent if there are none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.test_requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertTestRequested {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// When it was requested.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_endpoint.redelivery_requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertRedeliveryRequested {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// The delivery; absent for all dead letters of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<Uuid>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When it was requested.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of the endpoints for alerts of a tenant.
    pub enum AlertEndpointsEvent {
        /// An endpoint was defined. It is told of alerts that are raised after it.
        "alert_endpoint.defined" v 1 => Defined(AlertEndpointDefined),
        /// The terms or the destination of an endpoint were replaced.
        "alert_endpoint.revised" v 1 => Revised(AlertEndpointRevised),
        /// An endpoint has a new secret; the one before is used too for a time.
        "alert_endpoint.secret_rotated" v 1 => SecretRotated(AlertEndpointSecretRotated),
        /// Nothing is sent to the endpoint until it is enabled.
        "alert_endpoint.disabled" v 1 => Disabled(AlertEndpointDisabled),
        /// The endpoint is told of alerts that are raised after it.
        "alert_endpoint.enabled" v 1 => Enabled(AlertEndpointMoved),
        /// The endpoint was removed for good.
        "alert_endpoint.removed" v 1 => Removed(AlertEndpointMoved),
        /// Alerts that wait for a silence or are raised from now on wait until it ends, or do not wait any more.
        "alert_endpoint.silenced" v 1 => Silenced(AlertEndpointSilenced),
        /// Alerts that are raised in some hours of each week wait until they end, or do not wait any more.
        "alert_endpoint.quiet_hours_set" v 1 => QuietHoursSet(AlertQuietHoursSet),
        /// A message is to be sent that says that it is a test.
        "alert_endpoint.test_requested" v 1 => TestRequested(AlertTestRequested),
        /// Deliveries that are dead letters are to be tried again.
        "alert_endpoint.redelivery_requested" v 1 => RedeliveryRequested(AlertRedeliveryRequested),
    }
}
