//! Naming a call: what one of its records says of whose it is becomes known after the record.

use super::join::RecordKey;
use super::names::CallNames;
use super::{Call, CallAmended, CallError, CallEvent, ChargedCall, joined};

impl Call {
    /// Sets what one of the records of the call says of whose the call is; no event if that changes nothing.
    pub(super) fn name(&self, record: &RecordKey, names: &CallNames) -> Result<Option<CallEvent>, CallError> {
        self.check_not_voided_into()?;
        let Some(before) = self.charged.clone() else { return Ok(None) };
        let named = joined(&before).restate(record, names);
        // Nothing that is charged or counted depends on the names.
        let after = ChargedCall { facts: named.facts, provenance: named.provenance, ..before.clone() };
        let is_changed = after != before;
        Ok(is_changed.then(|| {
            CallEvent::Amended(CallAmended { before, after, absorbed: Vec::new(), settles: None, in_part: false })
        }))
    }
}

#[cfg(test)]
mod tests;
