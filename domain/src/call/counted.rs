//! Under which of its tags a call is counted.
//!
//! Sums are kept by the values of declared tag keys. Which keys are declared changes, and nothing depends on the moment of
//! a change: the event of a call names those of its own keys under which the call is counted. They were declared when a
//! record of the call was reported, or a correction made. A call stays counted under a key that is withdrawn, so that a
//! record that is reported again adds nothing, and an event changes no sums but for what it says of the call.

use crate::call::fields::CallFacts;
use crate::call::values::Tags;
use crate::tag_keys::TagKeys;
use crate::text::TagKey;
use std::collections::BTreeSet;

/// The keys of the tags of a call under which it is counted: those that are declared, and those under which it, or a call
/// that is joined with it, was counted before.
pub(super) fn counted_tags(facts: &CallFacts, before: &BTreeSet<&TagKey>, declared: &TagKeys) -> BTreeSet<TagKey> {
    let own = facts.tags.iter().flat_map(Tags::iter).map(|(key, _)| key);
    own.filter(|key| before.contains(key) || declared.is_declared(key)).cloned().collect()
}

#[cfg(test)]
mod tests;
