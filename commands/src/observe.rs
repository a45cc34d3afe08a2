//! Counters of what this process appended: each event is counted once in a fleet, by whoever wrote it.

use domain::call::{CallEvent, CallKind, Charged};
use domain::task::{Task, TaskEvent};
use domain::{Aggregate, Usage};
use metrics::{counter, gauge, histogram};
use rust_decimal::prelude::ToPrimitive;
use std::any::Any;

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
    let model = after.facts.model.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
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
    // A gauge that only rises: counters of this library hold integers, and money has fractions.
    gauge!("apex_cost_total", "model" => model.clone()).increment(dollars(Some(after)) - dollars(before));
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
