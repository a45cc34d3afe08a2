//! Traces as Langfuse exports them: a trace with its observations as one JSON document or one per line, or observations alone,
//! as a list or one per line.
//!
//! Observations nest, and frameworks repeat the usage of a call on the observations around it. Only leaves are calls: an
//! observation with usage that has no descendant with usage. The ids of observations that an OpenTelemetry SDK made are those of
//! its spans, and the call is that of the span. Usage is a map with names of several conventions; the total tells whether cached
//! tokens are inside the input. The cost is the one that the client gave, or the one that Langfuse computed.

mod batch;

use super::counts::{Cached, Counts};
use super::document::{Found, read_text};
use super::json::{self, Fields};
use super::lines::{Lines, ParsedLine};
use super::reader::Records;
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{
    any_time, cost_of, default_agent, informative, minimal_facts, model, ms_between, provider, seconds_as_ms, start,
};
use crate::error::{InputError, RefusalReason};
use crate::format::{Defaults, Format};
use crate::record::{AgentRef, Location, Record, TaskRef};
use crate::text::{clipped_error, quoted};
use domain::call::{CallFacts, CallIds, CallKind, CallSpan, CostSource, Outcome, ReportedCost};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

pub(crate) const SPEC: Spec = Spec {
    format: Format::Langfuse,
    about: "Traces as Langfuse exports them: JSON or JSONL of traces with observations, or of observations",
    extensions: &["json", "jsonl", "json.gz", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::Span, KeyKind::Request],
    recognises: |sketch| {
        let has_trace = sketch.has_all(&["observations", "trace"]) || sketch.has_all(&["observations", "timestamp"]);
        let is_observation = |usage, trace| sketch.has_all(&[usage, trace, "type"]);
        has_trace || is_observation("usageDetails", "traceId") || is_observation("usage_details", "trace_id")
    },
    open,
};

/// The maximum number of observations of a file.
const MAX_OBSERVATIONS: usize = 500_000;
/// The maximum number of observations searched for an agent, upwards from one.
const MAX_ANCESTORS: usize = 1_000;

fn open(lines: Lines, defaults: Defaults) -> Result<Records, InputError> {
    let text = read_text(lines)?;
    let mut observations = Observations::default();
    let mut documents = serde_json::Deserializer::from_str(&text).into_iter::<&serde_json::value::RawValue>();
    for document in documents.by_ref() {
        let document = document.map_err(InputError::json)?;
        match json::items(document.get()) {
            Ok(items) => items.into_iter().try_for_each(|item| observations.add_document(item.get()))?,
            Err(_) => observations.add_document(document.get())?,
        }
    }
    if observations.all.is_empty() {
        return Err(InputError::NotOfFormat { format: SPEC.format.as_str(), expected: "observations" });
    }
    observations.records(&defaults)
}

/// The observations of a file, or of a batch that an SDK sends.
#[derive(Default)]
pub(crate) struct Observations<'a> {
    all: Vec<Observation<'a>>,
    /// By trace and id, the index of an observation.
    index: HashMap<(String, String), usize>,
    traces: HashMap<String, Trace>,
}

/// What calls take from their trace.
#[derive(Debug, Default, Clone)]
pub(crate) struct Trace {
    pub(crate) name: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) user: Option<String>,
}

/// The part of an observation that decides which of them are calls, and its text.
struct Observation<'a> {
    text: &'a str,
    trace: String,
    id: String,
    parent: Option<String>,
    /// Its name, if it is the work of an agent.
    agent: Option<String>,
    has_usage: bool,
    /// Its place in a batch.
    place: usize,
    /// Whether the time of its start is that of something else.
    is_start_assumed: bool,
}

impl<'a> Observation<'a> {
    /// The observation of a text; none if it has no id.
    fn of(text: &'a str, fields: &Fields<'a>, trace: Option<&str>) -> Option<Self> {
        let first = |names: &[&str]| fields.first_text(names).map(String::from);
        let trace = first(&["traceId", "trace_id"]).or_else(|| trace.map(str::to_owned)).unwrap_or_default();
        let is_agent = fields.text("type").as_deref() == Some("AGENT");
        Some(Self {
            text,
            trace,
            id: first(&["id"])?,
            parent: first(&["parentObservationId", "parent_observation_id"]),
            agent: first(&["name"]).filter(|_| is_agent),
            has_usage: has_usage(fields),
            place: 0,
            is_start_assumed: false,
        })
    }
}

impl<'a> Observations<'a> {
    /// Adds a trace with its observations, a page of observations, or an observation.
    fn add_document(&mut self, text: &'a str) -> Result<(), InputError> {
        let document: Fields<'a> = serde_json::from_str(text).map_err(InputError::json)?;
        let within = document.object("trace");
        let trace = within.as_ref().filter(|trace| trace.raw("id").is_some()).unwrap_or(&document);
        let items = document.items("observations").or_else(|| within.as_ref()?.items("observations"));
        let Some(items) = items.or_else(|| document.items("data")) else { return self.add(text, None) };
        let id = trace.text("id").map(String::from);
        if let Some(id) = &id {
            let text = |name| trace.first_text(&[name]).map(String::from);
            let of_trace = Trace { name: text("name"), session: text("sessionId"), user: text("userId") };
            self.traces.insert(id.clone(), of_trace);
        }
        items.into_iter().try_for_each(|item| self.add(item.get(), id.as_deref()))
    }

    pub(crate) fn add_trace(&mut self, id: String, trace: Trace) {
        self.traces.insert(id, trace);
    }

    fn add(&mut self, text: &'a str, trace: Option<&str>) -> Result<(), InputError> {
        let Ok(fields) = Fields::parse(text) else { return Ok(()) };
        let Some(observation) = Observation::of(text, &fields, trace) else { return Ok(()) };
        self.insert(observation);
        if self.all.len() > MAX_OBSERVATIONS {
            return Err(InputError::TooManyRecords { limit: MAX_OBSERVATIONS });
        }
        Ok(())
    }

    /// An observation that is there twice is one.
    fn insert(&mut self, observation: Observation<'a>) {
        if let Entry::Vacant(entry) = self.index.entry((observation.trace.clone(), observation.id.clone())) {
            entry.insert(self.all.len());
            self.all.push(observation);
        }
    }

    fn parent(&self, at: usize) -> Option<usize> {
        let observation = &self.all[at];
        self.index.get(&(observation.trace.clone(), observation.parent.clone()?)).copied()
    }

    /// The observations around one, from the nearest one on.
    fn ancestors(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parent(at), |at| self.parent(*at)).take(MAX_ANCESTORS)
    }

    /// The observations around those with usage. What is above a covered one is covered.
    fn covered(&self) -> HashSet<usize> {
        let with_usage = (0..self.all.len()).filter(|at| self.all[*at].has_usage);
        with_usage.flat_map(|at| self.ancestors(at)).collect()
    }

    fn records(&self, defaults: &Defaults) -> Result<Records, InputError> {
        let covered = self.covered();
        let mut found = Found::default();
        for (at, observation) in self.all.iter().enumerate() {
            let location = found.next_item();
            let is_call = observation.has_usage && !covered.contains(&at);
            let item = if is_call {
                self.record(location, at, defaults).map(ParsedLine::from)
            } else {
                Ok(ParsedLine::NotACall)
            };
            found.add(location, item)?;
        }
        Ok(found.into_records())
    }

    fn record(&self, location: Location, at: usize, defaults: &Defaults) -> Result<Record, RefusalReason> {
        let observation = &self.all[at];
        let fields = Fields::parse(observation.text)?;
        let trace = self.traces.get(&observation.trace).cloned().unwrap_or_default();
        let time = |field, names: &[&str]| fields.first_text(names).map(|text| any_time(field, &text)).transpose();
        let started = time("startTime", &["startTime", "start_time"])?;
        let ended = time("endTime", &["endTime", "end_time"])?;
        let attributes = fields.at(&["metadata", "attributes"]);
        let attribute = |names: &[&str]| attributes.as_ref().and_then(|attributes| attributes.first_text(names));
        let named_provider = attribute(&["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"]);
        let named_model = fields.first_text(&["model", "providedModelName", "provided_model_name"]);
        let response_id = attribute(&["gen_ai.response.id"]);
        let is_error = fields.text("level").as_deref() == Some("ERROR");
        let status = fields.first_text(&["statusMessage", "status_message"]).filter(|_| is_error);
        let span = span(observation);
        let (reported_cost, ignored) = cost(&fields);
        let (counts, other_unit) = usage_counts(&fields)?;
        let facts = CallFacts {
            provider: provider("gen_ai.provider.name", named_provider.as_deref(), defaults)?,
            model: Some(model("model", named_model.as_deref(), defaults)?),
            usage: counts.usage(Cached::ByTotal)?,
            reported_cost,
            conversation: informative(trace.session.as_deref()),
            user: informative(trace.user.as_deref()),
            latency_ms: if observation.is_start_assumed { None } else { ms_between(started, ended) },
            first_token_ms: seconds_as_ms(fields.first(&["timeToFirstToken", "time_to_first_token"])),
            outcome: Some(if is_error { Outcome::Error } else { Outcome::Ok }),
            error: status.as_deref().and_then(clipped_error),
            span,
            response_id: informative(response_id.as_deref()),
            record_id: informative(Some(&observation.id)),
            ..minimal_facts(CallKind::Llm, start("startTime", started, defaults)?, Format::Langfuse)?
        };
        let ignored = ignored.or(other_unit);
        let names = [named_provider.as_deref(), named_model.as_deref()];
        let call_ids = call_ids(observation, names.map(Option::unwrap_or_default), response_id.as_deref());
        let named = self.ancestors(at).find_map(|at| self.all[at].agent.as_deref()).or(trace.name.as_deref());
        let agent = named.and_then(|name| AgentRef::new(Format::Langfuse, name, name));
        let agent = agent.or_else(|| default_agent(Format::Langfuse, defaults));
        let (kind, id) = trace.session.as_deref().map_or(("trace", observation.trace.as_str()), |id| ("session", id));
        let task = TaskRef::new(Format::Langfuse, &[kind, id], &format!("{kind} {id}"), agent.as_ref());
        Ok(Record::new(location, call_ids, agent, task, facts).ignoring(ignored))
    }
}

/// The ids of the call that an observation is, which names a provider and a model.
fn call_ids(observation: &Observation<'_>, [provider, model]: [&str; 2], response_id: Option<&str>) -> CallIds {
    let identifiers = Identifiers {
        provider,
        model,
        response_id,
        request_id: None,
        span: span(observation),
        request: Some((&observation.trace, &observation.id)),
        content: &[observation.text],
    };
    SPEC.call_ids(&identifiers, &mut Occurrences::new(1))
}

/// The span whose ids the observation has, if an OpenTelemetry SDK made them.
fn span(observation: &Observation<'_>) -> Option<CallSpan> {
    let parent_span_id = observation.parent.as_deref().and_then(|id| id.parse().ok());
    Some(CallSpan { trace_id: observation.trace.parse().ok()?, span_id: observation.id.parse().ok()?, parent_span_id })
}

fn usage_details<'a>(fields: &Fields<'a>) -> Option<Fields<'a>> {
    ["usageDetails", "usage_details", "usage"].iter().find_map(|name| fields.object(name))
}

fn has_usage(fields: &Fields<'_>) -> bool {
    let is_count = |value: &str| value.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    usage_details(fields).is_some_and(|usage| usage.iter().any(|(_, value)| is_count(value.get())))
}

/// The counts, or why they are not read: some SDKs count characters, seconds or images.
fn usage_counts(fields: &Fields<'_>) -> Result<(Counts, Option<String>), RefusalReason> {
    let Some(usage) = usage_details(fields) else { return Ok((Counts::default(), None)) };
    let unit = usage.text("unit").filter(|unit| unit != "TOKENS");
    if let Some(unit) = unit {
        let reason = format!("usage.unit is {:?}, and not TOKENS", quoted(&unit));
        return Ok((Counts::default(), Some(reason)));
    }
    let counts = Counts {
        input: usage.first_count(&["input", "promptTokens", "prompt_tokens", "input_tokens"])?,
        output: usage.first_count(&["output", "completionTokens", "completion_tokens", "output_tokens"])?,
        cache_read: usage.first_count(&[
            "input_cached_tokens",
            "input_cache_read",
            "cache_read_input_tokens",
            "prompt_details.cache_read",
            "prompt_details.cached_tokens",
        ])?,
        cache_write_5min: usage.first_count(&[
            "input_cache_creation",
            "cache_creation_input_tokens",
            "prompt_details.cache_write",
            "input_cache_write",
        ])?,
        reasoning: usage.first_count(&[
            "output_reasoning_tokens",
            "output_reasoning",
            "completion_details.reasoning",
            "reasoning_tokens",
        ])?,
        audio_input: usage.first_count(&["input_audio_tokens", "input_audio", "prompt_details.audio"])?,
        audio_output: usage.first_count(&["output_audio_tokens", "output_audio", "completion_details.audio"])?,
        total: usage.count("total")?,
        ..Counts::default()
    };
    Ok((counts, None))
}

/// The cost that the client gave, else the one that Langfuse computed; none if it knew no price.
fn cost(fields: &Fields<'_>) -> (Option<ReportedCost>, Option<String>) {
    let details = |names: [&str; 2]| {
        let details = names.iter().find_map(|name| fields.object(name))?;
        let is_empty = details.iter().next().is_none();
        (!is_empty).then_some(details)
    };
    let given = details(["providedCostDetails", "provided_cost_details"]);
    let computed = details(["costDetails", "cost_details"]);
    let source = given.as_ref().map(|_| CostSource::Client);
    let total = fields.first(&["totalCost", "total_cost"]).filter(|_| given.is_some() || computed.is_some());
    cost_of("totalCost", total, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{calls, input_error, records, totals};
    use domain::{Meter, Name};

    fn observation(id: &str, parent: &str, kind: &str, usage: &str) -> String {
        format!(
            r#"{{"id":"{id}","traceId":"080130871f53145aecf7c29d5dfb6e4c","parentObservationId":"{parent}","type":"{kind}",
            "name":"n-{id}","model":"gpt-4o-mini","startTime":"2025-06-11T14:01:32.600Z","endTime":"2025-06-11T14:01:33.560Z",
            "usageDetails":{usage},"costDetails":{{"input":8.13e-05,"total":0.0002223}},"providedCostDetails":{{}},
            "totalCost":0.0002223,"level":"DEFAULT","metadata":{{"attributes":{{"gen_ai.system":"OpenAI"}}}}}}"#
        )
        .replace('\n', "")
    }

    fn document(observations: &[String]) -> String {
        format!(
            r#"{{"trace":{{"id":"080130871f53145aecf7c29d5dfb6e4c","name":"run","sessionId":"s","userId":"u"}},"observations":[{}]}}"#,
            observations.join(",")
        )
    }

    #[test]
    fn only_leaves_are_calls() {
        let observations = [
            observation("1cffdfa6fe3412e6", "", "AGENT", "{}"),
            observation(
                "b38a82eaa62b551e",
                "1cffdfa6fe3412e6",
                "GENERATION",
                r#"{"input":1568,"output":423,"total":1991}"#,
            ),
            observation(
                "fc7f61b57ecebbaf",
                "b38a82eaa62b551e",
                "GENERATION",
                r#"{"input":663,"output":225,"total":888}"#,
            ),
        ];
        let lines = observations.join("\n");
        for text in [document(&observations), format!("[{}]", observations.join(",")), lines] {
            let found = records(Format::Langfuse, &text);
            assert_eq!(totals(calls(&found).values()), [(Meter::Input, 663), (Meter::Output, 225)]);
            assert_eq!(found[0].agent.as_ref().map(|agent| agent.name.as_str()), Some("n-1cffdfa6fe3412e6"));
        }
        let found = records(Format::Langfuse, document(&observations));
        let facts = &found[0].facts;
        let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!([&facts.provider, &facts.conversation, &facts.user].map(text), ["openai", "s", "u"]);
        assert_eq!(facts.latency_ms, Some(960));
        let cost = facts.reported_cost.unwrap();
        assert_eq!((cost.amount.to_string().as_str(), cost.source), ("0.0002223", None));
        let span = domain::call::CallKey::of_span(CallKind::Llm, &facts.span.unwrap()).call_id();
        assert!(found[0].call_ids.iter().any(|id| id == span), "the call is that of the span");
    }

    #[test]
    fn the_total_tells_whether_cached_tokens_are_inside_the_input() {
        let usage = |usage: &str| {
            let found = records(Format::Langfuse, document(&[observation("a", "", "GENERATION", usage)]));
            let usage = found[0].facts.usage;
            [Meter::Input, Meter::CacheRead, Meter::Output, Meter::Reasoning].map(|meter| usage.get(meter).get())
        };
        let inside =
            r#"{"input":100,"prompt_details.cache_read":40,"output":10,"completion_details.reasoning":5,"total":110}"#;
        let beside = r#"{"input":60,"input_cached_tokens":40,"output":5,"output_reasoning_tokens":5,"total":110}"#;
        assert_eq!(usage(inside), [60, 40, 10, 5]);
        assert_eq!(usage(beside), [60, 40, 10, 5]);
    }

    #[test]
    fn observations_in_a_circle_and_twice_are_read() {
        let usage = r#"{"input":1,"output":1,"total":2}"#;
        let circle = [observation("a", "b", "GENERATION", usage), observation("b", "a", "GENERATION", usage)];
        assert_eq!(records(Format::Langfuse, document(&circle)), [], "no leaf");
        let twice = [observation("a", "", "GENERATION", usage), observation("a", "", "GENERATION", usage)];
        assert_eq!(calls(&records(Format::Langfuse, document(&twice))).len(), 1);
        assert!(input_error(Format::Langfuse, "{\"trace\":{}}").to_string().contains("observations is missing"));
    }
}
