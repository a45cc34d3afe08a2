//! The formats that can be imported, and defaults for what their records leave out.

use crate::formats::{
    Columns, Spec, autogpt, azure_llm, claude_code, codex, inspect, jaeger, langfuse, litellm, mooncake, openhands,
    otlp, responses, swe_agent, table, tau_bench,
};
use chrono::{DateTime, Utc};
use domain::Name;

/// Declares the formats: one line each.
macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident => $spec:path;)+) => {
        /// A format that can be imported.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Format {
            $($(#[$doc])* $variant,)+
        }

        impl Format {
            /// All formats.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub(crate) fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$variant => &$spec,)+
                }
            }
        }
    };
}

formats! {
    /// Calls of Auto-GPT's benchmark runs.
    Autogpt => autogpt::SPEC;
    /// Azure's public traces of LLM inference.
    AzureLlm => azure_llm::SPEC;
    /// Session logs of Claude Code.
    ClaudeCode => claude_code::SPEC;
    /// Session logs of Codex.
    Codex => codex::SPEC;
    /// CSV with columns that options name.
    Csv => table::CSV;
    /// Logs of Inspect.
    Inspect => inspect::SPEC;
    /// Traces as Jaeger exports them.
    Jaeger => jaeger::SPEC;
    /// JSONL with fields that options name.
    Jsonl => table::JSONL;
    /// Traces as Langfuse exports them.
    Langfuse => langfuse::SPEC;
    /// Spend logs of LiteLLM's proxy.
    LiteLlm => litellm::SPEC;
    /// Mooncake's public traces of LLM inference.
    Mooncake => mooncake::SPEC;
    /// Event streams of OpenHands.
    OpenHands => openhands::SPEC;
    /// OpenTelemetry traces in JSON.
    Otlp => otlp::SPEC;
    /// Recorded responses of providers.
    Responses => responses::SPEC;
    /// Trajectories of SWE-agent and SE-Agent.
    SweAgent => swe_agent::SPEC;
    /// Conversations of tau-bench.
    TauBench => tau_bench::SPEC;
}

impl Format {
    /// The name of the format on the command line, in derived ids, and as the source of calls.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.spec().name
    }

    /// What the files of the format are.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.spec().about
    }

    /// The endings of the files that are read when a folder is imported.
    #[must_use]
    pub fn extensions(self) -> &'static [&'static str] {
        self.spec().extensions
    }
}

/// Values for records that do not name them. They change what a call is attributed to, never which call it is: a file
/// imported again with other defaults reports the same calls.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The model. Files of some formats name none, so that these formats require it.
    pub model: Option<Name>,
    /// The provider. If `None`: `openai` for `autogpt`, `anthropic` for `claude-code`, no provider for the others.
    pub provider: Option<Name>,
    /// The agent. If `None`: the name of the format for formats that name no agent.
    pub agent: Option<Name>,
    /// When the calls of records without a time were made. Files of some formats have no times, or count from 0.
    pub started_at: Option<DateTime<Utc>>,
    /// The columns of a table, by what they hold.
    pub columns: Columns,
}
