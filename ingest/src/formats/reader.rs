//! What every format's parser gives: records in the order of the input, and the spans of traces.

use crate::error::RecordError;
use crate::item::Item;
use crate::record::SkippedCounts;

/// The records of one input, in its order. Nothing follows a [`RecordError::Input`].
pub trait RecordReader: Iterator<Item = Result<Item, RecordError>> {
    /// The number of items read so far that are neither records nor refused.
    fn skipped(&self) -> SkippedCounts;

    /// What of the input as a whole was not read, such as an attribute that is not understood. It is known at the end of the
    /// input, and taken once.
    fn take_not_read(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// The records of an input of any format.
pub type Records = Box<dyn RecordReader + Send>;
