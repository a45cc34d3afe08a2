//! Trying deliveries again that are dead letters: a request of a tenant, which is an event, becomes a job that sets them waiting.

use crate::alert_queue::{ALERT_DELIVERIES, ALERT_DELIVERY, destination, queue};
use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::policy::PolicyError;
use domain::alert_endpoints::AlertRedeliveryRequested;
use domain::{AlertEndpointId, derived_id};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPool;
use streams::RecordedEvent;
use uuid::Uuid;

/// The kind of the jobs that set dead letters waiting again.
pub const ALERT_REDELIVERY: &str = "alert-redelivery";

/// The number of dead letters that one statement sets waiting, and the longest reason that is copied, in bytes.
const MAX_AT_ONCE: i64 = 500;
const MAX_REASON_BYTES: usize = 4096;

/// What the job says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Redelivery {
    endpoint_id: AlertEndpointId,
    /// One delivery, or all dead letters of the endpoint.
    delivery_id: Option<Uuid>,
    /// The position of the request, which says who requests it.
    position: u64,
    reason: String,
}

/// The job of a request.
pub(crate) fn job(recorded: &RecordedEvent, request: AlertRedeliveryRequested) -> Result<NewJob, PolicyError> {
    let AlertRedeliveryRequested { endpoint_id, delivery_id, reason, .. } = request;
    let (tenant, position) = (recorded.stream.tenant.clone(), recorded.position.get());
    let mut reason = reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default();
    reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
    Ok(NewJob {
        id: derived_id(&[ALERT_REDELIVERY, &recorded.event_id.to_string()]),
        kind: ALERT_REDELIVERY,
        destination: Some(destination(&tenant, endpoint_id)),
        tenant: Some(tenant),
        payload: serde_json::to_value(Redelivery { endpoint_id, delivery_id, position, reason })?,
        due_at: None,
    })
}

/// Sets dead letters of an endpoint waiting again. A job that waits already is left as it is, so that a second attempt does no harm.
pub struct AlertRedeliveryHandler {
    pool: PgPool,
}

impl AlertRedeliveryHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn redeliver(&self, job: &Job) -> JobOutcome {
        let Some(tenant) = &job.tenant else { return JobOutcome::DeadLetter("the job has no tenant".into()) };
        let request: Redelivery = match serde_json::from_value(job.payload.clone()) {
            Ok(request) => request,
            Err(error) => return JobOutcome::DeadLetter(error.into()),
        };
        let queue = queue(tenant, request.endpoint_id);
        let reason = format!("requested at position {}: {}", request.position, request.reason);
        loop {
            let decided = sqlx::query_scalar::<_, i64>(
                "select count(*) from (
                     select (apex.decide_job(dead.job_id, 'retry', $4, $5)).is_decided
                     from (select job_id from apex.jobs
                           where kind = $1 and queue = $2 and state = 'dead' and ($3::uuid is null or job_id = $3)
                               and finished_at < $7
                           order by sequence limit $6) dead
                 ) decided",
            );
            let decided = decided.bind(ALERT_DELIVERY).bind(&queue).bind(request.delivery_id);
            let decided = decided.bind(format!("policy:{ALERT_DELIVERIES}")).bind(&reason).bind(MAX_AT_ONCE);
            // One that fails again meanwhile is not tried for ever.
            match decided.bind(job.scheduled_at).fetch_one(&self.pool).await {
                Ok(count) if count >= MAX_AT_ONCE => {}
                Ok(_) => return JobOutcome::Done,
                Err(error) => return JobOutcome::Retry(error.into()),
            }
        }
    }
}

impl JobHandler for AlertRedeliveryHandler {
    fn kind(&self) -> &'static str {
        ALERT_REDELIVERY
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(self.redeliver(job))
    }
}
