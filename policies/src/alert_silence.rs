//! Silences and quiet hours of endpoints that are set, moved or ended: an event becomes a job that lets what waits for them wait as
//! long as they last now.

use crate::alert_queue::{ALERT_DELIVERY, delivery_component, destination, queue};
use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::policy::PolicyError;
use chrono::Utc;
use commands::Commands;
use domain::alert_endpoints::AlertEndpoints;
use domain::{AlertEndpointId, derived_id};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPool;
use streams::RecordedEvent;

/// The kind of the jobs that let alerts wait as long as the silence of their endpoint lasts.
pub const ALERT_SILENCE: &str = "alert-silence";

/// What the job says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Silence {
    endpoint_id: AlertEndpointId,
}

/// The job of an event.
pub(crate) fn job(recorded: &RecordedEvent, endpoint_id: AlertEndpointId) -> Result<NewJob, PolicyError> {
    let tenant = recorded.stream.tenant.clone();
    Ok(NewJob {
        id: derived_id(&[ALERT_SILENCE, &recorded.event_id.to_string()]),
        kind: ALERT_SILENCE,
        destination: Some(destination(&tenant, endpoint_id)),
        tenant: Some(tenant),
        payload: serde_json::to_value(Silence { endpoint_id })?,
        due_at: None,
    })
}

/// Lets deliveries that wait for the end of a silence wait for its end as it is now. Which silence that is, is read when the job runs:
/// of several jobs, the order does not matter.
pub struct AlertSilenceHandler {
    commands: Commands,
    pool: PgPool,
}

impl AlertSilenceHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(commands: Commands, pool: PgPool) -> Self {
        Self { commands, pool }
    }

    async fn reschedule(&self, job: &Job) -> JobOutcome {
        let Some(tenant) = &job.tenant else { return JobOutcome::DeadLetter("the job has no tenant".into()) };
        let Silence { endpoint_id } = match serde_json::from_value(job.payload.clone()) {
            Ok(silence) => silence,
            Err(error) => return JobOutcome::DeadLetter(error.into()),
        };
        let principal = delivery_component(tenant);
        let endpoints = match self.commands.load::<AlertEndpoints>(&principal, AlertEndpoints::id()).await {
            Ok(endpoints) => endpoints,
            Err(error) => return JobOutcome::Retry(error.into()),
        };
        let until = endpoints.state.get(endpoint_id).and_then(|endpoint| endpoint.waits_until(Utc::now()));
        // What was never tried and is not due waits for a silence; what failed waits for its next attempt.
        let rescheduled = sqlx::query(
            "update apex.jobs
             set available_at = greatest($3::timestamptz, clock_timestamp()),
                 is_due = coalesce($3::timestamptz, clock_timestamp()) <= clock_timestamp()
             where kind = $1 and queue = $2 and state = 'waiting' and attempts = 0 and available_at > clock_timestamp()",
        );
        let queue = queue(tenant, endpoint_id);
        match rescheduled.bind(ALERT_DELIVERY).bind(queue).bind(until).execute(&self.pool).await {
            Ok(_) => JobOutcome::Done,
            Err(error) => JobOutcome::Retry(error.into()),
        }
    }
}

impl JobHandler for AlertSilenceHandler {
    fn kind(&self) -> &'static str {
        ALERT_SILENCE
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(self.reschedule(job))
    }
}
