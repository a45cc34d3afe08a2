//! Calls without a price, counted once each.

use domain::call::CallFacts;
use domain::price_book::Unpriced;
use domain::{CallId, Name};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// The maximum number of calls counted.
const MAX_CALLS: usize = 1_000_000;

/// A model that has no price, as a call names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnpricedModel {
    /// The name of the model.
    pub model: Option<Name>,
    /// The name of the provider.
    pub provider: Option<Name>,
    /// Why it has no price; none if it has one by now.
    pub reason: Option<String>,
}

impl UnpricedModel {
    pub(crate) fn of(facts: &CallFacts, reason: Option<&Unpriced>) -> Self {
        let reason = reason.map(ToString::to_string);
        Self { model: facts.model.clone(), provider: facts.provider.clone(), reason }
    }
}

/// The calls of several inputs that have no price. A call that is in several inputs counts once, and no longer as soon
/// as one of them names a model with a price.
#[derive(Debug)]
pub struct UnpricedCalls {
    calls: HashMap<CallId, UnpricedModel>,
    max_calls: usize,
    has_more: bool,
    /// Calls that were known, and have a price now, or are a part of another one; at most `max_calls`.
    priced: Vec<CallId>,
}

impl Default for UnpricedCalls {
    fn default() -> Self {
        Self::with_limit(MAX_CALLS)
    }
}

impl UnpricedCalls {
    /// Counts at most this number of calls.
    #[must_use]
    pub fn with_limit(max_calls: usize) -> Self {
        Self { calls: HashMap::new(), max_calls, has_more: false, priced: Vec::new() }
    }

    /// Adds a call. Returns `false` if the limit is reached, so that the call is not counted.
    pub(crate) fn insert(&mut self, call: CallId, model: UnpricedModel) -> bool {
        let is_counted = self.calls.len() < self.max_calls || self.calls.contains_key(&call);
        if is_counted {
            self.calls.insert(call, model);
        }
        self.has_more |= !is_counted;
        is_counted
    }

    pub(crate) fn remove(&mut self, call: CallId) {
        self.calls.remove(&call);
    }

    /// As [`remove`](Self::remove), for a call that another input may have counted.
    pub(crate) fn remove_known(&mut self, call: CallId) {
        self.remove(call);
        if self.priced.len() < self.max_calls {
            self.priced.push(call);
        }
    }

    /// The calls counted.
    pub fn iter(&self) -> impl Iterator<Item = (CallId, &UnpricedModel)> {
        self.calls.iter().map(|(id, model)| (*id, model))
    }

    /// The calls that another input may have counted, and that no longer count.
    #[must_use]
    pub fn priced(&self) -> &[CallId] {
        &self.priced
    }

    /// Adds what was counted elsewhere for a later input.
    pub fn merge(
        &mut self,
        calls: impl IntoIterator<Item = (CallId, UnpricedModel)>,
        priced: &[CallId],
        has_more: bool,
    ) {
        priced.iter().for_each(|call| self.remove(*call));
        for (call, model) in calls {
            self.insert(call, model);
        }
        self.has_more |= has_more;
    }

    /// The number of calls counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether no call is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether there were more calls than can be counted.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// The number of calls per model, the highest number first.
    #[must_use]
    pub fn by_model(&self) -> Vec<(&UnpricedModel, u64)> {
        let mut counts: BTreeMap<&UnpricedModel, u64> = BTreeMap::new();
        for model in self.calls.values() {
            *counts.entry(model).or_default() += 1;
        }
        let mut models: Vec<_> = counts.into_iter().collect();
        models.sort_by_key(|(_, calls)| Reverse(*calls));
        models
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn model(text: &str) -> UnpricedModel {
        UnpricedModel { model: Name::new(text).ok(), provider: None, reason: None }
    }

    fn call(id: u128) -> CallId {
        CallId(Uuid::from_u128(id))
    }

    #[test]
    fn a_call_counts_once_and_the_most_frequent_model_is_first() {
        let mut calls = UnpricedCalls::default();
        for (id, name) in [(1, "a"), (2, "b"), (3, "b"), (3, "b"), (4, "a"), (4, "b")] {
            assert!(calls.insert(call(id), model(name)));
        }
        assert_eq!(calls.by_model(), [(&model("b"), 3), (&model("a"), 1)]);
        calls.remove(call(1));
        assert_eq!((calls.len(), calls.has_more()), (3, false));
    }

    #[test]
    fn calls_beyond_the_limit_are_not_counted_but_noted() {
        let mut calls = UnpricedCalls::with_limit(1);
        assert!(calls.insert(call(1), model("a")) && calls.insert(call(1), model("b")));
        assert!(!calls.insert(call(2), model("a")));
        assert_eq!((calls.len(), calls.has_more()), (1, true));
    }
}
