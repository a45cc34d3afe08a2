//! The events of a batch, merged by observation.

use crate::formats::json::Fields;
use crate::formats::langfuse::{Observations, Trace};
use crate::text::{clip, quoted};
use domain::call::CallFacts;
use domain::content_id;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use thiserror::Error;
use uuid::Uuid;

/// The most events of a batch. SDKs send 15 at a time, and exporters of their data a thousand.
pub const MAX_EVENTS: usize = 20_000;
/// The longest name of a trace that is remembered, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// The kinds of observations, of which an event creates or updates one.
const KINDS: [&str; 11] = [
    "generation",
    "span",
    "event",
    "observation",
    "agent",
    "tool",
    "chain",
    "retriever",
    "evaluator",
    "embedding",
    "guardrail",
];

/// The kind of event that names a trace.
const TRACE: &str = "trace-create";
/// The statuses of events that are accepted.
const CREATED: u16 = 201;
const NOT_KEPT: u16 = 200;

/// The kind of observation that an event creates or updates, if it does.
fn observed_kind(kind: &str) -> Option<&str> {
    let of_kind = kind.strip_suffix("-create").or_else(|| kind.strip_suffix("-update"))?;
    KINDS.contains(&of_kind).then_some(of_kind)
}

/// Whether an event may say something about calls. Others, such as a score, do not.
fn is_of_calls(kind: &str) -> bool {
    kind == TRACE || observed_kind(kind).is_some()
}

/// Why a body is not a batch.
#[derive(Debug, Error)]
pub enum BatchError {
    /// It is not UTF-8.
    #[error("the body is not UTF-8 after its first {valid_bytes} bytes")]
    NotUtf8 {
        /// The length of the part before the first invalid byte.
        valid_bytes: usize,
    },
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// It has no list of events.
    #[error("the body has no list `batch`")]
    NoBatch,
    /// It has too many events.
    #[error("the batch has {found} events, which is more than the limit of {limit}: send several")]
    TooManyEvents {
        /// The number of events.
        found: usize,
        /// The maximum number.
        limit: usize,
    },
}

/// A batch of events.
#[derive(Debug, Default)]
pub struct Batch {
    /// The id of the body: the same batch that is sent again is the same import.
    pub(super) content_id: Uuid,
    events: Vec<Event>,
    pub(super) observations: Vec<Observed>,
    pub(super) traces: BTreeMap<String, Trace>,
}

/// An event, by its id, and why it is refused if it is, or accepted and not kept.
#[derive(Debug)]
struct Event {
    id: String,
    refused: Option<String>,
    not_kept: Option<String>,
}

/// What the events of one observation say together.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) id: String,
    fields: BTreeMap<String, Box<RawValue>>,
    /// The numbers of its events.
    events: Vec<usize>,
    /// Whether the time of its start is that of something else.
    is_start_assumed: bool,
}

/// The answer to a batch, as SDKs expect it.
#[derive(Debug, Default, Serialize)]
pub struct BatchAnswer {
    /// The events that were accepted.
    pub successes: Vec<Accepted>,
    /// The events that were refused. A retry does not help.
    pub errors: Vec<Refused>,
}

/// An event that was accepted.
#[derive(Debug, Serialize)]
pub struct Accepted {
    id: String,
    status: u16,
    /// Why nothing of it is kept, if it says nothing about calls. A retry does not help.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// An event that was refused.
#[derive(Debug, Serialize)]
pub struct Refused {
    id: String,
    status: u16,
    /// Why.
    pub message: String,
    error: String,
}

impl Batch {
    /// Decodes a body. An event that cannot be read is refused alone.
    ///
    /// # Errors
    /// [`BatchError`] if the body is no batch.
    pub fn decode(body: &[u8]) -> Result<Self, BatchError> {
        let text =
            std::str::from_utf8(body).map_err(|error| BatchError::NotUtf8 { valid_bytes: error.valid_up_to() })?;
        let fields = Fields::parse(text).map_err(|error| BatchError::Json(error.to_string()))?;
        let items = fields.items("batch").ok_or(BatchError::NoBatch)?;
        if items.len() > MAX_EVENTS {
            return Err(BatchError::TooManyEvents { found: items.len(), limit: MAX_EVENTS });
        }
        let content_id = content_id("langfuse", body);
        let (mut batch, mut index) = (Self { content_id, ..Self::default() }, HashMap::new());
        for item in items {
            let event = Fields::parse(item.get()).ok();
            let text = |name| event.as_ref().and_then(|event| event.text(name)).map(String::from);
            let id = text("id").unwrap_or_default();
            let added = match (&event, text("type"), event.as_ref().and_then(|event| event.object("body"))) {
                (Some(_), Some(kind), Some(_)) if !is_of_calls(&kind) => {
                    Ok(Some(format!("{:?}: says nothing about calls, and is not kept", quoted(&kind))))
                }
                (Some(event), Some(kind), Some(body)) => batch.add(&mut index, event, &kind, &body).map(|()| None),
                _ => Err("an event has an `id`, a `type` and a `body`, which is an object".to_owned()),
            };
            let (not_kept, refused) = added.map_or_else(|refused| (None, Some(refused)), |not_kept| (not_kept, None));
            batch.events.push(Event { id, refused, not_kept });
        }
        Ok(batch)
    }

    /// Adds what an event says.
    fn add(
        &mut self,
        index: &mut HashMap<String, usize>,
        event: &Fields<'_>,
        kind: &str,
        body: &Fields<'_>,
    ) -> Result<(), String> {
        let id = body.first_text(&["id"]).map(String::from);
        if kind == TRACE {
            let text = |name: &str| body.text(name).map(|text| clip(&text, MAX_NAME_BYTES).to_owned());
            let id = id.ok_or("a trace has an `id`")?;
            let trace = self.traces.entry(id).or_default();
            trace.name = text("name").or(trace.name.take());
            trace.session = text("sessionId").or(trace.session.take());
            trace.user = text("userId").or(trace.user.take());
            return Ok(());
        }
        let Some(of_kind) = observed_kind(kind) else { return Ok(()) };
        let id = id.ok_or("an observation has an `id`")?;
        let at = *index.entry(id.clone()).or_insert_with(|| {
            let (fields, events) = (BTreeMap::new(), Vec::new());
            self.observations.push(Observed { id, fields, events, is_start_assumed: false });
            self.observations.len() - 1
        });
        let observed = &mut self.observations[at];
        observed.events.push(self.events.len());
        for (name, value) in body.iter().filter(|(_, value)| value.get() != "null") {
            observed.fields.insert(name.to_owned(), value.to_owned());
        }
        if of_kind == "generation" || of_kind == "embedding" {
            observed.set("type", "GENERATION");
        }
        // When the event was made, if the observation does not say when it started.
        if let Some(at) = event.raw("timestamp") {
            observed.fields.entry("eventTimestamp".to_owned()).or_insert_with(|| at.to_owned());
        }
        Ok(())
    }

    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Refuses the events of an observation.
    pub(super) fn refuse(&mut self, observation: usize, reason: &str) {
        let events = self.observations.get(observation).map_or(&[][..], |observed| &observed.events[..]);
        for event in events {
            self.events[*event].refused.get_or_insert_with(|| reason.to_owned());
        }
    }

    /// The observations as the texts that exports have, completed by what is known of their calls. It is CPU-bound.
    pub(super) fn complete(&mut self, known: &[Option<CallFacts>]) -> Vec<String> {
        let unknown = None;
        let known = known.iter().chain(std::iter::repeat(&unknown));
        let texts = self.observations.iter_mut().zip(known).map(|(observed, known)| {
            if observed.is_call() {
                observed.complete(known.as_ref());
            }
            // Fields are JSON already.
            serde_json::to_string(&observed.fields).unwrap_or_default()
        });
        texts.collect()
    }

    /// The observations of completed texts. An observation that cannot be read is refused.
    pub(super) fn observations<'a>(&mut self, texts: &'a [String]) -> Observations<'a> {
        let mut observations = Observations::default();
        for (at, text) in texts.iter().enumerate() {
            let is_start_assumed = self.observations.get(at).is_some_and(|observed| observed.is_start_assumed);
            if let Err(reason) = observations.add_of_batch(at, text, is_start_assumed) {
                self.refuse(at, &reason.to_string());
            }
        }
        observations
    }

    pub(super) fn answer(self) -> BatchAnswer {
        let mut answer = BatchAnswer::default();
        for Event { id, refused, not_kept: message } in self.events {
            match refused {
                None => {
                    let status = if message.is_some() { NOT_KEPT } else { CREATED };
                    answer.successes.push(Accepted { id, status, message });
                }
                Some(message) => {
                    answer.errors.push(Refused { id, status: 400, message, error: "Invalid request data".to_owned() });
                }
            }
        }
        answer
    }
}

impl Observed {
    fn set(&mut self, name: &str, text: &str) {
        // Text is always JSON.
        if let Ok(value) = serde_json::value::to_raw_value(text) {
            self.fields.insert(name.to_owned(), value);
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.fields.get(name)?.get()).ok()
    }

    fn object(&self, name: &str) -> Option<Fields<'_>> {
        Fields::parse(self.fields.get(name)?.get()).ok()
    }

    /// Whether it is a call of which the model or the start is to be looked up.
    pub(super) fn is_incomplete_call(&self) -> bool {
        self.is_call() && !["model", "startTime"].iter().all(|name| self.fields.contains_key(*name))
    }

    fn is_call(&self) -> bool {
        let has = |name| self.fields.contains_key(name);
        self.text("type").as_deref() == Some("GENERATION") || has("usage") || has("usageDetails")
    }

    /// Adds what is known from a former batch, and what Langfuse's exports have in other places.
    fn complete(&mut self, known: Option<&CallFacts>) {
        if let Some(facts) = known {
            if let (false, Some(model)) = (self.fields.contains_key("model"), &facts.model) {
                self.set("model", model.as_str());
            }
            if !self.fields.contains_key("startTime") {
                self.set("startTime", &facts.started_at.to_rfc3339());
            }
        }
        if !self.fields.contains_key("startTime") {
            let other = ["completionStartTime", "endTime", "eventTimestamp"].iter().find_map(|name| self.text(name));
            other.iter().for_each(|time| self.set("startTime", time));
            self.is_start_assumed = true;
        }
        let total = self.object("costDetails").and_then(|costs| costs.raw("total").map(ToOwned::to_owned));
        let total =
            total.or_else(|| self.object("usage").and_then(|usage| usage.raw("totalCost").map(ToOwned::to_owned)));
        if let Some(total) = total {
            // The client gave it: Langfuse has computed nothing yet.
            let given = format!("{{\"total\":{}}}", total.get());
            self.fields.insert("totalCost".to_owned(), total);
            if let Ok(given) = RawValue::from_string(given) {
                self.fields.insert("providedCostDetails".to_owned(), given);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Location;

    fn decoded(events: &str) -> Batch {
        Batch::decode(format!("{{\"batch\":[{events}],\"metadata\":{{}}}}").as_bytes()).unwrap()
    }

    #[test]
    fn the_events_of_a_generation_are_merged_and_others_are_accepted() {
        let mut batch = decoded(
            r#"{"id":"e1","type":"trace-create","timestamp":"2025-06-11T14:01:30Z","body":{"id":"t","name":"run","userId":"u"}},
            {"id":"e2","type":"generation-create","timestamp":"2025-06-11T14:01:31Z","body":{"id":"g","traceId":"t",
             "model":"gpt-4o","startTime":"2025-06-11T14:01:31Z","usage":null}},
            {"id":"e3","type":"generation-update","timestamp":"2025-06-11T14:01:33Z","body":{"id":"g","traceId":"t",
             "model":null,"endTime":"2025-06-11T14:01:33Z","usage":{"input":10,"output":2,"unit":"TOKENS","totalCost":0.5}}},
            {"id":"e4","type":"score-create","timestamp":"2025-06-11T14:01:33Z","body":{"id":"s","value":1}},
            {"id":"e5","type":"generation-create"}, 7"#,
        );
        assert_eq!(batch.observations[0].events, [1, 2]);
        let texts = batch.complete(&[]);
        let items = batch.observations(&texts).batch_items();
        let calls: Vec<_> = items.into_iter().flat_map(|item| item.unwrap().into_records()).collect();
        let [Ok(record)] = &calls[..] else { panic!("there is one call: {calls:?}") };
        assert_eq!(record.facts.usage.get(domain::Meter::Input).get(), 10);
        assert_eq!((record.facts.latency_ms, record.facts.model.as_ref().unwrap().as_str()), (Some(2000), "gpt-4o"));
        assert_eq!(record.facts.reported_cost.unwrap().amount.to_string(), "0.5");
        let answer = batch.answer();
        let ids: Vec<_> = answer.successes.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["e1", "e2", "e3", "e4"]);
        let not_kept: Vec<_> = answer.successes.iter().filter_map(|event| event.message.as_deref()).collect();
        assert_eq!(not_kept, ["\"score-create\": says nothing about calls, and is not kept"]);
        assert_eq!(answer.errors.len(), 2);
    }

    #[test]
    fn a_body_that_is_no_batch_is_refused() {
        for (body, message) in [
            (&b"\xff"[..], "not UTF-8"),
            (b"{", "not JSON"),
            (b"[]", "not JSON"),
            (b"{}", "no list `batch`"),
            (b"{\"batch\":1}", "no list `batch`"),
        ] {
            let error = Batch::decode(body).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let many = format!("{{\"batch\":[{}0]}}", "0,".repeat(MAX_EVENTS));
        assert!(matches!(Batch::decode(many.as_bytes()), Err(BatchError::TooManyEvents { .. })));
    }

    /// An update without a start is put at a time that is known, which says nothing about how long the call took.
    #[test]
    fn a_start_that_is_not_known_gives_no_latency() {
        let ended = |more: &str| {
            let mut batch = decoded(&format!(
                r#"{{"id":"e1","type":"generation-update","timestamp":"2025-06-11T14:01:33Z","body":{{"id":"g","traceId":"t",
                 "model":"m","endTime":"2025-06-11T14:01:33Z","usage":{{"input":10}}{more}}}}}"#
            ));
            let texts = batch.complete(&[]);
            let mut items = batch.observations(&texts).batch_items();
            let facts = items.remove(0).unwrap().into_records().remove(0).unwrap().facts;
            (facts.started_at.to_rfc3339(), facts.latency_ms)
        };
        assert_eq!(ended(""), ("2025-06-11T14:01:33+00:00".to_owned(), None));
        let started = r#","startTime":"2025-06-11T14:01:31Z""#;
        assert_eq!(ended(started), ("2025-06-11T14:01:31+00:00".to_owned(), Some(2000)));
    }

    /// Each event is small, and all of them together make an object that is not read.
    #[test]
    fn an_observation_that_is_too_large_when_it_is_merged_is_refused() {
        let of = |id: &str, fields: std::ops::Range<u32>| {
            let fields: String = fields.map(|n| format!(",\"f{n}\":0")).collect();
            format!(
                r#"{{"id":"{id}","type":"generation-create","body":{{"id":"large","traceId":"t","model":"m"{fields}}}}}"#
            )
        };
        let small = r#"{"id":"e3","type":"generation-create","timestamp":"2025-06-11T14:01:33Z",
            "body":{"id":"small","traceId":"t","model":"m","usage":{"input":1}}}"#;
        let mut batch = decoded(&[of("e1", 0..6_000), of("e2", 6_000..12_000), small.to_owned()].join(","));
        let texts = batch.complete(&[]);
        let items = batch.observations(&texts).batch_items();
        let calls: Vec<_> = items.into_iter().flat_map(|item| item.unwrap().into_records()).collect();
        let [Ok(record)] = &calls[..] else { panic!("there is one call: {calls:?}") };
        assert_eq!(record.location, Location::Item(2), "the place of the observation in the batch");
        let answer = batch.answer();
        let refused: Vec<_> = answer.errors.iter().map(|event| event.id.as_str()).collect();
        assert!(refused == ["e1", "e2"] && answer.errors[0].message.contains("10000 fields"), "{:?}", answer.errors);
        assert_eq!(answer.successes.len(), 1);
    }

    /// An agent states the usage of the calls inside of it, and no model.
    #[test]
    fn what_lacks_a_model_is_refused_only_if_nothing_is_inside_of_it() {
        let event = |id: &str, body: &str| {
            format!(
                r#"{{"id":"{id}","type":"span-create","timestamp":"2025-06-11T14:01:33Z","body":{{"id":"{id}","traceId":"t",
                "usage":{{"input":10}}{body}}}}}"#
            )
        };
        let outer = event("outer", r#","type":"AGENT""#);
        let inner = event("inner", r#","parentObservationId":"outer","model":"m""#);
        let results = |events: &[String]| {
            let mut batch = decoded(&events.join(","));
            let texts = batch.complete(&[]);
            let items = batch.observations(&texts).batch_items();
            let records = items.into_iter().flat_map(|item| item.unwrap().into_records());
            records.map(|record| record.map(|record| record.location).map_err(|refusal| refusal.to_string())).collect()
        };
        let found: Vec<Result<Location, String>> = results(&[outer.clone(), inner]);
        assert_eq!(found, [Ok(Location::Item(2))]);
        let found = results(&[outer]);
        assert!(matches!(&found[..], [Err(refused)] if refused.contains("model is missing")), "{found:?}");
    }
}
