//! The formats that can be imported, and defaults for what their records leave out.

use domain::Name;

/// A format that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Azure's public traces of LLM inference: CSV with time, context tokens and generated tokens.
    AzureLlm,
    /// Calls of Auto-GPT benchmark runs: JSONL, one call per line.
    Autogpt,
    /// Session logs of Claude Code: JSONL, several lines per call.
    ClaudeCode,
    /// OpenTelemetry traces in JSON: one object, or one per line as the Collector's file exporter writes them.
    Otlp,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::AzureLlm, Self::Autogpt, Self::ClaudeCode, Self::Otlp];

    /// The name of the format on the command line, in derived ids, and as the source of calls.
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

/// Values for records that do not name them. They change what a call is attributed to, never which call it is: a file
/// imported again with other defaults reports the same calls.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The model. `azure-llm` files name none, so that this format requires it.
    pub model: Option<Name>,
    /// The provider. If `None`: `openai` for `autogpt`, `anthropic` for `claude-code`, no provider for the others.
    pub provider: Option<Name>,
    /// The agent. If `None`: `azure-llm` for that format, no agent for the others.
    pub agent: Option<Name>,
}
