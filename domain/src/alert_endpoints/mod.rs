//! The endpoints of a tenant to which alerts are sent: webhooks, chats, on-call services and e-mail addresses.
//!
//! There is one stream per tenant, so that who is told of an alert is decided from one state at the position of the alert.
//! Deliberately absent: addresses, secrets and deliveries. Addresses are stored beside the log, secrets are derived from a key
//! of the installation, and deliveries are jobs.

mod endpoint;
mod error;
mod events;
mod limits;
mod quiet_hours;

pub use endpoint::{
    AlertDestination, AlertEndpoint, AlertEndpointKind, AlertEndpointTerms, Disabled, DisabledCause, SigningKey,
};
pub use error::AlertEndpointsError;
pub use events::{
    AlertEndpointDefined, AlertEndpointDisabled, AlertEndpointMoved, AlertEndpointRevised, AlertEndpointSecretRotated,
    AlertEndpointSilenced, AlertEndpointsEvent, AlertQuietHoursSet, AlertRedeliveryRequested, AlertTestRequested,
};
pub use limits::{MAX_ENDPOINT_BUDGETS, MAX_ENDPOINTS, MAX_OVERLAP_SECONDS, MAX_QUIET_MINUTES, MAX_SILENCE_DAYS};
pub use quiet_hours::QuietHours;

use crate::aggregate::Aggregate;
use crate::ids::{AlertEndpointId, derived_id};
use crate::text::Body;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A command to the endpoints for alerts of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertEndpointsCommand {
    /// Defines an endpoint. The same definition again changes nothing.
    Define(AlertEndpointDefined),
    /// Replaces the terms and the destination of an endpoint.
    Revise(AlertEndpointRevised),
    /// Gives an endpoint another secret.
    RotateSecret {
        /// The endpoint.
        endpoint_id: AlertEndpointId,
        /// What deliveries are signed with from now on.
        signing: SigningKey,
        /// For how long they are signed with the secret before too, in seconds.
        overlap_seconds: u32,
        /// Why.
        reason: Option<Body>,
        /// When it was rotated.
        at: DateTime<Utc>,
    },
    /// Disables an endpoint. One that is disabled stays so, for the reason that it has.
    Disable(AlertEndpointDisabled),
    /// Enables an endpoint.
    Enable(AlertEndpointMoved),
    /// Removes an endpoint for good.
    Remove(AlertEndpointMoved),
    /// Lets alerts to an endpoint wait until a time, or not any more.
    Silence(AlertEndpointSilenced),
    /// Lets alerts that are raised in some hours of each week wait until they end, or not any more.
    SetQuietHours(AlertQuietHoursSet),
    /// Sends an endpoint a message that says that it is a test.
    SendTest(AlertTestRequested),
    /// Tries deliveries again that are dead letters.
    Redeliver(AlertRedeliveryRequested),
}

/// The state of the endpoints for alerts of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertEndpoints {
    endpoints: BTreeMap<AlertEndpointId, AlertEndpoint>,
}

impl AlertEndpoints {
    /// The id of the stream. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["alert_endpoints"])
    }

    /// An endpoint; none if it was not defined, or was removed.
    #[must_use]
    pub fn get(&self, id: AlertEndpointId) -> Option<&AlertEndpoint> {
        self.endpoints.get(&id)
    }

    /// The endpoints, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = (AlertEndpointId, &AlertEndpoint)> {
        self.endpoints.iter().map(|(id, endpoint)| (*id, endpoint))
    }

    /// Whether an address is that of an endpoint.
    #[must_use]
    pub fn has_destination(&self, destination_id: Uuid) -> bool {
        self.endpoints.values().any(|endpoint| endpoint.destination.destination_id == destination_id)
    }

    fn existing(&self, id: AlertEndpointId) -> Result<&AlertEndpoint, AlertEndpointsError> {
        self.get(id).ok_or(AlertEndpointsError::NotDefined(id))
    }

    fn enabled(&self, id: AlertEndpointId) -> Result<&AlertEndpoint, AlertEndpointsError> {
        let endpoint = self.existing(id)?;
        if endpoint.disabled.is_some() { Err(AlertEndpointsError::Disabled(id)) } else { Ok(endpoint) }
    }

    fn define(&self, given: AlertEndpointDefined) -> Result<Vec<AlertEndpointsEvent>, AlertEndpointsError> {
        given.terms.check()?;
        if let Some(known) = self.get(given.endpoint_id) {
            let is_same = known.terms == given.terms && known.destination == given.destination;
            return if is_same { Ok(Vec::new()) } else { Err(AlertEndpointsError::AlreadyDefined(given.endpoint_id)) };
        }
        if self.endpoints.len() >= MAX_ENDPOINTS {
            return Err(AlertEndpointsError::TooMany);
        }
        Ok(vec![AlertEndpointsEvent::Defined(given)])
    }

    fn revise(&self, given: AlertEndpointRevised) -> Result<Vec<AlertEndpointsEvent>, AlertEndpointsError> {
        given.terms.check()?;
        let known = self.existing(given.endpoint_id)?;
        if known.destination.kind != given.destination.kind {
            return Err(AlertEndpointsError::KindImmutable);
        }
        if known.terms == given.terms && known.destination == given.destination {
            return Ok(Vec::new());
        }
        Ok(vec![AlertEndpointsEvent::Revised(given)])
    }

    fn set_quiet_hours(&self, given: AlertQuietHoursSet) -> Result<Vec<AlertEndpointsEvent>, AlertEndpointsError> {
        let known = &self.existing(given.endpoint_id)?.quiet_hours;
        given.quiet_hours.as_ref().map_or(Ok(()), QuietHours::check)?;
        let is_changed = *known != given.quiet_hours;
        Ok(is_changed.then_some(AlertEndpointsEvent::QuietHoursSet(given)).into_iter().collect())
    }

    fn change(&mut self, id: AlertEndpointId, at: DateTime<Utc>, change: impl FnOnce(&mut AlertEndpoint)) {
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            change(endpoint);
            endpoint.changed_at = at;
        }
    }
}

impl Aggregate for AlertEndpoints {
    const CATEGORY: &'static str = "alert_endpoints";
    type Command = AlertEndpointsCommand;
    type Event = AlertEndpointsEvent;
    type Error = AlertEndpointsError;

    fn decide(&self, command: AlertEndpointsCommand) -> Result<Vec<AlertEndpointsEvent>, AlertEndpointsError> {
        match command {
            AlertEndpointsCommand::Define(given) => self.define(given),
            AlertEndpointsCommand::Revise(given) => self.revise(given),
            AlertEndpointsCommand::RotateSecret { endpoint_id, signing, overlap_seconds, reason, at } => {
                let known = self.existing(endpoint_id)?.signing.ok_or(AlertEndpointsError::NotSigned)?;
                if overlap_seconds > MAX_OVERLAP_SECONDS {
                    return Err(AlertEndpointsError::OverlapTooLong(overlap_seconds));
                }
                if known == signing {
                    return Ok(Vec::new());
                }
                let previous_until = at + TimeDelta::seconds(overlap_seconds.into());
                let rotated = AlertEndpointSecretRotated { endpoint_id, signing, previous_until, reason, at };
                Ok(vec![AlertEndpointsEvent::SecretRotated(rotated)])
            }
            AlertEndpointsCommand::Disable(given) => {
                let is_enabled = self.existing(given.endpoint_id)?.disabled.is_none();
                Ok(is_enabled.then_some(AlertEndpointsEvent::Disabled(given)).into_iter().collect())
            }
            AlertEndpointsCommand::Enable(given) => {
                let is_disabled = self.existing(given.endpoint_id)?.disabled.is_some();
                Ok(is_disabled.then_some(AlertEndpointsEvent::Enabled(given)).into_iter().collect())
            }
            AlertEndpointsCommand::Remove(given) => {
                self.existing(given.endpoint_id)?;
                Ok(vec![AlertEndpointsEvent::Removed(given)])
            }
            AlertEndpointsCommand::Silence(given) => {
                let known = self.existing(given.endpoint_id)?.silent_until;
                let latest = given.at + TimeDelta::days(MAX_SILENCE_DAYS);
                if given.until.is_some_and(|until| until <= given.at || until > latest) {
                    return Err(AlertEndpointsError::SilenceLength);
                }
                let is_changed = known != given.until;
                Ok(is_changed.then_some(AlertEndpointsEvent::Silenced(given)).into_iter().collect())
            }
            AlertEndpointsCommand::SetQuietHours(given) => self.set_quiet_hours(given),
            AlertEndpointsCommand::SendTest(given) => {
                self.enabled(given.endpoint_id)?;
                Ok(vec![AlertEndpointsEvent::TestRequested(given)])
            }
            AlertEndpointsCommand::Redeliver(given) => {
                self.enabled(given.endpoint_id)?;
                Ok(vec![AlertEndpointsEvent::RedeliveryRequested(given)])
            }
        }
    }

    fn evolve(mut self, event: &AlertEndpointsEvent) -> Self {
        match event {
            AlertEndpointsEvent::Defined(given) => {
                let endpoint = AlertEndpoint {
                    terms: given.terms.clone(),
                    destination: given.destination.clone(),
                    signing: given.signing,
                    previous_signing: None,
                    disabled: None,
                    silent_until: None,
                    quiet_hours: None,
                    defined_at: given.at,
                    changed_at: given.at,
                };
                self.endpoints.insert(given.endpoint_id, endpoint);
            }
            AlertEndpointsEvent::Revised(given) => self.change(given.endpoint_id, given.at, |endpoint| {
                (endpoint.terms, endpoint.destination) = (given.terms.clone(), given.destination.clone());
            }),
            AlertEndpointsEvent::SecretRotated(given) => self.change(given.endpoint_id, given.at, |endpoint| {
                endpoint.previous_signing = endpoint.signing.map(|key| (key, given.previous_until));
                endpoint.signing = Some(given.signing);
            }),
            AlertEndpointsEvent::Disabled(given) => self.change(given.endpoint_id, given.at, |endpoint| {
                let AlertEndpointDisabled { cause, reason, at, .. } = given;
                endpoint.disabled = Some(Disabled { cause: *cause, reason: reason.clone(), at: *at });
            }),
            AlertEndpointsEvent::Enabled(given) => {
                self.change(given.endpoint_id, given.at, |endpoint| endpoint.disabled = None);
            }
            AlertEndpointsEvent::Silenced(given) => {
                self.change(given.endpoint_id, given.at, |endpoint| endpoint.silent_until = given.until);
            }
            AlertEndpointsEvent::QuietHoursSet(given) => self.change(given.endpoint_id, given.at, |endpoint| {
                endpoint.quiet_hours.clone_from(&given.quiet_hours);
            }),
            AlertEndpointsEvent::Removed(given) => _ = self.endpoints.remove(&given.endpoint_id),
            // What follows from them is a job.
            AlertEndpointsEvent::TestRequested(_) | AlertEndpointsEvent::RedeliveryRequested(_) => {}
        }
        self
    }
}

#[cfg(test)]
mod tests;
