//! Voiding a call, and taking back an import that reported it.

use super::{Call, CallError, CallEvent, CallReportWithdrawn, CallReversed, ChargedCall};
use crate::ids::ImportId;
use crate::text::Body;
use chrono::{DateTime, Utc};

impl Call {
    /// Voids the call for good; no event if it is void already.
    pub(super) fn void(&self, reason: Body, at: DateTime<Utc>) -> Result<Option<CallEvent>, CallError> {
        self.check_not_voided_into()?;
        if self.is_void {
            return Ok(None);
        }
        let before = self.charged.clone().ok_or(CallError::NotReported)?;
        let reversed = CallReversed { before, import_id: None, reason: Some(reason), at: Some(at) };
        Ok(Some(CallEvent::Reversed(reversed)))
    }

    /// Takes back what an import reported of the call; no event if nothing is left of it. A call that was reversed as a repeat
    /// loses a reporter.
    pub(super) fn take_back(
        &self,
        import_id: ImportId,
        reason: Body,
        at: DateTime<Utc>,
    ) -> Result<Option<CallEvent>, CallError> {
        self.check_not_voided_into()?;
        let is_reporter = |call: &&ChargedCall| call.reported_by.contains(import_id);
        let Some(before) = self.charged.as_ref().filter(is_reporter) else {
            let repeat = self.repeat.as_deref().filter(is_reporter);
            return Ok(repeat.map(|repeat| {
                let reported_by = repeat.reported_by.without(import_id).unwrap_or_default();
                CallEvent::ReportWithdrawn(CallReportWithdrawn { import_id, reported_by, reason, at })
            }));
        };
        Ok(Some(match before.reported_by.without(import_id) {
            Some(reported_by) => CallEvent::ReportWithdrawn(CallReportWithdrawn { import_id, reported_by, reason, at }),
            None => {
                let (before, import_id) = (before.clone(), Some(import_id));
                CallEvent::Reversed(CallReversed { before, import_id, reason: Some(reason), at: Some(at) })
            }
        }))
    }
}

#[cfg(test)]
pub(super) mod tests;
