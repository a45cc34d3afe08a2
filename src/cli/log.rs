//! `apex log`

use super::archive::{self, Archive};
use super::output::ListFormat;
use super::session::{AndThenClose as _, Session, interruptible, opened, with_rooms};
use crate::database::Database;
use anyhow::Context as _;
use domain::{DecodeError, SNAPSHOT_FORMAT, State};
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use streams::{ArchiveFolder, ArchiveRecord, Log, Position, ReadFilter, Snapshot, StreamKey, Version};

/// Verify the log, and archive old partitions of it.
///
/// The log is the source of truth; everything else is derived from it.
#[derive(Debug, clap::Args)]
pub(super) struct LogCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(Verify),
    Archive(Archive),
    /// List the archived partitions
    Archives {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
}

/// Read the whole log, and check positions, versions, times, content hashes and types.
///
/// With --archive or APEX_ARCHIVE, archived events are read too. The directory must exist, even if nothing is archived
/// yet. Exits with 1 if any problem is found.
#[derive(Debug, clap::Args)]
struct Verify {
    /// Also compare every snapshot with the fold of its stream
    #[arg(long)]
    snapshots: bool,
}

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1000;
/// The maximum number of problems shown; further ones are only counted.
const MAX_PROBLEMS: u64 = 20;
/// The number of snapshots read at a time; some are large.
const PAGE_SNAPSHOTS: usize = 20;

impl LogCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Verify(Verify { snapshots }) => {
                with_rooms(session, async |rooms| {
                    check_folder(session.common().archive.as_deref())?;
                    let archives = streams::list_archives(&rooms.pool).await?;
                    let (after, damaged) = verify_archives(archives, session.common().archive.as_deref()).await?;
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
            Command::Archive(archive) => archive.run(session).await,
            Command::Archives { format } => {
                let database = opened(Database::open(session.common())).await?;
                let listed = interruptible(archive::list(&database, format)).await;
                listed.and_then_close(database.close().await)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Checks that the directory of archives exists: otherwise the archived events would not be verified.
fn check_folder(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let listed = std::fs::read_dir(folder);
    listed.map(|_| ()).with_context(|| format!("the directory of archive files {} cannot be read", folder.display()))
}

/// Verifies the archive files. Returns the position after which the log can be read, and the number of damaged files.
async fn verify_archives(archives: Vec<ArchiveRecord>, folder: Option<&Path>) -> anyhow::Result<(Position, u64)> {
    let Some(last) = archives.last().map(|archived| archived.last) else { return Ok((Position::ZERO, 0)) };
    let Some(folder) = folder else {
        say!("Positions 1 to {last} are archived and were not checked: set --archive to their directory.");
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

/// Checks all events after a position. Returns the number of events and of problems.
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
                report(event.position, &format!("the previous position is {last}"));
            }
            // The version of a stream is not known if its earlier events are archived.
            let known = if after == Position::ZERO { 0 } else { event.version.get().saturating_sub(1) };
            let version = versions.entry(event.stream.clone()).or_insert(known);
            *version += 1;
            if event.version.get() != *version {
                report(event.position, &format!("version {} of its stream instead of {version}", event.version));
            }
            if last_time > Some(event.recorded_at) {
                report(event.position, "it was recorded before the previous event");
            }
            if !event.content_is_intact() {
                report(event.position, "its content does not match its hash");
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

/// The result of checking a snapshot.
enum SnapshotCheck {
    /// The snapshot is the state that its events give.
    Right,
    /// The snapshot is another state.
    Wrong,
    /// An event before the snapshot cannot be read.
    Unreadable(Position, DecodeError),
    /// The snapshot is not used: another version of the code or another log has written it.
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
            let problem = match check_snapshot(log, snapshot).await? {
                SnapshotCheck::Right => None,
                SnapshotCheck::Unused => {
                    unused += 1;
                    continue;
                }
                SnapshotCheck::Wrong => Some("it differs from the state that its events give".to_owned()),
                SnapshotCheck::Unreadable(position, error) => {
                    Some(format!("the event at position {position}: {error}"))
                }
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
    say!("{checked} snapshots checked, {unused} not used, {wrong} problems found.");
    Ok(wrong)
}

/// Folds the events of the stream up to the version of the snapshot, and compares.
async fn check_snapshot(log: &Log, snapshot: &Snapshot) -> anyhow::Result<SnapshotCheck> {
    let Some(mut state) = State::of_category(&snapshot.stream.category) else { return Ok(SnapshotCheck::Unused) };
    if snapshot.format != SNAPSHOT_FORMAT {
        return Ok(SnapshotCheck::Unused);
    }
    let (mut version, mut position) = (Version::ZERO, Position::ZERO);
    while version < snapshot.version {
        let page = log.read_stream(&snapshot.stream, version, PAGE_EVENTS).await?;
        let before = version;
        for event in page.iter().take_while(|event| event.version <= snapshot.version) {
            let decoded = match event.decode() {
                Ok(decoded) => decoded,
                Err(error) => return Ok(SnapshotCheck::Unreadable(event.position, error)),
            };
            state = state.evolve(&decoded);
            (version, position) = (event.version, event.position);
        }
        if version == before {
            break;
        }
    }
    if (version, position) != (snapshot.version, snapshot.position) {
        return Ok(SnapshotCheck::Unused);
    }
    let stored: Option<serde_json::Value> = serde_json::from_str(&snapshot.state).ok();
    Ok(if stored == Some(serde_json::to_value(&state)?) { SnapshotCheck::Right } else { SnapshotCheck::Wrong })
}
