//! Errors of archive files.

use std::path::PathBuf;
use thiserror::Error;

/// Why an archive file cannot be used.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The folder or the disk failed.
    #[error("the archive folder cannot be read or written")]
    Io(#[from] std::io::Error),
    /// The file is not Parquet, or does not have the columns of an archive.
    #[error("the archive file cannot be parsed")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A file is missing from the folder.
    #[error("{} cannot be opened", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not the one that was recorded when it was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The task that read or wrote the archive panicked or was canceled.
    #[error("reading or writing the archive was interrupted")]
    Task(#[from] tokio::task::JoinError),
}
