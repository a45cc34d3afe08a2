//! Deliveries of alerts that the policy could not decode, once they can be decoded: by a newer version of the program, usually.
//!
//! A job of an event is retried for days and becomes a dead letter in the end, so that no alert is lost in silence: an operator sets it
//! waiting again.

use crate::alert_delivery::AlertDelivery;
use crate::alert_payload::AlertDeliveryJob;
use crate::alert_queue::{ALERT_CATCH_UP, CatchUp, delivery_component};
use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::jobs::Jobs;
use crate::policy::PolicyError;
use chrono::Utc;
use commands::Commands;
use domain::TenantId;
use domain::alert_endpoints::AlertEndpoints;
use futures::future::BoxFuture;
use streams::Position;

/// Writes the jobs of alerts that could not be decoded.
pub struct AlertCatchUpHandler {
    commands: Commands,
    jobs: Jobs,
    delivery: AlertDelivery,
}

impl AlertCatchUpHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(commands: Commands, jobs: Jobs) -> Self {
        let delivery = AlertDelivery::new(commands.clone(), jobs.clone());
        Self { commands, jobs, delivery }
    }

    async fn catch_up(&self, job: &Job) -> Result<JobOutcome, PolicyError> {
        let Some(tenant) = job.tenant.clone() else {
            return Ok(JobOutcome::DeadLetter("the job has no tenant".into()));
        };
        let CatchUp { position } = serde_json::from_value(job.payload.clone())?;
        let Some(recorded) = self.commands.log().event_at(&tenant, Position::from(position)).await? else {
            return Ok(JobOutcome::DeadLetter(format!("the tenant has no event at position {position}").into()));
        };
        let Some(mut jobs) = self.delivery.jobs_of(&recorded).await? else {
            let name = &recorded.name;
            let error = format!("the alert {name} at position {position}, or who is told of it, cannot be decoded");
            return Ok(JobOutcome::Retry(error.into()));
        };
        self.wait_as_now(&tenant, &mut jobs).await?;
        // Those that an earlier attempt wrote are left out.
        let mut connection = self.jobs.pool().acquire().await?;
        self.jobs.insert(&mut connection, &jobs).await?;
        self.jobs.wake();
        Ok(JobOutcome::Done)
    }

    /// Lets deliveries wait for the ends of silences and quiet hours as they are now. What changed them since the alert was raised moved
    /// the deliveries that waited then, and not these.
    async fn wait_as_now(&self, tenant: &TenantId, jobs: &mut [NewJob]) -> Result<(), PolicyError> {
        if jobs.iter().all(|job| job.due_at.is_none()) {
            return Ok(());
        }
        let principal = delivery_component(tenant);
        let endpoints = self.commands.load::<AlertEndpoints>(&principal, AlertEndpoints::id()).await?;
        for job in jobs.iter_mut().filter(|job| job.due_at.is_some()) {
            let AlertDeliveryJob { endpoint_id, .. } = serde_json::from_value(job.payload.clone())?;
            job.due_at = endpoints.state.get(endpoint_id).and_then(|endpoint| endpoint.waits_until(Utc::now()));
        }
        Ok(())
    }
}

impl JobHandler for AlertCatchUpHandler {
    fn kind(&self) -> &'static str {
        ALERT_CATCH_UP
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move { self.catch_up(job).await.unwrap_or_else(JobOutcome::Retry) })
    }
}
