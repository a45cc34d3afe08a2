//! Endpoints for alerts and deliveries as the command line shows them, wherever they are read.

use crate::config::Secret;
use chrono::{DateTime, Utc};
use domain::AlertEndpointId;
use domain::alert_endpoints::AlertEndpointKind;
use identity::{AlertTarget, AlertTargetError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An endpoint.
#[derive(Serialize)]
pub(in crate::cli) struct ShownEndpoint {
    pub(in crate::cli) id: AlertEndpointId,
    pub(in crate::cli) name: String,
    pub(in crate::cli) kind: String,
    pub(in crate::cli) host: String,
    pub(in crate::cli) budgets: Vec<Uuid>,
    pub(in crate::cli) previous_secret_until: Option<DateTime<Utc>>,
    pub(in crate::cli) silent_until: Option<DateTime<Utc>>,
    /// What disabled it; none if it is enabled.
    pub(in crate::cli) disabled_by: Option<String>,
    pub(in crate::cli) disabled_reason: Option<String>,
    pub(in crate::cli) defined_at: DateTime<Utc>,
    pub(in crate::cli) changed_at: DateTime<Utc>,
}

/// A delivery.
#[derive(Serialize)]
pub(in crate::cli) struct ShownDelivery {
    pub(in crate::cli) id: Uuid,
    pub(in crate::cli) endpoint_id: AlertEndpointId,
    #[serde(rename = "type")]
    pub(in crate::cli) alert_type: String,
    pub(in crate::cli) budget_id: Option<Uuid>,
    pub(in crate::cli) threshold_percent: Option<i32>,
    pub(in crate::cli) state: String,
    pub(in crate::cli) attempts: i32,
    pub(in crate::cli) error: Option<String>,
    pub(in crate::cli) created_at: DateTime<Utc>,
    pub(in crate::cli) next_attempt_at: Option<DateTime<Utc>>,
    pub(in crate::cli) finished_at: Option<DateTime<Utc>>,
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::cli) enum DeliveryState {
    /// It is delivered, or tried again
    Waiting,
    /// It is being delivered
    Sending,
    /// The endpoint accepted it
    Delivered,
    /// It failed, and is not tried again by itself
    DeadLetter,
    /// An operator of the installation dropped it
    Dropped,
}

impl DeliveryState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Sending, Self::Delivered, Self::DeadLetter, Self::Dropped];

    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::DeadLetter => "dead-letter",
            Self::Dropped => "dropped",
        }
    }

    /// The name that GraphQL has.
    pub(super) fn graphql(self) -> String {
        self.as_str().to_uppercase().replace('-', "_")
    }

    /// The name that jobs have.
    pub(super) fn stored(self) -> &'static str {
        match self {
            Self::Sending => "leased",
            Self::Delivered => "done",
            Self::DeadLetter => "dead",
            Self::Waiting | Self::Dropped => self.as_str(),
        }
    }

    /// The state with a name that jobs have.
    pub(super) fn of_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.stored() == name)
    }
}

/// What is done to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum EndpointMove {
    Disable,
    Enable,
    Remove,
}

/// The parts of an address, of which a kind of endpoint has some.
#[derive(Clone, Default)]
pub(in crate::cli) struct AddressFields {
    pub(in crate::cli) url: Option<Secret>,
    pub(in crate::cli) routing_key: Option<Secret>,
    pub(in crate::cli) email: Option<String>,
}

impl AddressFields {
    /// The target of a kind at the address.
    pub(in crate::cli) fn target(&self, kind: AlertEndpointKind) -> Result<AlertTarget, AlertTargetError> {
        let (url, key) = (self.url.as_ref().map(Secret::reveal), self.routing_key.as_ref().map(Secret::reveal));
        AlertTarget::new(kind, url, key, self.email.as_deref())
    }
}
