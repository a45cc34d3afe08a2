//! An endpoint: where alerts are sent, and which.

use super::error::AlertEndpointsError;
use super::limits::MAX_ENDPOINT_BUDGETS;
use super::quiet_hours::QuietHours;
use crate::ids::BudgetId;
use crate::text::{Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The kind of an endpoint, which decides the form of what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertEndpointKind {
    /// An HTTP endpoint by the Standard Webhooks specification, with a signature.
    Webhook,
    /// An incoming webhook of Slack, or of what is compatible with it.
    Slack,
    /// A workflow of Microsoft Teams, which takes an adaptive card.
    Teams,
    /// The Events API (version 2) of PagerDuty, or of what is compatible with it.
    PagerDuty,
    /// An e-mail address.
    Email,
}

impl AlertEndpointKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Webhook, Self::Slack, Self::Teams, Self::PagerDuty, Self::Email];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::PagerDuty => "pager_duty",
            Self::Email => "email",
        }
    }

    /// Whether what is sent is signed.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Webhook)
    }
}

/// What an endpoint is named, and which alerts it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEndpointTerms {
    /// The display name.
    pub name: Name,
    /// The budgets whose alerts it is told; all if empty. At most 50.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub budget_ids: BTreeSet<BudgetId>,
}

impl AlertEndpointTerms {
    pub(super) fn check(&self) -> Result<(), AlertEndpointsError> {
        let budgets = self.budget_ids.len();
        if budgets > MAX_ENDPOINT_BUDGETS { Err(AlertEndpointsError::TooManyBudgets(budgets)) } else { Ok(()) }
    }
}

/// Where alerts are sent. The address itself is stored beside the log: it may be secret or personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertDestination {
    /// The kind of the endpoint.
    pub kind: AlertEndpointKind,
    /// The id under which the address is stored.
    pub destination_id: Uuid,
    /// The scheme and host of the address, or the domain of an e-mail address.
    pub host: Name,
}

/// What deliveries are signed with. The secret itself is derived from a key-encryption key of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SigningKey {
    /// The id that the secret is derived from.
    pub secret_id: Uuid,
    /// The version of the key-encryption key that the secret is derived with.
    pub key_version: i32,
}

/// What disabled an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledCause {
    /// A command.
    Command,
    /// The endpoint answered with 410 (Gone).
    Gone,
}

impl DisabledCause {
    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Gone => "gone",
        }
    }
}

/// Since when an endpoint is disabled, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// What disabled it.
    pub cause: DisabledCause,
    /// The reason that was given.
    pub reason: Option<Body>,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEndpoint {
    /// What it is named, and which alerts it is told.
    pub terms: AlertEndpointTerms,
    /// Where alerts are sent.
    pub destination: AlertDestination,
    /// What deliveries are signed with; none if they are not.
    pub signing: Option<SigningKey>,
    /// What deliveries are signed with too, and until when.
    pub previous_signing: Option<(SigningKey, DateTime<Utc>)>,
    /// Since when it is disabled, and why; none if it is enabled.
    pub disabled: Option<Disabled>,
    /// Until when alerts wait; none if they do not.
    pub silent_until: Option<DateTime<Utc>>,
    /// The hours of each week in which alerts wait; none if there are none.
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
    /// When it was defined.
    pub defined_at: DateTime<Utc>,
    /// When it was changed last.
    pub changed_at: DateTime<Utc>,
}

impl AlertEndpoint {
    /// What deliveries are signed with at a time: one key, or two while both are used, the newest first.
    pub fn signing_keys(&self, at: DateTime<Utc>) -> impl Iterator<Item = SigningKey> {
        let previous = self.previous_signing.filter(|(_, until)| *until > at).map(|(key, _)| key);
        self.signing.into_iter().chain(previous)
    }

    /// Until when an alert waits that is raised at a time: to the end of the silence and of the quiet hours. None if it does not wait.
    #[must_use]
    pub fn waits_until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let silent_until = self.silent_until.filter(|until| *until > at);
        let quiet_until = self.quiet_hours.as_ref().and_then(|quiet| quiet.end(silent_until.unwrap_or(at)));
        quiet_until.or(silent_until)
    }

    /// Whether alerts of a budget are sent to it.
    #[must_use]
    pub fn is_told_of(&self, budget: BudgetId) -> bool {
        self.disabled.is_none() && (self.terms.budget_ids.is_empty() || self.terms.budget_ids.contains(&budget))
    }
}
