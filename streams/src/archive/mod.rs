//! Archives: sealed partitions as Parquet files with manifests, and reading them as if they were still in the table.
//!
//! What is archived is always a beginning of the log. The table `apex.archives` says which positions that is, and the
//! SHA-256 of each file: a file is believed once its bytes are those that were recorded. The manifest beside it says
//! the same to whoever has the folder and no database.

mod archiver;
mod file;
mod folder;

pub use archiver::{ArchiveLimit, ArchivePlan, ArchiveProgress, Archiver, ArchiverError};
pub use folder::ArchiveFolder;

use crate::RecordedEvent;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgRow};
use std::fmt::Write as _;
use std::path::PathBuf;
use thiserror::Error;
use uuid::Uuid;

/// The form of manifests and files.
const FORMAT_VERSION: u32 = 1;

/// What an archive file cannot be used for, and why.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The folder or the disk.
    #[error("the archive cannot be reached")]
    Io(#[from] std::io::Error),
    /// The file is no such Parquet file.
    #[error("the archive cannot be read")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A file is not in the folder.
    #[error("{} is not there", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not what was recorded when it was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A task of this process died.
    #[error("reading the archive was given up")]
    Task(#[from] tokio::task::JoinError),
}

/// An archive, as the database has recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// Of the partition that it was; the file is `NAME.parquet`.
    pub name: String,
    /// The first position.
    pub first: u64,
    /// The last position.
    pub last: u64,
    /// When the first event was appended.
    pub first_recorded_at: DateTime<Utc>,
    /// When the last event was appended.
    pub last_recorded_at: DateTime<Utc>,
    /// The folder that it was written to.
    pub folder: String,
    /// The size of the file.
    pub bytes: i64,
    /// SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// SHA-256 over the content hashes of the events in order.
    pub content_sha256: Vec<u8>,
}

impl ArchiveRecord {
    /// Where it was written to.
    #[must_use]
    pub fn location(&self) -> PathBuf {
        PathBuf::from(&self.folder).join(file_name(&self.name))
    }

    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let position = |column| Ok::<_, sqlx::Error>(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0));
        Ok(Self {
            name: row.try_get("name")?,
            first: position("first_position")?,
            last: position("last_position")?,
            first_recorded_at: row.try_get("first_recorded_at")?,
            last_recorded_at: row.try_get("last_recorded_at")?,
            folder: row.try_get("folder")?,
            bytes: row.try_get("bytes")?,
            sha256: row.try_get("sha256")?,
            content_sha256: row.try_get("content_sha256")?,
        })
    }
}

/// All archives, in the order of the log.
///
/// # Errors
/// The database's.
pub async fn list_archives(pool: &PgPool) -> Result<Vec<ArchiveRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "select name, first_position, last_position, first_recorded_at, last_recorded_at, folder, bytes, sha256,
                content_sha256
         from apex.archives order by first_position",
    )
    .fetch_all(pool)
    .await?;
    rows.iter().map(ArchiveRecord::from_row).collect()
}

/// What lies beside an archive file, as `NAME.manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the manifest and the file: 1.
    pub format_version: u32,
    /// The log that the events are of.
    pub log_id: Uuid,
    /// The name of the file.
    pub file: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The first position.
    pub first_position: u64,
    /// The last position; there is one event for each between.
    pub last_position: u64,
    /// How many events.
    pub events: u64,
    /// When the first event was appended.
    pub first_recorded_at: DateTime<Utc>,
    /// When the last event was appended.
    pub last_recorded_at: DateTime<Utc>,
    /// SHA-256 over the content hashes of the events in order, in hexadecimal.
    pub content_sha256: String,
    /// SHA-256 over position, version and time (microseconds since 1970) of the events in order, each as eight
    /// big-endian bytes, in hexadecimal: what the content hashes do not cover.
    pub places_sha256: String,
    /// The columns of the file, as a Parquet schema.
    pub columns: String,
}

fn file_name(name: &str) -> String {
    format!("{name}.parquet")
}

fn manifest_name(name: &str) -> String {
    format!("{name}.manifest.json")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// What a run of events comes to; checks on the way that it is one.
#[derive(Clone, Default)]
struct Digest {
    content: Sha256,
    places: Sha256,
    first: Option<(u64, DateTime<Utc>)>,
    last: Option<(u64, DateTime<Utc>)>,
}

/// The digest of all events of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sums {
    first: (u64, DateTime<Utc>),
    last: (u64, DateTime<Utc>),
    content_sha256: Vec<u8>,
    places_sha256: Vec<u8>,
}

impl Digest {
    /// Takes the next event; what is wrong with it otherwise.
    fn push(&mut self, event: &RecordedEvent) -> Result<(), String> {
        let position = event.position.get();
        if let Some((last, last_time)) = self.last {
            if position != last + 1 {
                return Err(format!("position {position} follows position {last}"));
            }
            if event.recorded_at < last_time {
                return Err(format!("position {position} was recorded before its predecessor"));
            }
        }
        if !event.content_is_intact() {
            return Err(format!("the content of position {position} is not what was hashed when it was written"));
        }
        self.content.update(&event.content_hash);
        self.places.update(position.to_be_bytes());
        self.places.update(event.version.get().to_be_bytes());
        self.places.update(event.recorded_at.timestamp_micros().to_be_bytes());
        self.first.get_or_insert((position, event.recorded_at));
        self.last = Some((position, event.recorded_at));
        Ok(())
    }

    fn sums(self) -> Option<Sums> {
        Some(Sums {
            first: self.first?,
            last: self.last?,
            content_sha256: self.content.finalize().to_vec(),
            places_sha256: self.places.finalize().to_vec(),
        })
    }
}
