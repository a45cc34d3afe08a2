//! One call as a record of an input describes it.

use crate::call_id;
use crate::error::{Refusal, RefusalReason};
use crate::format::Format;
use crate::text::clipped_name;
use domain::call::{CallFacts, CallIds, CallSpan, TraceId};
use domain::trace::{SpanReport, Trace};
use domain::{AgentId, Name, TaskId};
use std::fmt;

/// The location of a record in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// The number of a line, from 1, counting blank lines.
    Line(u64),
    /// The number of a span in a file of traces, from 1, counted over the whole file.
    Span(u64),
    /// The number of a record in an export of logs, from 1, counted over all of it.
    LogRecord(u64),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Span(number) => write!(f, "span {number}"),
            Self::LogRecord(number) => write!(f, "log record {number}"),
        }
    }
}

/// The agent that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRef {
    /// The id, derived from the format and the agent's key in the file.
    pub id: AgentId,
    /// The display name.
    pub name: Name,
}

impl AgentRef {
    /// `None` if nothing of the display name can be shown.
    pub(crate) fn new(format: Format, key: &str, name: &str) -> Option<Self> {
        Some(Self { id: call_id::agent_id(format, key), name: clipped_name(name)? })
    }
}

/// The task that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRef {
    /// The id, derived from the format and the task's key in the file.
    pub id: TaskId,
    /// The display title.
    pub title: Name,
    /// The agent that the task is assigned to. A record that names a task but no agent is imported without its task.
    pub agent_id: AgentId,
}

impl TaskRef {
    /// `None` without an agent, or if nothing of the title can be shown.
    pub(crate) fn new(format: Format, key: &[&str], title: &str, agent: Option<&AgentRef>) -> Option<Self> {
        Some(Self { id: call_id::task_id(format, key), title: clipped_name(title)?, agent_id: agent?.id })
    }
}

/// One call to report.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The location of the record in its input.
    pub location: Location,
    /// The agent that made the call; the facts hold its id.
    pub agent: Option<AgentRef>,
    /// The task that the call was made for; the facts hold its id.
    pub task: Option<TaskRef>,
    /// The ids of the call, derived from the keys of the record: the same key always gives the same id. All of them name one
    /// call.
    pub call_ids: CallIds,
    /// What the record states about the call.
    pub facts: CallFacts,
}

impl Record {
    pub(crate) fn new(
        location: Location,
        call_ids: CallIds,
        agent: Option<AgentRef>,
        task: Option<TaskRef>,
        facts: CallFacts,
    ) -> Self {
        let facts = CallFacts {
            agent_id: agent.as_ref().map(|agent| agent.id),
            task_id: task.as_ref().map(|task| task.id),
            ..facts
        };
        Self { location, agent, task, call_ids, facts }
    }
}

/// Numbers of items of an input that are neither records nor refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkippedCounts {
    /// Items of the format that are not calls, such as a user's message, or a span that called no model.
    pub not_calls: u64,
    /// Items that are not of the format.
    pub other_format: u64,
}

/// A span of a trace that states usage, or leads from one that does to another one.
#[derive(Debug)]
pub struct TracedSpan {
    /// The location of the span in its input.
    pub location: Location,
    /// What is reported to the trace.
    pub report: SpanReport,
    /// The agent of the call that the span may be; the facts hold its id.
    pub agent: Option<AgentRef>,
    /// The task of the call that the span may be; the facts hold its id.
    pub task: Option<TaskRef>,
    /// Why the span cannot be charged, if it turns out to be a call.
    pub missing: Option<RefusalReason>,
}

impl TracedSpan {
    /// A span that states no usage.
    pub(crate) fn link(location: Location, ids: &CallSpan) -> Self {
        let report = SpanReport { span_id: ids.span_id, parent_span_id: ids.parent_span_id, usage: None };
        Self { location, report, agent: None, task: None, missing: None }
    }

    /// Sets the agent and the task in the facts.
    pub(crate) fn with_owners(mut self) -> Self {
        let (agent_id, task_id) = (self.agent.as_ref().map(|agent| agent.id), self.task.as_ref().map(|task| task.id));
        if let Some(facts) = self.facts_mut() {
            (facts.agent_id, facts.task_id) = (agent_id, task_id);
        }
        self
    }

    /// The facts of the call that the span may be.
    #[must_use]
    pub fn facts(&self) -> Option<&CallFacts> {
        self.report.usage.as_ref()?.facts.as_ref()
    }

    pub(crate) fn facts_mut(&mut self) -> Option<&mut CallFacts> {
        self.report.usage.as_mut()?.facts.as_mut()
    }
}

/// The spans of one trace that an input has.
#[derive(Debug)]
pub struct TraceSpans {
    /// The trace.
    pub trace_id: TraceId,
    /// The spans.
    pub spans: Vec<TracedSpan>,
}

impl TraceSpans {
    /// The records of the spans that are calls, as far as these spans alone tell, and the refusals of those that would be.
    #[must_use]
    pub fn into_records(self) -> Vec<Result<Record, Refusal>> {
        let reports: Vec<_> = self.spans.iter().map(|span| span.report.clone()).collect();
        let trace = match Trace::default().merged(&reports) {
            Ok(trace) => trace,
            Err(error) => {
                let location = self.spans.first().map_or(Location::Span(0), |span| span.location);
                return vec![Err(Refusal { location, reason: RefusalReason::Trace(error) })];
            }
        };
        let calls = self.spans.into_iter().filter(|span| !trace.is_repeat(span.report.span_id));
        calls.filter_map(TracedSpan::into_record).collect()
    }
}

impl TracedSpan {
    fn into_record(self) -> Option<Result<Record, Refusal>> {
        let Self { location, report, agent, task, missing } = self;
        let usage = report.usage?;
        Some(match (usage.facts, missing) {
            (Some(facts), _) => Ok(Record { location, agent, task, call_ids: usage.call_ids, facts }),
            (None, Some(reason)) => Err(Refusal { location, reason }),
            (None, None) => return None,
        })
    }
}

/// What an input is made of.
#[derive(Debug)]
pub enum Item {
    /// One record of a call.
    Call(Box<Record>),
    /// Spans of a trace, of which only the trace knows which are calls.
    Trace(TraceSpans),
}

impl Item {
    /// The number of records of the input that it was made of.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Call(_) => 1,
            Self::Trace(trace) => trace.spans.iter().filter(|span| span.report.usage.is_some()).count() as u64,
        }
    }

    /// Makes all of it that of an agent, whatever agent it names.
    pub(crate) fn bind(&mut self, agent: AgentId) {
        let bind_task = |task: &mut Option<TaskRef>| task.iter_mut().for_each(|task| task.agent_id = agent);
        match self {
            Self::Call(record) => {
                (record.agent, record.facts.agent_id) = (None, Some(agent));
                bind_task(&mut record.task);
            }
            Self::Trace(trace) => {
                for span in &mut trace.spans {
                    span.agent = None;
                    bind_task(&mut span.task);
                    if let Some(facts) = span.facts_mut() {
                        facts.agent_id = Some(agent);
                    }
                }
            }
        }
    }

    /// Whether it has no records of calls.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records of calls, and the refusals of spans that would be calls, as far as the item alone tells.
    #[must_use]
    pub fn into_records(self) -> Vec<Result<Record, Refusal>> {
        match self {
            Self::Call(record) => vec![Ok(*record)],
            Self::Trace(trace) => trace.into_records(),
        }
    }
}

impl From<Record> for Item {
    fn from(record: Record) -> Self {
        Self::Call(Box::new(record))
    }
}
