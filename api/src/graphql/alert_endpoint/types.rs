//! The object type of an endpoint, and the error of its commands.

use super::delivery::{self, AlertDelivery, AlertDeliveryState};
use crate::graphql::command_error::command_error;
use crate::graphql::connection;
use crate::graphql::errors;
use crate::graphql::scalars::{Timestamp, Uid};
use crate::graphql::services::{authorise, requester, services};
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Enum, Result, SimpleObject};
use domain::AlertEndpointId;
use domain::alert_endpoints::{AlertEndpoint as Model, AlertEndpoints, AlertEndpointsError, QuietHours};
use domain::permissions::ReadAlertEndpoints;
use std::sync::Arc;

command_error! {
    /// Reason for which a command to an endpoint for alerts was rejected.
    AlertEndpointCommandError,
    /// Reasons for which a command to an endpoint for alerts is rejected.
    AlertEndpointErrorCode {
        /// There is no such endpoint, or it was removed.
        NotDefined,
        /// Another endpoint has the id.
        AlreadyDefined,
        /// The tenant has 50 endpoints, and no more may be defined.
        TooMany,
        /// An endpoint is limited to at most 50 budgets.
        TooManyBudgets,
        /// An endpoint keeps its kind.
        KindImmutable,
        /// The endpoint is not signed, and has no secret.
        NotSigned,
        /// A silence ends after it begins, and at most 30 days later.
        SilenceLength,
        /// Both secrets would be used for longer than 7 days.
        OverlapTooLong,
        /// Quiet hours have no day, a wrong one, or leave no part of the week.
        QuietHours,
        /// The endpoint is disabled.
        Disabled,
    }
}

impl From<AlertEndpointsError> for AlertEndpointCommandError {
    fn from(error: AlertEndpointsError) -> Self {
        let code = match error {
            AlertEndpointsError::NotDefined(_) => AlertEndpointErrorCode::NotDefined,
            AlertEndpointsError::AlreadyDefined(_) => AlertEndpointErrorCode::AlreadyDefined,
            AlertEndpointsError::TooMany => AlertEndpointErrorCode::TooMany,
            AlertEndpointsError::TooManyBudgets(_) => AlertEndpointErrorCode::TooManyBudgets,
            AlertEndpointsError::KindImmutable => AlertEndpointErrorCode::KindImmutable,
            AlertEndpointsError::NotSigned => AlertEndpointErrorCode::NotSigned,
            AlertEndpointsError::OverlapTooLong(_) => AlertEndpointErrorCode::OverlapTooLong,
            AlertEndpointsError::SilenceLength => AlertEndpointErrorCode::SilenceLength,
            AlertEndpointsError::QuietHours => AlertEndpointErrorCode::QuietHours,
            AlertEndpointsError::Disabled(_) => AlertEndpointErrorCode::Disabled,
        };
        Self::new(code, error)
    }
}

/// Kind of an endpoint, which decides the form of what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::alert_endpoints::AlertEndpointKind")]
pub(crate) enum AlertEndpointKind {
    /// HTTP endpoint by the Standard Webhooks specification. It is signed.
    Webhook,
    /// Incoming webhook of Slack, or of what is compatible with it.
    Slack,
    /// Workflow of Microsoft Teams, which takes an adaptive card.
    Teams,
    /// Events API (version 2) of PagerDuty, or of what is compatible with it.
    PagerDuty,
    /// E-mail address.
    Email,
}

/// What disabled an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::alert_endpoints::DisabledCause")]
pub(crate) enum AlertEndpointDisabledCause {
    /// A command.
    Command,
    /// The endpoint answered with 410 (Gone).
    Gone,
}

/// Why nothing is sent to an endpoint.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AlertEndpointDisabled {
    /// What disabled it.
    cause: AlertEndpointDisabledCause,
    /// Reason that was given. Null if none was.
    reason: Option<String>,
    /// Since when it is disabled.
    at: Timestamp,
}

/// Hours of each week in which alerts wait.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AlertQuietHours {
    /// IANA time zone of the days.
    time_zone: String,
    /// Days of the week on which they begin: 1 is Monday, 7 is Sunday.
    days: Vec<i32>,
    /// Minute of the day at which they begin, from 0 to 1439.
    from_minute: i32,
    /// How long they last, in minutes.
    minutes: i32,
}

impl AlertQuietHours {
    fn new(of: &QuietHours) -> Self {
        Self {
            time_zone: of.time_zone.name().to_owned(),
            days: of.days.iter().copied().map(i32::from).collect(),
            from_minute: of.from_minute.into(),
            minutes: of.minutes.into(),
        }
    }
}

/// Endpoint to which alerts are sent. Its address and its secret are not returned.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct AlertEndpoint {
    /// UUID of the endpoint, as it occurs in events.
    pub(crate) uuid: Uid,
    /// Display name.
    name: String,
    /// Kind.
    kind: AlertEndpointKind,
    /// Scheme, host and port of the address, or the domain of an e-mail address.
    host: String,
    /// UUIDs of the budgets whose alerts it is told. Empty if it is told those of all budgets.
    budget_ids: Vec<Uid>,
    /// Whether what is sent to it is signed.
    signed: bool,
    /// Until when deliveries are signed with the secret before the last rotation too. Null if they are not.
    previous_secret_until: Option<Timestamp>,
    /// Until when alerts to it wait. Null if they do not.
    silent_until: Option<Timestamp>,
    /// Hours of each week in which alerts to it wait. Null if there are none.
    quiet_hours: Option<AlertQuietHours>,
    /// Why nothing is sent to it. Null if it is enabled.
    disabled: Option<AlertEndpointDisabled>,
    /// Time at which it was defined.
    defined_at: Timestamp,
    /// Time at which it was changed last.
    changed_at: Timestamp,
}

impl AlertEndpoint {
    pub(super) fn new(id: AlertEndpointId, of: &Model) -> Self {
        let previous = of.previous_signing.filter(|(_, until)| *until > chrono::Utc::now());
        let disabled = of.disabled.as_ref().map(|disabled| AlertEndpointDisabled {
            cause: disabled.cause.into(),
            reason: disabled.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            at: disabled.at.into(),
        });
        Self {
            uuid: id.0.into(),
            name: of.terms.name.to_string(),
            kind: of.destination.kind.into(),
            host: of.destination.host.to_string(),
            budget_ids: of.terms.budget_ids.iter().map(|id| id.0.into()).collect(),
            signed: of.signing.is_some(),
            previous_secret_until: previous.map(|(_, until)| until.into()),
            silent_until: of.silent_until.filter(|until| *until > chrono::Utc::now()).map(Into::into),
            quiet_hours: of.quiet_hours.as_ref().map(AlertQuietHours::new),
            disabled,
            defined_at: of.defined_at.into(),
            changed_at: of.changed_at.into(),
        }
    }
}

#[ComplexObject]
impl AlertEndpoint {
    /// Deliveries to the endpoint, the one that was written last first. Those that were delivered are kept for a day.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only deliveries in this state. Default: all.")] state: Option<AlertDeliveryState>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of deliveries to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the deliveries after this cursor. Default: from the last delivery on.")]
        after: Option<String>,
    ) -> Result<Connection<String, AlertDelivery>> {
        delivery::list(ctx, Some(self.uuid.0), state, first, after.as_deref()).await
    }
}

/// The endpoints of the tenant of the request as they are now.
pub(super) async fn endpoints(ctx: &Context<'_>) -> Result<Arc<AlertEndpoints>> {
    authorise::<ReadAlertEndpoints>(ctx)?;
    let principal = &requester(ctx)?.principal;
    let loaded = services(ctx)?.commands.load::<AlertEndpoints>(principal, AlertEndpoints::id()).await;
    Ok(loaded.map_err(|error| errors::failed(&error))?.state.clone())
}
