//! Feeding a projection from Kafka, partition by partition.
//!
//! A topic holds a category, and a partition holds the streams whose ids have a certain hash. Kafka keeps the order
//! within a partition, and so within a stream; the order of the log as a whole is lost. So only projections that do not
//! need it can be fed this way. Each partition has a checkpoint, which is a position of the log. It does not matter
//! into how many shards the workers that read the log divide the projection.
//!
//! Kafka delivers payloads only; the log says which events a partition has up to a position. Events that Kafka did not
//! deliver are read from the log. Everything else that it delivers is ignored: duplicates, streams of other partitions,
//! messages of another log. So neither a loss in Kafka nor the state of a worker can make a checkpoint skip an event.
//!
//! The checkpoint of a partition advances in the transaction that changes the tables.
//! [`PartitionedFeed::advance_low_watermark`] advances the projection's own checkpoints to the position up to which
//! every event is applied, so that queries with a minimum position, archiving and status work as with the log.

mod apply;
mod error;
mod feed;
mod partition;

pub use apply::give_back;
pub use error::PartitionedError;
pub use feed::{MissingEvent, PartitionedFeed};
