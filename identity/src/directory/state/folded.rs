//! An aggregate as it is folded in this process, and whether it can be relied on.

use super::NoPrincipal;
use domain::{Aggregate, DecodeError, EventCodec};
use streams::RecordedEvent;

/// The state of an aggregate, and whether it can be relied on.
#[derive(Debug, Default)]
pub(super) struct Folded<A> {
    pub(super) state: A,
    /// An event cannot be decoded, or is archived and cannot be read, so that it is not known what it gave or took away. The
    /// aggregate gives nothing any more.
    pub(super) is_unreadable: bool,
}

impl<A: Aggregate> Folded<A> {
    /// Folds an event, and returns it.
    pub(super) fn apply(&mut self, event: &RecordedEvent) -> Result<A::Event, DecodeError> {
        match A::Event::decode(&event.name, event.schema_version, &event.payload) {
            Ok(decoded) => {
                self.state = std::mem::take(&mut self.state).evolve(&decoded);
                Ok(decoded)
            }
            Err(error) => {
                self.is_unreadable = true;
                Err(error)
            }
        }
    }

    /// The state, if it can be relied on.
    pub(super) fn readable(&self) -> Option<&A> {
        (!self.is_unreadable).then_some(&self.state)
    }

    /// As [`Folded::readable`], for a principal that depends on it.
    pub(super) fn required(&self) -> Result<&A, NoPrincipal> {
        self.readable().ok_or(NoPrincipal::Unreadable)
    }
}
