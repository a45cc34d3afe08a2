//! The observations of a batch that an SDK sends, as spans of traces.

use super::{Cached, Observation, Observations, call_ids, usage_counts};
use crate::error::{Refusal, RefusalReason};
use crate::format::Defaults;
use crate::formats::json::Fields;
use crate::item::{Item, TraceSpans, TracedSpan};
use crate::record::{Location, Record};
use domain::call::{CallNames, CallSpan, SpanId, TraceId};
use domain::derived_id;
use domain::trace::{SpanKind, SpanReport, UsageReport};
use std::collections::{BTreeMap, BTreeSet};

impl Observation<'_> {
    /// The ids of the observation as those of a span: they are its own if an OpenTelemetry SDK made them, and are derived from
    /// them otherwise. None without a trace.
    fn ids(&self) -> Option<CallSpan> {
        if self.trace.is_empty() {
            return None;
        }
        let derived = |kind: &str, id: &str| derived_id(&["langfuse", kind, id]).as_u64_pair();
        let of_trace = || {
            let (high, low) = derived("trace", &self.trace);
            TraceId::new((u128::from(high) << 64) | u128::from(low))
        };
        let of_span = |id: &str| id.parse().ok().or_else(|| SpanId::new(derived("observation", id).1));
        Some(CallSpan {
            trace_id: self.trace.parse().ok().or_else(of_trace)?,
            span_id: of_span(&self.id)?,
            parent_span_id: self.parent.as_deref().and_then(of_span),
        })
    }
}

impl<'a> Observations<'a> {
    /// Adds the observation at a place of a batch.
    ///
    /// # Errors
    /// [`RefusalReason`] if it cannot be read, or has no id.
    pub(crate) fn add_of_batch(
        &mut self,
        place: usize,
        text: &'a str,
        is_start_assumed: bool,
    ) -> Result<(), RefusalReason> {
        let fields = Fields::parse(text)?;
        let observation = Observation::of(text, &fields, None).ok_or(RefusalReason::Missing("id"))?;
        self.insert(Observation { place, is_start_assumed, ..observation });
        Ok(())
    }

    /// What is reported of a batch, by the places of its observations. Observations with usage are reported to their traces,
    /// which know those of earlier and later batches. A generation is a call also while it states no usage, if it names a
    /// model; its trace knows it as what may lead from one observation with usage to another one.
    pub(crate) fn batch_items(&self) -> Vec<Result<Item, Refusal>> {
        let covered = self.covered();
        let (mut traces, mut items): (BTreeMap<TraceId, Vec<TracedSpan>>, Vec<_>) = (BTreeMap::new(), Vec::new());
        for (at, observation) in self.all.iter().enumerate() {
            let location = Location::Item(observation.place as u64 + 1);
            let (ids, has_usage) = (observation.ids(), observation.has_usage);
            if let (Some(ids), true) = (ids.filter(|ids| ids.parent_span_id.is_some()), !has_usage) {
                traces.entry(ids.trace_id).or_default().push(TracedSpan::link(
                    location,
                    &ids,
                    CallNames::default(),
                    None,
                ));
            }
            match ids {
                Some(ids) if has_usage => match self.traced(location, at, &ids) {
                    Ok(span) => traces.entry(ids.trace_id).or_default().push(span),
                    Err(reason) => items.push(Err(Refusal { location, reason })),
                },
                // Without a trace, only the batch tells what is inside of what.
                _ if covered.contains(&at) || !(has_usage || is_begun(observation)) => {}
                _ => {
                    let record = self.record(location, at, &Defaults::default());
                    items.push(record.map(Item::from).map_err(|reason| Refusal { location, reason }));
                }
            }
        }
        let traces = traces.into_iter().map(|(trace_id, spans)| Ok(Item::Trace(TraceSpans { trace_id, spans })));
        traces.chain(items).collect()
    }

    /// An observation with usage in its trace. Its kind is that of a summary, which repeats whatever is inside of it: only leaves
    /// are calls, as in exports. So one that lacks what a call needs is refused only if it is one.
    fn traced(&self, location: Location, at: usize, ids: &CallSpan) -> Result<TracedSpan, RefusalReason> {
        let observation = &self.all[at];
        let record = self.record(location, at, &Defaults::default());
        let record = record.and_then(|record| record.facts.check().map(|()| record).map_err(RefusalReason::Call));
        let kind = SpanKind::Summary;
        let span = |usage: UsageReport, agent, task, missing| {
            // What an observation names is that of its whole trace: none names what is inside of it.
            let (span_id, parent_span_id, names) = (ids.span_id, ids.parent_span_id, CallNames::default());
            let report = SpanReport { span_id, parent_span_id, names, usage: Some(usage) };
            TracedSpan { location, report, agent, task, missing, started_at: None }
        };
        match record {
            Ok(Record { agent, task, call_ids, facts, .. }) => {
                let (models, response_id) = (facts.model.iter().cloned().collect(), facts.response_id.clone());
                let fallback = CallNames {
                    agent_id: facts.agent_id,
                    conversation: facts.conversation.clone(),
                    user: facts.user.clone(),
                };
                let (usage, facts) = (facts.usage, Some(facts));
                let usage = UsageReport { kind, usage, models, response_id, call_ids, facts, fallback };
                Ok(span(usage, agent, task, None))
            }
            Err(reason) => {
                let (counts, _) = usage_counts(&Fields::parse(observation.text)?)?;
                let (usage, call_ids) = (counts.usage(Cached::ByTotal)?, call_ids(observation, ["", ""], None));
                let (models, response_id) = (BTreeSet::new(), None);
                let fallback = CallNames::default();
                let usage = UsageReport { kind, usage, models, response_id, call_ids, facts: None, fallback };
                Ok(span(usage, None, None, Some(reason)))
            }
        }
    }
}

/// Whether an observation of a batch is a generation of which more is to come.
fn is_begun(observation: &Observation<'_>) -> bool {
    Fields::parse(observation.text).is_ok_and(|fields| {
        fields.text("type").as_deref() == Some("GENERATION") && fields.first_text(&["model"]).is_some()
    })
}
