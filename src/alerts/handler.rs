//! Delivers alerts to endpoints.

use super::client::{AlertClient, Answer};
use super::message::Message;
use crate::mail::Transport;
use chrono::{SubsecRound as _, Utc};
use commands::{Commands, Context};
use domain::alert_endpoints::{
    AlertEndpoint, AlertEndpointDisabled, AlertEndpointKind, AlertEndpoints, AlertEndpointsCommand, DisabledCause,
};
use domain::{AlertEndpointId, TenantId};
use futures::future::BoxFuture;
use identity::{AlertTarget, Identities, IdentityError};
use policies::{ALERT_DELIVERY, AlertDeliveryJob, Job, JobError, JobHandler, JobOutcome, delivery_component};
use reqwest::StatusCode;
use std::time::Duration;
use streams::Version;
use thiserror::Error;
use uuid::Uuid;

/// The maximum number of alerts that are delivered to an endpoint at the same time, by all servers together.
pub const MAX_DELIVERIES_OF_ENDPOINT: u32 = 2;

/// Delivers alerts to endpoints.
pub struct AlertHandler {
    /// Reads endpoints, and disables those that are gone.
    pub commands: Commands,
    /// Has the addresses and secrets of endpoints.
    pub identities: Identities,
    /// Sends what is posted.
    pub client: AlertClient,
    /// Sends mail; none if the server sends no mail.
    pub mail: Option<Transport>,
}

/// Why an alert was not delivered.
#[derive(Debug, Error)]
enum Undelivered {
    /// Another attempt may succeed.
    #[error(transparent)]
    Retry(JobError),
    /// Another attempt may succeed, after a delay that the endpoint asks for.
    #[error("{0}")]
    RetryAfter(JobError, Duration),
    /// Another attempt would fail too.
    #[error(transparent)]
    Permanent(JobError),
    /// The endpoint says that it is gone, as it was at a version of the endpoints of the tenant.
    #[error("the endpoint answers with 410 (Gone), and was disabled")]
    Gone(Version),
}

impl From<IdentityError> for Undelivered {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Damaged(_) => Self::Permanent(error.into()),
            error => Self::Retry(internal(&error)),
        }
    }
}

/// What tenants read of a failure of the server itself, which is logged: it names files and databases of the operator.
fn internal(error: &(dyn std::error::Error + 'static)) -> JobError {
    tracing::warn!(error, "an alert cannot be delivered at the moment");
    "the server cannot deliver it at the moment; its log has the reason".into()
}

fn permanent(text: &str) -> Undelivered {
    Undelivered::Permanent(text.into())
}

impl AlertHandler {
    async fn deliver(&self, job: &Job) -> JobOutcome {
        let Some(tenant) = &job.tenant else { return JobOutcome::DeadLetter("the job has no tenant".into()) };
        let AlertDeliveryJob { endpoint_id, alert } = match serde_json::from_value(job.payload.clone()) {
            Ok(payload) => payload,
            Err(error) => return JobOutcome::DeadLetter(JobError::from(error)),
        };
        let message = Message { id: job.id, tenant, alert: &alert };
        match self.send(endpoint_id, &message).await {
            Ok(()) => JobOutcome::Done,
            Err(Undelivered::Retry(error)) => JobOutcome::Retry(error),
            Err(Undelivered::RetryAfter(error, delay)) => JobOutcome::RetryAfter(error, delay),
            Err(Undelivered::Permanent(error)) => JobOutcome::DeadLetter(error),
            Err(Undelivered::Gone(version)) => match self.disable(tenant, endpoint_id, version).await {
                Ok(()) => JobOutcome::DeadLetter(Undelivered::Gone(version).into()),
                Err(error) => JobOutcome::Retry(error),
            },
        }
    }

    async fn send(&self, id: AlertEndpointId, message: &Message<'_>) -> Result<(), Undelivered> {
        let endpoints =
            self.commands.load::<AlertEndpoints>(&delivery_component(message.tenant), AlertEndpoints::id()).await;
        let endpoints = endpoints.map_err(|error| Undelivered::Retry(internal(&error)))?;
        let endpoint = endpoints.state.get(id).ok_or_else(|| permanent("the endpoint was removed"))?;
        if endpoint.disabled.is_some() {
            return Err(permanent("the endpoint is disabled: enable it, and redeliver"));
        }
        let target = self.identities.alert_target(message.tenant, endpoint.destination.destination_id).await?;
        // It was replaced since the endpoint was read, and is read anew by the next attempt; or the row is lost.
        let lost = || Undelivered::Retry("the address of the endpoint is not stored any more: revise it".into());
        let target = target.ok_or_else(lost)?;
        match (target.kind(), target.url(), target.address()) {
            (AlertEndpointKind::Email, _, Some(address)) => self.mail(address, message).await,
            (_, Some(url), _) => answered(self.post(url, (id, endpoint), &target, message).await?, endpoints.version),
            (_, None, _) => Err(permanent("the address of the endpoint is not complete")),
        }
    }

    async fn post(
        &self,
        url: &str,
        (id, endpoint): (AlertEndpointId, &AlertEndpoint),
        target: &AlertTarget,
        message: &Message<'_>,
    ) -> Result<Answer, Undelivered> {
        let mut headers = Vec::new();
        let body = match target.kind() {
            AlertEndpointKind::Webhook => {
                let (message_id, now, body) = (message.id.to_string(), Utc::now(), message.webhook());
                let signed = (message_id.as_str(), now.timestamp(), body.as_str());
                let keys: Vec<_> = endpoint.signing_keys(now).collect();
                let signature = self.identities.webhook_signature(message.tenant, id, keys, signed).await?;
                headers.extend([("webhook-timestamp", now.timestamp().to_string()), ("webhook-signature", signature)]);
                headers.push(("webhook-id", message_id));
                body
            }
            AlertEndpointKind::Slack => message.slack(),
            AlertEndpointKind::Teams => message.teams(),
            AlertEndpointKind::PagerDuty => message.pager_duty(target.routing_key().unwrap_or_default()),
            AlertEndpointKind::Email => return Err(permanent("the address of the endpoint is not complete")),
        };
        let answer = self.client.post(url, &headers, body).await;
        answer.map_err(|error| Undelivered::Retry(error.into()))
    }

    async fn mail(&self, address: &str, message: &Message<'_>) -> Result<(), Undelivered> {
        let Some(transport) = &self.mail else {
            return Err(Undelivered::Retry("the server sends no mail: set APEX_SMTP_URL".into()));
        };
        let (subject, text) = message.mail();
        // A mail that is sent again after a crash has the same id, by which mail programs recognise it.
        let message_id = format!("<{}@apex>", message.id);
        transport.send(address, &subject, text, Some(message_id)).await.map_err(|error| {
            if error.is_permanent() { Undelivered::Permanent(error.into()) } else { Undelivered::Retry(error.into()) }
        })
    }

    /// Disables an endpoint that is gone. One that is disabled or removed already stays so.
    ///
    /// # Errors
    /// If the endpoints of the tenant were changed since the version: perhaps it was the address of another time that is gone.
    async fn disable(&self, tenant: &TenantId, endpoint_id: AlertEndpointId, version: Version) -> Result<(), JobError> {
        let context =
            Context { expected_version: Some(version), ..Context::new(delivery_component(tenant), Uuid::now_v7()) };
        let (cause, at) = (DisabledCause::Gone, Utc::now().trunc_subsecs(6));
        let disable = AlertEndpointsCommand::Disable(AlertEndpointDisabled { endpoint_id, cause, reason: None, at });
        match self.commands.execute::<AlertEndpoints>(&context, AlertEndpoints::id(), disable).await {
            Ok(_) | Err(commands::Error::Rejected(_)) => Ok(()),
            Err(commands::Error::WrongVersion { .. }) => {
                Err("the endpoint answers with 410 (Gone), and was perhaps changed meanwhile".into())
            }
            Err(error) => Err(internal(&error)),
        }
    }
}

/// The outcome of an answer, of an endpoint as it was at a version of the endpoints of the tenant.
fn answered(Answer { status, retry_after }: Answer, version: Version) -> Result<(), Undelivered> {
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::GONE {
        return Err(Undelivered::Gone(version));
    }
    let note = if status.is_redirection() { ", and redirects are not followed" } else { "" };
    let error = JobError::from(format!("the endpoint answers with {}{note}", status.as_u16()));
    if status.is_client_error() && !may_pass(status) {
        // The same message would be refused again.
        return Err(Undelivered::Permanent(error));
    }
    Err(match retry_after {
        Some(delay) => Undelivered::RetryAfter(error, delay),
        None => Undelivered::Retry(error),
    })
}

/// Whether an error of the client is one of the moment: the endpoint may take the same message later.
fn may_pass(status: StatusCode) -> bool {
    [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

impl JobHandler for AlertHandler {
    fn kind(&self) -> &'static str {
        ALERT_DELIVERY
    }

    fn concurrency(&self) -> u32 {
        MAX_DELIVERIES_OF_ENDPOINT
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(self.deliver(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, retry_after: Option<u64>) -> &'static str {
        let (status, retry_after) = (StatusCode::from_u16(status).unwrap(), retry_after.map(Duration::from_secs));
        match answered(Answer { status, retry_after }, Version::from(1)) {
            Ok(()) => "delivered",
            Err(Undelivered::Retry(_)) => "retry",
            Err(Undelivered::RetryAfter(_, delay)) => {
                assert_eq!(Some(delay), retry_after);
                "later"
            }
            Err(Undelivered::Permanent(_)) => "dead",
            Err(Undelivered::Gone(_)) => "gone",
        }
    }

    #[test]
    fn what_an_endpoint_refuses_for_good_is_not_sent_again() {
        assert_eq!([200, 204].map(|status| outcome(status, None)), ["delivered"; 2]);
        assert_eq!([400, 401, 403, 404, 422].map(|status| outcome(status, Some(9))), ["dead"; 5]);
        assert_eq!([302, 408, 425, 429, 500, 503].map(|status| outcome(status, None)), ["retry"; 6]);
        assert_eq!([429, 503].map(|status| outcome(status, Some(9))), ["later"; 2]);
        assert_eq!(outcome(410, Some(9)), "gone");
    }
}
