//! The attributes of a span or a resource that are read, and the usage that they state.

use super::conventions::{self, ScopeBasis, Slot, is_unread_usage, operation, slot_of};
use crate::error::RefusalReason;
use crate::formats::values;
use crate::text::{clip, json_decimal, quoted};
use domain::call::{CostSource, ReportedCost, provider_name};
use domain::{Meter, Money, Quantity, Usage};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

pub(crate) use conventions::Operation;

/// The prefix of the name of a span that runs a tool.
pub(crate) const EXECUTE_TOOL: &str = "execute_tool";

/// The most attributes of a span, a record of a log, or a resource. SDKs have 128 by default.
pub(crate) const MAX_ATTRIBUTES: usize = 4_096;

/// The maximum length of an attribute's text, in bytes; longer text is clipped. Names have a lower limit, and are
/// refused beyond it rather than clipped.
const MAX_TEXT_BYTES: usize = 1024;

/// The number from which on a float is shown with an exponent, rather than with up to 309 digits.
const LONGEST_FLOAT: f64 = 1e15;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttributeValue {
    Text(String),
    Whole(i64),
    Float(f64),
    Flag(bool),
    /// A list, an object, or null.
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
            Self::Flag(_) | Self::Other => None,
        }
    }

    /// The value as a decimal, from its digits.
    fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Text(text) => json_decimal(text),
            Self::Whole(number) => Some(Decimal::from(*number)),
            Self::Float(number) => Decimal::try_from(*number).ok(),
            Self::Flag(_) | Self::Other => None,
        }
    }

    /// The value as milliseconds, of a number of seconds.
    fn seconds_as_ms(&self) -> Option<u64> {
        self.decimal()?.checked_mul(Decimal::ONE_THOUSAND)?.to_u64()
    }

    pub(crate) fn display(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Whole(number) => number.to_string(),
            Self::Float(number) if number.abs() >= LONGEST_FLOAT => format!("{number:e}"),
            Self::Float(number) => number.to_string(),
            Self::Flag(_) | Self::Other => "neither text nor number".to_owned(),
        }
    }
}

/// What attributes are read into, one after the other.
pub(crate) trait AttributeSink: Default {
    /// Takes an attribute.
    fn insert(&mut self, key: &str, value: AttributeValue);
}

/// The most attributes of a span that are named as not understood.
const MAX_UNREAD: usize = 4;

/// The number of decimal places of a reported cost, the same as that of a charge.
const COST_SCALE: u32 = 12;

/// The attributes of one span that are read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Attributes {
    /// By slot, the name of the attribute and its value.
    known: BTreeMap<Slot, (&'static str, AttributeValue)>,
    /// The names of attributes that say something about usage and are not read.
    unread: Vec<Box<str>>,
}

/// The usage that a span states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StatedUsage {
    pub(crate) usage: Usage,
    /// Whether the counts alone do not say what is inside of what, so that the convention decided.
    pub(crate) is_assumed: bool,
}

impl AttributeSink for Attributes {
    /// Keeps a value if its name is that of a slot, and no preferred name of the same slot was inserted before.
    fn insert(&mut self, key: &str, value: AttributeValue) {
        let Some((slot, name, rank)) = slot_of(key) else {
            let is_stated = value.whole() != Some(0) && value != AttributeValue::Other;
            if self.unread.len() < MAX_UNREAD && is_stated && is_unread_usage(key) {
                self.unread.push(clip(key, MAX_TEXT_BYTES / 8).into());
            }
            return;
        };
        // A name of the source's own is preferred to all others.
        let is_preferred = |known: &str| slot_of(known).is_some_and(|(_, _, known)| rank <= known);
        if self.known.get(&slot).is_none_or(|(known, _)| is_preferred(known)) {
            self.known.insert(slot, (name, value));
        }
    }
}

impl Attributes {
    /// Keeps a value in a slot under a name of the source's own, which is preferred to all names of the conventions.
    pub(crate) fn set(&mut self, slot: Slot, name: &'static str, value: AttributeValue) {
        self.known.insert(slot, (name, value));
    }

    /// Takes the names of attributes that say something about usage and are not read.
    pub(crate) fn take_unread(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.unread)
    }

    /// Whether there is a count of a meter, whatever it says.
    pub(crate) fn has_count(&self) -> bool {
        self.known.keys().any(|slot| matches!(slot, Slot::Meter(_)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The approximate memory that the attributes take, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = |(_, value): &(&str, AttributeValue)| value.text().map_or(0, str::len);
        let unread = self.unread.iter().map(|name| size_of::<Box<str>>() + name.len()).sum::<usize>();
        // A node of a `BTreeMap` has room for eleven entries. With more entries there are leaves with five at least, and a
        // root.
        let nodes = match self.known.len() {
            0 => 0,
            1..=11 => 1,
            len => 1 + len / 5,
        } * 12
            * size_of::<(Slot, &str, AttributeValue)>();
        nodes + unread + self.known.values().map(text).sum::<usize>()
    }

    /// The text of an attribute, unless it is blank.
    pub(crate) fn text(&self, slot: Slot) -> Option<&str> {
        self.known.get(&slot).and_then(|(_, value)| value.text()).filter(|text| !text.trim().is_empty())
    }

    fn quantity(&self, meter: Meter) -> Result<Quantity, RefusalReason> {
        let Some((field, value)) = self.known.get(&Slot::Meter(meter)) else { return Ok(Quantity::ZERO) };
        let number = value.whole().ok_or_else(|| RefusalReason::NotACount { field, found: value.display() })?;
        values::quantity(field, Some(number))
    }

    /// The usage by meter. `None` if nothing is given or all is 0, as on spans that only wrap others.
    ///
    /// By the conventions, `input_tokens` includes cache reads and cache writes, and `output_tokens` includes
    /// reasoning; but providers count them beside, and instrumentations disagree on whether to add them
    /// (<https://github.com/open-telemetry/semantic-conventions/pull/3163>,
    /// <https://github.com/traceloop/openllmetry/issues/4449>). What the counts say decides: parts that are more than
    /// their whole are beside it, and so are those without which the total is not reached. Where the counts decide
    /// neither way, the convention does, and the usage is marked as assumed.
    pub(crate) fn usage(&self, scope: ScopeBasis) -> Result<Option<StatedUsage>, RefusalReason> {
        let mut usage = Usage::default();
        for &meter in Meter::ALL {
            usage.set(meter, self.quantity(meter)?);
        }
        if usage.is_empty() {
            return Ok(None);
        }
        self.separate_cache_writes(&mut usage)?;
        let counts = Counts::of(&usage);
        let is_streamed =
            self.known.get(&Slot::Streaming).is_some_and(|(_, value)| *value == AttributeValue::Flag(true));
        let (placement, is_decided) = counts.placement(self.total());
        placement.apply(&mut usage)?;
        let is_assumed = match scope {
            ScopeBasis::Provider => false,
            ScopeBasis::AddsUpStreams if is_streamed => true,
            ScopeBasis::AddsUpStreams | ScopeBasis::Usual => !is_decided,
        };
        Ok(Some(StatedUsage { usage, is_assumed }))
    }

    /// As [`Attributes::usage`], for a source that is known to count cached tokens or reasoning tokens beside the others.
    pub(crate) fn usage_of_vendor(
        &self,
        is_cached_beside: bool,
        is_reasoning_beside: bool,
    ) -> Result<Option<StatedUsage>, RefusalReason> {
        let mut usage = Usage::default();
        for &meter in Meter::ALL {
            usage.set(meter, self.quantity(meter)?);
        }
        if usage.is_empty() {
            return Ok(None);
        }
        let (by_counts, is_decided) = Counts::of(&usage).placement(self.total());
        let vendor = Placement { cached_beside: is_cached_beside, reasoning_beside: is_reasoning_beside };
        let placement = if is_decided { by_counts } else { vendor };
        placement.apply(&mut usage)?;
        Ok(Some(StatedUsage { usage, is_assumed: false }))
    }

    /// A count of all cache writes includes those for an hour.
    fn separate_cache_writes(&self, usage: &mut Usage) -> Result<(), RefusalReason> {
        let for_an_hour = usage.get(Meter::CacheWrite1Hour).get();
        let of_all = self.known.get(&Slot::Meter(Meter::CacheWrite5Min));
        let includes_them = of_all.is_some_and(|(name, _)| !name.contains("ephemeral_5m"));
        if includes_them {
            usage.set(
                Meter::CacheWrite5Min,
                checked(usage.get(Meter::CacheWrite5Min).get().saturating_sub(for_an_hour))?,
            );
        }
        Ok(())
    }

    fn total(&self) -> Option<u64> {
        let (_, value) = self.known.get(&Slot::Total)?;
        value.whole().and_then(|total| u64::try_from(total).ok()).filter(|total| *total > 0)
    }

    /// The cost that the client computed, rounded half to even to 12 decimal places; none if it is not an amount.
    pub(crate) fn cost(&self) -> Option<ReportedCost> {
        let amount = self.known.get(&Slot::Cost)?.1.decimal()?;
        let amount = amount.round_dp_with_strategy(COST_SCALE, RoundingStrategy::MidpointNearestEven);
        let amount = Money::parse(&amount.normalize().to_string()).ok().filter(|amount| !amount.is_negative())?;
        Some(ReportedCost { amount, source: Some(CostSource::Client) })
    }

    /// What the span is, by its operation.
    pub(crate) fn operation(&self) -> Operation {
        operation(self.text(Slot::Operation))
    }

    /// The time to the first token of the response, in milliseconds. The conventions have it in seconds.
    pub(crate) fn first_token_ms(&self) -> Option<u64> {
        let value = |slot| self.known.get(&slot).map(|(_, value)| value);
        let of_seconds = value(Slot::FirstToken).and_then(AttributeValue::seconds_as_ms);
        of_seconds.or_else(|| value(Slot::FirstTokenMs)?.decimal()?.to_u64())
    }

    /// The provider, by its name in price tables.
    pub(crate) fn provider(&self) -> Option<String> {
        let named = self.text(Slot::Provider)?;
        // Vercel's AI SDK names the interface of the provider, too.
        let of_interface = INTERFACES.iter().find_map(|interface| named.strip_suffix(interface));
        Some(provider_name(of_interface.unwrap_or(named)))
    }

    /// The model of the response, or of the request if the response names none.
    pub(crate) fn model(&self) -> Option<&str> {
        self.text(Slot::ResponseModel).or_else(|| self.text(Slot::RequestModel))
    }
}

/// The interfaces of providers in the names of Vercel's AI SDK, such as `openai.chat`.
const INTERFACES: [&str; 8] =
    [".chat", ".messages", ".responses", ".completion", ".embedding", ".image", ".generative-ai", ".text-embedding"];

fn checked(number: u64) -> Result<Quantity, RefusalReason> {
    Quantity::new(number).map_err(|cause| RefusalReason::Quantity { field: "gen_ai.usage", cause })
}

/// The counts that decide what is inside of what.
struct Counts {
    input: u64,
    output: u64,
    cached: u64,
    reasoning: u64,
}

/// Whether parts are beside their whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Placement {
    cached_beside: bool,
    reasoning_beside: bool,
}

impl Counts {
    fn of(usage: &Usage) -> Self {
        let input = usage.get(Meter::Input).get();
        let reasoning = usage.get(Meter::Reasoning).get();
        Self { input, output: usage.get(Meter::Output).get(), cached: usage.prompt() - input, reasoning }
    }

    /// Where cached tokens and reasoning tokens are, and whether the counts decide it.
    fn placement(&self, total: Option<u64>) -> (Placement, bool) {
        let places = [(false, false), (true, false), (false, true), (true, true)];
        let places = places.map(|(cached_beside, reasoning_beside)| Placement { cached_beside, reasoning_beside });
        let fits = |place: &Placement| {
            // What is zero is inside.
            let is_possible = |part: u64, whole: u64, beside: bool| if beside { part > 0 } else { part <= whole };
            is_possible(self.cached, self.input, place.cached_beside)
                && is_possible(self.reasoning, self.output, place.reasoning_beside)
        };
        let possible: Vec<_> = places.into_iter().filter(fits).collect();
        let sum = |place: &Placement| {
            // Fewer than 2^11 quantities below 2^53: the sum does not overflow.
            let beside = |part: u64, beside: bool| if beside { part } else { 0 };
            let cached = beside(self.cached, place.cached_beside);
            self.input + cached + self.output + beside(self.reasoning, place.reasoning_beside)
        };
        let of_total: Vec<_> = possible.iter().filter(|place| Some(sum(place)) == total).collect();
        let convention = possible.first().copied();
        let convention = convention.unwrap_or(Placement { cached_beside: false, reasoning_beside: false });
        match of_total.as_slice() {
            [decided] => (**decided, true),
            // By the total both may be: the convention is one of them, or none is.
            _ => (convention, possible.len() == 1),
        }
    }
}

impl Placement {
    /// Makes the meters disjoint, and each whole include its parts.
    fn apply(self, usage: &mut Usage) -> Result<(), RefusalReason> {
        if self.reasoning_beside {
            usage.set(Meter::Output, checked(usage.get(Meter::Output).get() + usage.get(Meter::Reasoning).get())?);
        }
        for &whole in Meter::ALL {
            let parts: u64 = whole.parts().map(|part| usage.get(part).get()).sum();
            if parts > usage.get(whole).get() {
                usage.set(whole, checked(usage.get(whole).get() + parts)?);
            }
        }
        let input = usage.get(Meter::Input).get();
        let cached = usage.prompt() - input;
        if !self.cached_beside {
            usage.set(Meter::Input, checked(input.saturating_sub(cached))?);
        }
        // What was cached of the parts of the input is counted as cached.
        let mut rest = usage.get(Meter::Input);
        for part in Meter::Input.parts() {
            let uncached = usage.get(part).min(rest);
            usage.set(part, uncached);
            rest = checked(rest.get() - uncached.get())?;
        }
        Ok(())
    }
}
