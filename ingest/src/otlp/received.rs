//! The result of a request: what was rejected, and what its sender should know.

use crate::error::{Refusal, RefusalReason};
use crate::formats::{MAX_EXPORTED_CONTENT_BYTES, MAX_EXPORTED_RECORDS, MAX_EXPORTED_SPANS};
use crate::record::Location;
use commands::Position;
use domain::ImportId;
use domain::span_contents::{MAX_CONTENT_RECORDS, MAX_RECORD_BYTES};
use domain::telemetry::MAX_KEPT_SPANS;
use domain::trace::{Mismatch, Trace};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The most reasons and warnings in a message, each.
const MAX_SHOWN: usize = 10;

/// The result of a request.
#[derive(Debug)]
pub struct Received {
    /// The import that the request is.
    pub import_id: ImportId,
    /// The number of spans or records of the request.
    pub count: u64,
    /// The number of them that were rejected. A retry does not help.
    pub rejected: u64,
    /// The number of calls that were new.
    pub recorded: u64,
    /// The number of records that added to known calls.
    pub amended: u64,
    /// The number of records that were known.
    pub duplicate: u64,
    /// The number of spans that repeat the usage of calls inside of them.
    pub repeats: u64,
    /// The number of spans that are not kept so that a trace can be drawn, because there are too many.
    pub not_kept: u64,
    /// The position of the last event.
    pub position: Position,
    /// The locations of those that were rejected: a span that states usage and runs a tool can be refused for both.
    refused: BTreeSet<Location>,
    reasons: Vec<String>,
    /// The number of reasons that are not shown.
    hidden: u64,
    warnings: Vec<String>,
    /// The number of warnings that are not shown.
    hidden_warnings: u64,
}

impl Received {
    /// The result of a request with a number of spans or records, of which none is counted yet.
    #[must_use]
    pub fn of(count: u64, import_id: ImportId) -> Self {
        Self {
            import_id,
            count,
            rejected: 0,
            recorded: 0,
            amended: 0,
            duplicate: 0,
            repeats: 0,
            not_kept: 0,
            position: Position::ZERO,
            refused: BTreeSet::new(),
            reasons: Vec::new(),
            hidden: 0,
            warnings: Vec::new(),
            hidden_warnings: 0,
        }
    }

    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        self.refuse_at(refusal.location, &refusal.reason);
    }

    pub(super) fn refuse_at(&mut self, location: Location, reason: &RefusalReason) {
        if self.refused.insert(location) {
            self.rejected += 1;
        }
        if self.reasons.len() < MAX_SHOWN {
            self.reasons.push(format!("{location}: {reason}"));
        } else {
            self.hidden += 1;
        }
    }

    pub(super) fn warn_of_mismatch(&mut self, mismatch: &Mismatch) {
        self.warn(mismatch.to_string());
    }

    pub(super) fn warn_of_dropped_links(&mut self, count: u64) {
        let limit = Trace::MAX_LINKS;
        self.warn(format!(
            "{count} spans that state no usage were not recorded, so that the agents that they name are not those of the calls \
             inside of them: their trace has more than {limit} of them; end a trace with each task"
        ));
    }

    /// Notes that spans of the request are not kept, because their traces have too many. It is said before all else.
    pub fn warn_of_full_traces(&mut self, count: u64) {
        if count > 0 {
            self.not_kept += count;
            let warning = format!(
                "{count} spans are not kept, so that their traces cannot be drawn whole: a trace has more than {MAX_KEPT_SPANS} of \
                 them; what they say of calls was recorded"
            );
            self.warnings.insert(0, warning);
        }
    }

    /// Notes that no span of the request is kept, because it could be of each of several agents. It is said before all else.
    pub fn warn_of_several_agents(&mut self, count: u64) {
        self.not_kept += count;
        let warning = format!(
            "{count} spans are not kept, so that their traces cannot be drawn: the credential may report calls of several agents, \
             but not of all; send with one that is bound to one agent, or to none"
        );
        self.warnings.insert(0, warning);
    }

    /// Notes that spans of the request are not kept, because it has too many. It is said before all else.
    pub fn warn_of_large_request(&mut self, count: u64) {
        if count > 0 {
            self.not_kept += count;
            let warning = format!(
                "{count} spans are not kept, so that their traces cannot be drawn whole: a request has more than \
                 {MAX_EXPORTED_SPANS} of them; what they say of calls was recorded"
            );
            self.warnings.insert(0, warning);
        }
    }

    /// Notes that spans of the request are kept without their texts, because it has too many. It is said before all else.
    pub fn warn_of_contents(&mut self, count: u64) {
        if count > 0 {
            let warning = format!(
                "the texts of {count} spans are not kept: a request has more than {MAX_EXPORTED_CONTENT_BYTES} bytes of them; send \
                 fewer spans at once"
            );
            self.warnings.insert(0, warning);
        }
    }

    /// Notes that texts of records of logs are not kept, because there are too many. It is said before all else.
    pub fn warn_of_records(&mut self, count: u64) {
        if count > 0 {
            let warning = format!(
                "the texts of {count} records are not kept: they are more than {MAX_EXPORTED_CONTENT_BYTES} bytes or \
                 {MAX_EXPORTED_RECORDS} records of a request, {MAX_RECORD_BYTES} bytes or {MAX_CONTENT_RECORDS} records of a span, \
                 or {MAX_KEPT_SPANS} records of a trace"
            );
            self.warnings.insert(0, warning);
        }
    }

    /// Notes that no text of records of logs is kept, because it could be of each of several agents. It is said before all else.
    pub fn warn_of_records_of_several_agents(&mut self, count: u64) {
        let warning = format!(
            "the texts of {count} records are not kept: the credential may report calls of several agents, but not of all; send \
             with one that is bound to one agent, or to none"
        );
        self.warnings.insert(0, warning);
    }

    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_SHOWN {
            self.warnings.push(warning);
        } else {
            self.hidden_warnings += 1;
        }
    }

    /// What the sender should know: why spans were rejected, and what was not understood; none if there is nothing.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let mut message = self.reasons.join("; ");
        if self.hidden > 0 {
            // Writing to a string does not fail.
            write!(message, "; and {} more", self.hidden).unwrap_or_default();
        }
        for warning in &self.warnings {
            let separator = if message.is_empty() { "" } else { "; " };
            write!(message, "{separator}{warning}").unwrap_or_default();
        }
        if self.hidden_warnings > 0 {
            write!(message, "; and {} more warnings", self.hidden_warnings).unwrap_or_default();
        }
        (!message.is_empty()).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_rejected_once_whatever_is_wrong_with_it() {
        let mut received = Received::of(20, ImportId::from(uuid::Uuid::nil()));
        received.refuse_at(Location::Span(1), &RefusalReason::Missing("usage"));
        received.refuse_at(Location::Span(1), &RefusalReason::Missing("tool"));
        assert_eq!(received.rejected, 1);
        assert_eq!(received.message().as_deref(), Some("span 1: usage is missing; span 1: tool is missing"));
        (2..=20).for_each(|span| received.refuse_at(Location::Span(span), &RefusalReason::Missing("usage")));
        assert_eq!(received.rejected, 20);
        assert!(received.message().is_some_and(|message| message.ends_with("; and 11 more")), "{received:?}");
    }
}
