//! `apex log`

use super::archive::{self, Archive};
use super::output::ListFormat;
use super::{AndThenClose as _, interruptible, opened, with_rooms};
use crate::config::Common;
use crate::database::Database;
use anyhow::Context as _;
use domain::{DecodeError, SNAPSHOT_FORMAT, State};
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use streams::{ArchiveFolder, ArchiveRecord, Log, Position, ReadFilter, Snapshot, StreamKey, Version};

/// Check the log itself, and archive old parts of it.
///
/// The log is the truth; everything else is derived from it.
#[derive(Debug, clap::Args)]
pub(super) struct LogCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(Verify),
    Archive(Archive),
    /// What is archived
    Archives {
        /// The form of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
}

/// Read all of it, and check positions, versions, times, contents and types.
///
/// With --archive, or APEX_ARCHIVE, the archived beginning of the log is read too; that the folder is there is checked
/// even if nothing is archived yet. Exits with 1 if anything is wrong.
#[derive(Debug, clap::Args)]
struct Verify {
    /// Also fold every stream that has a snapshot, and compare
    #[arg(long)]
    snapshots: bool,
}

/// Events read at once.
const PAGE_EVENTS: usize = 1000;
/// Problems shown; the rest is only counted.
const MAX_PROBLEMS: u64 = 20;
/// Snapshots read at once; some are large.
const PAGE_SNAPSHOTS: usize = 20;

impl LogCommand {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Verify(Verify { snapshots }) => {
                with_rooms(common, async |rooms| {
                    check_folder(common.archive.as_deref())?;
                    let archives = streams::list_archives(&rooms.pool).await?;
                    let (after, damaged) = verify_archives(archives, common.archive.as_deref()).await?;
                    let (events, problems) = verify(&rooms.log, after).await?;
                    let mut problems = problems + damaged;
                    say!("{events} events checked, {problems} problems found.");
                    if snapshots {
                        problems += verify_snapshots(&rooms.log).await?;
                    }
                    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
                })
                .await
            }
            Command::Archive(archive) => archive.run(common).await,
            Command::Archives { format } => {
                let database = opened(Database::open(common)).await?;
                let listed = interruptible(archive::list(&database, format)).await;
                listed.and_then_close(database.close().await)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Who names a folder wants to have it checked: one that is not there is not success.
fn check_folder(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let listed = std::fs::read_dir(folder);
    listed.map(|_| ()).with_context(|| format!("{} is no folder of archive files that can be read", folder.display()))
}

/// Checks the files of the archive; returns after which position the log can be read, and how many files are damaged.
async fn verify_archives(archives: Vec<ArchiveRecord>, folder: Option<&Path>) -> anyhow::Result<(Position, u64)> {
    let Some(last) = archives.last().map(|archived| archived.last) else { return Ok((Position::ZERO, 0)) };
    let Some(folder) = folder else {
        say!("Positions 1 to {last} are archived and not checked: name the folder with --archive.");
        return Ok((last.into(), 0));
    };
    let folder = Arc::new(ArchiveFolder::new(folder.to_owned()));
    let mut damaged = 0;
    for archived in archives {
        let (folder, name) = (folder.clone(), archived.name.clone());
        if let Err(error) = tokio::task::spawn_blocking(move || folder.verify(&archived)).await? {
            damaged += 1;
            say!("archive {name}: {:#}", anyhow::Error::from(error));
        }
    }
    Ok((if damaged == 0 { Position::ZERO } else { last.into() }, damaged))
}

/// Checks all events after a position; returns how many, and how many problems there are.
async fn verify(log: &Log, after: Position) -> anyhow::Result<(u64, u64)> {
    let head = log.head().await?;
    let mut versions: HashMap<StreamKey, u64> = HashMap::new();
    let (mut last, mut last_time, mut problems) = (after, None, 0);
    let mut report = |position: Position, problem: &str| {
        problems += 1;
        if problems <= MAX_PROBLEMS {
            say!("position {position}: {problem}");
        }
    };
    let mut pages = log.pages(after, ReadFilter::default(), PAGE_EVENTS);
    while let Some(page) = pages.next_page().await? {
        for event in page {
            if event.position.get() != last.get() + 1 {
                report(event.position, &format!("it follows position {last}"));
            }
            // What the earlier events of a stream were is not known where they are archived.
            let known = if after == Position::ZERO { 0 } else { event.version.get().saturating_sub(1) };
            let version = versions.entry(event.stream.clone()).or_insert(known);
            *version += 1;
            if event.version.get() != *version {
                report(event.position, &format!("version {} of its stream instead of {version}", event.version));
            }
            if last_time > Some(event.recorded_at) {
                report(event.position, "it was recorded before its predecessor");
            }
            if !event.content_is_intact() {
                report(event.position, "its content is not what was hashed when it was written");
            }
            if let Err(error) = event.decode() {
                report(event.position, &error.to_string());
            }
            if let Err(error) = event.metadata() {
                report(event.position, &format!("its metadata cannot be read: {error}"));
            }
            last = event.position;
            last_time = Some(event.recorded_at);
        }
    }
    if last < head {
        report(last, &format!("the log ends here, but its head is at {head}"));
    }
    Ok((last.get() - after.get(), problems))
}

/// What a snapshot is worth.
enum Worth {
    /// It is what its events come to.
    Right,
    /// It is something else.
    Wrong,
    /// An event before it cannot be read.
    Unreadable(Position, DecodeError),
    /// Nobody who runs this code reads it: other code wrote it, or the log is not the one that it was taken of.
    Unused,
}

async fn verify_snapshots(log: &Log) -> anyhow::Result<u64> {
    let (mut checked, mut unused, mut wrong) = (0_u64, 0_u64, 0);
    let mut last: Option<StreamKey> = None;
    loop {
        let page = log.read_snapshots(last.as_ref(), PAGE_SNAPSHOTS).await?;
        let Some(end) = page.last() else { break };
        last = Some(end.stream.clone());
        for snapshot in &page {
            let problem = match worth(log, snapshot).await? {
                Worth::Right => None,
                Worth::Unused => {
                    unused += 1;
                    continue;
                }
                Worth::Wrong => Some("it is not what the events come to".to_owned()),
                Worth::Unreadable(position, error) => Some(format!("the event at position {position}: {error}")),
            };
            checked += 1;
            if let Some(problem) = problem {
                wrong += 1;
                if wrong <= MAX_PROBLEMS {
                    say!("snapshot of {} at version {}: {problem}", snapshot.stream, snapshot.version);
                }
            }
        }
    }
    say!("{checked} snapshots checked, {unused} are not used, {wrong} problems found.");
    Ok(wrong)
}

/// Folds the stream from its first event on, up to where the snapshot was taken, and compares.
async fn worth(log: &Log, snapshot: &Snapshot) -> anyhow::Result<Worth> {
    let Some(mut state) = State::of_category(&snapshot.stream.category) else { return Ok(Worth::Unused) };
    if snapshot.format != SNAPSHOT_FORMAT {
        return Ok(Worth::Unused);
    }
    let (mut version, mut position) = (Version::ZERO, Position::ZERO);
    while version < snapshot.version {
        let page = log.read_stream(&snapshot.stream, version, PAGE_EVENTS).await?;
        let before = version;
        for event in page.iter().take_while(|event| event.version <= snapshot.version) {
            let decoded = match event.decode() {
                Ok(decoded) => decoded,
                Err(error) => return Ok(Worth::Unreadable(event.position, error)),
            };
            state = state.evolve(&decoded);
            (version, position) = (event.version, event.position);
        }
        if version == before {
            break;
        }
    }
    if (version, position) != (snapshot.version, snapshot.position) {
        return Ok(Worth::Unused);
    }
    let kept: Option<serde_json::Value> = serde_json::from_str(&snapshot.state).ok();
    Ok(if kept == Some(serde_json::to_value(&state)?) { Worth::Right } else { Worth::Wrong })
}
