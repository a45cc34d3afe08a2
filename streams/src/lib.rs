//! The event log on PostgreSQL, its tail, and the relay to Kafka.
//!
//! Writers submit [`Append`]s to the [`Log`], which commits queued appends in groups; readers page through positions or
//! follow the [`Tail`]. Position order is commit order and positions have no gaps, so a reader needs nothing but the last
//! position that it has read. Deliberately absent: sequences, timeouts for gaps, transaction ids in readers, and
//! notifications used as anything but a hint to read.

mod append;
mod appender;
mod archive;
mod backoff;
mod batch;
mod checkpoint;
mod commit;
mod committer;
mod connections;
mod database_error;
mod error;
mod event;
mod filter;
mod limits;
mod log;
mod observe;
mod page;
mod pages;
mod partitions;
mod queue_capacity;
mod queued_append;
mod reader;
mod receipt;
pub mod relay;
mod snapshots;
mod table;
mod tail;
mod tail_window;
mod tenant_log;
mod tenant_reads;
#[cfg(test)]
mod test_appends;
#[cfg(test)]
mod test_events;
mod trace;
mod turns;

pub use append::{Append, Appended, Chain, Chains, Expected, NewEvent, RequestHash, StreamAppend};
pub use archive::{
    ArchiveError, ArchiveFolder, ArchiveLimit, ArchivePlan, ArchiveProgress, ArchiveRecord, Archiver, ArchiverError,
    Manifest, list_archives,
};
pub use backoff::Backoff;
pub use checkpoint::advance_checkpoint;
pub use database_error::{DatabaseError, DatabaseFault, is_retryable};
pub use error::{AppendError, InvalidAppend, ReadError};
pub use event::{Metadata, Position, RecordedEvent, StreamKey, Version, content_hash};
pub use filter::ReadFilter;
pub use limits::AppenderLimits;
pub use log::{LOG_CONNECTIONS, Log, LogConfig};
pub use observe::register_metrics;
pub use page::PageLimit;
pub use pages::Pages;
pub use partitions::Headroom;
pub use queued_append::PendingAppend;
pub use receipt::Receipt;
pub use snapshots::{NewSnapshot, Snapshot};
pub use table::StreamTail;
pub use tail::{Tail, TailConfig};
pub use tail_window::FilteredPage;
pub use tenant_log::{TenantFilter, TenantLog};
pub use tenant_reads::{TenantConnection, TenantReads, TenantTransaction};
pub use trace::link_to_causes;
pub use turns::{Turn, Turns};
