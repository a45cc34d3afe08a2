//! `apex jobs`

use super::output::{self, Format};
use super::session::{Session, with_rooms};
use crate::rooms::Rooms;
use clap::ValueEnum;
use policies::{JobDecisionKind, JobFilter, JobRow, JobState, decide, decisions, list};
use std::process::ExitCode;
use uuid::Uuid;

/// List jobs, retry dead letters, and drop jobs that are not wanted any more.
///
/// Jobs are what policies do outside the log, such as raising alerts, and timers. A job that fails is retried with
/// growing delays; in the end it becomes a dead letter, and is kept until it is retried or dropped.
#[derive(Debug, clap::Args)]
pub(super) struct JobsCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List jobs, the one that was inserted last first. Jobs that are done are kept for a day
    List(List),
    /// Set a dead letter, or a job that was dropped, waiting again with all its attempts
    Retry(Decided),
    /// Drop a dead letter, a waiting job, or a leased one whose lease has ended: it does not run again
    Drop(Decided),
    /// List the decisions about jobs, the latest first
    Decisions {
        /// The maximum number of decisions
        #[arg(long, value_name = "DECISIONS", default_value_t = DEFAULT_LIMIT,
              value_parser = clap::value_parser!(i64).range(1..=MAX_LIMIT))]
        limit: i64,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only jobs in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only jobs of this kind, such as `budget-alert`
    #[arg(long)]
    kind: Option<String>,
    /// Only jobs of this queue: KIND or KIND:DESTINATION
    #[arg(long)]
    queue: Option<String>,
    /// Only jobs that were inserted before the one with this sequence number, to continue a list
    #[arg(long, value_name = "SEQUENCE")]
    before: Option<i64>,
    /// The maximum number of jobs
    #[arg(long, value_name = "JOBS", default_value_t = DEFAULT_LIMIT,
          value_parser = clap::value_parser!(i64).range(1..=MAX_LIMIT))]
    limit: i64,
    /// The format of the list
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Decided {
    /// The ids of the jobs
    #[arg(required = true, num_args = 1..=MAX_DECIDED)]
    jobs: Vec<Uuid>,
    /// The reason, which is recorded with the actor and the time
    #[arg(long)]
    reason: String,
    /// The actor, which is recorded
    #[arg(long, default_value = "command line")]
    actor: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// It runs when it is due
    Waiting,
    /// A process runs it
    Leased,
    /// It succeeded
    Done,
    /// It failed, and waits for a decision
    DeadLetter,
    /// It was dropped
    Dropped,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Leased => Self::Leased,
            State::Done => Self::Done,
            State::DeadLetter => Self::DeadLetter,
            State::Dropped => Self::Dropped,
        }
    }
}

/// The number of rows that a list has unless another is given, and the maximum.
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 10_000;
/// The maximum number of jobs that one command decides about.
const MAX_DECIDED: usize = 1000;

impl JobsCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_rooms(session, async |rooms| {
            let is_success = match self.command {
                Command::List(command) => command.run(rooms).await?,
                Command::Retry(jobs) => jobs.decide(rooms, JobDecisionKind::Retry).await?,
                Command::Drop(jobs) => jobs.decide(rooms, JobDecisionKind::Drop).await?,
                Command::Decisions { limit, format } => print_decisions(rooms, limit, format).await?,
            };
            Ok(if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
        .await
    }
}

impl List {
    async fn run(self, rooms: &Rooms) -> anyhow::Result<bool> {
        let state = self.state.map(JobState::from);
        let filter = JobFilter { state, kind: self.kind, queue: self.queue, before: self.before };
        let jobs = list(&rooms.principal.authorise()?, &rooms.pool, &filter, self.limit).await?;
        let is_full = i64::try_from(jobs.len()).is_ok_and(|listed| listed == self.limit);
        let last = jobs.last().filter(|_| is_full).map(|job| job.sequence);
        let header = [
            "sequence",
            "job_id",
            "queue",
            "tenant",
            "state",
            "attempts",
            "scheduled_at",
            "available_at",
            "finished_at",
            "last_error",
        ];
        output::list(&header, jobs.into_iter().map(cells).collect(), 0..1, self.format)?;
        if let Some(last) = last {
            say!("There may be more: continue with --before {last}.");
        }
        Ok(true)
    }
}

fn cells(job: JobRow) -> Vec<String> {
    vec![
        job.sequence.to_string(),
        job.job_id.to_string(),
        job.queue,
        job.tenant_id.unwrap_or_default(),
        job.state.as_str().to_owned(),
        job.attempts.to_string(),
        job.scheduled_at.to_rfc3339(),
        job.available_at.to_rfc3339(),
        job.finished_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        job.last_error.unwrap_or_default(),
    ]
}

impl Decided {
    /// Decides about each job. A job that it cannot be decided about does not hinder the others.
    async fn decide(&self, rooms: &Rooms, decision: JobDecisionKind) -> anyhow::Result<bool> {
        let access = rooms.principal.authorise()?;
        let mut decided = 0;
        for job in &self.jobs {
            match decide(&access, &rooms.pool, *job, decision, &self.actor, &self.reason).await {
                Ok(()) => decided += 1,
                Err(error) => say!("{}", domain::error_with_causes(&error)),
            }
        }
        let what = match decision {
            JobDecisionKind::Retry => "set waiting again",
            JobDecisionKind::Drop => "dropped",
        };
        say!("{decided} of {} jobs were {what}.", self.jobs.len());
        Ok(decided == self.jobs.len())
    }
}

async fn print_decisions(rooms: &Rooms, limit: i64, format: Format) -> anyhow::Result<bool> {
    let rows = decisions(&rooms.principal.authorise()?, &rooms.pool, limit).await?.into_iter().map(|made| {
        let (at, job) = (made.decided_at.to_rfc3339(), made.job_id.to_string());
        vec![at, job, made.queue, made.decision, made.actor, made.reason]
    });
    output::list(&["decided_at", "job_id", "queue", "decision", "actor", "reason"], rows.collect(), 0..0, format)?;
    Ok(true)
}
