//! Metrics of what this process appended: each event is counted once in a fleet, by the process that wrote it.

use domain::call::{CallEvent, CallKind, Charged};
use domain::task::{Task, TaskEvent};
use domain::{Aggregate, Usage};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use rust_decimal::prelude::ToPrimitive;
use std::any::Any;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Models that keep their name as the value of a label; all others count as [`OTHER`]. Callers name models, and every
/// name costs some twenty series in this process and in Prometheus.
pub const MAX_MODEL_LABELS: usize = 100;
/// The label of the models beyond [`MAX_MODEL_LABELS`].
const OTHER: &str = "other";
/// The label of calls without a model.
const NONE: &str = "none";

const STATUSES: [&str; 5] = ["submitted", "started", "completed", "failed", "cancelled"];
const SNAPSHOT_OUTCOMES: [&str; 3] = ["taken", "superseded", "failed"];

static MODELS: LabelValues = LabelValues::new(MAX_MODEL_LABELS);

/// Describes the metrics of this crate, and registers the counters whose labels are known at zero: Prometheus'
/// `increase` sees the first change only of a counter that was there before.
pub fn register_metrics() {
    describe_counter!("apex_tasks_total", "Tasks that this process moved to a status.");
    describe_counter!("apex_tokens_total", "Tokens of calls that this process recorded, by model and kind.");
    // A gauge of the library, see `call`.
    describe_gauge!("apex_cost_total", "US dollars charged for calls that this process recorded, by model.");
    describe_counter!("apex_snapshots_total", "Snapshots of aggregates that this process offered, by outcome.");
    describe_histogram!("apex_task_duration_seconds", "From the start of a task to its end.");
    describe_histogram!("apex_llm_latency_seconds", "How long LLM calls took, by model.");
    for status in STATUSES {
        counter!("apex_tasks_total", "status" => status).increment(0);
    }
    for outcome in SNAPSHOT_OUTCOMES {
        counter!("apex_snapshots_total", "outcome" => outcome).increment(0);
    }
}

/// The values that a label may have: the first so many that were asked for.
struct LabelValues {
    limit: usize,
    known: Mutex<Option<HashSet<String>>>,
}

impl LabelValues {
    const fn new(limit: usize) -> Self {
        Self { limit, known: Mutex::new(None) }
    }

    /// The value itself where it is among the first, else [`OTHER`].
    fn bounded(&self, value: &str) -> String {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if !known.contains(value) {
            if known.len() >= self.limit {
                return OTHER.to_owned();
            }
            known.insert(value.to_owned());
        }
        value.to_owned()
    }
}

pub(crate) fn appended<A: Aggregate>(before: &A, events: &[A::Event])
where
    A::Event: 'static,
{
    for event in events {
        let event: &dyn Any = event;
        if let Some(event) = event.downcast_ref::<CallEvent>() {
            call(event);
        } else if let Some(event) = event.downcast_ref::<TaskEvent>() {
            task((before as &dyn Any).downcast_ref::<Task>(), event);
        }
    }
}

fn call(event: &CallEvent) {
    let (before, after) = event.difference();
    let model = after.facts.model.as_ref().map_or_else(|| NONE.to_owned(), |model| MODELS.bounded(model.as_str()));
    let used = before.map_or_else(Usage::default, |before| before.facts.usage);
    let now = after.facts.usage;
    let kinds = [
        ("input", now.input.get(), used.input.get()),
        ("output", now.output.get(), used.output.get()),
        ("cache_read", now.cache_read.get(), used.cache_read.get()),
        ("cache_write", now.cache_write.get(), used.cache_write.get()),
        ("reasoning", now.reasoning.get(), used.reasoning.get()),
    ];
    for (kind, now, used) in kinds {
        counter!("apex_tokens_total", "model" => model.clone(), "kind" => kind).increment(now.saturating_sub(used));
    }
    let dollars = |charged: Option<&Charged>| {
        charged.and_then(Charged::cost).and_then(|cost| cost.as_decimal().to_f64()).unwrap_or(0.0)
    };
    // A gauge that only rises, which is exported as a counter: counters of this library hold integers, and money has
    // fractions. What an amendment takes back is not subtracted, as with the tokens: a counter that falls reads as a
    // restart.
    let added = dollars(Some(after)) - dollars(before);
    gauge!("apex_cost_total", "model" => model.clone()).increment(added.max(0.0));
    if let (None, CallKind::Llm, Some(ms)) = (before, after.facts.kind, after.facts.latency_ms) {
        histogram!("apex_llm_latency_seconds", "model" => model).record(ms as f64 / 1000.0);
    }
}

fn task(before: Option<&Task>, event: &TaskEvent) {
    let (status, ended_at) = match event {
        TaskEvent::Submitted(_) => ("submitted", None),
        TaskEvent::Started(_) => ("started", None),
        TaskEvent::Progressed(_) => return,
        TaskEvent::Completed(ended) => ("completed", Some(ended.at)),
        TaskEvent::Failed(ended) => ("failed", Some(ended.at)),
        TaskEvent::Cancelled(ended) => ("cancelled", Some(ended.at)),
    };
    counter!("apex_tasks_total", "status" => status).increment(1);
    if let (Some(ended), Some(started)) = (ended_at, before.and_then(|task| task.started_at)) {
        let seconds = (ended - started).num_milliseconds() as f64 / 1000.0;
        histogram!("apex_task_duration_seconds", "status" => status).record(seconds.max(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_values_keep_their_label_and_the_rest_are_other() {
        let values = LabelValues::new(2);
        let seen: Vec<_> = ["a", "b", "c", "a", "d", "b"].map(|value| values.bounded(value)).into();
        assert_eq!(seen, ["a", "b", OTHER, "a", OTHER, "b"]);
    }
}
