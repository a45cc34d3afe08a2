//! Importers: files that people already have, as calls to report.
//!
//! A parser turns bytes into [`Record`]s, one after the other and in bounded memory; it knows neither the log nor
//! the commands, and the runner that does knows no format. What a record says is taken as it stands: the domain
//! joins several records of one call and decides what it costs. Every id is derived from what the record itself
//! calls the thing, so importing a file twice reports the same calls again and changes nothing.
//!
//! Two kinds of trouble are kept apart. A [`Refusal`] concerns one record, and the rest of the file goes on. An
//! [`ImportError`] concerns the file, and nothing follows it.

mod autogpt;
mod azure_llm;
mod claude_code;
mod input;
mod otlp;
mod problem;
mod values;

pub use input::{Input, MAX_LINE_BYTES, open_path};
pub use problem::{ImportError, Problem, Refusal, RefusalReason};
pub(crate) use values::json_decimal;

use domain::call::CallFacts;
use domain::{AgentId, CallId, Name, TaskId, derived_id};
use input::Lines;
use std::fmt;
use std::io::Read;
use values::clipped_name;

/// The formats that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Azure's public traces of LLM inference: CSV with time, context tokens and generated tokens
    AzureLlm,
    /// Calls of Auto-GPT benchmark runs: JSONL, one call a line
    Autogpt,
    /// Session logs of Claude Code: JSONL, several lines a call
    ClaudeCode,
    /// OpenTelemetry traces in JSON: one object, or one a line as the Collector's file exporter writes them
    Otlp,
}

impl Format {
    /// The name on the command line, in ids and as the source of calls.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AzureLlm => "azure-llm",
            Self::Autogpt => "autogpt",
            Self::ClaudeCode => "claude-code",
            Self::Otlp => "otlp",
        }
    }
}

/// What to say of records that do not say it themselves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The model; `azure-llm` names none and needs it.
    pub model: Option<Name>,
    /// The provider; by default `openai`, for `claude-code` `anthropic`, for `otlp` none.
    pub provider: Option<Name>,
    /// The agent; by default `azure-llm` for that format, for the others none.
    pub agent: Option<Name>,
}

/// Where in a file something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A physical line, from 1.
    Line(u64),
    /// A span of a file of traces, from 1, counted over the whole file.
    Span(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Span(number) => write!(f, "span {number}"),
        }
    }
}

/// The agent that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRef {
    /// Derived from the format and what the file calls the agent.
    pub id: AgentId,
    /// For people.
    pub name: Name,
}

impl AgentRef {
    fn new(format: Format, key: &str, name: &str) -> Option<Self> {
        let id = derived_id(&["agent", format.as_str(), key]).into();
        Some(Self { id, name: clipped_name(name)? })
    }
}

/// The task that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRef {
    /// Derived from the format and what the file calls the task.
    pub id: TaskId,
    /// For people.
    pub title: Name,
    /// Whose task it is. A record that names a task but no agent is imported without its task.
    pub agent_id: AgentId,
}

impl TaskRef {
    fn new(format: Format, key: &[&str], title: &str, agent: Option<&AgentRef>) -> Option<Self> {
        let parts: Vec<&str> = ["task", format.as_str()].iter().chain(key).copied().collect();
        Some(Self { id: derived_id(&parts).into(), title: clipped_name(title)?, agent_id: agent?.id })
    }
}

/// One thing to report.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it stands.
    pub place: Place,
    /// The agent that called, already in the facts by its id.
    pub agent: Option<AgentRef>,
    /// The task it called for, already in the facts by its id.
    pub task: Option<TaskRef>,
    /// Derived from the natural key of the call: the same call always has the same id.
    pub call_id: CallId,
    /// What the record says of the call.
    pub facts: CallFacts,
}

impl Record {
    fn new(place: Place, call_key: &[&str], agent: Option<AgentRef>, task: Option<TaskRef>, facts: CallFacts) -> Self {
        let parts: Vec<&str> = ["call"].iter().chain(call_key).copied().collect();
        let facts = CallFacts {
            agent_id: agent.as_ref().map(|agent| agent.id),
            task_id: task.as_ref().map(|task| task.id),
            ..facts
        };
        Self { place, agent, task, call_id: derived_id(&parts).into(), facts }
    }
}

/// The records of one input, in its order. Nothing follows a [`Problem::Broken`].
pub type Records = Box<dyn Iterator<Item = Result<Record, Problem>> + Send>;

/// Reads records of a format.
///
/// # Errors
/// [`ImportError::ModelNeeded`], and for `azure-llm` what is wrong with the header. All else shows while reading.
pub fn open(format: Format, options: Options, input: Box<dyn Read + Send>) -> Result<Records, ImportError> {
    let lines = Lines::new(input);
    match format {
        Format::AzureLlm => azure_llm::open(lines, options),
        Format::Autogpt => autogpt::open(lines, options),
        Format::ClaudeCode => claude_code::open(lines, options),
        Format::Otlp => otlp::open(lines, options),
    }
}
