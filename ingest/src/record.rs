//! One call as a record of an input describes it.

use crate::call_id;
use crate::format::Format;
use crate::text::clipped_name;
use domain::call::{CallFacts, CallIds};
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
    /// The number of an item of a document, from 1.
    Item(u64),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Span(number) => write!(f, "span {number}"),
            Self::LogRecord(number) => write!(f, "log record {number}"),
            Self::Item(number) => write!(f, "item {number}"),
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
    /// What of the record was not read, and why. The rest of it counts.
    pub ignored: Option<String>,
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
        Self { location, agent, task, call_ids, facts, ignored: None }
    }

    /// Makes the call that of an agent, whatever agent the record names.
    pub(crate) fn bind(&mut self, agent: AgentId) {
        (self.agent, self.facts.agent_id) = (None, Some(agent));
        self.task.iter_mut().for_each(|task| task.agent_id = agent);
    }

    /// Says what of the record was not read, and why.
    pub(crate) fn ignoring(self, ignored: Option<String>) -> Self {
        Self { ignored, ..self }
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
