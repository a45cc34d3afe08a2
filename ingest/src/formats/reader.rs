//! What every format's parser gives: records in the order of the input, and the spans of traces.

use crate::error::RecordError;
use crate::item::Item;
use crate::record::SkippedCounts;

/// The records of one input, in its order. Nothing follows a [`RecordError::Input`].
pub trait RecordReader: Iterator<Item = Result<Item, RecordError>> {
    /// The number of items read so far that are neither records nor refused.
    fn skipped(&self) -> SkippedCounts;
}

/// The records of an input of any format.
pub type Records = Box<dyn RecordReader + Send>;
