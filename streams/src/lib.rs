//! The event log on PostgreSQL, its tail, and the relay to Kafka.
//!
//! Writers hand [`Append`]s to the [`Log`], which commits those that wait together; readers page through positions
//! or follow the [`Tail`]. Position order is commit order and positions have no gaps, so a reader needs nothing but
//! the last position that it has seen. Deliberately absent: sequences, time-outs for gaps, transaction ids in
//! readers, and any use of a notification other than as a hint to look.

mod append;
mod appender;
mod archive;
mod batch;
mod checkpoint;
mod commit;
mod connections;
mod consumer;
mod database_error;
mod error;
mod event;
mod log;
mod observe;
mod pages;
mod partitions;
mod read;
pub mod relay;
mod room;
mod snapshots;
mod tail;
mod trace;

pub use append::{Append, Appended, Chain, Expected, NewEvent, RequestHash, StreamAppend};
pub use appender::AppenderLimits;
pub use archive::{
    ArchiveError, ArchiveFolder, ArchiveLimit, ArchivePlan, ArchiveProgress, ArchiveRecord, Archiver, ArchiverError,
    Manifest, list_archives,
};
pub use checkpoint::advance_checkpoint;
pub use consumer::{Consumer, ConsumerError, PartitionBatch, TopicPartition};
pub use database_error::{DatabaseError, DatabaseFault, is_retryable};
pub use error::{AppendError, InvalidAppend, ReadError};
pub use event::{Metadata, Position, RecordedEvent, StreamKey, Version, content_hash};
pub use log::{LOG_CONNECTIONS, Log, LogConfig, PendingAppend};
pub use observe::register_metrics;
pub use pages::Pages;
pub use partitions::Headroom;
pub use read::{ReadFilter, Receipt};
pub use snapshots::{NewSnapshot, Snapshot};
pub use tail::{FilteredPage, PageLimit, Tail, TailConfig};
pub use trace::link_to_causes;
