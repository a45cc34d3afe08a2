//! What an input is made of: records of calls, and the spans of traces, of which only the trace knows which are calls.

use crate::error::{Refusal, RefusalReason};
use crate::record::{AgentRef, Location, Record, TaskRef};
use chrono::{DateTime, Utc};
use domain::AgentId;
use domain::call::{CallFacts, CallNames, CallSpan, TraceId};
use domain::trace::{SpanReport, Trace};

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
    /// When the span started, if that is known.
    pub started_at: Option<DateTime<Utc>>,
}

impl TracedSpan {
    /// A span that states no usage, with the names that it has, and the agent among them.
    pub(crate) fn link(location: Location, ids: &CallSpan, names: CallNames, agent: Option<AgentRef>) -> Self {
        let report = SpanReport { span_id: ids.span_id, parent_span_id: ids.parent_span_id, names, usage: None };
        Self { location, report, agent, task: None, missing: None, started_at: None }
    }

    /// Sets the agent and the task in the facts.
    pub(crate) fn with_owners(mut self) -> Self {
        let (agent_id, task_id) = (self.agent.as_ref().map(|agent| agent.id), self.task.as_ref().map(|task| task.id));
        if let Some(facts) = self.facts_mut() {
            (facts.agent_id, facts.task_id) = (agent_id, task_id);
        }
        self
    }

    /// When the span started, as far as that is known.
    pub(crate) fn started_at(&self) -> Option<DateTime<Utc>> {
        self.facts().map(|facts| facts.started_at).or(self.started_at)
    }

    /// Forgets what agent the span names.
    pub(crate) fn clear_agent(&mut self) {
        self.agent = None;
        self.report.names.agent_id = None;
        if let Some(usage) = &mut self.report.usage {
            usage.fallback.agent_id = None;
        }
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
    /// Makes all calls those of an agent, whatever agents the spans name.
    pub(crate) fn bind(&mut self, agent: AgentId) {
        for span in &mut self.spans {
            span.agent = None;
            span.report.names.agent_id = None;
            if let Some(usage) = &mut span.report.usage {
                usage.fallback.agent_id = Some(agent);
            }
            span.task.iter_mut().for_each(|task| task.agent_id = agent);
            if let Some(facts) = span.facts_mut() {
                facts.agent_id = Some(agent);
            }
        }
    }

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
        let repeats = trace.repeats();
        let calls = self.spans.into_iter().filter(|span| !repeats.contains(span.report.span_id));
        calls.filter_map(TracedSpan::into_record).collect()
    }
}

impl TracedSpan {
    fn into_record(self) -> Option<Result<Record, Refusal>> {
        let Self { location, report, agent, task, missing, started_at: _ } = self;
        let usage = report.usage?;
        Some(match (usage.facts, missing) {
            (Some(facts), _) => Ok(Record { location, agent, task, call_ids: usage.call_ids, facts, ignored: None }),
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
