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

/// What to say of records that do not say it themselves. It changes what a call is attributed to, never which call it
/// is: a file imported again with other options reports the same calls.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The model; `azure-llm` names none and needs it.
    pub model: Option<Name>,
    /// The provider; by default `openai` for `autogpt`, `anthropic` for `claude-code`, none for the others.
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
        // Keys that are equal to Unicode are one agent; a key that is no name stays as it is.
        let key = domain::normalized(key).unwrap_or_else(|_| key.to_owned());
        let id = derived_id(&["agent", format.as_str(), &key]).into();
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

/// What an input held beside records and refusals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Things of the format that are no calls, such as what a user wrote, or a span that called no model.
    pub no_calls: u64,
    /// Things that are not of the format.
    pub foreign: u64,
}

/// The records of one input, in its order. Nothing follows a [`Problem::Broken`].
pub trait Reading: Iterator<Item = Result<Record, Problem>> {
    /// What was read until now and is neither a record nor refused.
    fn passed_over(&self) -> PassedOver;
}

/// The records of an input.
pub type Records = Box<dyn Reading + Send>;

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

#[cfg(test)]
mod testing {
    use super::*;
    use domain::Usage;
    use std::collections::BTreeMap;

    pub(super) type Items = Vec<Result<Record, Problem>>;

    pub(super) fn options() -> Options {
        Options { model: Name::new("gpt-4o").ok(), ..Options::default() }
    }

    pub(super) fn read(format: Format, input: impl AsRef<[u8]>) -> Items {
        let input = std::io::Cursor::new(input.as_ref().to_vec());
        match open(format, options(), Box::new(input)) {
            Ok(records) => records.collect(),
            Err(error) => vec![Err(error.into())],
        }
    }

    #[track_caller]
    pub(super) fn records(format: Format, input: impl AsRef<[u8]>) -> Vec<Record> {
        read(format, input).into_iter().map(Result::unwrap).collect()
    }

    /// The messages of what was refused; fails on anything else that is no record.
    #[track_caller]
    pub(super) fn refusals(format: Format, input: impl AsRef<[u8]>) -> Vec<String> {
        let refusal = |item| match item {
            Ok(_) => None,
            Err(Problem::Refused(refusal)) => Some(refusal.to_string()),
            Err(Problem::Broken(error)) => panic!("broken: {error:?}"),
        };
        read(format, input).into_iter().filter_map(refusal).collect()
    }

    /// The error that ends a file; fails if anything follows it.
    #[track_caller]
    pub(super) fn broken(format: Format, input: impl AsRef<[u8]>) -> ImportError {
        match read(format, input).pop() {
            Some(Err(Problem::Broken(error))) => error,
            other => panic!("not broken: {other:?}"),
        }
    }

    /// Calls by id, with the records of each joined as the domain joins them.
    pub(super) fn calls(records: &[Record]) -> BTreeMap<CallId, Usage> {
        let mut calls: BTreeMap<CallId, Usage> = BTreeMap::new();
        for record in records {
            let usage = calls.entry(record.call_id).or_default();
            *usage = usage.join(&record.facts.usage);
        }
        calls
    }

    /// Input, output, cache read, cache write and reasoning tokens, added up.
    pub(super) fn totals<'a>(usages: impl IntoIterator<Item = &'a Usage>) -> [u64; 5] {
        usages.into_iter().fold([0; 5], |sums, usage| {
            let counts = [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning];
            std::array::from_fn(|at| sums[at] + counts[at].get())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;
    use domain::call::CallKind;
    use domain::{Money, Usage};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SAMPLES: [(Format, &[u8]); 4] = [
        (Format::AzureLlm, include_bytes!("../../samples/azure-llm.csv")),
        (Format::Autogpt, include_bytes!("../../samples/autogpt.jsonl")),
        (Format::ClaudeCode, include_bytes!("../../samples/claude-code.jsonl")),
        (Format::Otlp, include_bytes!("../../samples/otlp.json")),
    ];

    /// The sums in `samples/README.md` were made by another program.
    #[test]
    fn the_samples_come_to_what_was_counted_apart() {
        let llm = |format| {
            let sample = SAMPLES.into_iter().find(|(other, _)| *other == format).unwrap().1;
            let mut records = records(format, sample);
            records.retain(|record| record.facts.kind == CallKind::Llm);
            let calls = calls(&records);
            (records.len(), calls.len(), totals(calls.values()))
        };
        assert_eq!(llm(Format::AzureLlm), (60, 60, [179_439, 10_824, 0, 0, 0]));
        assert_eq!(llm(Format::Autogpt), (37, 37, [127_736, 4_906, 0, 0, 0]));
        assert_eq!(llm(Format::ClaudeCode), (19, 13, [91, 3_701, 182_612, 32_417, 0]));
        assert_eq!(llm(Format::Otlp), (22, 22, [46_515, 4_951, 7_424, 1_280, 418]));
    }

    #[test]
    fn the_samples_name_their_agents_tasks_tools_and_costs() {
        let of = |at: usize| records(SAMPLES[at].0, SAMPLES[at].1);
        let agents = |records: &[Record]| -> BTreeSet<String> {
            records.iter().filter_map(|record| record.agent.as_ref()).map(|agent| agent.name.to_string()).collect()
        };
        let tasks = |records: &[Record]| -> BTreeSet<TaskId> {
            records.iter().filter_map(|record| record.task.as_ref()).map(|task| task.id).collect()
        };
        let (azure, autogpt, claude_code, otlp) = (of(0), of(1), of(2), of(3));
        assert_eq!(agents(&azure), ["azure-llm".to_owned()].into());
        assert_eq!(tasks(&azure), BTreeSet::new());
        let runs = ["auto-gpt 2023-10-02_09-14-05", "auto-gpt 2023-10-02_11-40-52"];
        assert_eq!(agents(&autogpt), runs.map(str::to_owned).into());
        assert_eq!(tasks(&autogpt).len(), 9);
        let reported = autogpt.iter().filter_map(|record| record.facts.reported_cost);
        let reported = reported.fold(Money::ZERO, |sum, cost| sum.checked_add(cost).unwrap());
        assert_eq!(reported.to_string(), "0.402832");
        assert_eq!(agents(&claude_code), ["claude-code 7d3f0c52".to_owned()].into());
        assert_eq!(tasks(&claude_code).len(), 1);
        let names = ["order-helper", "refund-clerk", "triage", "writer"];
        assert_eq!(agents(&otlp), names.map(str::to_owned).into());
        assert_eq!(tasks(&otlp).len(), 4);
        let tools: Vec<_> = otlp.iter().filter(|record| record.facts.kind == CallKind::Tool).collect();
        assert_eq!(tools.len(), 16);
        assert!(tools.iter().all(|record| record.facts.usage == Usage::default()));
        assert_eq!(tools.iter().filter(|record| record.facts.error.is_some()).count(), 1);
    }

    #[test]
    fn every_record_carries_the_ids_of_its_agent_and_task() {
        for (format, sample) in SAMPLES {
            for record in records(format, sample) {
                assert_eq!(record.facts.agent_id, record.agent.as_ref().map(|agent| agent.id));
                assert_eq!(record.facts.task_id, record.task.as_ref().map(|task| task.id));
                assert_eq!(record.facts.source.as_str(), format.as_str());
            }
        }
    }

    #[test]
    fn a_file_read_twice_gives_the_same_records() {
        for (format, sample) in SAMPLES {
            assert_eq!(records(format, sample), records(format, sample));
        }
    }

    /// A provider or model that an option names may be wrong the first time.
    #[test]
    fn options_change_what_is_attributed_and_never_which_call_it_is() {
        let named = |text| Name::new(text).ok();
        for (format, sample) in SAMPLES {
            let ids = |options: Options| -> Vec<CallId> {
                let records = open(format, options, Box::new(sample)).unwrap();
                records.map(|record| record.unwrap().call_id).collect()
            };
            let plain = ids(options());
            for other in [
                Options { provider: named("bedrock"), ..options() },
                Options { model: named("another"), ..options() },
                Options { agent: named("another"), ..options() },
            ] {
                assert_eq!(ids(other), plain, "{format:?}");
            }
        }
    }

    #[test]
    fn the_names_of_formats_are_those_of_the_command_line() {
        for (format, _) in SAMPLES {
            let value = clap::ValueEnum::to_possible_value(&format).unwrap();
            assert_eq!(value.get_name(), format.as_str());
        }
    }

    fn sample() -> impl Strategy<Value = (Format, Vec<u8>)> {
        (0..SAMPLES.len()).prop_map(|at| (SAMPLES[at].0, SAMPLES[at].1.to_vec()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_bytes_never_panic((format, _) in sample(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read(format, bytes);
        }

        #[test]
        fn arbitrary_lines_never_panic((format, _) in sample(), lines in proptest::collection::vec(".{0,80}", 0..8)) {
            read(format, format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{}", lines.join("\n")));
            read(format, lines.join("\n"));
        }

        /// Samples with a piece cut out and bytes overwritten: what is left is read or refused, and nothing follows
        /// what breaks a file.
        #[test]
        fn damaged_samples_never_panic(
            (format, mut bytes) in sample(),
            cut in any::<prop::sample::Index>(),
            cut_bytes in 0_usize..200,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let start = cut.index(bytes.len());
            bytes.drain(start..bytes.len().min(start + cut_bytes));
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let items = read(format, bytes);
            let broken = items.iter().position(|item| matches!(item, Err(Problem::Broken(_))));
            prop_assert!(broken.is_none_or(|at| at + 1 == items.len()));
        }

        /// The same call has the same id in whatever file it stands.
        #[test]
        fn ids_do_not_depend_on_what_stands_before(skipped in 0_usize..30) {
            for (format, sample) in &SAMPLES[1..3] {
                let lines: Vec<&[u8]> = sample.split_inclusive(|byte| *byte == b'\n').skip(skipped).collect();
                let all: Vec<CallId> = records(*format, sample).iter().map(|record| record.call_id).collect();
                let some: Vec<CallId> = records(*format, lines.concat()).iter().map(|record| record.call_id).collect();
                prop_assert!(all.ends_with(&some));
            }
        }
    }
}
