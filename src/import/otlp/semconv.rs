//! The attributes of the GenAI semantic conventions, under the names they have and had.
//!
//! Conventions: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/>. Older names were
//! `gen_ai.usage.prompt_tokens` and `completion_tokens` (until 1.27), `gen_ai.system` (until 1.37) and
//! OpenLLMetry's `llm.usage.*`, which exporters in the field still write.

use crate::import::RefusalReason;
use crate::import::values::{self, clip, quoted};
use domain::{Tokens, Usage};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

/// What an attribute says, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Reasoning,
    Provider,
    ResponseModel,
    RequestModel,
    ResponseId,
    Operation,
    Tool,
    AgentId,
    AgentName,
    Task,
    Conversation,
    Error,
    Service,
}

/// The names of each slot, the one to be preferred first.
const NAMES: [(&str, Slot); 33] = [
    ("gen_ai.usage.input_tokens", Slot::Input),
    ("gen_ai.usage.prompt_tokens", Slot::Input),
    ("llm.usage.input_tokens", Slot::Input),
    ("llm.usage.prompt_tokens", Slot::Input),
    ("gen_ai.usage.output_tokens", Slot::Output),
    ("gen_ai.usage.completion_tokens", Slot::Output),
    ("llm.usage.output_tokens", Slot::Output),
    ("llm.usage.completion_tokens", Slot::Output),
    ("gen_ai.usage.cache_read.input_tokens", Slot::CacheRead),
    ("gen_ai.usage.cache_read_input_tokens", Slot::CacheRead),
    ("gen_ai.usage.input_tokens.cached", Slot::CacheRead),
    ("llm.usage.cache_read_input_tokens", Slot::CacheRead),
    ("gen_ai.usage.cache_creation.input_tokens", Slot::CacheWrite),
    ("gen_ai.usage.cache_creation_input_tokens", Slot::CacheWrite),
    ("gen_ai.usage.input_tokens.cache_write", Slot::CacheWrite),
    ("llm.usage.cache_creation_input_tokens", Slot::CacheWrite),
    ("gen_ai.usage.reasoning.output_tokens", Slot::Reasoning),
    ("gen_ai.usage.reasoning_tokens", Slot::Reasoning),
    ("gen_ai.usage.output_tokens.reasoning", Slot::Reasoning),
    ("llm.usage.reasoning_tokens", Slot::Reasoning),
    ("gen_ai.provider.name", Slot::Provider),
    ("gen_ai.system", Slot::Provider),
    ("gen_ai.response.model", Slot::ResponseModel),
    ("gen_ai.request.model", Slot::RequestModel),
    ("gen_ai.response.id", Slot::ResponseId),
    ("gen_ai.operation.name", Slot::Operation),
    ("gen_ai.tool.name", Slot::Tool),
    ("gen_ai.agent.id", Slot::AgentId),
    ("gen_ai.agent.name", Slot::AgentName),
    ("gen_ai.task.id", Slot::Task),
    ("gen_ai.conversation.id", Slot::Conversation),
    ("error.type", Slot::Error),
    ("service.name", Slot::Service),
];

/// The operation of a span that runs a tool.
pub(super) const EXECUTE_TOOL: &str = "execute_tool";

/// The longest text that is held of an attribute, in bytes. Names may have less and are then refused, not cut.
const MAX_TEXT_BYTES: usize = 1024;

/// One value, as far as it matters.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Whole(i64),
    Float(f64),
    /// A list, an object, a truth value, nothing, or a number above what a signed integer holds.
    Other,
}

impl Scalar {
    pub(super) fn short(text: &str) -> Self {
        Self::Text(clip(text, MAX_TEXT_BYTES).to_owned())
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number it is or spells: OTLP writes 64-bit integers as strings, and some exporters write counts
    /// as doubles.
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Float(number) => Decimal::try_from(*number).ok().filter(Decimal::is_integer)?.to_i64(),
            Self::Other => None,
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Whole(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Other => "neither text nor number".to_owned(),
        }
    }
}

/// The attributes of one span that matter, by what they say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Attributes(BTreeMap<Slot, (usize, Scalar)>);

impl Attributes {
    /// Keeps a value if its name is one of those that matter, and none to be preferred was there.
    pub(super) fn put(&mut self, key: &str, value: Scalar) {
        let Some(rank) = NAMES.iter().position(|(name, _)| *name == key) else { return };
        let slot = NAMES[rank].1;
        if self.0.get(&slot).is_none_or(|(known, _)| rank <= *known) {
            self.0.insert(slot, (rank, value));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much memory it holds, about.
    pub(super) fn held_bytes(&self) -> usize {
        let text = |(_, value): &(usize, Scalar)| value.text().map_or(0, str::len);
        // A node of the tree has room for eleven. More than that, and it has two of them and one above.
        let nodes = match self.0.len() {
            0 => 0,
            1..=11 => 1,
            _ => 3,
        } * 12
            * size_of::<(Slot, usize, Scalar)>();
        nodes + self.0.values().map(text).sum::<usize>()
    }

    /// A text that is not blank.
    pub(super) fn text(&self, slot: Slot) -> Option<&str> {
        self.0.get(&slot).and_then(|(_, value)| value.text()).filter(|text| !text.trim().is_empty())
    }

    fn count(&self, slot: Slot) -> Result<Tokens, RefusalReason> {
        let Some((rank, value)) = self.0.get(&slot) else { return values::tokens("", None) };
        let field = NAMES[*rank].0;
        let count = value.whole().ok_or_else(|| RefusalReason::NotACount { field, found: value.shown() })?;
        values::tokens(field, Some(count))
    }

    /// The tokens by kind; none where no count is given or all are 0, as on spans that only wrap others.
    ///
    /// By the conventions `input_tokens` includes what the cache read and wrote, and `output_tokens` the
    /// reasoning. The domain counts the kinds of input apart, so the cached ones are taken out of the input, never
    /// below 0. Anthropic's own `input_tokens` leaves them out, at Bedrock too, and instrumentations disagree on
    /// whether to add them (<https://github.com/open-telemetry/semantic-conventions/pull/3163>: to be added;
    /// <https://github.com/traceloop/openllmetry/issues/4449>: one package adds, another does not). For these two
    /// providers the counts decide: cached tokens that do not fit inside the input were counted beside it.
    /// Likewise reasoning that does not fit inside the output, as with Gemini's thoughts, was counted beside it.
    pub(super) fn usage(&self) -> Result<Option<Usage>, RefusalReason> {
        let mut usage = Usage {
            input: self.count(Slot::Input)?,
            output: self.count(Slot::Output)?,
            cache_read: self.count(Slot::CacheRead)?,
            cache_write: self.count(Slot::CacheWrite)?,
            reasoning: self.count(Slot::Reasoning)?,
        };
        if usage == Usage::default() {
            return Ok(None);
        }
        let checked = |count| Tokens::new(count);
        let too_large = |cause| RefusalReason::Tokens { field: "gen_ai.usage", cause };
        let cached = usage.cache_read.get() + usage.cache_write.get();
        let counts_apart = matches!(self.provider().as_deref(), Some("anthropic" | "bedrock"));
        if !(counts_apart && cached > usage.input.get()) {
            usage.input = checked(usage.input.get().saturating_sub(cached)).map_err(too_large)?;
        }
        if usage.reasoning > usage.output {
            usage.output = checked(usage.output.get() + usage.reasoning.get()).map_err(too_large)?;
        }
        Ok(Some(usage))
    }

    /// Who answered, as price tables call them.
    pub(super) fn provider(&self) -> Option<String> {
        let named = self.text(Slot::Provider)?.to_ascii_lowercase();
        Some(match named.as_str() {
            "aws.bedrock" | "aws_bedrock" | "aws" => "bedrock".to_owned(),
            "azure.ai.openai" | "az.ai.openai" | "azure_openai" => "azure".to_owned(),
            "azure.ai.inference" | "az.ai.inference" => "azure_ai".to_owned(),
            "gcp.vertex_ai" | "google_vertexai" | "vertexai" => "vertex_ai".to_owned(),
            "gcp.gemini" | "gcp.gen_ai" | "google" | "google_genai" => "gemini".to_owned(),
            "ibm.watsonx.ai" => "watsonx".to_owned(),
            "mistral_ai" | "mistralai" => "mistral".to_owned(),
            "moonshot_ai" => "moonshot".to_owned(),
            "x_ai" => "xai".to_owned(),
            _ => named,
        })
    }

    /// The model that answered, else the one that was asked.
    pub(super) fn model(&self) -> Option<&str> {
        self.text(Slot::ResponseModel).or_else(|| self.text(Slot::RequestModel))
    }
}
