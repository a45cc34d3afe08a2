//! The formats that can be imported, and defaults for what their records leave out.

use crate::formats::Columns;
use chrono::{DateTime, Utc};
use domain::Name;

/// Declares the formats.
macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident => $name:literal;)+) => {
        /// A format that can be imported.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Format {
            $($(#[$doc])* $variant,)+
        }

        impl Format {
            /// All formats.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name of the format on the command line, in derived ids, and as the source of calls.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

formats! {
    /// Calls of Auto-GPT's benchmark runs.
    Autogpt => "autogpt";
    /// Azure's public traces of LLM inference.
    AzureLlm => "azure-llm";
    /// Session logs of Claude Code.
    ClaudeCode => "claude-code";
    /// Session logs of Codex.
    Codex => "codex";
    /// CSV with columns that options name.
    Csv => "csv";
    /// Logs of Inspect.
    Inspect => "inspect";
    /// Traces as Jaeger exports them.
    Jaeger => "jaeger";
    /// JSONL with fields that options name.
    Jsonl => "jsonl";
    /// Traces as Langfuse exports them.
    Langfuse => "langfuse";
    /// Spend logs of LiteLLM's proxy.
    LiteLlm => "litellm";
    /// Mooncake's public traces of LLM inference.
    Mooncake => "mooncake";
    /// Event streams of OpenHands.
    OpenHands => "openhands";
    /// OpenTelemetry traces in JSON.
    Otlp => "otlp";
    /// Recorded responses of providers.
    Responses => "responses";
    /// Trajectories of SWE-agent and SE-Agent.
    SweAgent => "swe-agent";
    /// Conversations of tau-bench.
    TauBench => "tau-bench";
}

/// Values for records that do not name them. They change what a call is attributed to, never which call it is: a file
/// imported again with other defaults reports the same calls.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The model. Files of some formats name none, so that these formats require it.
    pub model: Option<Name>,
    /// The provider. If `None`, the provider of calls that name none is not known.
    pub provider: Option<Name>,
    /// The provider whose API gave the responses, as their source states it. Unlike `provider`, it is a part of what
    /// identifies a call. Only `responses` reads it.
    pub api: Option<Name>,
    /// The agent. If `None`: the name of the format for formats that name no agent.
    pub agent: Option<Name>,
    /// When the calls of records without a time were made. Files of some formats have no times, or count from 0.
    pub started_at: Option<DateTime<Utc>>,
    /// The columns of a table, by what they hold.
    pub columns: Columns,
}
