//! The rule that tells a call from a span that repeats the usage of the calls inside of it.
//!
//! A span whose operation is that of an agent or a workflow is a summary: it repeats whatever calls are inside of it. If its
//! usage is not their sum, that is a mismatch. Without a call inside, it is all that is known, and is charged.
//!
//! Every other span is a call, unless it can be a repeat: its amounts are those of a call inside of it, or the sum of the
//! calls inside of it, and no name of a model and no id of a response says that it is another call. A chat that uses an
//! embedding, a guardrail or another agent has other amounts, and is charged beside them.
//!
//! Amounts are those of the prompt, cached tokens included, and of the output: outer spans often divide them less.

use super::Trace;
use super::span::{SpanKind, SpanUsage};
use crate::call::SpanId;
use crate::ids::CallId;
use crate::meter::Meter;
use crate::usage::Usage;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A summary whose usage is not the sum of the calls inside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The span of the agent or workflow.
    pub span_id: SpanId,
    /// The usage that it states.
    pub stated: Usage,
    /// The tokens of the prompts of the calls inside of it, cached ones included.
    pub prompt_of_calls: u128,
    /// The tokens that the calls inside of it generated.
    pub output_of_calls: u128,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { span_id, stated, prompt_of_calls, output_of_calls } = self;
        write!(
            f,
            "the span {span_id} sums up to {stated}; the calls inside of it that are known used {prompt_of_calls} tokens of \
             input and {output_of_calls} of output, and are what is charged"
        )
    }
}

/// The spans of a trace that repeat the usage of others.
#[derive(Debug, Clone)]
pub struct Repeats {
    repeats: BTreeSet<SpanId>,
    mismatches: Vec<Mismatch>,
}

/// What two usages are compared by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    prompt: u128,
    output: u128,
    /// The meters that are neither.
    other: u128,
}

impl Amounts {
    fn of(usage: &Usage) -> Self {
        let is_other = |meter: &Meter| !meter.is_in_prompt() && meter.part_of().is_none() && *meter != Meter::Output;
        let other = usage.iter().filter(|(meter, _)| is_other(meter)).map(|(_, quantity)| u128::from(quantity.get()));
        Self { prompt: usage.prompt().into(), output: usage.get(Meter::Output).get().into(), other: other.sum() }
    }

    fn plus(self, other: Self) -> Self {
        Self { prompt: self.prompt + other.prompt, output: self.output + other.output, other: self.other + other.other }
    }
}

/// The calls at and below a span.
#[derive(Default)]
struct Below {
    /// Those that are inside of no other call below the span.
    nearest: Vec<SpanId>,
    all: Vec<SpanId>,
}

impl Below {
    fn add(&mut self, mut other: Self) {
        for (own, other) in [(&mut self.nearest, &mut other.nearest), (&mut self.all, &mut other.all)] {
            if own.len() < other.len() {
                std::mem::swap(own, other);
            }
            own.append(other);
        }
    }
}

impl Repeats {
    /// Decides about all spans of a trace.
    pub(super) fn of(trace: &Trace) -> Self {
        let mut found = Self { repeats: BTreeSet::new(), mismatches: Vec::new() };
        let parents = nearest_with_usage(trace);
        let mut below: BTreeMap<SpanId, Below> = BTreeMap::new();
        for span_id in inside_out(&parents) {
            let Some(usage) = trace.usage(span_id) else { continue };
            let mut calls = below.remove(&span_id).unwrap_or_default();
            if found.is_repeat(trace, span_id, usage, &calls) {
                found.repeats.insert(span_id);
            } else {
                calls.nearest = vec![span_id];
                calls.all.push(span_id);
            }
            if let Some(parent) = parents.get(&span_id).copied().flatten() {
                below.entry(parent).or_default().add(calls);
            }
        }
        found
    }

    /// Whether a span repeats the usage of others.
    #[must_use]
    pub fn contains(&self, span_id: SpanId) -> bool {
        self.repeats.contains(&span_id)
    }

    /// The agent and workflow spans whose usage is not the sum of the calls inside of them.
    #[must_use]
    pub fn mismatches(&self) -> &[Mismatch] {
        &self.mismatches
    }

    fn is_repeat(&mut self, trace: &Trace, span_id: SpanId, usage: &SpanUsage, below: &Below) -> bool {
        let of = |ids: &[SpanId]| distinct(ids.iter().filter_map(|id| trace.usage(*id)));
        let all = of(&below.all);
        if usage.kind == SpanKind::Summary {
            let sum = sum(&all);
            if !all.is_empty() && sum != Amounts::of(&usage.usage) {
                let (prompt_of_calls, output_of_calls) = (sum.prompt, sum.output);
                self.mismatches.push(Mismatch { span_id, stated: usage.usage, prompt_of_calls, output_of_calls });
            }
            return !all.is_empty();
        }
        let own = Amounts::of(&usage.usage);
        let can_repeat = |calls: Vec<&SpanUsage>| {
            let compatible: Vec<_> = calls.into_iter().filter(|call| is_compatible(usage, call)).collect();
            let is_one = compatible.iter().any(|call| Amounts::of(&call.usage) == own);
            let is_sum = compatible.len() > 1 && sum(&compatible) == own;
            (is_one, is_sum)
        };
        // The same call under the id of its response is no repeat: both spans are reported as one call.
        let shares_call = all.iter().any(|call| call.ids().any(|id| usage.call_ids.contains(&id)));
        let (is_one_of_nearest, is_sum_of_nearest) = can_repeat(of(&below.nearest));
        let (_, is_sum_of_all) = can_repeat(all);
        !shares_call && (is_one_of_nearest || is_sum_of_nearest || is_sum_of_all)
    }
}

/// Whether a call may be what an outer span repeats, by the names of their models and the ids of their responses.
fn is_compatible(outer: &SpanUsage, call: &SpanUsage) -> bool {
    let lower = |name: &crate::text::Name| name.as_str().to_ascii_lowercase();
    let names: BTreeSet<_> = outer.models.iter().map(lower).collect();
    let same_model =
        names.is_empty() || call.models.is_empty() || call.models.iter().any(|name| names.contains(&lower(name)));
    let same_response = match (&outer.response_id, &call.response_id) {
        (Some(outer), Some(call)) => outer == call,
        _ => true,
    };
    same_model && same_response
}

fn sum(calls: &[&SpanUsage]) -> Amounts {
    calls.iter().fold(Amounts::default(), |sum, call| sum.plus(Amounts::of(&call.usage)))
}

/// Each call once: several spans may be one call, by the id of the response.
fn distinct<'a>(spans: impl Iterator<Item = &'a SpanUsage>) -> Vec<&'a SpanUsage> {
    let mut known: BTreeSet<CallId> = BTreeSet::new();
    let mut is_new = |span: &&SpanUsage| {
        let is_new = span.ids().all(|id| !known.contains(&id));
        known.extend(span.ids());
        is_new
    };
    spans.filter(|span| is_new(span)).collect()
}

/// For each span that states usage, the nearest span above it that does.
fn nearest_with_usage(trace: &Trace) -> BTreeMap<SpanId, Option<SpanId>> {
    let has_usage = |id: SpanId| trace.usage(id).is_some();
    let mut nearest: BTreeMap<SpanId, Option<SpanId>> = BTreeMap::new();
    for &start in trace.spans.keys() {
        let (mut path, mut on_path, mut at, mut found) = (vec![start], BTreeSet::from([start]), start, None);
        while !nearest.contains_key(&at) {
            let Some(parent) = trace.spans.get(&at).and_then(|span| span.parent_span_id) else { break };
            // A cycle has no span above it.
            if !on_path.insert(parent) {
                break;
            }
            if has_usage(parent) {
                found = Some(parent);
                break;
            }
            path.push(parent);
            at = parent;
        }
        let found = found.or_else(|| nearest.get(&at).copied().flatten());
        for id in path {
            nearest.entry(id).or_insert(found);
        }
    }
    nearest.retain(|id, _| has_usage(*id));
    nearest
}

/// The spans that state usage, each after those inside of it. A cycle is cut.
fn inside_out(parents: &BTreeMap<SpanId, Option<SpanId>>) -> Vec<SpanId> {
    let mut inside: BTreeMap<SpanId, Vec<SpanId>> = BTreeMap::new();
    for (&span, parent) in parents {
        if let Some(parent) = parent {
            inside.entry(*parent).or_default().push(span);
        }
    }
    let roots = parents.iter().filter(|(_, parent)| parent.is_none()).map(|(span, _)| *span);
    let (mut seen, mut outside_in) = (BTreeSet::new(), Vec::new());
    // Whatever is not below a root is in or below a cycle.
    for start in roots.chain(parents.keys().copied()) {
        let mut open = vec![start];
        while let Some(span) = open.pop() {
            if seen.insert(span) {
                outside_in.push(span);
                open.extend(inside.get(&span).into_iter().flatten());
            }
        }
    }
    outside_in.reverse();
    outside_in
}
