//! Metrics of the events that this process appended. Each event is counted once across all processes, by the one that
//! appended it.

use domain::call::{CallEvent, CallKind, ChargedCall};
use domain::task::{Task, TaskEvent};
use domain::{Aggregate, Meter, Name, Unit};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use rust_decimal::prelude::ToPrimitive;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The number of models that get a label value of their own; calls of all further models are counted under [`OTHER`].
/// Callers choose model names, and each name adds about 25 time series to this process and to Prometheus.
pub const MAX_MODEL_LABELS: usize = 100;
/// The label value of models beyond [`MAX_MODEL_LABELS`].
const OTHER: &str = "other";
/// The label value of calls without a model.
const NONE: &str = "none";

const STATUSES: [&str; 5] = ["submitted", "started", "completed", "failed", "cancelled"];
const SNAPSHOT_OUTCOMES: [&str; 3] = ["taken", "superseded", "failed"];

static MODELS: Models = Models::new(MAX_MODEL_LABELS);

/// Describes the metrics of this crate, and registers at zero the counters whose label values are known: `increase` in
/// Prometheus misses the first increment of a counter that did not exist before.
pub fn register_metrics() {
    describe_counter!("apex_tasks_total", "Tasks that changed to a status, by the process that appended the change.");
    describe_counter!("apex_tokens_total", "Tokens of calls that this process recorded, by model and kind.");
    // See `ModelMetrics` for why it is a gauge.
    describe_gauge!("apex_cost_total", "US dollars charged for calls that this process recorded, by model.");
    describe_counter!("apex_snapshots_total", "Snapshots of aggregates that this process took or read, by outcome.");
    describe_histogram!("apex_task_duration_seconds", "Time from the start of a task to its end, by final status.");
    describe_histogram!("apex_llm_latency_seconds", "Latency of LLM calls, by model.");
    describe_counter!(
        "apex_unpriced_settlements_total",
        "Calls without a price that settled a reservation, and are charged what was reserved for them."
    );
    counter!("apex_unpriced_settlements_total").increment(0);
    for status in STATUSES {
        counter!("apex_tasks_total", "status" => status).increment(0);
    }
    for outcome in SNAPSHOT_OUTCOMES {
        counter!("apex_snapshots_total", "outcome" => outcome).increment(0);
    }
}

/// The counters of one model. To find a counter by its labels takes longer than to add to it.
struct ModelMetrics {
    /// The value of the label.
    label: String,
    tokens: Vec<(Meter, Counter)>,
    /// A gauge that only rises, which is exported as a counter: this library's counters hold integers, and money has
    /// fractions.
    dollars: Gauge,
    latency: OnceLock<Histogram>,
}

impl ModelMetrics {
    fn new(label: &str) -> Self {
        let tokens = token_meters()
            .map(|meter| (meter, counter!("apex_tokens_total", "model" => label.to_owned(), "kind" => meter.name())));
        Self {
            label: label.to_owned(),
            tokens: tokens.collect(),
            dollars: gauge!("apex_cost_total", "model" => label.to_owned()),
            latency: OnceLock::new(),
        }
    }

    fn add(&self, CallIncrement { tokens, dollars, latency_ms }: &CallIncrement) {
        for ((_, counter), (_, added)) in self.tokens.iter().zip(tokens) {
            counter.increment(*added);
        }
        self.dollars.increment(*dollars);
        if let Some(ms) = latency_ms {
            let histogram = || histogram!("apex_llm_latency_seconds", "model" => self.label.clone());
            self.latency.get_or_init(histogram).record(*ms as f64 / 1000.0);
        }
    }
}

/// The counters of the first `limit` models that were used, and those of all others together.
struct Models {
    limit: usize,
    models: RwLock<BTreeMap<String, Arc<ModelMetrics>>>,
}

impl Models {
    const fn new(limit: usize) -> Self {
        Self { limit, models: RwLock::new(BTreeMap::new()) }
    }

    /// The counters of a model, or of [`OTHER`] if there are too many models.
    fn of(&self, model: &str) -> Arc<ModelMetrics> {
        let known = |models: &BTreeMap<String, Arc<ModelMetrics>>| {
            let name = if models.len() >= self.limit && !models.contains_key(model) { OTHER } else { model };
            models.get(name).cloned().ok_or_else(|| name.to_owned())
        };
        if let Ok(found) = known(&self.models.read().unwrap_or_else(PoisonError::into_inner)) {
            return found;
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        known(&models).unwrap_or_else(|name| {
            let made = Arc::new(ModelMetrics::new(&name));
            models.entry(name).or_insert(made).clone()
        })
    }
}

/// The meters that count tokens.
fn token_meters() -> impl Iterator<Item = Meter> {
    Meter::ALL.iter().copied().filter(|meter| meter.unit() == Unit::Token)
}

/// Counts the events that a command appended to an aggregate with the state `before`.
pub(crate) fn record_appended<A: Aggregate>(before: &A, events: &[A::Event])
where
    A::Event: 'static,
{
    for event in events {
        let event: &dyn Any = event;
        if let Some(event) = event.downcast_ref::<CallEvent>() {
            record_call(event);
        } else if let Some(event) = event.downcast_ref::<TaskEvent>() {
            record_task((before as &dyn Any).downcast_ref::<Task>(), event);
        }
    }
}

/// What the event of a call adds to the counters.
#[derive(Debug, PartialEq)]
struct CallIncrement {
    /// Beside each of [`token_meters`].
    tokens: Vec<(Meter, u64)>,
    dollars: f64,
    /// The latency, if the call is a new one.
    latency_ms: Option<u64>,
}

impl CallIncrement {
    /// What `after` has more than the calls that it replaces. Counters cannot fall: Prometheus reads one that falls as a
    /// restart. A call that was counted under two ids before these were tied stays counted twice.
    fn of(befores: &[&ChargedCall], after: &ChargedCall) -> Self {
        let tokens = token_meters().map(|meter| {
            // A command ties a few dozen calls at most, with quantities below 2^53: the sum does not overflow.
            let counted = befores.iter().map(|before| before.facts.usage.get(meter).get()).sum();
            (meter, after.facts.usage.get(meter).get().saturating_sub(counted))
        });
        let dollars = |call: &ChargedCall| call.cost().and_then(|cost| cost.as_decimal().to_f64()).unwrap_or(0.0);
        let counted: f64 = befores.iter().map(|before| dollars(before)).sum();
        let is_new = befores.is_empty() && after.facts.kind == CallKind::Llm;
        Self {
            tokens: tokens.collect(),
            dollars: (dollars(after) - counted).max(0.0),
            latency_ms: after.facts.latency_ms.filter(|_| is_new),
        }
    }
}

fn record_call(event: &CallEvent) {
    let (befores, Some(after)) = event.befores_and_after() else { return };
    let model = after.facts.model.as_ref().map_or(NONE, Name::as_str);
    MODELS.of(model).add(&CallIncrement::of(&befores, after));
    if event.settles().is_some() && after.is_unpriced() && !after.facts.usage.is_empty() {
        counter!("apex_unpriced_settlements_total").increment(1);
    }
}

fn record_task(before: Option<&Task>, event: &TaskEvent) {
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
    use domain::EventCodec;
    use serde_json::{Value, json};

    fn increment(name: &'static str, payload: &Value) -> (u64, f64, Option<u64>) {
        let event = CallEvent::decode(name, 1, &payload.to_string()).unwrap();
        let (befores, after) = event.befores_and_after();
        let increment = CallIncrement::of(&befores, after.unwrap());
        let input = increment.tokens.iter().find(|(meter, _)| *meter == Meter::Input).unwrap().1;
        (input, increment.dollars, increment.latency_ms)
    }

    #[test]
    fn a_tie_counts_what_exceeds_the_calls_that_it_ties_and_no_latency() {
        let call = |input: u64, dollars: &str| {
            json!({
                "kind": "llm", "model": "m", "source": "test", "started_at": "2023-09-01T07:00:00Z", "latency_ms": 1500,
                "usage": { "input": input },
                "charge": {
                    "amount": dollars, "book_version": 1, "effective_from": "2023-01-01T00:00:00Z", "seller": "acme",
                    "lines": [],
                },
            })
        };
        let absorbing = |mut payload: Value, input, dollars| {
            let id = "00000000-0000-0000-0000-000000000007";
            payload["absorbed"] = json!([{ "id": id, "before": call(input, dollars) }]);
            payload
        };
        let amended = json!({ "before": call(10, "2"), "after": call(30, "4.5") });
        for (name, payload, expected) in [
            ("call.recorded", call(30, "4.5"), (30, 4.5, Some(1500))),
            ("call.recorded", absorbing(call(30, "4.5"), 10, "2"), (20, 2.5, None)),
            ("call.amended", amended.clone(), (20, 2.5, None)),
            ("call.amended", absorbing(amended.clone(), 5, "1"), (15, 1.5, None)),
            ("call.amended", absorbing(amended, 25, "3"), (0, 0.0, None)),
        ] {
            assert_eq!(increment(name, &payload), expected, "{payload}");
        }
    }

    #[test]
    fn models_beyond_the_limit_are_counted_as_other() {
        let models = Models::new(2);
        let labels: Vec<_> = ["a", "b", "c", "a", "d", "b"].map(|model| models.of(model).label.clone()).into();
        assert_eq!(labels, ["a", "b", OTHER, "a", OTHER, "b"]);
    }
}
