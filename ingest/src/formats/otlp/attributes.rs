//! The attributes of the GenAI semantic conventions, under their current and former names.
//!
//! Conventions: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/>. Older names were
//! `gen_ai.usage.prompt_tokens` and `completion_tokens` (until 1.27), `gen_ai.system` (until 1.37) and
//! OpenLLMetry's `llm.usage.*`, which exporters in the field still write.

use crate::error::RefusalReason;
use crate::formats::values;
use crate::text::{clip, quoted};
use domain::{Tokens, Usage};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

/// The meaning of an attribute, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
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

/// The names of each slot, the preferred name first.
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
pub(crate) const EXECUTE_TOOL: &str = "execute_tool";

/// The maximum length of an attribute's text, in bytes; longer text is clipped. Names have a lower limit, and are
/// refused beyond it rather than clipped.
const MAX_TEXT_BYTES: usize = 1024;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttributeValue {
    Text(String),
    Whole(i64),
    Float(f64),
    /// A list, an object, a boolean, null, or a number too large for a signed integer.
    Other,
}

impl AttributeValue {
    pub(crate) fn clipped(text: &str) -> Self {
        Self::Text(clip(text, MAX_TEXT_BYTES).to_owned())
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a whole number: OTLP's JSON has 64-bit integers as strings, and some exporters write counts as
    /// doubles.
    pub(crate) fn whole(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Float(number) => Decimal::try_from(*number).ok().filter(Decimal::is_integer)?.to_i64(),
            Self::Other => None,
        }
    }

    pub(crate) fn display(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Whole(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Other => "neither text nor number".to_owned(),
        }
    }
}

/// The attributes of one span that imports use.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Attributes(BTreeMap<Slot, (usize, AttributeValue)>);

impl Attributes {
    /// Keeps a value if its name is one of [`NAMES`], and no preferred name of the same slot was inserted before.
    pub(crate) fn insert(&mut self, key: &str, value: AttributeValue) {
        let Some(rank) = NAMES.iter().position(|(name, _)| *name == key) else { return };
        let slot = NAMES[rank].1;
        if self.0.get(&slot).is_none_or(|(known, _)| rank <= *known) {
            self.0.insert(slot, (rank, value));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The approximate memory that the attributes take, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = |(_, value): &(usize, AttributeValue)| value.text().map_or(0, str::len);
        // A node of a `BTreeMap` has room for eleven entries. With more entries there are two leaves and a root.
        let nodes = match self.0.len() {
            0 => 0,
            1..=11 => 1,
            _ => 3,
        } * 12
            * size_of::<(Slot, usize, AttributeValue)>();
        nodes + self.0.values().map(text).sum::<usize>()
    }

    /// The text of an attribute, unless it is blank.
    pub(crate) fn text(&self, slot: Slot) -> Option<&str> {
        self.0.get(&slot).and_then(|(_, value)| value.text()).filter(|text| !text.trim().is_empty())
    }

    fn count(&self, slot: Slot) -> Result<Tokens, RefusalReason> {
        let Some((rank, value)) = self.0.get(&slot) else { return values::tokens("", None) };
        let field = NAMES[*rank].0;
        let count = value.whole().ok_or_else(|| RefusalReason::NotACount { field, found: value.display() })?;
        values::tokens(field, Some(count))
    }

    /// The tokens by kind. `None` if no count is given or all are 0, as on spans that only wrap others.
    ///
    /// By the conventions, `input_tokens` includes cache reads and cache writes, and `output_tokens` includes
    /// reasoning. The domain counts the kinds of input separately, so that cached tokens are subtracted from the input,
    /// to 0 at least. Anthropic's own `input_tokens` excludes them, at Bedrock too, and instrumentations disagree on
    /// whether to add them (<https://github.com/open-telemetry/semantic-conventions/pull/3163>: to be added;
    /// <https://github.com/traceloop/openllmetry/issues/4449>: one package adds, another does not). For these two
    /// providers the counts decide: if there are more cached tokens than input tokens, the input excludes them.
    /// Likewise, if there are more reasoning tokens than output tokens, as with Gemini's thoughts, the output excludes
    /// them.
    pub(crate) fn usage(&self) -> Result<Option<Usage>, RefusalReason> {
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
        let may_exclude_cached = matches!(self.provider().as_deref(), Some("anthropic" | "bedrock"));
        if !(may_exclude_cached && cached > usage.input.get()) {
            usage.input = checked(usage.input.get().saturating_sub(cached)).map_err(too_large)?;
        }
        if usage.reasoning > usage.output {
            usage.output = checked(usage.output.get() + usage.reasoning.get()).map_err(too_large)?;
        }
        Ok(Some(usage))
    }

    /// The provider, by its name in price tables.
    pub(crate) fn provider(&self) -> Option<String> {
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

    /// The model of the response, or of the request if the response names none.
    pub(crate) fn model(&self) -> Option<&str> {
        self.text(Slot::ResponseModel).or_else(|| self.text(Slot::RequestModel))
    }
}
