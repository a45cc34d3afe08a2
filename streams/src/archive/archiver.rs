//! Archiving: a partition becomes a file that is checked, then a record; only then it leaves the database.
//!
//! Whatever happens on the way, either the partition is whole and in the database, or its archive is whole, on the disk
//! and recorded. Up to the last step there are only files, which the next run writes again or takes as they are.

use super::file::{Reader as FileReader, SCHEMA, Writer};
use super::folder::{sha256, sums};
use super::{ArchiveError, Digest, FORMAT_VERSION, Manifest, Sums, file_name, hex, manifest_name};
use crate::read::Reader;
use crate::{Pages, Position, ReadError, ReadFilter, RecordedEvent};
use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, Postgres};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use uuid::Uuid;

/// Events read at once.
const PAGE_EVENTS: usize = 1000;
/// How long appends and readers may have to wait for an attempt to drop a partition.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '300ms'";
/// Attempts before archiving is given up, and the pause between.
const LOCK_ATTEMPTS: u32 = 60;
const LOCK_PAUSE: Duration = Duration::from_millis(700);
/// Somebody held the lock for longer (55P03), or both sides waited for each other (40P01).
const LOCK_CODES: [&str; 2] = ["55P03", "40P01"];

/// Told how many events were written or checked since the last time: twice as many in all as there are.
pub type ArchiveProgress = Arc<dyn Fn(u64) + Send + Sync>;

/// Which partitions to archive: those that lie wholly before all that is given.
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
    /// Of the partition.
    pub name: String,
    /// Its first position.
    pub first: Position,
    /// Its last position.
    pub last: Position,
    /// When its last event was appended.
    pub last_recorded_at: DateTime<Utc>,
    /// Who follows the log and has not passed it, and where each stands.
    pub lagging: Vec<(String, Position)>,
}

/// Why a partition was not archived. It is in the database as before.
#[derive(Debug, Error)]
pub enum ArchiverError {
    /// Another one is at work.
    #[error("another archive command is at work on this database")]
    AlreadyRunning,
    /// The database failed, or refused.
    #[error("the partition cannot be archived")]
    Database(#[from] sqlx::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file cannot be written, or is not what was written.
    #[error("the archive cannot be written")]
    Archive(#[from] ArchiveError),
    /// An event of the partition is not what it was, so that its archive could not be checked.
    #[error("the partition is damaged: {0}")]
    Damaged(String),
    /// The folder has an archive of the same name with other events.
    #[error("{} holds other events: use another folder", .0.display())]
    FileConflict(PathBuf),
    /// Somebody kept the log open in a transaction.
    #[error("a transaction that has read the log stays open and would have to end first; nothing has changed")]
    LockTimeout,
}

/// Archives partitions into a folder. Needs the rights of the owner; there is one at a time on a database.
pub struct Archiver {
    pool: PgPool,
    folder: PathBuf,
    /// Holds the lock.
    _lock: PoolConnection<Postgres>,
}

impl Archiver {
    /// The partitions within a limit, oldest first. `followers` are those whose checkpoint must be there.
    ///
    /// # Errors
    /// The database's.
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
            // One by one: each finds its partition by the position that it is given.
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

    /// Prepares the folder, and keeps others from archiving on this database until it is dropped.
    ///
    /// # Errors
    /// [`ArchiverError::AlreadyRunning`] where another one is at work; else the database's and the disk's.
    pub async fn open(pool: PgPool, folder: &Path) -> Result<Self, ArchiverError> {
        fs::create_dir_all(folder).map_err(ArchiveError::from)?;
        let folder = folder.canonicalize().map_err(ArchiveError::from)?;
        let mut lock = pool.acquire().await?;
        let is_free: bool =
            sqlx::query_scalar("select pg_try_advisory_lock(hashtext('apex.archive'))").fetch_one(&mut *lock).await?;
        if is_free { Ok(Self { pool, folder, _lock: lock }) } else { Err(ArchiverError::AlreadyRunning) }
    }

    /// Archives the oldest partition.
    ///
    /// # Errors
    /// [`ArchiverError`]. The partition is in the database then, unless the connection broke at the very end: the next
    /// plan tells.
    pub async fn archive(&self, plan: &ArchivePlan, progress: ArchiveProgress) -> Result<Manifest, ArchiverError> {
        // Long, harmless to repeat, and therefore no part of the transaction that drops the partition.
        while self.patiently(async || self.keep_receipts(plan).await).await? {}
        let log_id: Uuid = sqlx::query_scalar("select log_id from apex.settings").fetch_one(&self.pool).await?;
        let written = self.write(plan, &progress).await?;
        let (folder, name) = (self.folder.clone(), plan.name.clone());
        let install = move || install(&folder, &name, log_id, &written, &progress);
        let manifest = tokio::task::spawn_blocking(install).await.map_err(ArchiveError::from)??;
        self.patiently(async || self.try_drop(plan, &manifest).await).await?;
        Ok(manifest)
    }

    /// Writes the events to a file that is not yet an archive; what they come to.
    async fn write(&self, plan: &ArchivePlan, progress: &ArchiveProgress) -> Result<Sums, ArchiverError> {
        let path = partial(&self.folder.join(file_name(&plan.name)));
        let writer = File::create(&path).map_err(ArchiveError::from).and_then(Writer::new)?;
        let mut state = (writer, Digest::default());
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
        sums.ok_or_else(|| ArchiverError::Damaged(format!("it does not hold {} to {}", plan.first, plan.last)))
    }

    /// Keeps some more receipts; whether there are others.
    async fn keep_receipts(&self, plan: &ArchivePlan) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select apex.keep_receipts($1)").bind(&plan.name).fetch_one(&self.pool).await
    }

    /// Does what needs locks, when nobody is in the way.
    async fn patiently<T>(&self, what: impl AsyncFn() -> Result<T, sqlx::Error>) -> Result<T, ArchiverError> {
        for _ in 0..LOCK_ATTEMPTS {
            match what().await {
                Err(sqlx::Error::Database(refusal))
                    if refusal.code().is_some_and(|code| LOCK_CODES.contains(&&*code)) =>
                {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                done => return Ok(done?),
            }
        }
        Err(ArchiverError::LockTimeout)
    }

    async fn try_drop(&self, plan: &ArchivePlan, manifest: &Manifest) -> Result<(), sqlx::Error> {
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
    (mut writer, mut digest): (Writer, Digest),
    events: Vec<RecordedEvent>,
) -> Result<(Writer, Digest), ArchiverError> {
    for event in events {
        digest.push(&event).map_err(ArchiverError::Damaged)?;
        writer.push(event)?;
    }
    Ok((writer, digest))
}

/// Reads the file that was written back from the disk, and gives it and its manifest their names.
fn install(
    folder: &Path,
    name: &str,
    log_id: Uuid,
    written: &Sums,
    progress: &ArchiveProgress,
) -> Result<Manifest, ArchiverError> {
    let path = folder.join(file_name(name));
    let manifest_path = folder.join(manifest_name(name));
    let made = check(&partial(&path), name, log_id, written, progress)?;
    if manifest_path.exists() {
        // Of a run that was killed, or of a copy of this database: that archive may be recorded, and is not touched.
        let found = fs::read(&manifest_path).map_err(ArchiveError::from)?;
        let found: Manifest =
            serde_json::from_slice(&found).map_err(|_| ArchiverError::FileConflict(manifest_path.clone()))?;
        let kept = check(&path, name, found.log_id, written, &(Arc::new(|_| ()) as ArchiveProgress));
        return match kept {
            Ok(kept) if kept == found && found.log_id == log_id => {
                fs::remove_file(partial(&path)).map_err(ArchiveError::from)?;
                Ok(found)
            }
            _ => Err(ArchiverError::FileConflict(manifest_path)),
        };
    }
    let text = serde_json::to_vec_pretty(&made).map_err(|error| ArchiveError::Io(error.into()))?;
    finish(folder, &path, &manifest_path, &text).map_err(ArchiveError::from)?;
    Ok(made)
}

/// First the file, then its manifest: a file without one is no archive.
fn finish(folder: &Path, path: &Path, manifest_path: &Path, manifest: &[u8]) -> std::io::Result<()> {
    fs::rename(partial(path), path)?;
    let partial_manifest = partial(manifest_path);
    fs::write(&partial_manifest, manifest)?;
    File::open(&partial_manifest)?.sync_all()?;
    // The name of the file is on the disk before that of its manifest, and both before the database says so.
    File::open(folder)?.sync_all()?;
    fs::rename(&partial_manifest, manifest_path)?;
    File::open(folder)?.sync_all()
}

/// Reads a file from the disk, compares every event with what was written, and describes it.
fn check(
    path: &Path,
    name: &str,
    log_id: Uuid,
    written: &Sums,
    progress: &ArchiveProgress,
) -> Result<Manifest, ArchiveError> {
    let file = File::open(path)?;
    let (bytes, hash) = sha256(&file)?;
    let found = sums(&FileReader::new(file)?, path, |events| progress(events))?;
    if found != *written {
        let what = "it does not hold the events of the partition".to_owned();
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
