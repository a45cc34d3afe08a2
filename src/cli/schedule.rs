//! `apex schedule`

mod arguments;

use self::arguments::Definition;
use super::backend::{self, Backend, ScheduleMove, ShownRun, ShownSchedule, Work};
use super::output::{self, ListFormat, time};
use super::session::Session;
use chrono::{DateTime, NaiveDate, Utc};
use commands::OutcomeKind;
use domain::permissions::Action;
use domain::{Body, ScheduleId};
use identity::MAX_LISTED;
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

/// Define and manage schedules of reports, statements and exports, which become files in a directory of the server.
///
/// Servers make the files, in the directory that APEX_SCHEDULE_DIRECTORY names, with the permissions that who defined a schedule
/// has at the time of the run. docs/schedules.md says when runs are made, and what happens when one fails.
#[derive(Debug, clap::Args)]
pub(super) struct Schedule {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Define a schedule
    Define {
        #[command(flatten)]
        definition: Definition,
        /// Why it is defined
        #[arg(long, value_parser = parse_reason)]
        reason: Option<Body>,
    },
    /// Replace the definition of a schedule, as a whole; it runs with the permissions of who changes it from then on
    Change {
        /// The UUID of the schedule
        id: Uuid,
        #[command(flatten)]
        definition: Definition,
        /// Why it is changed
        #[arg(long, value_parser = parse_reason)]
        reason: Option<Body>,
    },
    /// List the schedules
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Show a schedule and its last runs
    Show {
        /// The UUID of the schedule
        id: Uuid,
        /// The format
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Stop the runs of a schedule until it is resumed
    Pause {
        /// The UUID of the schedule
        id: Uuid,
        /// Why
        #[arg(long, value_parser = parse_reason)]
        reason: Option<Body>,
    },
    /// Let a paused or ended schedule run again, at times that are still to come
    Resume {
        /// The UUID of the schedule
        id: Uuid,
        /// Why
        #[arg(long, value_parser = parse_reason)]
        reason: Option<Body>,
    },
    /// Delete a schedule for good; its files and its history stay
    Delete {
        /// The UUID of the schedule
        id: Uuid,
        /// Why
        #[arg(long, value_parser = parse_reason)]
        reason: Option<Body>,
    },
    /// Request a run at once, with the permissions of who defined the schedule; a server makes it
    Run {
        /// The UUID of the schedule
        id: Uuid,
        /// A day of the period [default: a day of the last period that is over]
        #[arg(long, value_name = "DAY")]
        day: Option<NaiveDate>,
    },
}

fn parse_reason(text: &str) -> Result<Body, domain::TextError> {
    Body::new(text)
}

impl Schedule {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } | Command::Show { .. } => Action::ReadData,
            Command::Define { .. }
            | Command::Change { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::Delete { .. }
            | Command::Run { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::Define { definition, reason } => {
                let id = backend.define_schedule(definition.check()?, reason).await?;
                say!("The schedule is defined. Its id:");
                Ok(output::write(&format!("{id}\n"))?)
            }
            Self::Change { id, definition, reason } => {
                let done = backend.change_schedule(ScheduleId(id), definition.check()?, reason).await?;
                said(done, "The schedule is changed.", "The schedule has this definition already.");
                Ok(())
            }
            Self::List { format } => {
                let schedules = backend.schedules().await?;
                if schedules.is_cut {
                    say!(
                        "Only the first {MAX_LISTED} schedules are listed: query `schedules` over GraphQL for all of them."
                    );
                }
                list(&schedules.items, format)
            }
            Self::Show { id, format } => {
                let found = backend.schedule(ScheduleId(id)).await?;
                let (schedule, runs) = found.ok_or_else(|| anyhow::anyhow!("there is no schedule {id}"))?;
                show(&schedule, &runs, format)
            }
            Self::Pause { id, reason } => {
                let done = backend.move_schedule(ScheduleId(id), ScheduleMove::Pause, reason).await?;
                said(done, "The schedule is paused.", "The schedule is paused already.");
                Ok(())
            }
            Self::Resume { id, reason } => {
                let done = backend.move_schedule(ScheduleId(id), ScheduleMove::Resume, reason).await?;
                said(done, "The schedule runs again.", "The schedule runs already.");
                Ok(())
            }
            Self::Delete { id, reason } => {
                let done = backend.move_schedule(ScheduleId(id), ScheduleMove::Delete, reason).await?;
                said(done, "The schedule is deleted.", "The schedule is deleted already.");
                Ok(())
            }
            Self::Run { id, day } => {
                backend.run_schedule(ScheduleId(id), day).await?;
                say!("A run is requested: see `apex schedule show {id}`.");
                Ok(())
            }
        }
    }
}

fn said(done: OutcomeKind, changed: &str, already: &str) {
    match done {
        OutcomeKind::Done | OutcomeKind::Duplicate => say!("{changed}"),
        OutcomeKind::AlreadyDone => say!("{already}"),
    }
}

fn time_or_none(at: Option<DateTime<Utc>>) -> String {
    at.map(time).unwrap_or_default()
}

fn document(schedule: &ShownSchedule) -> Value {
    json!({
        "id": schedule.id,
        "name": schedule.name,
        "status": schedule.status,
        "definition": schedule.definition,
        "owner": schedule.owner,
        "failure": schedule.failure,
        "last_ran_at": schedule.last_ran_at.map(time),
        "next_run_at": schedule.next_run_at.map(time),
    })
}

fn list(schedules: &[ShownSchedule], format: ListFormat) -> anyhow::Result<()> {
    match format {
        ListFormat::Json => output::json(&json!({ "schedules": schedules.iter().map(document).collect::<Vec<_>>() })),
        ListFormat::Table => {
            let header = ["id", "name", "status", "content", "file", "last_ran_at", "next_run_at", "failure"];
            let row = |schedule: &ShownSchedule| {
                let text = |field: &str| schedule.definition[field].as_str().unwrap_or_default().to_owned();
                vec![
                    schedule.id.to_string(),
                    schedule.name.clone(),
                    schedule.status.clone(),
                    text("content"),
                    text("file"),
                    time_or_none(schedule.last_ran_at),
                    time_or_none(schedule.next_run_at),
                    schedule.failure.clone().unwrap_or_default(),
                ]
            };
            Ok(output::table(&header.map(str::to_owned), &schedules.iter().map(row).collect::<Vec<_>>(), 0..0)?)
        }
    }
}

fn show(schedule: &ShownSchedule, runs: &[ShownRun], format: ListFormat) -> anyhow::Result<()> {
    match format {
        ListFormat::Json => {
            let mut document = document(schedule);
            document["runs"] = serde_json::to_value(runs)?;
            output::json(&document)
        }
        ListFormat::Table => {
            list(std::slice::from_ref(schedule), ListFormat::Table)?;
            let header = ["outcome", "period", "due_at", "file", "bytes", "rows", "known_at", "at", "reason"];
            let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
            let row = |run: &ShownRun| {
                vec![
                    run.outcome.clone(),
                    run.period.clone().unwrap_or_default(),
                    time_or_none(run.due_at),
                    run.file.clone().unwrap_or_default(),
                    number(run.bytes),
                    number(run.rows),
                    number(run.known_at),
                    time(run.at),
                    match (run.skipped, &run.reason) {
                        (Some(skipped), _) => format!("{skipped} missed runs"),
                        (None, reason) => reason.clone().unwrap_or_default(),
                    },
                ]
            };
            let rows: Vec<_> = runs.iter().map(row).collect();
            Ok(output::table(&header.map(str::to_owned), &rows, 4..7)?)
        }
    }
}
