//! `apex log archive` and `apex log archives`

use super::exports;
use super::output::{self, ListFormat};
use super::session::{AndThenClose as _, Session, interruptible, opened};
use crate::database::Database;
use anyhow::Context as _;
use chrono::Utc;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use streams::{ArchiveLimit, ArchivePlan, Archiver, Position};

/// Move old partitions to Parquet files.
///
/// Archives complete partitions before the limit, the oldest first, that every read model and the relay have processed.
/// Requires the login that migrated the database. Without --yes, only the plan is shown.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("limit").required(true).multiple(true).args(["before", "older_than"]))]
pub(super) struct Archive {
    /// Archive events before this position
    #[arg(long, value_name = "POSITION")]
    before: Option<u64>,

    /// Archive events that were recorded longer ago, such as 90d or 6months
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,

    /// The directory to write to [default: that of --archive]
    #[arg(long, value_name = "DIRECTORY")]
    to: Option<PathBuf>,

    /// Write the files, verify them, and drop the partitions
    #[arg(long)]
    yes: bool,
}

impl Archive {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let folder = self.to.as_ref().or(session.common().archive.as_ref());
        let folder = folder.context("no directory to write to: set --to or APEX_ARCHIVE")?;
        let recorded_before =
            self.older_than.map(|age| Ok::<_, anyhow::Error>(Utc::now() - chrono::TimeDelta::from_std(age)?));
        let limit = ArchiveLimit {
            before: self.before.map(Position::from),
            recorded_before: recorded_before.transpose().context("--older-than is too long ago")?,
        };
        let mut database = opened(Database::open_as_owner(session.common())).await?;
        // Tenants whose events were archived before are read there.
        database.archive.get_or_insert_with(|| folder.clone());
        let archived = interruptible(archive(session, &database, limit, folder, self.yes)).await;
        archived.and_then_close(database.close().await)?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn archive(
    session: &Session,
    database: &Database,
    limit: ArchiveLimit,
    folder: &Path,
    yes: bool,
) -> anyhow::Result<()> {
    let followers: Vec<_> = projections::all().iter().map(|projection| projection.name()).collect();
    let mut plan = Archiver::plan(&database.pool, limit, &followers).await.context("nothing was changed")?;
    if plan.is_empty() {
        say!("No complete partition is before the limit.");
        return Ok(());
    }
    print(&plan)?;
    check_readers(&plan)?;
    if !yes {
        say!("Nothing was changed. Use --yes to archive these partitions to {}.", folder.display());
        return Ok(());
    }
    let archiver = Archiver::open(database.pool.clone(), folder).await?;
    // Another archiver may have been running until now.
    plan = Archiver::plan(&database.pool, limit, &followers).await?;
    check_readers(&plan)?;
    exports::record_of_all(session, database, "archive").await?;
    for partition in &plan {
        archive_one(&archiver, partition).await?;
    }
    say!("To read these events from now on, set APEX_ARCHIVE={}.", folder.display());
    Ok(())
}

async fn archive_one(archiver: &Archiver, partition: &ArchivePlan) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent} %, ready in {eta}");
    let bar = ProgressBar::new(2 * events(partition))
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(partition.name.clone());
    let progress = bar.clone();
    let archived = archiver.archive(partition, Arc::new(move |events| progress.inc(events))).await;
    bar.finish_and_clear();
    let manifest = archived.with_context(|| format!("{} was not archived", partition.name))?;
    say!(
        "{}: positions {} to {}, {} bytes, SHA-256 {}",
        manifest.file,
        manifest.first_position,
        manifest.last_position,
        manifest.bytes,
        manifest.sha256
    );
    Ok(())
}

fn events(partition: &ArchivePlan) -> u64 {
    partition.last.get() - partition.first.get() + 1
}

/// Checks that all readers of the log have processed all partitions of the plan. Otherwise nothing is archived.
fn check_readers(plan: &[ArchivePlan]) -> anyhow::Result<()> {
    let Some(blocked) = plan.iter().find(|partition| !partition.lagging.is_empty()) else { return Ok(()) };
    let behind: Vec<_> = blocked.lagging.iter().map(|(name, position)| format!("{name} (at {position})")).collect();
    anyhow::bail!(
        "{} ends at position {}, and these are still behind: {}",
        blocked.name,
        blocked.last,
        behind.join(", ")
    )
}

fn print(plan: &[ArchivePlan]) -> anyhow::Result<()> {
    let header = ["name", "first", "last", "events", "last_recorded_at"].map(str::to_owned);
    let rows: Vec<_> = plan
        .iter()
        .map(|partition| {
            let last_at = partition.last_recorded_at.to_rfc3339();
            let (first, last) = (partition.first.to_string(), partition.last.to_string());
            vec![partition.name.clone(), first, last, events(partition).to_string(), last_at]
        })
        .collect();
    Ok(output::table(&header, &rows, 1..4)?)
}

/// Prints the archived partitions.
pub(super) async fn list(database: &Database, format: ListFormat) -> anyhow::Result<()> {
    let archives = streams::list_archives(&database.pool).await.context("the archives cannot be listed")?;
    let objects: Vec<_> = archives
        .iter()
        .map(|archived| {
            json!({
                "name": archived.name,
                "first_position": archived.first,
                "last_position": archived.last,
                "first_recorded_at": archived.first_recorded_at,
                "last_recorded_at": archived.last_recorded_at,
                "bytes": archived.bytes,
                "file": archived.location(),
            })
        })
        .collect();
    match format {
        ListFormat::Json => output::json(&objects),
        ListFormat::Table => {
            let columns =
                ["name", "first_position", "last_position", "bytes", "first_recorded_at", "last_recorded_at", "file"];
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let rows: Vec<_> =
                objects.iter().map(|object| columns.map(|column| text(&object[column])).to_vec()).collect();
            Ok(output::table(&columns.map(str::to_owned), &rows, 1..4)?)
        }
    }
}
