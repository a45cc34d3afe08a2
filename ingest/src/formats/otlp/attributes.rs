//! The attributes of the GenAI semantic conventions, under their current and former names.
//!
//! Conventions: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/>. Older names were
//! `gen_ai.usage.prompt_tokens` and `completion_tokens` (until 1.27), `gen_ai.system` (until 1.37) and
//! OpenLLMetry's `llm.usage.*`, which exporters in the field still write. The names of meters are in the table of meters
//! ([`domain::for_each_meter`]).

use crate::error::RefusalReason;
use crate::formats::values;
use crate::text::{clip, quoted};
use domain::call::provider_name;
use domain::{Meter, Quantity, Usage};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The meaning of an attribute, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Meter(Meter),
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
    User,
    ServiceTier,
    FirstToken,
    Error,
    Service,
}

/// The names of each slot other than a meter, the preferred name first.
const NAMES: [(&str, Slot); 19] = [
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
    ("user.id", Slot::User),
    ("enduser.id", Slot::User),
    ("openai.response.service_tier", Slot::ServiceTier),
    ("gen_ai.openai.response.service_tier", Slot::ServiceTier),
    ("gen_ai.response.time_to_first_chunk", Slot::FirstToken),
    ("gen_ai.server.time_to_first_token", Slot::FirstToken),
    ("error.type", Slot::Error),
    ("service.name", Slot::Service),
];

/// The names of every slot, those of each slot from the preferred one on.
static ALL_NAMES: LazyLock<Vec<(&'static str, Slot)>> = LazyLock::new(|| {
    let meters = Meter::ALL.iter().flat_map(|meter| meter.attributes().iter().map(|name| (*name, Slot::Meter(*meter))));
    meters.chain(NAMES).collect()
});

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

    /// The value as milliseconds, of a number of seconds.
    fn seconds_as_ms(&self) -> Option<u64> {
        let seconds = match self {
            Self::Text(text) => text.parse().ok()?,
            Self::Whole(number) => Decimal::from(*number),
            Self::Float(number) => Decimal::try_from(*number).ok()?,
            Self::Other => return None,
        };
        seconds.checked_mul(Decimal::ONE_THOUSAND)?.to_u64()
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
    /// Keeps a value if its name is one of [`ALL_NAMES`], and no preferred name of the same slot was inserted before.
    pub(crate) fn insert(&mut self, key: &str, value: AttributeValue) {
        let Some(rank) = ALL_NAMES.iter().position(|(name, _)| *name == key) else { return };
        let slot = ALL_NAMES[rank].1;
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
        // A node of a `BTreeMap` has room for eleven entries. With more entries there are leaves with five at least, and a
        // root.
        let nodes = match self.0.len() {
            0 => 0,
            1..=11 => 1,
            len => 1 + len / 5,
        } * 12
            * size_of::<(Slot, usize, AttributeValue)>();
        nodes + self.0.values().map(text).sum::<usize>()
    }

    /// The text of an attribute, unless it is blank.
    pub(crate) fn text(&self, slot: Slot) -> Option<&str> {
        self.0.get(&slot).and_then(|(_, value)| value.text()).filter(|text| !text.trim().is_empty())
    }

    fn quantity(&self, meter: Meter) -> Result<Quantity, RefusalReason> {
        let Some((rank, value)) = self.0.get(&Slot::Meter(meter)) else { return Ok(Quantity::ZERO) };
        let field = ALL_NAMES[*rank].0;
        let number = value.whole().ok_or_else(|| RefusalReason::NotACount { field, found: value.display() })?;
        values::quantity(field, Some(number))
    }

    /// The usage by meter. `None` if nothing is given or all is 0, as on spans that only wrap others.
    ///
    /// By the conventions, `input_tokens` includes cache reads and cache writes, and `output_tokens` includes
    /// reasoning. The domain counts the kinds of input separately, so that cached tokens are subtracted from the input,
    /// to 0 at least. Anthropic's own `input_tokens` excludes them, at Bedrock too, and instrumentations disagree on
    /// whether to add them (<https://github.com/open-telemetry/semantic-conventions/pull/3163>: to be added;
    /// <https://github.com/traceloop/openllmetry/issues/4449>: one package adds, another does not). For these two
    /// providers the counts decide: if there are more cached tokens than input tokens, the input excludes them.
    /// Likewise, if the parts of a whole are more than the whole, as reasoning is with Gemini's thoughts, the whole excludes
    /// them.
    pub(crate) fn usage(&self) -> Result<Option<Usage>, RefusalReason> {
        let mut usage = Usage::default();
        for &meter in Meter::ALL {
            usage.set(meter, self.quantity(meter)?);
        }
        if usage.is_empty() {
            return Ok(None);
        }
        let checked =
            |number| Quantity::new(number).map_err(|cause| RefusalReason::Quantity { field: "gen_ai.usage", cause });
        for &whole in Meter::ALL {
            let parts: u64 = whole.parts().map(|part| usage.get(part).get()).sum();
            if parts > usage.get(whole).get() {
                usage.set(whole, checked(usage.get(whole).get() + parts)?);
            }
        }
        let input = usage.get(Meter::Input).get();
        let cached = usage.prompt() - input;
        let may_exclude_cached = matches!(self.provider().as_deref(), Some("anthropic" | "bedrock"));
        if !(may_exclude_cached && cached > input) {
            usage.set(Meter::Input, checked(input.saturating_sub(cached))?);
        }
        // What was cached of the parts of the input is counted as cached.
        let mut rest = usage.get(Meter::Input);
        for part in Meter::Input.parts() {
            let uncached = usage.get(part).min(rest);
            usage.set(part, uncached);
            rest = checked(rest.get() - uncached.get())?;
        }
        Ok(Some(usage))
    }

    /// The time to the first token of the response, in milliseconds. The conventions have it in seconds.
    pub(crate) fn first_token_ms(&self) -> Option<u64> {
        self.0.get(&Slot::FirstToken).and_then(|(_, value)| value.seconds_as_ms())
    }

    /// The provider, by its name in price tables.
    pub(crate) fn provider(&self) -> Option<String> {
        self.text(Slot::Provider).map(provider_name)
    }

    /// The model of the response, or of the request if the response names none.
    pub(crate) fn model(&self) -> Option<&str> {
        self.text(Slot::ResponseModel).or_else(|| self.text(Slot::RequestModel))
    }
}
