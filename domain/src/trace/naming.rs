//! Whose the calls of a trace are: what a span, or else the nearest span around it that names something, says.
//!
//! An outer span ends last, and its name may come in a later request than the calls inside of it. So the names follow from all
//! spans that are known, and a charged span whose names change is named anew.

use super::{Trace, TraceSpan};
use crate::call::{CallNames, SpanId};
use std::collections::{BTreeMap, BTreeSet};

impl Trace {
    /// Whose the call is that a span is.
    #[must_use]
    pub fn names_of(&self, span_id: SpanId) -> CallNames {
        let (mut names, mut seen, mut at) = (CallNames::default(), BTreeSet::new(), Some(span_id));
        // A cycle ends where it began.
        while let Some(span_id) = at.filter(|span_id| seen.insert(*span_id)) {
            let Some(span) = self.spans.get(&span_id) else { break };
            names = names.or(&span.names);
            at = span.parent_span_id;
        }
        match self.usage(span_id) {
            Some(usage) => names.or(&usage.fallback),
            None => names,
        }
    }

    /// Marks the charged spans that had other names in an earlier state.
    pub fn mark_renamed(&mut self, before: &Self) {
        // Most batches name nothing new, and lead nowhere new.
        let is_charged = |span: &TraceSpan| span.usage.as_ref().is_some_and(|usage| usage.is_charged);
        if !before.spans.values().any(is_charged) || before.names_alike(self) {
            return;
        }
        let (had, has) = (before.all_names(), self.all_names());
        for (id, span) in &mut self.spans {
            if let Some(usage) = span.usage.as_mut().filter(|usage| usage.is_charged)
                && had.get(id) != has.get(id)
            {
                usage.is_renamed = true;
            }
        }
    }

    /// Whether all spans have the same names, and the same spans around them, as in another state.
    fn names_alike(&self, other: &Self) -> bool {
        let said = |span: &TraceSpan| {
            (span.parent_span_id, span.names.clone(), span.usage.as_ref().map(|usage| usage.fallback.clone()))
        };
        let is_alike = |one: &TraceSpan, other: &TraceSpan| said(one) == said(other);
        self.spans.len() == other.spans.len()
            && self
                .spans
                .iter()
                .zip(&other.spans)
                .all(|((id, one), (other_id, other))| id == other_id && is_alike(one, other))
    }

    /// The names of all spans that state usage. Each span is looked at once: a trace may be as deep as it has spans.
    fn all_names(&self) -> BTreeMap<SpanId, CallNames> {
        let mut of_spans: BTreeMap<SpanId, CallNames> = BTreeMap::new();
        for &start in self.spans.keys() {
            let (mut path, mut on_path, mut at) = (Vec::new(), BTreeSet::new(), Some(start));
            while let Some(id) = at.filter(|id| !of_spans.contains_key(id) && on_path.insert(*id)) {
                let Some(span) = self.spans.get(&id) else { break };
                path.push((id, span));
                at = span.parent_span_id;
            }
            let mut around = at.and_then(|id| of_spans.get(&id)).cloned().unwrap_or_default();
            for (id, span) in path.into_iter().rev() {
                around = span.names.clone().or(&around);
                of_spans.insert(id, around.clone());
            }
        }
        let named = |(id, span): (&SpanId, &TraceSpan)| {
            let names = of_spans.get(id).cloned().unwrap_or_default();
            Some((*id, names.or(&span.usage.as_ref()?.fallback)))
        };
        self.spans.iter().filter_map(named).collect()
    }
}
