//! The inputs of the mutations.

use super::types::AlertEndpointKind;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::input::{self, Invalid};
use crate::graphql::scalars::{Long, Timestamp, Uid, or_now};
use async_graphql::{Context, InputObject, Result};
use domain::BudgetId;
use domain::alert_endpoints::{AlertEndpointTerms, AlertEndpoints, QuietHours};
use identity::{AlertTarget, AlertTargetError};
use std::fmt;
use uuid::Uuid;

/// Declares an input with the fields that all have, and a method that returns the common part.
macro_rules! endpoint_input {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, InputObject)]
        pub(crate) struct $name {
            /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
            /// position of the first execution. A key that was used for another mutation or input is rejected with
            /// `COMMAND_ID_REUSED`. Default: a new UUID.
            command_id: Option<Uid>,
            $($(#[$field_doc])* pub(super) $field: $type,)*
            /// Version that the endpoints of the tenant must have, which is the number of their events. The command is
            /// rejected with `WRONG_VERSION` if they have another one. Default: any version.
            expected_version: Option<Long>,
            /// Time at which this happened. Default: the current time of the server.
            at: Option<Timestamp>,
        }

        impl $name {
            pub(super) fn options(&self, ctx: &Context<'_>) -> Result<CommandOptions> {
                Ok(CommandOptions {
                    may_send: MaySend::check(ctx)?,
                    target: AlertEndpoints::id(),
                    // One id for the address, the secret and the command.
                    command_id: self.command_id.or_else(|| Some(Uuid::now_v7().into())),
                    expected_version: self.expected_version,
                    at: or_now(self.at),
                })
            }
        }
    };
}

/// Address of an endpoint. What is given depends on the kind.
#[derive(InputObject)]
pub(crate) struct AlertAddressInput {
    /// URL that alerts are posted to. Of `WEBHOOK`, `SLACK` and `TEAMS`; of `PAGER_DUTY` by default that of its Events API.
    url: Option<String>,
    /// Routing key, which is the integration key of a service. Of `PAGER_DUTY`.
    routing_key: Option<String>,
    /// E-mail address. Of `EMAIL`.
    email: Option<String>,
}

impl fmt::Debug for AlertAddressInput {
    /// It may be secret or personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlertAddressInput [redacted]")
    }
}

impl AlertAddressInput {
    pub(super) fn parse(&self, kind: AlertEndpointKind) -> Result<AlertTarget, Invalid> {
        let (url, key, email) = (self.url.as_deref(), self.routing_key.as_deref(), self.email.as_deref());
        AlertTarget::new(kind.into(), url, key, email).map_err(|error| {
            let field = match error {
                AlertTargetError::Url => "url",
                AlertTargetError::RoutingKey => "routingKey",
                AlertTargetError::Address => "email",
                AlertTargetError::Missing { .. } | AlertTargetError::Unused { .. } => "address",
            };
            Invalid::new(field, error)
        })
    }
}

pub(super) fn terms(name: String, budget_ids: Option<Vec<Uid>>) -> Result<AlertEndpointTerms, Invalid> {
    let budget_ids = budget_ids.unwrap_or_default().into_iter().map(|id| BudgetId(id.0)).collect();
    Ok(AlertEndpointTerms { name: input::name("name", name)?, budget_ids })
}

endpoint_input! {
    /// Input of `defineAlertEndpoint`.
    DefineAlertEndpointInput {
        /// UUID of the new endpoint. Default: derived from `commandId` if that is given, otherwise a new UUID.
        endpoint_id: Option<Uid>,
        /// Display name: one line of at most 256 bytes.
        name: String,
        /// Kind.
        kind: AlertEndpointKind,
        /// Address. It is encrypted, stored beside the log, and not returned.
        address: AlertAddressInput,
        /// UUIDs of the budgets whose alerts it is told, at most 50. Default: all budgets.
        budget_ids: Option<Vec<Uid>>,
        /// Why it is defined: text of at most 64 KiB.
        reason: Option<String>,
    }
}

endpoint_input! {
    /// Input of `reviseAlertEndpoint`.
    ReviseAlertEndpointInput {
        /// UUID of the endpoint.
        endpoint_id: Uid,
        /// Display name: one line of at most 256 bytes.
        name: String,
        /// Address. Default: the one that it has.
        address: Option<AlertAddressInput>,
        /// UUIDs of the budgets whose alerts it is told, at most 50. Default: all budgets.
        budget_ids: Option<Vec<Uid>>,
        /// Why it is revised: text of at most 64 KiB.
        reason: Option<String>,
    }
}

endpoint_input! {
    /// Input of `rotateAlertEndpointSecret`.
    RotateAlertEndpointSecretInput {
        /// UUID of the endpoint.
        endpoint_id: Uid,
        /// For how long deliveries are signed with the secret before too, in seconds: at most 604800, which is 7 days. Default:
        /// 86400, which is a day.
        overlap_seconds: Option<i32>,
        /// Why it is rotated: text of at most 64 KiB.
        reason: Option<String>,
    }
}

endpoint_input! {
    /// Input of `disableAlertEndpoint`, `enableAlertEndpoint` and `removeAlertEndpoint`.
    AlertEndpointInput {
        /// UUID of the endpoint.
        endpoint_id: Uid,
        /// Why: text of at most 64 KiB.
        reason: Option<String>,
    }
}

endpoint_input! {
    /// Input of `silenceAlertEndpoint`.
    SilenceAlertEndpointInput {
        /// UUID of the endpoint.
        endpoint_id: Uid,
        /// Until when alerts wait that wait already or are raised from now on, at most 30 days. Null or absent ends a silence: what
        /// waits is delivered.
        until: Option<Timestamp>,
        /// Why: text of at most 64 KiB.
        reason: Option<String>,
    }
}

/// Hours of each week in which alerts wait. A part of the week is left.
#[derive(Debug, InputObject)]
pub(crate) struct AlertQuietHoursInput {
    /// IANA time zone of the days, such as `Europe/Berlin`.
    time_zone: String,
    /// Days of the week on which they begin: 1 is Monday, 7 is Sunday.
    days: Vec<i32>,
    /// Minute of the day at which they begin, from 0 to 1439: 1320 is 22:00. One that clocks skip is an hour later.
    from_minute: i32,
    /// How long they last, in minutes: at most 4320, which is three days.
    minutes: i32,
}

impl AlertQuietHoursInput {
    pub(super) fn parse(self) -> Result<QuietHours, Invalid> {
        let zone = projections::time_zone(&self.time_zone);
        let minutes = |field, given: i32| u16::try_from(given).map_err(|_| Invalid::new(field, "is out of range"));
        let day = |day: i32| u8::try_from(day).map_err(|_| Invalid::new("quietHours.days", "is out of range"));
        Ok(QuietHours {
            time_zone: zone.map_err(|error| Invalid::new("quietHours.timeZone", error))?,
            days: self.days.into_iter().map(day).collect::<Result<_, _>>()?,
            from_minute: minutes("quietHours.fromMinute", self.from_minute)?,
            minutes: minutes("quietHours.minutes", self.minutes)?,
        })
    }
}

endpoint_input! {
    /// Input of `setAlertEndpointQuietHours`.
    SetAlertEndpointQuietHoursInput {
        /// UUID of the endpoint.
        endpoint_id: Uid,
        /// Hours of each week in which alerts that are raised wait. Null or absent for none: what waits is delivered.
        quiet_hours: Option<AlertQuietHoursInput>,
        /// Why: text of at most 64 KiB.
        reason: Option<String>,
    }
}

endpoint_input! {
    /// Input of `testAlertEndpoint`.
    TestAlertEndpointInput {
        /// UUID of the endpoint.
        endpoint_id: Uid,
    }
}

endpoint_input! {
    /// Input of `redeliverAlerts`.
    RedeliverAlertsInput {
        /// UUID of the endpoint.
        endpoint_id: Uid,
        /// UUID of a delivery that is a dead letter. Default: all dead letters of the endpoint.
        delivery_id: Option<Uid>,
        /// Why: text of at most 64 KiB.
        reason: Option<String>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_in_the_text_of_an_input() {
        let (url, key) = ("https://hooks.example.com/tea".to_owned(), "tea".to_owned());
        let input =
            AlertAddressInput { url: Some(url), routing_key: Some(key), email: Some("tea@example.org".to_owned()) };
        assert_eq!(format!("{input:?}"), "AlertAddressInput [redacted]");
    }
}
