//! Topping reservations up: what was reserved for the output of a request without a limit is only what such requests mostly use. A stream
//! that goes beyond it reserves more, so that budgets count the call while it runs.
//!
//! Deliberately absent: streams under a hard budget. Their output has a limit, which is what was reserved.

use crate::settle::Ending;
use domain::{Meter, Quantity, Usage};
use metrics::counter;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::task::TaskTracker;

/// The events of a stream with a choice that may have no token, such as the first one, which says the role.
const EMPTY_EVENTS: u64 = 16;
/// By what the tokens that were seen are multiplied for the next reservation.
const GROWTH: u64 = 2;

/// The most that a call may use, as it was reserved last.
#[derive(Clone)]
pub(crate) struct ReservedUsage(Arc<Mutex<Usage>>);

impl ReservedUsage {
    pub(crate) fn new(usage: Usage) -> Self {
        Self(Arc::new(Mutex::new(usage)))
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> Usage {
        *self.lock()
    }
}

/// Extends the reservation of a stream.
pub(crate) struct TopUp {
    ending: Ending,
    reserved: ReservedUsage,
    tasks: TaskTracker,
    /// The tokens that the events had at least.
    seen: u64,
    /// Whether an extension is under way, or none is granted.
    is_extending: Arc<AtomicBool>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: Option<Vec<&'a RawValue>>,
}

/// Whether an event has output: at least a token.
fn has_output(data: &str) -> bool {
    let is_delta = |kind: &str| kind == "content_block_delta" || kind.ends_with(".delta");
    serde_json::from_str::<Event<'_>>(data).is_ok_and(|event| match event.kind {
        Some(kind) => is_delta(&kind),
        None => event.choices.is_some_and(|choices| !choices.is_empty()),
    })
}

impl TopUp {
    pub(crate) fn new(ending: Ending, reserved: ReservedUsage, tasks: TaskTracker) -> Self {
        Self { ending, reserved, tasks, seen: 0, is_extending: Arc::default() }
    }

    /// Notes an event of the stream, and reserves more if the output is beyond what is reserved. The stream does not wait for it.
    pub(crate) fn note(&mut self, data: &str) {
        if !has_output(data) {
            return;
        }
        self.seen += 1;
        let reserved = self.reserved.get();
        let is_beyond = self.seen > reserved.get(Meter::Output).get().saturating_add(EMPTY_EVENTS);
        if !is_beyond || self.is_extending.swap(true, Ordering::Relaxed) {
            return;
        }
        let output = Quantity::new(self.seen.saturating_mul(GROWTH)).unwrap_or_default();
        let usage = reserved.with(Meter::Output, output);
        let (ending, current, is_extending) = (self.ending.clone(), self.reserved.clone(), self.is_extending.clone());
        self.tasks.spawn(async move {
            let is_extended = ending.extend(usage).await;
            let outcome = if is_extended { "done" } else { "refused" };
            counter!("apex_gateway_top_ups_total", "outcome" => outcome).increment(1);
            if is_extended {
                *current.lock() = usage;
                is_extending.store(false, Ordering::Relaxed);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_with_output_are_counted() {
        for data in [
            r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
            r#"{"type":"response.output_text.delta","delta":"a"}"#,
        ] {
            assert!(has_output(data), "{data}");
        }
        for data in [
            r#"{"choices":[],"usage":{"completion_tokens":9}}"#,
            r#"{"type":"message_delta","usage":{"output_tokens":9}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"response.completed"}"#,
            "[DONE]",
            "",
        ] {
            assert!(!has_output(data), "{data}");
        }
    }
}
