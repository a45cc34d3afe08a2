//! The database's records of archives.

use super::manifest::file_name;
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::{PgExecutor, PgRow};
use std::path::PathBuf;

/// An archive, as recorded in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// The name of the archived partition; the file is `NAME.parquet`.
    pub name: String,
    /// The first position.
    pub first: u64,
    /// The last position.
    pub last: u64,
    /// When the first event was appended.
    pub first_recorded_at: DateTime<Utc>,
    /// When the last event was appended.
    pub last_recorded_at: DateTime<Utc>,
    /// The folder that the file was written to.
    pub folder: String,
    /// The size of the file in bytes.
    pub bytes: i64,
    /// The SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// The SHA-256 over the content hashes of the events in order.
    pub content_sha256: Vec<u8>,
}

impl ArchiveRecord {
    /// The path that the file was written to.
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
/// The driver's error when the database cannot be read.
pub async fn list_archives(executor: impl PgExecutor<'_>) -> Result<Vec<ArchiveRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "select name, first_position, last_position, first_recorded_at, last_recorded_at, folder, bytes, sha256,
                content_sha256
         from apex.archives order by first_position",
    )
    .fetch_all(executor)
    .await?;
    rows.iter().map(ArchiveRecord::from_row).collect()
}
