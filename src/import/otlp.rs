//! OpenTelemetry traces in JSON, with the GenAI semantic conventions.
//!
//! Read are an `ExportTraceServiceRequest` (`resourceSpans`) and Grafana Tempo's form of it (`batches`), as one
//! object or as many, one a line as the OpenTelemetry Collector's file exporter writes them.
//!
//! Frameworks wrap spans around spans, and each repeats the tokens of the call inside. Only leaves are charged: a
//! span with tokens that has no span with tokens below it. Who called and for what task is often said further up,
//! so it is looked for there. Spans that run a tool become tool calls. Nothing is reported before the end of the
//! file, because a trace may go on until there; a file that breaks off is not reported at all.

mod collect;
mod json;
mod semconv;

use super::input::{Filled, Lines};
use super::values::{bare_facts, clipped_error, name, named_agent};
use super::{
    AgentRef, Format, ImportError, Options, PassedOver, Place, Problem, Reading, Record, Records, Refusal,
    RefusalReason, TaskRef,
};
use chrono::{DateTime, Utc};
use collect::{Collector, Forest, Known, MAX_HELD_BYTES, Span, Stop};
use domain::Usage;
use domain::call::{CallFacts, CallKind};
use json::{Guard, Level, ends_inside_string};
use semconv::{EXECUTE_TOOL, Scalar, Slot};
use serde::de::{DeserializeSeed, IgnoredAny};
use std::collections::VecDeque;
use std::io::{self, BufReader, Cursor, Read};

pub(super) fn open(lines: Lines, options: Options) -> Result<Records, ImportError> {
    let (refused, ready) = (VecDeque::new(), VecDeque::new());
    Ok(Box::new(Spans { stage: Stage::Start(lines), options, refused, ready, spans: 0, records: 0 }))
}

/// How far the import of a file is.
enum Stage {
    /// Its form is not known yet.
    Start(Lines),
    /// One object a line.
    Lines(Lines, Box<Collector>),
    /// All is read; the next span to look at.
    Emit(Forest, usize),
    End,
}

struct Spans {
    stage: Stage,
    options: Options,
    /// Told before what is ready.
    refused: VecDeque<Refusal>,
    ready: VecDeque<Result<Record, Problem>>,
    /// Spans read, once all are, and those of them that were told.
    spans: u64,
    records: u64,
}

impl Reading for Spans {
    fn passed_over(&self) -> PassedOver {
        PassedOver { no_calls: self.spans.saturating_sub(self.records), foreign: 0 }
    }
}

impl Iterator for Spans {
    type Item = Result<Record, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(refusal) = self.refused.pop_front() {
                return Some(Err(refusal.into()));
            }
            if let Some(item) = self.ready.pop_front() {
                self.records += 1;
                return Some(item);
            }
            let next_stage = match std::mem::replace(&mut self.stage, Stage::End) {
                Stage::Start(lines) => self.start(lines),
                Stage::Lines(lines, collector) => self.line(lines, collector),
                Stage::Emit(forest, at) => Ok(self.emit(forest, at)),
                Stage::End => return None,
            };
            match next_stage {
                Ok(stage) => self.stage = stage,
                Err(error) => self.ready.push_back(Err(error.into())),
            }
        }
    }
}

impl Spans {
    /// Tells by the first line whether there is an object on every line. If the line is an object cut off, but not
    /// within a string, or longer than a line may be, the file is read as a stream of objects.
    fn start(&mut self, mut lines: Lines) -> Result<Stage, ImportError> {
        loop {
            match lines.fill()? {
                Filled::End => return Ok(Stage::End),
                Filled::Part => return self.document(lines, false),
                Filled::Line if lines.buffer.trim_ascii().is_empty() => {}
                Filled::Line => break,
            }
        }
        match serde_json::from_slice::<IgnoredAny>(&lines.buffer) {
            Err(error) if error.is_eof() && !ends_inside_string(&lines.buffer) => self.document(lines, true),
            Err(error) if !error.is_eof() => Err(ImportError::Json(error)),
            _ => {
                lines.unread();
                Ok(Stage::Lines(lines, Box::new(Collector::new(MAX_HELD_BYTES))))
            }
        }
    }

    /// Reads the objects of a file that has line breaks inside of them.
    fn document(&mut self, lines: Lines, ends_line: bool) -> Result<Stage, ImportError> {
        let line_break: &[u8] = if ends_line { b"\n" } else { b"" };
        let whole = Cursor::new(lines.buffer).chain(line_break).chain(lines.reader);
        let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(Guard::new(whole)));
        let mut collector = Collector::new(MAX_HELD_BYTES);
        loop {
            let read = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer);
            read.map_err(|error| whole_file(error, &mut collector))?;
            match deserializer.end() {
                Ok(()) => return Ok(self.finish(collector)),
                Err(error) if error.is_io() => return Err(whole_file(error, &mut collector)),
                Err(_) => {}
            }
        }
    }

    fn line(&mut self, mut lines: Lines, mut collector: Box<Collector>) -> Result<Stage, ImportError> {
        let (place, line) = match lines.next() {
            None => return Ok(self.finish(*collector)),
            Some(Ok(line)) => line,
            Some(Err(Problem::Broken(error))) => return Err(error),
            Some(Err(refused)) => {
                self.ready.push_back(Err(refused));
                return Ok(Stage::Lines(lines, collector));
            }
        };
        let mark = collector.mark();
        let mut deserializer = serde_json::Deserializer::from_str(line);
        let read = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer);
        if let Err(error) = read.and_then(|()| deserializer.end()) {
            collector.go_back(mark);
            let reason = match collector.stop.take() {
                None => RefusalReason::Json(error),
                Some(Stop::NotTraces(found)) if place > Place::Line(1) => RefusalReason::NotTraces { found },
                Some(stop) => return Err(stop.into()),
            };
            self.refused.push_back(Refusal { place, reason });
        }
        self.tell_refusals(&mut collector);
        Ok(Stage::Lines(lines, collector))
    }

    fn finish(&mut self, mut collector: Collector) -> Stage {
        self.tell_refusals(&mut collector);
        self.spans = collector.seen();
        Stage::Emit(collector.forest(), 0)
    }

    fn tell_refusals(&mut self, collector: &mut Collector) {
        let mut refusals = collector.take_refusals();
        self.records += refusals.len() as u64;
        if self.refused.is_empty() {
            self.refused = refusals;
        } else {
            self.refused.append(&mut refusals);
        }
    }

    fn emit(&mut self, forest: Forest, at: usize) -> Stage {
        let Some(span) = forest.get(at) else { return Stage::End };
        if let Some(known) = &span.known {
            let call = Call { forest: &forest, at, span, known, options: &self.options };
            let is_tool = known.attributes.text(Slot::Operation) == Some(EXECUTE_TOOL);
            let llm = forest.usage(at).map(|usage| call.llm(usage));
            let tool = is_tool.then(|| call.tool());
            let refused = |reason| Refusal { place: span.place, reason }.into();
            self.ready.extend(llm.into_iter().chain(tool).map(|record| record.map_err(refused)));
        }
        Stage::Emit(forest, at + 1)
    }
}

fn whole_file(error: serde_json::Error, collector: &mut Collector) -> ImportError {
    match collector.stop.take() {
        Some(stop) => stop.into(),
        None if error.is_io() => ImportError::from(io::Error::from(error)),
        None => ImportError::Json(error),
    }
}

impl From<Stop> for ImportError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TooManySpans { span, limit_bytes } => Self::TooManySpans { span, limit_bytes },
            Stop::NotTraces(found) => Self::NotTraces { found },
        }
    }
}

/// A span that is to become a record.
struct Call<'a> {
    forest: &'a Forest,
    at: usize,
    span: &'a Span,
    known: &'a Known,
    options: &'a Options,
}

impl Call<'_> {
    fn llm(&self, usage: Usage) -> Result<Record, RefusalReason> {
        let attributes = &self.known.attributes;
        let model = match (attributes.model(), &self.options.model) {
            (Some(model), _) => name("gen_ai.response.model", model)?,
            (None, Some(model)) => model.clone(),
            (None, None) => return Err(RefusalReason::Missing("gen_ai.response.model")),
        };
        let provider = match attributes.provider() {
            Some(provider) => Some(name("gen_ai.provider.name", &provider)?),
            None => self.options.provider.clone(),
        };
        let (trace, span) = self.ids();
        let named = attributes.provider();
        let key = match attributes.text(Slot::ResponseId) {
            // As the span names the provider: what an option says may be another thing the next time.
            Some(id) => vec![named.as_deref().unwrap_or_default(), id],
            None => vec!["span", &trace, &span],
        };
        let facts = CallFacts { provider: provider.clone(), model: Some(model), usage, ..self.facts(CallKind::Llm)? };
        Ok(self.record(&key, facts))
    }

    fn tool(&self) -> Result<Record, RefusalReason> {
        let span_name = self.known.name.as_ref().and_then(Scalar::text);
        let named = self.known.attributes.text(Slot::Tool);
        let tool = named.or_else(|| span_name?.strip_prefix(EXECUTE_TOOL).map(str::trim));
        let tool = tool.ok_or(RefusalReason::Missing("gen_ai.tool.name"))?;
        let (trace, span) = self.ids();
        let facts = CallFacts { tool: Some(name("gen_ai.tool.name", tool)?), ..self.facts(CallKind::Tool)? };
        Ok(self.record(&["tool", &trace, &span], facts))
    }

    fn facts(&self, kind: CallKind) -> Result<CallFacts, RefusalReason> {
        let start = self.known.start.as_ref().ok_or(RefusalReason::Missing("startTimeUnixNano"))?;
        let start_ns = start
            .whole()
            .filter(|ns| *ns > 0)
            .ok_or_else(|| RefusalReason::Time { field: "startTimeUnixNano", found: start.shown() })?;
        let latency_ns = self.known.end.as_ref().and_then(Scalar::whole).and_then(|end| end.checked_sub(start_ns));
        Ok(CallFacts {
            latency_ms: latency_ns.and_then(|ns| u64::try_from(ns / 1_000_000).ok()),
            error: self.known.error.as_deref().and_then(clipped_error),
            ..bare_facts(kind, DateTime::<Utc>::from_timestamp_nanos(start_ns), Format::Otlp)?
        })
    }

    fn record(&self, key: &[&str], facts: CallFacts) -> Record {
        let agent = self.agent();
        let task = self.task(agent.as_ref());
        Record::new(self.span.place, key, agent, task, facts)
    }

    /// The nearest agent named on the way up, else the one of the options, else the service.
    fn agent(&self) -> Option<AgentRef> {
        let named = self.forest.nearest(self.at, |attributes| {
            let (id, name) = (attributes.text(Slot::AgentId), attributes.text(Slot::AgentName));
            AgentRef::new(Format::Otlp, id.or(name)?, name.or(id)?)
        });
        named
            .or_else(|| named_agent(Format::Otlp, self.options))
            .or_else(|| self.forest.service(self.span).and_then(|name| AgentRef::new(Format::Otlp, name, name)))
    }

    /// The nearest task named on the way up, else the nearest conversation.
    fn task(&self, agent: Option<&AgentRef>) -> Option<TaskRef> {
        [(Slot::Task, "task"), (Slot::Conversation, "conversation")].into_iter().find_map(|(slot, kind)| {
            self.forest.nearest(self.at, |attributes| {
                let id = attributes.text(slot)?;
                TaskRef::new(Format::Otlp, &[kind, id], &format!("{kind} {id}"), agent)
            })
        })
    }

    fn ids(&self) -> (String, String) {
        (format!("{:032x}", self.span.key.trace), format!("{:016x}", self.span.key.span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Format::Otlp;
    use crate::import::testing::{broken, read, records, refusals, totals};
    use domain::Name;
    use serde_json::{Value, json};

    const TRACE: &str = "5b8efff798038103d269b633813fc60c";

    /// A span of eight equal digits as its id; attributes are integers or text.
    fn span(id: char, parent: &str, attributes: Value) -> Value {
        let attribute = |(key, value): (&String, &Value)| {
            let value =
                if value.is_i64() { json!({"intValue": value.to_string()}) } else { json!({"stringValue": value}) };
            json!({"key": key, "value": value})
        };
        let attributes: Vec<Value> = attributes.as_object().unwrap().iter().map(attribute).collect();
        json!({
            "traceId": TRACE, "spanId": id.to_string().repeat(16), "parentSpanId": parent.repeat(16), "name": "chat m",
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000002500999999",
            "attributes": attributes,
        })
    }

    fn usage(input: i64, output: i64) -> Value {
        json!({
            "gen_ai.provider.name": "openai", "gen_ai.response.model": "m",
            "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
        })
    }

    fn with(mut attributes: Value, more: Value) -> Value {
        attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        attributes
    }

    fn export(spans: &[Value]) -> String {
        let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
        json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string()
    }

    /// Input, output, cache read, cache write and reasoning of one span with these attributes.
    #[track_caller]
    fn counted(attributes: Value) -> [u64; 5] {
        totals([&records(Otlp, export(&[span('a', "", attributes)]))[0].facts.usage])
    }

    #[test]
    fn only_the_innermost_span_with_tokens_is_charged() {
        let spans = [
            span('d', "c", usage(7, 1)),
            span('a', "", usage(10, 2)),
            span('b', "a", usage(10, 2)),
            span('c', "b", json!({})),
            span('e', "a", usage(3, 1)),
            span('f', "e", usage(0, 0)),
        ];
        let found = records(Otlp, export(&spans));
        assert_eq!(found.iter().map(|record| record.place).collect::<Vec<_>>(), [Place::Span(1), Place::Span(5)]);
        assert_eq!(totals(found.iter().map(|record| &record.facts.usage)), [10, 2, 0, 0, 0]);
    }

    #[test]
    fn times_in_another_unit_are_refused_rather_than_read_as_1970() {
        for (unit, time) in
            [("milliseconds", "1700000000000"), ("microseconds", "1700000000000000"), ("seconds", "1700000000")]
        {
            let mut late = span('a', "", usage(1, 1));
            late["startTimeUnixNano"] = json!(time);
            let refused = refusals(Otlp, export(&[late]));
            assert_eq!(refused.len(), 1, "{unit}");
            assert!(refused[0].contains("1970") && refused[0].contains("another unit"), "{unit}: {refused:?}");
        }
    }

    #[test]
    fn names_that_cannot_be_seen_are_refused_and_equal_ones_are_one() {
        let model = |text: &str| export(&[span('a', "", with(usage(1, 1), json!({"gen_ai.response.model": text})))]);
        for bad in ["\u{200b}", "\u{feff}m", "m\u{202e}4"] {
            let refused = refusals(Otlp, model(bad));
            assert!(refused.len() == 1 && refused[0].contains("gen_ai.response.model"), "{bad:?}: {refused:?}");
        }
        assert_eq!(
            records(Otlp, model("mode\u{301}le"))[0].facts.model,
            records(Otlp, model("mod\u{e9}le"))[0].facts.model
        );
    }

    #[test]
    fn a_trace_may_be_spread_over_lines_and_said_twice() {
        let lines = [
            export(&[span('a', "", usage(10, 2))]),
            String::new(),
            export(&[span('b', "a", usage(10, 2))]),
            export(&[span('a', "", usage(10, 2))]),
        ];
        assert_eq!(records(Otlp, lines.join("\n")).len(), 1);
    }

    #[test]
    fn all_forms_of_a_file_say_the_same() {
        let spans = [span('a', "", usage(10, 2)), span('b', "a", usage(10, 2))];
        let lists = |outer: &str, inner: &str| json!({outer: [{inner: [{"scope": {"name": "s"}, "spans": spans}], "resource": null}]});
        let plain = lists("resourceSpans", "scopeSpans");
        let forms = [
            plain.to_string(),
            serde_json::to_string_pretty(&plain).unwrap(),
            format!("\n\n{}\n{}\n", plain, lists("batches", "scopeSpans")),
            serde_json::to_string_pretty(&lists("batches", "instrumentationLibrarySpans")).unwrap(),
            json!({"trace": plain}).to_string(),
            json!([plain, {}]).to_string(),
            format!("{:#}\n{:#}", plain, json!({})),
            format!("\u{feff}{plain}\r\n"),
        ];
        let ids = |form: &String| records(Otlp, form).iter().map(|record| record.call_id).collect::<Vec<_>>();
        assert_eq!(ids(&forms[0]).len(), 1);
        for form in &forms {
            assert_eq!(ids(form), ids(&forms[0]), "{form}");
        }
    }

    #[test]
    fn ids_are_hex_or_base64_and_numbers_may_be_numbers() {
        let hex = span('a', "", usage(10, 2));
        let mut base64 = hex.clone();
        base64["traceId"] = json!("W47/95gDgQPSabYzgT/GDA==");
        base64["spanId"] = json!("qqqqqqqqqqo=");
        base64["startTimeUnixNano"] = json!(1_700_000_000_000_000_000_i64);
        base64["attributes"][0] = json!({"key": "gen_ai.usage.input_tokens", "value": {"doubleValue": 10.0}});
        let mut upper = hex.clone();
        upper["traceId"] = json!(TRACE.to_uppercase());
        let [first, second, third] = [hex, base64, upper].map(|span| records(Otlp, export(&[span])).remove(0).call_id);
        assert_eq!((first, first), (second, third));
    }

    #[test]
    fn facts_come_from_the_span() {
        let attributes = with(usage(10, 2), json!({"gen_ai.request.model": "alias", "error.type": "timeout"}));
        let facts = records(Otlp, export(&[span('a', "", attributes)])).remove(0).facts;
        assert_eq!(facts.started_at.to_rfc3339(), "2023-11-14T22:13:20+00:00");
        assert_eq!(facts.latency_ms, Some(2500));
        assert_eq!(facts.model.as_ref().map(Name::as_str), Some("m"));
        assert_eq!(facts.error.map(String::from), Some("timeout".to_owned()));
        for (status, error) in [
            (json!({"code": 2, "message": "no"}), Some("no")),
            (json!({"code": "STATUS_CODE_ERROR"}), Some("error")),
            (json!({"code": 1}), None),
            (json!({}), None),
        ] {
            let mut span = span('a', "", usage(10, 2));
            span["status"] = status;
            let facts = records(Otlp, export(&[span])).remove(0).facts;
            assert_eq!(facts.error.map(String::from).as_deref(), error);
        }
    }

    #[test]
    fn a_response_id_names_the_call_in_every_layer_and_file() {
        let answered = |id: char| span(id, "", with(usage(10, 2), json!({"gen_ai.response.id": "chatcmpl-1"})));
        let found = records(Otlp, export(&[answered('a'), answered('b'), span('c', "", usage(1, 1))]));
        assert_eq!(found[0].call_id, found[1].call_id);
        assert_ne!(found[0].call_id, found[2].call_id);
        let line = r#"{"id":"chatcmpl-1","created":1700000000,"model":"m","usage":{}}"#;
        assert_eq!(records(Format::Autogpt, line)[0].call_id, found[0].call_id);
    }

    #[test]
    fn older_names_are_understood_and_newer_ones_win() {
        for (input, output) in [
            ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
            ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
        ] {
            assert_eq!(counted(json!({"gen_ai.request.model": "m", input: 10, output: 2})), [10, 2, 0, 0, 0]);
            assert_eq!(counted(with(usage(5, 1), json!({input: 10, output: 2}))), [5, 1, 0, 0, 0]);
        }
    }

    #[test]
    fn cached_tokens_are_taken_out_of_the_input_they_are_counted_in() {
        let cached = |provider: &str, input: i64| {
            let more = json!({
                "gen_ai.provider.name": provider,
                "gen_ai.usage.cache_read_input_tokens": 60, "gen_ai.usage.cache_creation.input_tokens": 30,
            });
            counted(with(usage(input, 2), more))
        };
        assert_eq!(cached("openai", 100), [10, 2, 60, 30, 0]);
        assert_eq!(cached("openai", 50), [0, 2, 60, 30, 0]);
        assert_eq!(cached("anthropic", 100), [10, 2, 60, 30, 0]);
        assert_eq!(cached("anthropic", 50), [50, 2, 60, 30, 0]);
        assert_eq!(cached("aws.bedrock", 50), [50, 2, 60, 30, 0]);
    }

    #[test]
    fn reasoning_is_a_part_of_the_output() {
        let reasoning = |count| counted(with(usage(5, 20), json!({"gen_ai.usage.reasoning_tokens": count})));
        assert_eq!(reasoning(15), [5, 20, 0, 0, 15]);
        assert_eq!(reasoning(50), [5, 70, 0, 0, 50]);
    }

    #[test]
    fn providers_have_the_names_of_price_tables() {
        for (named, provider) in [("OpenAI", "openai"), ("aws.bedrock", "bedrock"), ("gcp.gemini", "gemini")] {
            let attributes = with(usage(1, 1), json!({"gen_ai.provider.name": named}));
            let found = records(Otlp, export(&[span('a', "", attributes)])).remove(0).facts.provider;
            assert_eq!(found.as_ref().map(Name::as_str), Some(provider));
        }
    }

    #[test]
    fn who_called_and_for_what_is_looked_for_on_the_way_up() {
        let agent = json!({"gen_ai.agent.name": "planner", "gen_ai.agent.id": "agent-7", "gen_ai.task.id": "t1"});
        let spans = [
            span('a', "", json!({"gen_ai.agent.name": "outer", "gen_ai.conversation.id": "c1"})),
            span('b', "a", agent),
            span('c', "b", usage(1, 1)),
            span('d', "a", usage(2, 1)),
        ];
        let found = records(Otlp, export(&spans));
        let names = |record: &Record| {
            let (agent, task) = (record.agent.as_ref().unwrap(), record.task.as_ref().unwrap());
            (agent.name.to_string(), task.title.to_string())
        };
        assert_eq!(names(&found[0]), ("planner".to_owned(), "task t1".to_owned()));
        assert_eq!(names(&found[1]), ("outer".to_owned(), "conversation c1".to_owned()));
        let alone = records(Otlp, export(&[span('a', "", usage(1, 1))])).remove(0);
        assert_eq!(alone.agent.map(|agent| agent.name.to_string()), Some("shop".to_owned()));
    }

    #[test]
    fn spans_that_run_tools_are_tool_calls() {
        let named = json!({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"});
        let mut by_span = span('b', "a", json!({"gen_ai.operation.name": "execute_tool"}));
        by_span["name"] = json!("execute_tool fetch");
        let found = records(Otlp, export(&[span('a', "", usage(1, 1)), span('c', "a", named), by_span]));
        let tools: Vec<_> = found.iter().filter_map(|record| record.facts.tool.as_ref()).map(Name::as_str).collect();
        assert_eq!((found.len(), tools), (3, vec!["search", "fetch"]));
        assert!(found[1].facts.kind == CallKind::Tool && found[1].facts.usage == Usage::default());
    }

    #[test]
    fn traces_without_genai_are_no_records() {
        assert_eq!(records(Otlp, export(&[span('a', "", json!({"http.method": "GET"}))])), []);
        for nothing in ["", "\n", "{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#] {
            assert_eq!(records(Otlp, nothing), [], "{nothing}");
        }
    }

    #[test]
    fn each_bad_span_is_refused_with_its_reason() {
        let change = |field: &str, value: Value| {
            let mut span = span('a', "", usage(1, 1));
            span[field] = value;
            span
        };
        for (span, message) in [
            (change("traceId", json!("xyz")), "traceId is \"xyz\", which is not an id"),
            (change("traceId", Value::Null), "traceId is missing"),
            (change("spanId", json!("0000000000000000")), "spanId is missing"),
            (change("spanId", json!(17)), "spanId is \"17\", which is not an id"),
            (change("parentSpanId", json!("+aaaaaaaaaaaaaaa")), "parentSpanId is \"+aaaaaaaaaaaaaaa\", which is not"),
            (change("startTimeUnixNano", json!("soon")), "startTimeUnixNano is \"soon\", which is not a time"),
            (change("startTimeUnixNano", json!("0")), "startTimeUnixNano is \"0\", which is not a time"),
            (span('a', "", usage(-1, 1)), "gen_ai.usage.input_tokens: -1 is negative"),
            (
                span('a', "", with(usage(1, 1), json!({"gen_ai.usage.output_tokens": "many"}))),
                "gen_ai.usage.output_tokens is \"many\", which is not a whole number",
            ),
            (
                span('a', "", with(usage(1, 1), json!({"gen_ai.response.model": "x".repeat(300)}))),
                "gen_ai.response.model: the text has 300 bytes",
            ),
            (span('a', "", json!({"gen_ai.operation.name": "execute_tool"})), "gen_ai.tool.name is missing"),
        ] {
            let found = refusals(Otlp, export(&[span]));
            let expected = format!("span 1: {message}");
            assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?} instead of {expected}");
        }
    }

    #[test]
    fn the_model_of_the_options_stands_in_and_is_missed_otherwise() {
        let spans = export(&[span('a', "", json!({"gen_ai.usage.input_tokens": 1}))]);
        assert_eq!(records(Otlp, &spans)[0].facts.model.as_ref().map(Name::as_str), Some("gpt-4o"));
        let input = Box::new(Cursor::new(spans));
        let mut found = super::super::open(Otlp, Options::default(), input).unwrap();
        assert_eq!(found.next().unwrap().unwrap_err().to_string(), "span 1: gen_ai.response.model is missing");
    }

    /// Otherwise the same tokens would be charged by way of the span around.
    #[test]
    fn a_refused_span_still_covers_those_around_it() {
        let items = read(Otlp, export(&[span('a', "", usage(10, 2)), span('b', "a", usage(10, -2))]));
        assert_eq!(items.len(), 1);
        assert!(matches!(&items[0], Err(Problem::Refused(refusal)) if refusal.place == Place::Span(2)));
    }

    #[test]
    fn of_a_broken_line_nothing_is_taken_and_the_rest_goes_on() {
        let good = |id| export(&[span(id, "", usage(10, 2))]);
        let cut = &good('b')[..good('b').len() - 4];
        let items = read(Otlp, [&good('a'), cut, "nonsense", r#"{"resourceLogs":[]}"#, &good('c')].join("\n"));
        let shown: Vec<String> =
            items.iter().map(|item| item.as_ref().map_or_else(ToString::to_string, |r| r.place.to_string())).collect();
        assert_eq!(shown.len(), 5);
        assert!(shown[0].starts_with("line 2: not the JSON of this format: EOF"), "{shown:?}");
        assert!(shown[1].starts_with("line 3: not the JSON of this format: expected"), "{shown:?}");
        assert_eq!(shown[2], "line 4: the object holds \"resourceLogs\" instead of resourceSpans or batches");
        assert_eq!(shown[3..], ["span 1", "span 3"]);
        let first = format!("{}\n{}", &good('a')[..50], good('c'));
        assert_eq!(read(Otlp, first).len(), 2, "the first line is cut off within a string");
    }

    #[test]
    fn what_is_no_export_of_traces_is_broken() {
        for (file, key) in [(r#"{"data":[{"spans":[]}]}"#, "data"), ("{\n\"resourceLogs\": []}", "resourceLogs")] {
            let ImportError::NotTraces { found } = broken(Otlp, file) else { panic!("{file}") };
            assert_eq!(found, key);
        }
        for file in ["TIMESTAMP,a\n", "{\n", "{\"resourceSpans\": [\n", "{\n}\n}", "[[\n[", "<html>"] {
            assert!(matches!(broken(Otlp, file), ImportError::Json(_)), "{file}");
        }
    }

    /// Links in a circle are nonsense, but the tokens were used.
    #[test]
    fn spans_in_a_circle_are_read_to_an_end() {
        let spans = [span('a', "b", usage(10, 2)), span('b', "a", usage(10, 2)), span('c', "c", usage(1, 1))];
        assert_eq!(totals(records(Otlp, export(&spans)).iter().map(|r| &r.facts.usage)), [11, 3, 0, 0, 0]);
    }

    #[test]
    fn what_a_document_makes_us_hold_is_bounded() {
        let long = || io::repeat(b'x').take(super::super::MAX_LINE_BYTES as u64 + 1);
        let read = |input: Box<dyn Read + Send>| super::super::open(Otlp, Options::default(), input).unwrap().next();
        let found = read(Box::new(Cursor::new("{\n\"x\": \"").chain(long())));
        assert!(matches!(found, Some(Err(Problem::Broken(ImportError::StringTooLong { .. })))), "{found:?}");
        let found = read(Box::new(Cursor::new("{\n\"x\": ").chain(io::repeat(b'[').take(10_000_000))));
        assert!(matches!(found, Some(Err(Problem::Broken(ImportError::TooDeep { .. })))), "{found:?}");
    }

    #[test]
    fn a_first_line_beyond_the_limit_is_read_as_a_stream() {
        let spans = export(&[span('a', "", usage(10, 2))]);
        let blanks = io::repeat(b' ').take(super::super::MAX_LINE_BYTES as u64);
        let input = blanks.chain(Cursor::new(format!("{spans}\n{spans}")));
        let found: Vec<_> = super::super::open(Otlp, Options::default(), Box::new(input)).unwrap().collect();
        assert!(matches!(&found[..], [Ok(_)]), "{found:?}");
    }

    /// Whatever is held of a span counts: its name, its times and its error may be as long as an attribute.
    #[test]
    fn all_that_is_held_of_a_span_counts() {
        let long = "x".repeat(1024);
        let mut named = span('a', "", usage(1, 1));
        named["name"] = json!(long);
        named["endTimeUnixNano"] = json!(long);
        named["status"] = json!({"code": 2, "message": long});
        let held = |span: &Value| {
            let mut collector = Collector::new(1_000_000);
            let json = export(std::slice::from_ref(span));
            let mut deserializer = serde_json::Deserializer::from_str(&json);
            Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap();
            collector.held_bytes()
        };
        assert!(held(&named) > held(&span('a', "", usage(1, 1))) + 3 * 1000);
    }

    /// Each of them is three bytes of text, and a megabyte of it packs to a kilobyte.
    #[test]
    fn objects_with_nothing_in_them_are_not_held() {
        for (start, end) in [
            (r#"{"resourceSpans":["#, "{}]}"),
            (r#"{"resourceSpans":[{"scopeSpans":["#, "{}]}]}"),
            (r#"{"resourceSpans":[{"resource":{"attributes":["#, "{}]}}]}"),
            ("[", "{}]"),
        ] {
            let json = format!("{start}{}{end}", "{},".repeat(10_000));
            let mut collector = Collector::new(1_000);
            let mut deserializer = serde_json::Deserializer::from_str(&json);
            Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap();
            assert_eq!(collector.held_bytes(), 0, "{start}");
        }
        let resources = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]}},"#;
        let json = format!(r#"{{"resourceSpans":[{}{{}}]}}"#, resources.repeat(1_000));
        let mut collector = Collector::new(1_000);
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        let error = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap_err();
        assert!(matches!(whole_file(error, &mut collector), ImportError::TooManySpans { .. }));
    }

    #[test]
    fn spans_beyond_what_may_be_held_break_the_file() {
        let mut collector = Collector::new(2_000);
        let spans: Vec<Value> = ('a'..='f').map(|id| span(id, "", json!({}))).collect();
        let json =
            export(&[&spans[..], &spans[..], &[span('1', "", usage(1, 1)), span('2', "", usage(1, 1))]].concat());
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        let error = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap_err();
        let error = whole_file(error, &mut collector);
        assert!(matches!(error, ImportError::TooManySpans { span: 13.., limit_bytes: 2_000 }), "{error:?}");
    }
}
