//! `apex import undo`

use super::super::output::{self, ListFormat};
use super::super::session::wait_for_read_models;
use super::server;
use super::step::{Failed, Step};
use crate::client::Client;
use crate::rooms::Rooms;
use anyhow::{Context as _, bail};
use chrono::Utc;
use commands::{Position, TakeBack};
use domain::{Body, ImportId};
use indicatif::HumanCount;
use serde::Serialize;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The least time between two messages about the progress.
const MESSAGE_INTERVAL: Duration = Duration::from_secs(2);
/// The exit code if something refused to be taken back, as that of an import with refused records.
const SOME_REFUSED: u8 = 3;
/// The most ids of a list that are printed as a table. JSON has all of them.
const MAX_LISTED: usize = 20;

/// Take back an import
///
/// The calls that no one else reported are reversed: they are not counted any more, and each has an event with the reason.
/// The calls that others reported too stay as they are, with what the import added to them, and so do the agents and tasks
/// that it created; all of these are listed. What was done is kept if the command is interrupted; run it again to go on.
/// Taking back an import twice changes nothing.
///
/// The log is searched for what the import reported, from its beginning. The id is the correlation id of the import's events:
/// `apex import` prints it, and the response to a request of an exporter has it as `x-correlation-id`.
///
/// Exits with 0 if everything was taken back, and with 3 if a call or trace refused it: the rest was taken back.
#[derive(Debug, clap::Args)]
pub(super) struct Undo {
    /// The id of the import
    #[arg(value_name = "ID")]
    import_id: Uuid,

    /// Why it is taken back, which the events state: at most 1 KiB
    #[arg(long, value_parser = TakeBack::reason)]
    reason: Body,

    /// Do not wait for the read models to catch up
    #[arg(long)]
    no_wait: bool,

    /// The format of the result on standard output
    #[arg(long = "format", id = "undo_format", value_name = "FORMAT", value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
}

/// What was found of the import, and whether it stays.
#[derive(Debug, Default, Serialize)]
struct Undone {
    import_id: Uuid,
    /// The number of calls that are not counted any more.
    reversed: u64,
    /// The calls that others reported too.
    kept: Vec<Uuid>,
    /// The agents that the import registered, which stay.
    agents: Vec<Uuid>,
    /// The tasks that the import submitted, which stay.
    tasks: Vec<Uuid>,
    /// What refused to be taken back. The rest was taken back all the same.
    failed: Vec<Failed>,
    /// Whether anything was written, such as the end of spans that are no calls.
    #[serde(skip)]
    is_written: bool,
}

impl Undo {
    /// Takes it back on the database.
    pub(super) async fn run_here(self, rooms: &mut Rooms) -> anyhow::Result<ExitCode> {
        if !self.no_wait {
            rooms.start_projections();
        }
        rooms.start_maintenance();
        let rooms: &Rooms = rooms;
        let take_back = TakeBack {
            principal: rooms.principal.clone(),
            import_id: ImportId(self.import_id),
            reason: self.reason.clone(),
            at: Utc::now(),
            correlation_id: Uuid::now_v7(),
        };
        let step = async |after| {
            let taken = rooms.commands.take_back(&take_back, after).await?;
            anyhow::Ok((Step::from(taken), rooms.log.head().await?))
        };
        let undone = self.undo(step).await?;
        self.end(&undone, async || wait_for_read_models(rooms).await.map(|_| ())).await
    }

    /// Lets a server take it back.
    pub(super) async fn run_at(self, client: &Client) -> anyhow::Result<ExitCode> {
        let undone =
            self.undo(async |after| server::take_back(client, self.import_id, &self.reason, after).await).await?;
        self.end(&undone, async || server::wait_for_read_models(client).await).await
    }

    async fn undo(&self, step: impl AsyncFn(Position) -> anyhow::Result<(Step, Position)>) -> anyhow::Result<Undone> {
        let mut undone = Undone { import_id: self.import_id, ..Undone::default() };
        let (mut after, mut said_at) = (Position::ZERO, Instant::now());
        loop {
            let (taken, head) = step(after).await.with_context(|| {
                let (reversed, kept) = (HumanCount(undone.reversed), HumanCount(undone.kept.len() as u64));
                format!("stopped after {reversed} calls were reversed and {kept} kept; run the command again to go on")
            })?;
            let is_complete = taken.is_complete;
            after = taken.searched_to;
            undone.add(taken);
            if is_complete {
                break;
            }
            said_at = undone.say_progress(after, said_at, head);
        }
        if undone.is_empty() {
            bail!("the log has no import {}", self.import_id);
        }
        Ok(undone)
    }

    async fn end(&self, undone: &Undone, wait: impl AsyncFnOnce() -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
        let caught_up = if self.no_wait { Ok(()) } else { wait().await };
        self.print(undone)?;
        for Failed { call, reason } in undone.failed.iter().take(MAX_LISTED) {
            let what = call.map_or_else(|| "spans of a trace".to_owned(), |id| format!("the call {id}"));
            say!("refused: {what}: {reason}");
        }
        caught_up?;
        Ok(if undone.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_REFUSED) })
    }

    fn print(&self, undone: &Undone) -> anyhow::Result<()> {
        if let ListFormat::Json = self.output {
            return output::json(undone);
        }
        let Undone { reversed, kept, agents, tasks, failed, .. } = undone;
        let count = |count: usize| HumanCount(count as u64).to_string();
        let rows = [
            ("reversed calls", HumanCount(*reversed).to_string(), String::new()),
            ("kept calls, which others reported too", count(kept.len()), listed(kept)),
            ("kept agents", count(agents.len()), listed(agents)),
            ("kept tasks", count(tasks.len()), listed(tasks)),
            ("refused", count(failed.len()), String::new()),
        ];
        let rows: Vec<_> = rows.into_iter().map(|(what, count, ids)| vec![what.to_owned(), count, ids]).collect();
        Ok(output::table(&["what", "count", "ids"].map(str::to_owned), &rows, 1..2)?)
    }
}

impl Undone {
    fn is_empty(&self) -> bool {
        let Self { import_id: _, reversed, kept, agents, tasks, failed, is_written } = self;
        !is_written && *reversed == 0 && kept.is_empty() && agents.is_empty() && tasks.is_empty() && failed.is_empty()
    }

    fn add(&mut self, step: Step) {
        let Step { reversed, kept, agents, tasks, failed, is_written, searched_to: _, is_complete: _ } = step;
        self.reversed += reversed;
        self.kept.extend(kept);
        self.agents.extend(agents);
        self.tasks.extend(tasks);
        self.failed.extend(failed);
        self.is_written |= is_written;
    }

    /// Says how far the log was searched, at most once per [`MESSAGE_INTERVAL`], and returns when that was.
    fn say_progress(&self, searched_to: Position, said_at: Instant, head: Position) -> Instant {
        if said_at.elapsed() < MESSAGE_INTERVAL {
            return said_at;
        }
        say!(
            "searched {} of {} events; {} calls reversed, {} kept",
            HumanCount(searched_to.get()),
            HumanCount(head.get()),
            HumanCount(self.reversed),
            HumanCount(self.kept.len() as u64)
        );
        Instant::now()
    }
}

/// Some ids, for a cell of a table.
fn listed(ids: &[Uuid]) -> String {
    let mut listed: Vec<_> = ids.iter().take(MAX_LISTED).map(Uuid::to_string).collect();
    if ids.len() > MAX_LISTED {
        listed.push(format!("and {} more: --format json", ids.len() - MAX_LISTED));
    }
    listed.join(" ")
}
