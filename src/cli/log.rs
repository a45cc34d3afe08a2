//! `apex log`

use super::with_rooms;
use crate::config::Common;
use std::collections::HashMap;
use std::process::ExitCode;
use streams::{Log, Position, ReadFilter, StreamKey};

/// The log is the truth; everything else is derived from it.
#[derive(Debug, clap::Args)]
pub(super) struct LogCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read all of it and check positions, versions, times, contents and types. Exits with 1 if anything is wrong
    Verify,
}

/// Events read at once.
const PAGE_EVENTS: usize = 1000;
/// Problems shown; the rest is only counted.
const MAX_PROBLEMS: u64 = 20;

impl LogCommand {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let Command::Verify = self.command;
        with_rooms(common, async |rooms| {
            let (events, problems) = verify(&rooms.log).await?;
            eprintln!("{events} events checked, {problems} problems found.");
            Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
        .await
    }
}

async fn verify(log: &Log) -> anyhow::Result<(u64, u64)> {
    let head = log.head().await?;
    let mut versions: HashMap<StreamKey, u64> = HashMap::new();
    let (mut last, mut last_time, mut problems) = (Position::ZERO, None, 0);
    let mut report = |position: Position, problem: &str| {
        problems += 1;
        if problems <= MAX_PROBLEMS {
            eprintln!("position {position}: {problem}");
        }
    };
    loop {
        let page = log.read_after(last, &ReadFilter::default(), PAGE_EVENTS).await?;
        if page.is_empty() {
            break;
        }
        for event in page {
            if event.position.get() != last.get() + 1 {
                report(event.position, &format!("it follows position {last}"));
            }
            let version = versions.entry(event.stream.clone()).or_default();
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
            last = event.position;
            last_time = Some(event.recorded_at);
        }
    }
    if last < head {
        report(last, &format!("the log ends here, but its head is at {head}"));
    }
    Ok((last.get(), problems))
}
