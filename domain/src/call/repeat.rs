//! Reports of a call that was reversed because it repeats others.
//!
//! That a call repeats others is known by its trace alone. So its record may come again, by the import that brought it or by
//! another one, and still repeats them: it is not counted. A record that says more, or a report that belongs to no import,
//! records the call anew, and so does its trace.

use super::{Call, CallConfirmed, CallError, CallEvent, Record, Reporters, joined, normalized};
use crate::call::join::Joined;
use crate::ids::ImportId;

impl Call {
    /// The events of a report of a call that was reversed as a repeat; none if the call was not, or if the report records it
    /// anew. A report of an import that reported the call, or one that adds nothing to what was known, does not.
    pub(super) fn report_of_repeat(&self, record: &Record) -> Result<Option<Vec<CallEvent>>, CallError> {
        let Some(repeat) = self.repeat.as_deref().filter(|_| !record.reported_by.is_without_import()) else {
            return Ok(None);
        };
        let facts = normalized(record.facts.clone());
        facts.check()?;
        let is_listed = record.reported_by.beyond(&repeat.reported_by).is_without_import();
        let known = joined(repeat);
        let is_known = facts.kind == repeat.facts.kind && known.join(&Joined::of_record(facts)) == known;
        if !is_listed && !is_known {
            return Ok(None);
        }
        let all = repeat.reported_by.union(&record.reported_by);
        let confirmed = CallConfirmed { reported_by: all.beyond(&repeat.reported_by) };
        let is_new = all != repeat.reported_by;
        Ok(Some(is_new.then_some(CallEvent::Confirmed(confirmed)).into_iter().collect()))
    }

    /// Reporters, and those of the call that was reversed as a repeat.
    pub(super) fn with_reporters_of_repeat(&self, reported_by: Reporters) -> Reporters {
        match &self.repeat {
            Some(repeat) => repeat.reported_by.union(&reported_by),
            None => reported_by,
        }
    }

    /// The call without a reporter of what was reversed as a repeat.
    pub(super) fn without_reporter_of_repeat(mut self, import_id: ImportId) -> Self {
        self.repeat = self.repeat.and_then(|mut repeat| {
            repeat.reported_by = repeat.reported_by.without(import_id)?;
            Some(repeat)
        });
        self
    }
}

#[cfg(test)]
mod tests;
