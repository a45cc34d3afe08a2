//! Archives: complete partitions as Parquet files with manifests, read as if they were still in the table.
//!
//! The archives always hold a prefix of the log. The table `apex.archives` records their positions and the SHA-256 of each
//! file; a file is only used if its bytes have that hash. The manifest beside each file says the same, for readers that
//! have the folder and no database.

mod archiver;
mod digest;
pub(crate) mod error;
mod file;
pub(crate) mod folder;
mod manifest;
pub(crate) mod record;

pub use archiver::{ArchiveLimit, ArchivePlan, ArchiveProgress, Archiver, ArchiverError};
pub use error::ArchiveError;
pub use folder::ArchiveFolder;
pub use manifest::Manifest;
pub use record::{ArchiveRecord, list_archives};
