//! Makes the files of the runs of schedules.

use super::content::{self, Sources, Written};
use super::files::{Complete, FileError, Files};
use super::missed;
use chrono::{DateTime, SubsecRound as _, Utc};
use commands::{Commands, Component, Context, Error, Principal};
use domain::schedule::{
    CoveredPeriod, Schedule, ScheduleCommand, ScheduleDefinition, ScheduleError, ScheduleFailed, ScheduleRan,
    ScheduleRun, ScheduleStatus, failure_reason,
};
use domain::{ScheduleId, TenantId, derived_id};
use futures::future::BoxFuture;
use identity::{Identities, OwnerPrincipal, record_export};
use policies::{Job, JobError, JobHandler, JobOutcome, SCHEDULE_RUN, SCHEDULES, ScheduledJob, ScheduledRuns};
use sqlx::postgres::PgPool;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use streams::TenantReads;
use thiserror::Error as ThisError;
use uuid::Uuid;

/// The read model that files are made from.
const CALLS: &str = "calls";
/// How long a run waits for the read model to have what was in the log when it began.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(5);
/// How long a run may take.
const RUN_TIMEOUT: Duration = Duration::from_mins(60);
/// The time beyond it that the job has to record that it took too long.
const RECORD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a job waits at once while the clock of the server is behind that of the database, by which jobs are due.
const CLOCK_PAUSE: Duration = Duration::from_secs(1);

/// Makes the files of the runs of schedules.
pub(in crate::cli) struct ScheduleHandler {
    pub(in crate::cli) pool: PgPool,
    pub(in crate::cli) reads: TenantReads,
    pub(in crate::cli) commands: Commands,
    pub(in crate::cli) identities: Identities,
    /// The directory of the files; none if the operator allows none.
    pub(in crate::cli) directory: Option<PathBuf>,
}

/// Why a run made no file.
#[derive(Debug, ThisError)]
enum RunError {
    /// A later attempt may succeed.
    #[error(transparent)]
    Retry(JobError),
    /// A later attempt of this run would fail too; other runs may succeed.
    #[error(transparent)]
    Permanent(JobError),
    /// The run is recorded, and its file cannot be given its name: it is lost and cannot be made again, or another one has the name.
    #[error(transparent)]
    Lost(JobError),
    /// Who defined the schedule may not read what it exports any more.
    #[error("the schedule ends: {0}")]
    Forbidden(String),
    /// The schedule was changed, paused or deleted meanwhile.
    #[error("the run is not made any more")]
    Superseded,
}

impl RunError {
    fn retry(error: impl Into<JobError>) -> Self {
        Self::Retry(error.into())
    }
}

impl From<FileError> for RunError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Exists { .. } => Self::Permanent(error.into()),
            FileError::NoDirectory | FileError::Directory { .. } | FileError::File { .. } => Self::retry(error),
        }
    }
}

/// A run that is to be made.
struct Run<'r> {
    tenant: &'r TenantId,
    schedule_id: ScheduleId,
    schedule: Arc<Schedule>,
    definition: ScheduleDefinition,
    run: ScheduleRun,
    period: CoveredPeriod,
    generation: u64,
    /// The id of the command that records the run.
    command_id: Uuid,
}

impl Run<'_> {
    fn key(&self) -> String {
        key(self.schedule_id, &self.period, self.run)
    }
}

/// What the temporary names of the file of a run are about. Each run has its own, so that it deletes nothing of another one.
fn key(schedule: ScheduleId, period: &CoveredPeriod, run: ScheduleRun) -> String {
    match run {
        ScheduleRun::Due { at } => format!("{schedule}-{}-{}", period.name, at.format("%Y%m%dT%H%M%SZ")),
        ScheduleRun::Requested { number } => format!("{schedule}-{}-r{number}", period.name),
    }
}

impl ScheduleHandler {
    async fn run_job(&self, job: &Job) -> JobOutcome {
        let Some(tenant) = &job.tenant else { return JobOutcome::DeadLetter("the job has no tenant".into()) };
        let ScheduledJob { schedule_id, runs } = match serde_json::from_value(job.payload.clone()) {
            Ok(payload) => payload,
            Err(error) => return JobOutcome::DeadLetter(JobError::from(error)),
        };
        let schedule = match self.load(tenant, schedule_id).await {
            Ok(schedule) => schedule,
            Err(error) => return JobOutcome::Retry(error),
        };
        self.name_recorded(tenant, schedule_id, &schedule).await;
        match runs {
            ScheduledRuns::Due { generation, since } => {
                self.due(job, (tenant, schedule_id, schedule), generation, since).await
            }
            ScheduledRuns::Requested { number, period } => {
                self.requested(job, (tenant, schedule_id, schedule), number, period).await
            }
        }
    }

    async fn load(&self, tenant: &TenantId, id: ScheduleId) -> Result<Arc<Schedule>, JobError> {
        Ok(self.commands.load::<Schedule>(&component(tenant), id.0).await?.state.clone())
    }

    /// Gives the files of recorded runs their names, if processes died before they did: also of a schedule that was changed, paused or
    /// deleted since, which makes no further run.
    async fn name_recorded(&self, tenant: &TenantId, id: ScheduleId, schedule: &Schedule) {
        // Why there is no directory is recorded by the run.
        let Ok(files) = Files::open(self.directory.as_deref(), tenant.as_str()) else { return };
        for ran in schedule.runs() {
            let key = key(id, &ran.period, ran.run);
            let named = match files.is_unnamed(&key, &ran.sha256) {
                Ok(false) => continue,
                Ok(true) => publish(&files, key, ran).await.map(drop),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = named {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, schedule = %id, file = %ran.file, "the file of a recorded run cannot be given its name");
            }
        }
    }

    /// Makes the run of the time at which the job was due, and says when the next one is.
    async fn due(
        &self,
        job: &Job,
        (tenant, schedule_id, schedule): (&TenantId, ScheduleId, Arc<Schedule>),
        generation: u64,
        since: DateTime<Utc>,
    ) -> JobOutcome {
        let is_current = schedule.generation() == generation && schedule.status() == Some(ScheduleStatus::Active);
        let Some(definition) = schedule.definition().filter(|_| is_current).cloned() else { return JobOutcome::Done };
        let (timing, delay) = (definition.timing, definition.timing.delay());
        let again = |at: Option<DateTime<Utc>>| at.map_or(JobOutcome::Done, |at| JobOutcome::RepeatAt(at + delay));
        let at = job.scheduled_at - delay;
        // The job begins when the event is recorded, which is no time of the schedule.
        let Some(period) = timing.period_of_run(at) else { return again(timing.next_made_after(since)) };
        // Not before its time, when its period may not be over.
        if let Ok(early) = (job.scheduled_at - now()).to_std()
            && !early.is_zero()
        {
            tokio::time::sleep(early.min(CLOCK_PAUSE)).await;
            return again(Some(at));
        }
        if let Some((skipped, next)) = missed::skipped(&timing, at, now()) {
            let command = ScheduleCommand::RecordSkipped { skipped, generation };
            return match self.record(tenant, schedule_id, Uuid::now_v7(), command).await {
                Ok(()) | Err(RunError::Superseded) => again(Some(next)),
                Err(error) => JobOutcome::Retry(error.into()),
            };
        }
        let command_id = derived_id(&[SCHEDULE_RUN, &job.id.to_string(), &job.scheduled_at.to_rfc3339()]);
        let run = ScheduleRun::Due { at };
        let run = Run { tenant, schedule_id, schedule, definition, run, period, generation, command_id };
        match self.make_and_record_failure(&run).await {
            Ok(()) | Err(RunError::Permanent(_) | RunError::Lost(_)) => again(timing.next_after(at)),
            Err(RunError::Forbidden(_) | RunError::Superseded) => JobOutcome::Done,
            Err(RunError::Retry(error)) => JobOutcome::Retry(error),
        }
    }

    async fn requested(
        &self,
        job: &Job,
        (tenant, schedule_id, schedule): (&TenantId, ScheduleId, Arc<Schedule>),
        number: u64,
        period: CoveredPeriod,
    ) -> JobOutcome {
        let is_run = !matches!(schedule.status(), Some(ScheduleStatus::Ended | ScheduleStatus::Deleted));
        let Some(definition) = schedule.definition().filter(|_| is_run).cloned() else { return JobOutcome::Done };
        let (run, generation) = (ScheduleRun::Requested { number }, schedule.generation());
        let command_id = derived_id(&[SCHEDULE_RUN, &job.id.to_string()]);
        let run = Run { tenant, schedule_id, schedule, definition, run, period, generation, command_id };
        match self.make_and_record_failure(&run).await {
            Ok(()) | Err(RunError::Forbidden(_)) => JobOutcome::Done,
            Err(RunError::Permanent(error) | RunError::Lost(error)) => JobOutcome::DeadLetter(error),
            Err(RunError::Retry(error)) => JobOutcome::Retry(error),
            // The next attempt sees whether it is still to be made, and with whose permissions.
            Err(error @ RunError::Superseded) => JobOutcome::Retry(error.into()),
        }
    }

    async fn make_and_record_failure(&self, run: &Run<'_>) -> Result<(), RunError> {
        let made = tokio::time::timeout(RUN_TIMEOUT, self.make(run)).await.unwrap_or_else(|_| {
            Err(RunError::retry(format!("the run took longer than {} minutes", RUN_TIMEOUT.as_secs() / 60)))
        });
        let Err(error) = made else { return Ok(()) };
        let (reason, is_final) = match &error {
            RunError::Superseded => return Err(error),
            RunError::Forbidden(_) => (error.to_string(), true),
            RunError::Retry(cause) | RunError::Permanent(cause) | RunError::Lost(cause) => {
                (domain::error_with_causes(&**cause), false)
            }
        };
        let (period, reason) = (run.period.clone(), failure_reason(&reason));
        let failed = ScheduleFailed { run: run.run, period, reason, is_final, at: now() };
        let command = if matches!(error, RunError::Lost(_)) {
            ScheduleCommand::RecordLoss { failed }
        } else {
            ScheduleCommand::RecordFailure { failed, generation: run.generation }
        };
        match self.record(run.tenant, run.schedule_id, Uuid::now_v7(), command).await {
            Ok(()) => Err(error),
            // What cannot be recorded now is tried again, with the run.
            Err(other) => Err(other),
        }
    }

    /// Makes the file of a run, unless that was done.
    async fn make(&self, run: &Run<'_>) -> Result<(), RunError> {
        let files = Files::open(self.directory.as_deref(), run.tenant.as_str())?;
        if let Some(ran) = run.schedule.run(run.run)
            && publish(&files, run.key(), ran).await?
        {
            return Ok(());
        }
        let principal = self.principal(run).await?;
        let (complete, written) = self.write(run, &principal, &files).await?;
        let name = run.definition.file.name(run.schedule_id, &run.period.name, written.position.get());
        if let Some(ran) = run.schedule.run(run.run) {
            if ran.sha256 == complete.sha256 {
                complete.keep();
            }
            return republish(run, &files, ran).await;
        }
        let (checked, of, sha256) = (files.clone(), name.clone(), complete.sha256.clone());
        blocking(move || checked.check_free(&of, &sha256)).await?;
        let ran = ScheduleRan {
            run: run.run,
            period: run.period.clone(),
            file: name,
            bytes: complete.bytes,
            sha256: complete.sha256.clone(),
            rows: written.rows,
            position: written.position.get(),
            at: now(),
        };
        let command = ScheduleCommand::RecordRun { ran, generation: run.generation };
        // From now on the run may be recorded, even if this attempt does not learn it: the file stays until it has its name.
        complete.keep();
        let recorded = self.record(run.tenant, run.schedule_id, run.command_id, command).await;
        if matches!(recorded, Err(RunError::Superseded)) {
            discard(&files, run.key()).await?;
        }
        recorded?;
        // Another process may have recorded the run before, with a file of its own.
        let schedule = self.load(run.tenant, run.schedule_id).await.map_err(RunError::Retry)?;
        let recorded = schedule.run(run.run).ok_or(RunError::Superseded)?;
        republish(run, &files, recorded).await
    }

    /// Who defined the schedule, if they may still read what it exports.
    async fn principal(&self, run: &Run<'_>) -> Result<Principal, RunError> {
        let owner = run.schedule.owner().ok_or(RunError::Superseded)?;
        let principal = match self.identities.owner(run.tenant, owner).await.map_err(RunError::retry)? {
            OwnerPrincipal::Active(principal) => principal,
            OwnerPrincipal::TenantSuspended => {
                // It may be for weeks: if that was retried, the job would become a dead letter, and make no later run.
                return Err(RunError::Permanent(format!("the tenant {} is suspended", run.tenant).into()));
            }
            OwnerPrincipal::Refused => {
                let reason = "who defined it is disabled or deleted, or the API key is not valid any more";
                return Err(RunError::Forbidden(reason.to_owned()));
            }
        };
        content::check(&principal, &run.definition.content).map_err(|error| RunError::Forbidden(error.to_string()))?;
        Ok(principal)
    }

    /// Writes a file with every event that is in the log now.
    async fn write(
        &self,
        run: &Run<'_>,
        principal: &Principal,
        files: &Files,
    ) -> Result<(Complete, Written), RunError> {
        let head = self.commands.log().head().await.map_err(RunError::retry)?;
        projections::wait_for(&self.pool, &[CALLS], head, CATCH_UP_TIMEOUT).await.map_err(RunError::retry)?;
        let content = &run.definition.content;
        record_export(&self.commands, principal, content::data_of(content), now()).await;
        let mut file = files.begin(&run.key())?;
        let sources = Sources { commands: &self.commands, reads: &self.reads, principal };
        let zone = run.definition.timing.time_zone;
        let written = sources.write(content, (zone, &run.period), &mut file).await;
        let written = written.map_err(|error| RunError::retry(JobError::from(error)))?;
        Ok((blocking(move || file.complete()).await?, written))
    }

    async fn record(
        &self,
        tenant: &TenantId,
        id: ScheduleId,
        command_id: Uuid,
        command: ScheduleCommand,
    ) -> Result<(), RunError> {
        let context = Context::new(component(tenant), command_id);
        match self.commands.execute::<Schedule>(&context, id.0, command).await {
            Ok(_) => Ok(()),
            Err(Error::Rejected(ScheduleError::Superseded | ScheduleError::Deleted | ScheduleError::NotDefined)) => {
                Err(RunError::Superseded)
            }
            Err(error) => Err(RunError::retry(error)),
        }
    }
}

/// Reads or writes files on a thread that may wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, RunError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(RunError::retry)??)
}

/// Gives the complete file of a recorded run its own name. Returns false if there is none with the recorded contents.
async fn publish(files: &Files, key: String, ran: &ScheduleRan) -> Result<bool, RunError> {
    let (files, name, sha256) = (files.clone(), ran.file.clone(), ran.sha256.clone());
    blocking(move || files.publish(&key, &name, &sha256)).await.map_err(|error| match error {
        RunError::Permanent(cause) => RunError::Lost(cause),
        RunError::Retry(_) | RunError::Lost(_) | RunError::Forbidden(_) | RunError::Superseded => error,
    })
}

/// Deletes what attempts of a run have left, of which none is in effect.
async fn discard(files: &Files, key: String) -> Result<(), RunError> {
    let files = files.clone();
    blocking(move || files.discard(&key)).await
}

/// Gives the file with the recorded contents the recorded name.
async fn republish(run: &Run<'_>, files: &Files, recorded: &ScheduleRan) -> Result<(), RunError> {
    if publish(files, run.key(), recorded).await? {
        return Ok(());
    }
    discard(files, run.key()).await?;
    let lost = format!(
        "the run is recorded with the file {}, which is not in {}, and its contents cannot be made again: request the run",
        recorded.file,
        files.path().display()
    );
    Err(RunError::Lost(lost.into()))
}

/// What records runs.
fn component(tenant: &TenantId) -> Principal {
    Principal::component(tenant.clone(), Component::Policy(SCHEDULES))
}

/// The current time in the precision of the read models.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

impl JobHandler for ScheduleHandler {
    fn kind(&self) -> &'static str {
        SCHEDULE_RUN
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn attempt_timeout(&self) -> Option<Duration> {
        Some(RUN_TIMEOUT + RECORD_TIMEOUT)
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(self.run_job(job))
    }
}
