//! Archiving: a partition is written to a file, the file is verified, and then one transaction records the archive and drops
//! the partition.
//!
//! At every moment either the partition is complete in the database, or its archive is complete, on disk and recorded.
//! Before the last step there are only files, which the next run overwrites or reuses.

use super::digest::{EventDigest, EventSums};
use super::error::ArchiveError;
use super::file::{Reader as FileReader, SCHEMA, Writer};
use super::folder::{sha256, sum_events};
use super::manifest::{FORMAT_VERSION, Manifest, file_name, hex, manifest_name};
use crate::error::ReadError;
use crate::event::{Position, RecordedEvent};
use crate::filter::ReadFilter;
use crate::pages::Pages;
use crate::reader::Reader;
use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, Postgres};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use uuid::Uuid;

/// The number of events read at once.
const PAGE_EVENTS: usize = 1000;
/// How long an attempt to drop a partition may make appends and readers wait.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '300ms'";
/// The number of attempts, and the delay between them.
const LOCK_ATTEMPTS: u32 = 60;
const LOCK_DELAY: Duration = Duration::from_millis(700);
/// SQLSTATEs of a lock that was not available: lock timeout (55P03) and deadlock (40P01).
const LOCK_SQLSTATES: [&str; 2] = ["55P03", "40P01"];

/// Called with the number of events written or verified since the last call. The total is twice the number of events.
pub type ArchiveProgress = Arc<dyn Fn(u64) + Send + Sync>;

/// Which partitions to archive: those whose events are all before every given bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimit {
    /// Only events before this position.
    pub before: Option<Position>,
    /// Only events recorded before this time.
    pub recorded_before: Option<DateTime<Utc>>,
}

/// A partition that can be archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePlan {
    /// The name of the partition.
    pub name: String,
    /// The first position.
    pub first: Position,
    /// The last position.
    pub last: Position,
    /// When the last event was appended.
    pub last_recorded_at: DateTime<Utc>,
    /// The checkpoints that have not passed the partition yet: name and position.
    pub lagging: Vec<(String, Position)>,
}

/// Why a partition was not archived. It is still in the database.
#[derive(Debug, Error)]
pub enum ArchiverError {
    /// Another archiver runs on this database.
    #[error("another archive command is running on this database: wait until it has finished")]
    AlreadyRunning,
    /// The database failed or refused a statement.
    #[error("the partition cannot be archived")]
    Database(#[from] sqlx::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file cannot be written, or does not have the written events when it is read back.
    #[error("the archive cannot be written")]
    Archive(#[from] ArchiveError),
    /// An event of the partition does not have its stored hash, or the partition has gaps.
    #[error("the partition is damaged: {0}")]
    Damaged(String),
    /// The folder has an archive with the same name and different events.
    #[error("{} exists and describes different events: use another folder", .0.display())]
    FileConflict(PathBuf),
    /// A transaction held a lock on the partition during all attempts.
    #[error(
        "the partition is locked by an open transaction that has read the log; nothing was changed: end that transaction, \
         then run the command again"
    )]
    LockTimeout,
}

/// Archives partitions into a folder. Needs the privileges of the schema's owner; at most one runs on a database.
pub struct Archiver {
    pool: PgPool,
    folder: PathBuf,
    /// The session that holds the advisory lock.
    _lock: PoolConnection<Postgres>,
}

impl Archiver {
    /// The partitions within a limit, oldest first. `followers` are consumers whose checkpoint must have passed a partition;
    /// one without a checkpoint counts as being at position 0.
    ///
    /// # Errors
    /// [`ArchiverError::Database`] when the database cannot be read.
    pub async fn plan(
        pool: &PgPool,
        limit: ArchiveLimit,
        followers: &[&str],
    ) -> Result<Vec<ArchivePlan>, ArchiverError> {
        let checkpoints: Vec<(String, i64)> = sqlx::query_as(
            "select name, position from apex.checkpoints
             union all
             select name, 0 from unnest($1::text[]) as name where name not in (select follower from apex.checkpoints)
             order by 1",
        )
        .bind(followers)
        .fetch_all(pool)
        .await?;
        let partitions: Vec<(String, i64, i64)> = sqlx::query_as(
            "select p.name, p.from_position, p.to_position - 1
             from apex.partitions p join apex.head h on p.to_position <= h.position
             where p.to_position <= $1
             order by p.from_position",
        )
        .bind(limit.before.map_or(i64::MAX, Position::as_i64))
        .fetch_all(pool)
        .await?;
        let mut plan = Vec::new();
        for (name, first, last) in partitions {
            // One statement per partition, so that the planner finds the partition by its position.
            let find = "select recorded_at from apex.events where position = $1";
            let last_recorded_at: DateTime<Utc> = sqlx::query_scalar(find).bind(last).fetch_one(pool).await?;
            if limit.recorded_before.is_some_and(|before| last_recorded_at >= before) {
                break;
            }
            let lagging = checkpoints
                .iter()
                .filter(|(_, position)| *position < last)
                .map(|(name, position)| (name.clone(), Position::from_i64(*position)))
                .collect();
            let (first, last) = (Position::from_i64(first), Position::from_i64(last));
            plan.push(ArchivePlan { name, first, last, last_recorded_at, lagging });
        }
        Ok(plan)
    }

    /// Creates the folder if it is missing, and locks archiving on this database until the archiver is dropped.
    ///
    /// # Errors
    /// [`ArchiverError::AlreadyRunning`] when another archiver holds the lock, [`ArchiverError::Archive`] when the folder
    /// cannot be created, [`ArchiverError::Database`] when the database fails.
    pub async fn open(pool: PgPool, folder: &Path) -> Result<Self, ArchiverError> {
        fs::create_dir_all(folder).map_err(ArchiveError::from)?;
        let folder = folder.canonicalize().map_err(ArchiveError::from)?;
        let mut lock = pool.acquire().await?;
        let is_locked: bool =
            sqlx::query_scalar("select pg_try_advisory_lock(hashtext('apex.archive'))").fetch_one(&mut *lock).await?;
        if is_locked { Ok(Self { pool, folder, _lock: lock }) } else { Err(ArchiverError::AlreadyRunning) }
    }

    /// Archives the oldest partition.
    ///
    /// # Errors
    /// [`ArchiverError`]; the partition is then still in the database, unless the connection broke during the commit. In
    /// that case the next [`Archiver::plan`] shows whether it is.
    pub async fn archive(&self, plan: &ArchivePlan, progress: ArchiveProgress) -> Result<Manifest, ArchiverError> {
        // Takes long and is idempotent, so it is not part of the transaction that drops the partition.
        while self.retry_locked(async || self.keep_receipts(plan).await).await? {}
        let log_id: Uuid = sqlx::query_scalar("select log_id from apex.settings").fetch_one(&self.pool).await?;
        let written = self.write(plan, &progress).await?;
        let (folder, name) = (self.folder.clone(), plan.name.clone());
        let install = move || install(&folder, &name, log_id, &written, &progress);
        let manifest = tokio::task::spawn_blocking(install).await.map_err(ArchiveError::from)??;
        self.retry_locked(async || self.record_and_drop(plan, &manifest).await).await?;
        Ok(manifest)
    }

    /// Writes the events to a partial file, and returns their digest.
    async fn write(&self, plan: &ArchivePlan, progress: &ArchiveProgress) -> Result<EventSums, ArchiverError> {
        let path = partial(&self.folder.join(file_name(&plan.name)));
        let writer = File::create(&path).map_err(ArchiveError::from).and_then(Writer::new)?;
        let mut state = (writer, EventDigest::default());
        let after = Position::from(plan.first.get().saturating_sub(1));
        let reader = Reader::new(self.pool.clone(), None);
        let mut pages = Pages::of_log(reader, after, ReadFilter::default(), PAGE_EVENTS);
        while let Some(page) = pages.next_page().await? {
            let last = plan.last;
            let is_last = page.last().is_none_or(|event| event.position >= last);
            let events: Vec<_> = page.into_iter().filter(|event| event.position <= last).collect();
            let count = events.len() as u64;
            state = tokio::task::spawn_blocking(move || push(state, events)).await.map_err(ArchiveError::from)??;
            progress(count);
            if is_last {
                break;
            }
        }
        let (writer, digest) = state;
        tokio::task::spawn_blocking(move || writer.finish()).await.map_err(ArchiveError::from)??;
        let sums = digest.sums().filter(|sums| (sums.first.0, sums.last.0) == (plan.first.get(), plan.last.get()));
        sums.ok_or_else(|| {
            ArchiverError::Damaged(format!("it does not have the positions {} to {}", plan.first, plan.last))
        })
    }

    /// Copies a batch of receipts out of the partition, and returns whether there are more.
    async fn keep_receipts(&self, plan: &ArchivePlan) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select apex.keep_receipts($1)").bind(&plan.name).fetch_one(&self.pool).await
    }

    /// Retries a statement while another transaction holds its locks.
    async fn retry_locked<T>(&self, statement: impl AsyncFn() -> Result<T, sqlx::Error>) -> Result<T, ArchiverError> {
        for _ in 0..LOCK_ATTEMPTS {
            match statement().await {
                Err(sqlx::Error::Database(refusal))
                    if refusal.code().is_some_and(|code| LOCK_SQLSTATES.contains(&&*code)) =>
                {
                    tokio::time::sleep(LOCK_DELAY).await;
                }
                result => return Ok(result?),
            }
        }
        Err(ArchiverError::LockTimeout)
    }

    async fn record_and_drop(&self, plan: &ArchivePlan, manifest: &Manifest) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await?;
        sqlx::query("select apex.archive_partition($1, $2, $3, $4, $5, decode($6, 'hex'), decode($7, 'hex'))")
            .bind(&plan.name)
            .bind(manifest.first_recorded_at)
            .bind(manifest.last_recorded_at)
            .bind(self.folder.to_string_lossy().into_owned())
            .bind(i64::try_from(manifest.bytes).unwrap_or(i64::MAX))
            .bind(&manifest.sha256)
            .bind(&manifest.content_sha256)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

fn partial(path: &Path) -> PathBuf {
    path.with_added_extension("partial")
}

fn push(
    (mut writer, mut digest): (Writer, EventDigest),
    events: Vec<RecordedEvent>,
) -> Result<(Writer, EventDigest), ArchiverError> {
    for event in events {
        digest.push(&event).map_err(ArchiverError::Damaged)?;
        writer.push(event)?;
    }
    Ok((writer, digest))
}

/// Verifies the partial file, and renames it and its manifest to their final names.
fn install(
    folder: &Path,
    name: &str,
    log_id: Uuid,
    written: &EventSums,
    progress: &ArchiveProgress,
) -> Result<Manifest, ArchiverError> {
    let path = folder.join(file_name(name));
    let manifest_path = folder.join(manifest_name(name));
    let manifest = verify(&partial(&path), name, log_id, written, progress)?;
    if manifest_path.exists() {
        // Left by a run that was killed, or by a copy of this database: it may be recorded, so it is not overwritten.
        let found = fs::read(&manifest_path).map_err(ArchiveError::from)?;
        let found: Manifest =
            serde_json::from_slice(&found).map_err(|_| ArchiverError::FileConflict(manifest_path.clone()))?;
        let existing = verify(&path, name, found.log_id, written, &(Arc::new(|_| ()) as ArchiveProgress));
        return match existing {
            Ok(existing) if existing == found && found.log_id == log_id => {
                fs::remove_file(partial(&path)).map_err(ArchiveError::from)?;
                Ok(found)
            }
            _ => Err(ArchiverError::FileConflict(manifest_path)),
        };
    }
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| ArchiveError::Io(error.into()))?;
    finish(folder, &path, &manifest_path, &text).map_err(ArchiveError::from)?;
    Ok(manifest)
}

/// Renames the file first, then its manifest: a file without a manifest is not an archive.
fn finish(folder: &Path, path: &Path, manifest_path: &Path, manifest: &[u8]) -> std::io::Result<()> {
    fs::rename(partial(path), path)?;
    let partial_manifest = partial(manifest_path);
    fs::write(&partial_manifest, manifest)?;
    File::open(&partial_manifest)?.sync_all()?;
    // The file's name is on disk before the manifest's name, and both before the archive is recorded.
    File::open(folder)?.sync_all()?;
    fs::rename(&partial_manifest, manifest_path)?;
    File::open(folder)?.sync_all()
}

/// Reads a file back, compares its events with what was written, and returns its manifest.
fn verify(
    path: &Path,
    name: &str,
    log_id: Uuid,
    written: &EventSums,
    progress: &ArchiveProgress,
) -> Result<Manifest, ArchiveError> {
    let file = File::open(path)?;
    let (bytes, hash) = sha256(&file)?;
    let found = sum_events(&FileReader::new(file)?, path, |events| progress(events))?;
    if found != *written {
        let what = "it does not have the events of the partition".to_owned();
        return Err(ArchiveError::Damaged { path: path.to_owned(), what });
    }
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        log_id,
        file: file_name(name),
        bytes,
        sha256: hex(&hash),
        first_position: found.first.0,
        last_position: found.last.0,
        events: found.last.0 - found.first.0 + 1,
        first_recorded_at: found.first.1,
        last_recorded_at: found.last.1,
        content_sha256: hex(&found.content_sha256),
        places_sha256: hex(&found.places_sha256),
        columns: SCHEMA.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}
