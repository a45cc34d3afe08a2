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
use super::{AgentRef, Format, ImportError, Options, Place, Problem, Record, Records, Refusal, RefusalReason, TaskRef};
use chrono::{DateTime, Utc};
use collect::{Collector, Forest, Known, MAX_HELD_BYTES, Span, Stop};
use domain::call::{CallFacts, CallKind};
use domain::{Name, Usage};
use json::{Guard, Level, ends_inside_string};
use semconv::{EXECUTE_TOOL, Scalar, Slot};
use serde::de::{DeserializeSeed, IgnoredAny};
use std::collections::VecDeque;
use std::io::{self, BufReader, Cursor, Read};

pub(super) fn open(lines: Lines, options: Options) -> Result<Records, ImportError> {
    Ok(Box::new(Spans { stage: Stage::Start(lines), options, ready: VecDeque::new() }))
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
    ready: VecDeque<Result<Record, Problem>>,
}

impl Iterator for Spans {
    type Item = Result<Record, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
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
            self.ready.push_back(Err(Refusal { place, reason }.into()));
        }
        self.tell_refusals(&mut collector);
        Ok(Stage::Lines(lines, collector))
    }

    fn finish(&mut self, mut collector: Collector) -> Stage {
        self.tell_refusals(&mut collector);
        Stage::Emit(collector.forest(), 0)
    }

    fn tell_refusals(&mut self, collector: &mut Collector) {
        self.ready.extend(collector.take_refusals().map(|refusal| Err(refusal.into())));
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
        let key = match attributes.text(Slot::ResponseId) {
            Some(id) => vec![provider.as_ref().map_or("", Name::as_str), id],
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
