//! Jobs as operators see them: listing them, setting dead letters waiting again, and dropping jobs.

use crate::job::JobState;
use chrono::{DateTime, Utc};
use domain::permissions::{Access, OperateJobs};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use streams::DatabaseError;
use thiserror::Error;
use uuid::Uuid;

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only those that were inserted before the job with this sequence number.
    pub before: Option<i64>,
}

/// A job as it is listed.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct JobRow {
    /// The order of insertion.
    pub sequence: i64,
    /// The id of the job.
    pub job_id: Uuid,
    /// The queue: `KIND` or `KIND:DESTINATION`.
    pub queue: String,
    /// The tenant on whose behalf it runs; none for a job of the installation.
    pub tenant_id: Option<String>,
    /// The state.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// The number of attempts.
    pub attempts: i32,
    /// When it was to run first.
    pub scheduled_at: DateTime<Utc>,
    /// When it runs next if it is waiting; when the lease ends if it is leased.
    pub available_at: DateTime<Utc>,
    /// When it was done, became a dead letter or was dropped; none before.
    pub finished_at: Option<DateTime<Utc>>,
    /// The error of the last failed attempt, if any.
    pub last_error: Option<String>,
}

/// Lists jobs, the one that was inserted last first.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    _: &Access<OperateJobs>,
    pool: &PgPool,
    filter: &JobFilter,
    limit: i64,
) -> Result<Vec<JobRow>, DatabaseError> {
    let query = sqlx::query_as(
        "select sequence, job_id, queue, tenant_id, state, attempts, scheduled_at, available_at, finished_at, last_error
         from apex.jobs
         where ($1::text is null or state = $1) and ($2::text is null or kind = $2)
           and ($3::text is null or queue = $3) and ($4::bigint is null or sequence < $4)
         order by sequence desc limit $5",
    );
    let query = query.bind(filter.state.map(JobState::stored)).bind(&filter.kind).bind(&filter.queue);
    Ok(query.bind(filter.before).bind(limit).fetch_all(pool).await?)
}

/// What an operator decides about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobDecisionKind {
    /// Set a dead letter or a dropped job waiting again, with all its attempts.
    Retry,
    /// Never run a job that is a dead letter, is waiting, or was leased by a runner that has died.
    Drop,
}

impl JobDecisionKind {
    /// Returns the name in the database and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Drop => "drop",
        }
    }
}

/// Why a decision about a job was refused. Nothing was changed.
#[derive(Debug, Error)]
pub enum DecisionError {
    /// There is no such job.
    #[error("there is no job {0}: `apex jobs list` lists the jobs")]
    Missing(Uuid),
    /// The job is in a state in which the decision has no meaning.
    #[error("job {job} is {}: {}", .state.as_str(), remedy(*.decision))]
    WrongState {
        /// The id of the job.
        job: Uuid,
        /// The state of the job.
        state: JobState,
        /// What was to be done.
        decision: JobDecisionKind,
    },
    /// The database returned a state that this program does not know.
    #[error("{0}")]
    UnknownState(String),
    /// The database failed, or refused the actor as empty or too long, or the reason as too long.
    #[error("the decision cannot be recorded")]
    Database(#[from] DatabaseError),
}

fn remedy(decision: JobDecisionKind) -> &'static str {
    match decision {
        JobDecisionKind::Retry => "only a dead letter or a dropped job can be set waiting again",
        JobDecisionKind::Drop => {
            "only a dead letter, a waiting job, or a leased one whose lease has ended can be dropped"
        }
    }
}

/// Decides about a job, and records the decision with the actor, the reason and the database role.
///
/// # Errors
/// [`DecisionError`] if there is no such job, if it is in another state, or if the database fails.
pub async fn decide(
    _: &Access<OperateJobs>,
    pool: &PgPool,
    job: Uuid,
    decision: JobDecisionKind,
    actor: &str,
    reason: &str,
) -> Result<(), DecisionError> {
    let decide = "select previous_state, is_decided from apex.decide_job($1, $2, $3, $4)";
    let (state, is_decided): (Option<String>, bool) = sqlx::query_as(decide)
        .bind(job)
        .bind(decision.as_str())
        .bind(actor)
        .bind(reason)
        .fetch_one(pool)
        .await
        .map_err(DatabaseError::from)?;
    let state = JobState::try_from(state.ok_or(DecisionError::Missing(job))?).map_err(DecisionError::UnknownState)?;
    if is_decided { Ok(()) } else { Err(DecisionError::WrongState { job, state, decision }) }
}

/// A decision about a job.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct JobDecision {
    /// The id of the job.
    pub job_id: Uuid,
    /// The queue of the job.
    pub queue: String,
    /// What was decided: `retry` or `drop`.
    pub decision: String,
    /// The user who decided.
    pub actor: String,
    /// The reason for the decision.
    pub reason: String,
    /// When the decision was made.
    pub decided_at: DateTime<Utc>,
}

/// Lists the decisions about jobs, the latest first.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn decisions(_: &Access<OperateJobs>, pool: &PgPool, limit: i64) -> Result<Vec<JobDecision>, DatabaseError> {
    let query = sqlx::query_as(
        "select job_id, queue, decision, actor, reason, decided_at from apex.job_decisions
         order by decision_id desc limit $1",
    );
    Ok(query.bind(limit).fetch_all(pool).await?)
}
