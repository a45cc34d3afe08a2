//! The table of jobs: inserting, leasing and finishing them.
//!
//! Times are those of the database's clock, so that processes agree which job is due and which lease has expired.

use crate::job::{Job, NewJob};
use crate::retry::Transition;
use chrono::{DateTime, Utc};
use domain::{TenantId, derived_id};
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{FromRow, Row};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use streams::DatabaseError;
use thiserror::Error;
use tokio::sync::Notify;
use uuid::Uuid;

/// The jobs of a database, and the wake-up of this process's runner. Cheap to clone.
///
/// Its functions take no access: they are the mechanism by which policies and runners, which work for all tenants, hand
/// over jobs, and return nothing to users. What operators do with jobs is authorised: [`crate::list`],
/// [`crate::decide`].
#[derive(Debug, Clone)]
pub struct Jobs {
    pool: PgPool,
    inserted: Arc<Notify>,
}

/// A job with the lease under which a runner runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedJob {
    /// The id of the job.
    pub id: Uuid,
    /// The queue of the job.
    pub queue: String,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The job; or why it cannot be decoded, which fails the attempt.
    pub job: Result<Job, UndecodableJob>,
    /// The number of leases of the job up to this one. Whatever an earlier holder writes is refused.
    pub fencing_token: i64,
}

/// A job that cannot be decoded: another version of the program has written it, or a user of the database.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the {column} of the job cannot be decoded: {cause}")]
pub struct UndecodableJob {
    /// The column of the table.
    column: &'static str,
    /// The message of the decoder.
    cause: String,
}

/// The maximum number of jobs that one statement marks as due, and the maximum number of statements in a row.
const MARK_JOBS: i32 = 1000;
const MAX_MARKS: u32 = 10;

/// A queue with jobs that are due.
#[derive(Debug, PartialEq, FromRow)]
pub(crate) struct DueQueue {
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) due: i32,
}

/// Queues with jobs that are due, and after which queue the search continues.
pub(crate) struct DueQueues {
    pub(crate) queues: Vec<DueQueue>,
    /// The empty text begins anew.
    pub(crate) continue_after: String,
}

impl Jobs {
    /// The jobs of the database of `pool`, as the application's role.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, inserted: Arc::default() }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Inserts jobs in the caller's transaction, in the order in which they are given; those whose ids exist are left
    /// out. Call [`Jobs::wake`] after the commit. Returns the number of inserted jobs.
    ///
    /// # Errors
    /// The driver's error; the caller's transaction is aborted then. Payloads beyond
    /// [`crate::MAX_PAYLOAD_BYTES`], kinds of other characters and queue names beyond 255 bytes are refused.
    pub async fn insert(&self, connection: &mut PgConnection, jobs: &[NewJob]) -> Result<u64, sqlx::Error> {
        let inserted = sqlx::query(include_str!("insert_jobs.sql"))
            .bind(jobs.iter().map(|job| job.id).collect::<Vec<_>>())
            .bind(jobs.iter().map(|job| job.kind).collect::<Vec<_>>())
            .bind(jobs.iter().map(NewJob::queue).collect::<Vec<_>>())
            .bind(jobs.iter().map(|job| job.tenant.as_ref().map(TenantId::as_str)).collect::<Vec<_>>())
            .bind(jobs.iter().map(|job| job.payload.to_string()).collect::<Vec<_>>())
            .bind(jobs.iter().map(|job| job.due_at).collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(inserted.rows_affected())
    }

    /// Makes the runner of this process look for due jobs now. Those of other processes look twice a second.
    pub fn wake(&self) {
        self.inserted.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.inserted.notified().await;
    }

    /// Returns which of these ids are those of jobs, in whichever state.
    ///
    /// # Errors
    /// [`DatabaseError`] if the database cannot be queried.
    pub async fn existing(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, DatabaseError> {
        let found = sqlx::query_scalar("select job_id from apex.jobs where job_id = any ($1)");
        Ok(found.bind(ids).fetch_all(&self.pool).await?.into_iter().collect())
    }

    /// The number of the job that was inserted last; 0 if there has been none.
    ///
    /// # Errors
    /// [`DatabaseError`] if the database cannot be queried.
    pub async fn last_sequence(&self) -> Result<i64, DatabaseError> {
        let last = sqlx::query_scalar("select coalesce(max(sequence), 0) from apex.jobs");
        Ok(last.fetch_one(&self.pool).await?)
    }

    /// Whether a job of a kind is waiting or leased, among those up to a sequence number that were attempted at
    /// most `max_attempts` times.
    ///
    /// # Errors
    /// [`DatabaseError`] if the database cannot be queried.
    pub async fn has_unfinished(
        &self,
        kind: &str,
        through_sequence: i64,
        max_attempts: u32,
    ) -> Result<bool, DatabaseError> {
        let exists = sqlx::query_scalar(
            "select exists (select from apex.jobs where kind = $1 and state in ('waiting', 'leased')
                            and sequence <= $2 and attempts <= $3)",
        );
        let exists = exists.bind(kind).bind(through_sequence).bind(i32::try_from(max_attempts).unwrap_or(i32::MAX));
        Ok(exists.fetch_one(&self.pool).await?)
    }

    /// Inserts the recurring job of a kind, due at once, unless there is one: a dead letter or a dropped one is left to
    /// the operators.
    pub(crate) async fn start_recurring(&self, kind: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("start_recurring.sql"))
            .bind(derived_id(&["recurring-job", kind]))
            .bind(kind)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Finds queues with due jobs of these kinds, after marking jobs that have become due: looks at up to `max_queues`
    /// after a name, and counts up to `max_jobs` jobs in each.
    pub(crate) async fn due_queues(
        &self,
        kinds: &[&str],
        after: &str,
        max_queues: u32,
        max_jobs: u32,
    ) -> Result<DueQueues, sqlx::Error> {
        for _ in 0..MAX_MARKS {
            let marked = sqlx::query_scalar("select apex.mark_due_jobs($1, $2)").bind(kinds).bind(MARK_JOBS);
            let marked: i32 = marked.fetch_one(&self.pool).await?;
            if marked < MARK_JOBS {
                break;
            }
        }
        let rows = sqlx::query("select queue, kind, due from apex.due_queues($1, $2, $3, $4)")
            .bind(kinds)
            .bind(after)
            .bind(i32::try_from(max_queues).unwrap_or(i32::MAX))
            .bind(i32::try_from(max_jobs).unwrap_or(i32::MAX))
            .fetch_all(&self.pool)
            .await?;
        let mut found = DueQueues { queues: Vec::new(), continue_after: String::new() };
        for row in &rows {
            match row.try_get::<Option<i32>, _>("due")? {
                Some(_) => found.queues.push(DueQueue::from_row(row)?),
                None => found.continue_after = row.try_get::<Option<String>, _>("queue")?.unwrap_or_default(),
            }
        }
        Ok(found)
    }

    /// Leases the next due job of a queue for a time, unless `max_leased` of its jobs are leased already.
    ///
    /// # Errors
    /// The driver's error. The job may be leased nevertheless, until the lease expires.
    pub async fn lease(&self, queue: &str, lease: Duration, max_leased: u32) -> Result<Option<LeasedJob>, sqlx::Error> {
        let row = sqlx::query(
            "select job_id, kind, queue, tenant_id, payload::text as payload, scheduled_at, attempts, fencing_token
             from apex.lease_job($1, make_interval(secs => $2), $3)",
        )
        .bind(queue)
        .bind(lease.as_secs_f64())
        .bind(i32::try_from(max_leased).unwrap_or(i32::MAX))
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(leased).transpose()
    }

    /// Writes the next state of a leased job. Returns false, and changes nothing, if the lease has been lost: another
    /// runner has taken the job since, or an operator has decided about it.
    pub(crate) async fn finish(&self, leased: &LeasedJob, next: &Transition) -> Result<bool, sqlx::Error> {
        let (state, delay, interval, at, error) = match next {
            Transition::Done => ("done", None, None, None, None),
            Transition::Repeat(interval) => ("waiting", None, Some(interval.as_secs_f64()), None, None),
            Transition::RepeatAt(at) => ("waiting", None, None, Some(*at), None),
            Transition::RetryAfter(delay, error) => ("waiting", Some(delay.as_secs_f64()), None, None, Some(error)),
            Transition::DeadLetter(error) => ("dead", None, None, None, Some(error)),
        };
        let written = sqlx::query(include_str!("finish_job.sql"))
            .bind(leased.id)
            .bind(leased.fencing_token)
            .bind(state)
            .bind(delay)
            .bind(interval)
            .bind(error)
            .bind(at)
            .execute(&self.pool)
            .await?;
        Ok(written.rows_affected() == 1)
    }

    /// Prolongs the lease of a job, from now on. Returns false if the lease has been lost.
    ///
    /// # Errors
    /// The driver's error. The lease may be prolonged nevertheless.
    pub async fn renew(&self, leased: &LeasedJob, lease: Duration) -> Result<bool, sqlx::Error> {
        let written = sqlx::query(
            "update apex.jobs set available_at = clock_timestamp() + make_interval(secs => $3)
             where job_id = $1 and fencing_token = $2 and state = 'leased'",
        );
        let written = written.bind(leased.id).bind(leased.fencing_token).bind(lease.as_secs_f64());
        Ok(written.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Gives a leased job back, as if the attempt had not begun. Returns false if the lease has been lost.
    pub(crate) async fn release(&self, leased: &LeasedJob) -> Result<bool, sqlx::Error> {
        let written = sqlx::query(
            "update apex.jobs
             set state = 'waiting', attempts = greatest(attempts - 1, 0), available_at = clock_timestamp(),
                 is_due = true
             where job_id = $1 and fencing_token = $2 and state = 'leased'",
        );
        let written = written.bind(leased.id).bind(leased.fencing_token).execute(&self.pool).await?;
        Ok(written.rows_affected() == 1)
    }
}

fn leased(row: &PgRow) -> Result<LeasedJob, sqlx::Error> {
    let (id, queue): (Uuid, String) = (row.try_get("job_id")?, row.try_get("queue")?);
    let attempt = u32::try_from(row.try_get::<i32, _>("attempts")?).unwrap_or(0);
    let (kind, scheduled_at): (String, DateTime<Utc>) = (row.try_get("kind")?, row.try_get("scheduled_at")?);
    let (tenant, payload): (Option<String>, String) = (row.try_get("tenant_id")?, row.try_get("payload")?);
    let job = || {
        let tenant = tenant.map(|tenant| tenant.parse::<TenantId>()).transpose();
        let tenant = tenant.map_err(|error| UndecodableJob { column: "tenant", cause: error.to_string() })?;
        let payload = serde_json::from_str(&payload);
        let payload = payload.map_err(|error| UndecodableJob { column: "payload", cause: error.to_string() })?;
        Ok(Job { id, kind, queue: queue.clone(), tenant, payload, scheduled_at, attempt })
    };
    Ok(LeasedJob { id, job: job(), queue, attempt, fencing_token: row.try_get("fencing_token")? })
}
