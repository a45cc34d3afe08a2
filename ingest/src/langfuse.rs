//! Batches of events that SDKs send to Langfuse's ingestion API: generations are calls.
//!
//! An SDK creates a generation when the call starts, and updates it when the call ends, perhaps in another batch. The events of
//! one generation in a batch are merged, as Langfuse does. An update of one that a former batch created takes the model and
//! the start from the call in the log, and so needs no memory of its own. Names of traces that a former batch had are
//! remembered by the process, as far as there is room: they say whose a call is, never which call it is.

use crate::error::RefusalReason;
use crate::format::Format;
use crate::formats::json::Fields;
use crate::formats::langfuse::{Observations, Trace};
use crate::importer::Importer;
use crate::item::Item;
use crate::outcome::ImportError;
use crate::receiver::{ReceiveError, Receiver};
use crate::record::Record;
use crate::text::clip;
use commands::Principal;
use domain::call::{CallFacts, CallKey};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use thiserror::Error;
use tokio::task::JoinSet;

/// The most events of a batch. SDKs send 15 at a time, and exporters of their data a thousand.
pub const MAX_EVENTS: usize = 20_000;
/// The maximum number of reports of one batch in flight.
const MAX_IN_FLIGHT: usize = 256;
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
    events: Vec<Event>,
    observations: Vec<Observed>,
    traces: BTreeMap<String, Trace>,
}

/// An event, by its id, and why it is refused if it is.
#[derive(Debug)]
struct Event {
    id: String,
    refused: Option<String>,
}

/// What the events of one observation say together.
#[derive(Debug)]
struct Observed {
    id: String,
    fields: BTreeMap<String, Box<RawValue>>,
    /// The numbers of its events.
    events: Vec<usize>,
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
}

/// An event that was refused.
#[derive(Debug, Serialize)]
pub struct Refused {
    id: String,
    status: u16,
    message: String,
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
        let (mut batch, mut index) = (Self::default(), HashMap::new());
        for item in items {
            let event = Fields::parse(item.get()).ok();
            let text = |name| event.as_ref().and_then(|event| event.text(name)).map(String::from);
            let id = text("id").unwrap_or_default();
            let refused = match (&event, text("type"), event.as_ref().and_then(|event| event.object("body"))) {
                (Some(event), Some(kind), Some(body)) => batch.add(&mut index, event, &kind, &body).err(),
                _ => Some("an event has an `id`, a `type` and a `body`, which is an object".to_owned()),
            };
            batch.events.push(Event { id, refused });
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
        let of_kind = kind.strip_suffix("-create").or_else(|| kind.strip_suffix("-update"));
        let id = body.first_text(&["id"]).map(String::from);
        if kind == "trace-create" {
            let text = |name: &str| body.text(name).map(|text| clip(&text, MAX_NAME_BYTES).to_owned());
            let id = id.ok_or("a trace has an `id`")?;
            let trace = self.traces.entry(id).or_default();
            trace.name = text("name").or(trace.name.take());
            trace.session = text("sessionId").or(trace.session.take());
            trace.user = text("userId").or(trace.user.take());
            return Ok(());
        }
        // What is no observation, such as a score, says nothing about calls.
        let Some(of_kind) = of_kind.filter(|kind| KINDS.contains(kind)) else { return Ok(()) };
        let id = id.ok_or("an observation has an `id`")?;
        let at = *index.entry(id.clone()).or_insert_with(|| {
            self.observations.push(Observed { id, fields: BTreeMap::new(), events: Vec::new() });
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

    fn refuse(&mut self, observation: usize, reason: &str) {
        for event in &self.observations[observation].events {
            self.events[*event].refused.get_or_insert_with(|| reason.to_owned());
        }
    }

    fn answer(self) -> BatchAnswer {
        let mut answer = BatchAnswer::default();
        for Event { id, refused } in self.events {
            match refused {
                None => answer.successes.push(Accepted { id, status: 201 }),
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

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.fields.get(name)?.get()).ok()
    }

    fn object(&self, name: &str) -> Option<Fields<'_>> {
        Fields::parse(self.fields.get(name)?.get()).ok()
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

impl Receiver {
    /// Reports the generations of a batch, as a principal. If its credential is bound to an agent, all calls are of that agent.
    ///
    /// # Errors
    /// [`ReceiveError`] if not all of it could be recorded.
    pub async fn receive_batch(
        &self,
        principal: Arc<Principal>,
        mut batch: Batch,
    ) -> Result<BatchAnswer, ReceiveError> {
        Self::authorise(&principal).map_err(ReceiveError::Forbidden)?;
        let traces = self.traces_of(&principal, &batch);
        for observed in batch.observations.iter_mut().filter(|observed| observed.is_call()) {
            let is_known = ["model", "startTime"].iter().all(|name| observed.fields.contains_key(*name));
            let known = if is_known { None } else { self.known(&principal, observed).await? };
            observed.complete(known.as_ref());
        }
        let texts: Vec<_> = batch
            .observations
            .iter()
            .map(|observed| serde_json::to_string(&observed.fields).unwrap_or_default())
            .collect();
        let mut observations = Observations::default();
        traces.into_iter().for_each(|(id, trace)| observations.add_trace(id, trace));
        for text in &texts {
            // There are no more observations than events.
            drop(observations.add(text, None));
        }
        let records = observations.batch_records();
        self.report(principal, &mut batch, records).await?;
        Ok(batch.answer())
    }

    /// The names of the traces of a batch, with those that former batches gave, which are remembered.
    fn traces_of(&self, principal: &Principal, batch: &Batch) -> Vec<(String, Trace)> {
        let mut traces = batch.traces.clone();
        for observed in &batch.observations {
            if let Some(trace) = observed.text("traceId") {
                traces.entry(trace).or_default();
            }
        }
        traces
            .into_iter()
            .map(|(id, trace)| (id.clone(), self.remembered_trace(principal.tenant(), &id, trace)))
            .collect()
    }

    /// What the log knows of the call that a former batch began.
    async fn known(&self, principal: &Principal, observed: &Observed) -> Result<Option<CallFacts>, ReceiveError> {
        let trace = observed.text("traceId").unwrap_or_default();
        let Some(key) = CallKey::of_request(Format::Langfuse.as_str(), &trace, &observed.id, "") else {
            return Ok(None);
        };
        let loaded = self.commands.load_call(&principal.charging(), key.call_id(), None).await;
        let (_, call) = loaded.map_err(ReceiveError::of)?;
        Ok(call.state.charged.as_ref().map(|charged| charged.facts.clone()))
    }

    async fn report(
        &self,
        principal: Arc<Principal>,
        batch: &mut Batch,
        records: Vec<Option<Result<Record, RefusalReason>>>,
    ) -> Result<(), ReceiveError> {
        let importer = Arc::new(self.importer(principal).await?);
        let (mut reports, mut failure) = (JoinSet::new(), None);
        let mut records = records.into_iter().enumerate();
        loop {
            while failure.is_none() && reports.len() < MAX_IN_FLIGHT {
                match records.next() {
                    None => break,
                    Some((_, None)) => {}
                    Some((at, Some(Err(refused)))) => batch.refuse(at, &refused.to_string()),
                    Some((at, Some(Ok(record)))) => {
                        let importer = importer.clone();
                        reports.spawn(async move { (at, report(&importer, record).await) });
                    }
                }
            }
            // Those in flight are completed, also after a failure: what they recorded is recorded.
            match reports.join_next().await {
                None => break,
                Some(Ok((_, Ok(())))) => {}
                Some(Ok((at, Err(ImportError::Refused(error))))) => batch.refuse(at, &error.to_string()),
                Some(Ok((_, Err(error)))) => _ = failure.get_or_insert(ReceiveError::of_import(error)),
                Some(Err(panicked)) => _ = failure.get_or_insert(ReceiveError::Internal(panicked.into())),
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn report(importer: &Importer, record: Record) -> Result<(), ImportError> {
    let mut item = Item::from(record);
    importer.bind(&mut item);
    let Item::Call(record) = item else { return Ok(()) };
    importer.prepare(*record).await?.send().await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(events: &str) -> Batch {
        Batch::decode(format!("{{\"batch\":[{events}],\"metadata\":{{}}}}").as_bytes()).unwrap()
    }

    #[test]
    fn the_events_of_a_generation_are_merged_and_others_are_accepted() {
        let batch = decoded(
            r#"{"id":"e1","type":"trace-create","timestamp":"2025-06-11T14:01:30Z","body":{"id":"t","name":"run","userId":"u"}},
            {"id":"e2","type":"generation-create","timestamp":"2025-06-11T14:01:31Z","body":{"id":"g","traceId":"t",
             "model":"gpt-4o","startTime":"2025-06-11T14:01:31Z","usage":null}},
            {"id":"e3","type":"generation-update","timestamp":"2025-06-11T14:01:33Z","body":{"id":"g","traceId":"t",
             "model":null,"endTime":"2025-06-11T14:01:33Z","usage":{"input":10,"output":2,"unit":"TOKENS","totalCost":0.5}}},
            {"id":"e4","type":"score-create","timestamp":"2025-06-11T14:01:33Z","body":{"id":"s","value":1}},
            {"id":"e5","type":"generation-create"}, 7"#,
        );
        let (mut observations, mut texts) = (Observations::default(), Vec::new());
        for mut observed in batch.observations.iter().map(|observed| Observed {
            id: observed.id.clone(),
            fields: observed.fields.clone(),
            events: observed.events.clone(),
        }) {
            observed.complete(None);
            assert_eq!(observed.events, [1, 2]);
            texts.push(serde_json::to_string(&observed.fields).unwrap());
        }
        observations.add(&texts[0], None).unwrap();
        let record = observations.batch_records().remove(0).unwrap().unwrap();
        assert_eq!(record.facts.usage.get(domain::Meter::Input).get(), 10);
        assert_eq!((record.facts.latency_ms, record.facts.model.as_ref().unwrap().as_str()), (Some(2000), "gpt-4o"));
        assert_eq!(record.facts.reported_cost.unwrap().amount.to_string(), "0.5");
        let answer = batch.answer();
        let ids: Vec<_> = answer.successes.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["e1", "e2", "e3", "e4"]);
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
}
