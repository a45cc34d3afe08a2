//! Whose the calls of a trace are: what a span, or else the nearest span around it that names something, says.
//!
//! An outer span ends last, and its name may come in a later request than the calls inside of it. So the names follow from all
//! spans that are known, and a charged span keeps the names under which it is charged: if they are others than those that
//! follow, it is named anew. Nothing is written of a span before that, so that a late root costs no more than its calls.

use super::{SpanUsage, Trace};
use crate::call::{CallNames, SpanId};
use crate::ids::AgentId;
use crate::text::Name;
use std::collections::{BTreeMap, BTreeSet};

/// The names of a span, as they are in its trace.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NamesOf<'t> {
    agent_id: Option<&'t AgentId>,
    conversation: Option<&'t Name>,
    user: Option<&'t Name>,
}

impl<'t> NamesOf<'t> {
    fn of(names: &'t CallNames) -> Self {
        let CallNames { agent_id, conversation, user } = names;
        Self { agent_id: agent_id.as_ref(), conversation: conversation.as_ref(), user: user.as_ref() }
    }

    /// These names, and others for what they lack.
    fn or(self, other: Self) -> Self {
        Self {
            agent_id: self.agent_id.or(other.agent_id),
            conversation: self.conversation.or(other.conversation),
            user: self.user.or(other.user),
        }
    }

    /// Whether they are the same as others.
    pub(super) fn are(self, names: &CallNames) -> bool {
        let CallNames { agent_id, conversation, user } = names;
        (self.agent_id, self.conversation, self.user) == (agent_id.as_ref(), conversation.as_ref(), user.as_ref())
    }

    fn to_owned(self) -> CallNames {
        let Self { agent_id, conversation, user } = self;
        CallNames { agent_id: agent_id.copied(), conversation: conversation.cloned(), user: user.cloned() }
    }
}

impl Trace {
    /// Whose the call is that a span is.
    #[must_use]
    pub fn names_of(&self, span_id: SpanId) -> CallNames {
        let path = self.path_up(span_id, |_| false);
        let names = path.up_to_cycle().iter().fold(NamesOf::default(), |names, (_, own)| names.or(*own));
        self.usage(span_id).map_or(names, |usage| names.or(NamesOf::of(&usage.fallback))).to_owned()
    }

    /// Whether a span is charged under other names than those that it has now.
    #[must_use]
    pub fn is_renamed(&self, span_id: SpanId) -> bool {
        let is_renamed = |usage: &SpanUsage| usage.is_charged && usage.charged_names != self.names_of(span_id);
        self.usage(span_id).is_some_and(is_renamed)
    }

    /// The names of all spans that state usage, as [`Trace::names_of`] has them. Each span is looked at once: a trace may be as
    /// deep as it has spans.
    pub(super) fn all_names(&self) -> BTreeMap<SpanId, NamesOf<'_>> {
        let mut of_spans: BTreeMap<SpanId, NamesOf<'_>> = BTreeMap::new();
        for &start in self.spans.keys() {
            let path = self.path_up(start, |id| of_spans.contains_key(&id));
            let mut around = path.end.and_then(|id| of_spans.get(&id)).copied().unwrap_or_default();
            let (below, cycle) = path.spans.split_at(path.cycle_at.unwrap_or(path.spans.len()));
            of_spans.extend(cycle.iter().copied());
            if let Some((_, names)) = cycle.first() {
                around = *names;
            }
            for (id, own) in below.iter().rev() {
                around = own.or(around);
                of_spans.insert(*id, around);
            }
        }
        let with_usage = self.spans.iter().filter_map(|(id, span)| Some((*id, span.usage.as_ref()?)));
        let names = |id: &SpanId| of_spans.get(id).copied().unwrap_or_default();
        with_usage.map(|(id, usage)| (id, names(&id).or(NamesOf::of(&usage.fallback)))).collect()
    }

    /// The spans from one up to its root, to one at which to stop, or to the end of a cycle.
    fn path_up(&self, start: SpanId, is_end: impl Fn(SpanId) -> bool) -> PathUp<'_> {
        let (mut path, mut seen, mut at) = (PathUp::default(), BTreeSet::new(), Some(start));
        while let Some(id) = at {
            if is_end(id) {
                path.end = Some(id);
                break;
            }
            if !seen.insert(id) {
                path.cycle_at = path.spans.iter().position(|(other, _)| *other == id);
                break;
            }
            let Some(span) = self.spans.get(&id) else { break };
            path.spans.push((id, NamesOf::of(&span.names)));
            at = span.parent_span_id;
        }
        path
    }
}

/// A span, and those around it up to an end.
#[derive(Debug, Default)]
struct PathUp<'t> {
    /// The spans, the innermost one first, with what they name themselves.
    spans: Vec<(SpanId, NamesOf<'t>)>,
    /// The span at which the path was stopped, which is not among them.
    end: Option<SpanId>,
    /// Where the spans begin that are in a cycle. Each of them names only itself: none of them is around another.
    cycle_at: Option<usize>,
}

impl<'t> PathUp<'t> {
    /// The spans up to the first one that is in a cycle.
    fn up_to_cycle(&self) -> &[(SpanId, NamesOf<'t>)] {
        let length = self.cycle_at.map_or(self.spans.len(), |cycle_at| cycle_at + 1);
        self.spans.get(..length).unwrap_or(&self.spans)
    }
}
