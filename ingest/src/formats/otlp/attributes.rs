//! The attributes of a span or a resource that are read, and the usage that they state.

pub(crate) use super::attribute_value::AttributeValue;
use super::attribute_value::MAX_TEXT_BYTES;
use super::conventions::{self, ScopeBasis, Slot, is_unread_usage, operation, slot_of};
use super::placement::{Counts, Placement, checked};
use super::vendors::{self, Counting};
use crate::error::RefusalReason;
use crate::formats::values;
use crate::text::clip;
use domain::call::{CostSource, ReportedCost, provider_name};
use domain::{Meter, Money, Quantity, Usage};
use rust_decimal::RoundingStrategy;
use std::collections::BTreeMap;

pub(crate) use conventions::Operation;

/// The most attributes of a span, a record of a log, or a resource. SDKs have 128 by default.
pub(crate) const MAX_ATTRIBUTES: usize = 4_096;

/// What attributes are read into, one after the other.
pub(crate) trait AttributeSink: Default {
    /// Takes an attribute.
    fn insert(&mut self, key: &str, value: AttributeValue);
}

/// The most attributes of a span that are named as not understood.
const MAX_UNREAD: usize = 32;

/// The number of decimal places of a reported cost, the same as that of a charge.
const COST_SCALE: u32 = 12;

/// The attributes of one span that are read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Attributes {
    /// By slot, the name of the attribute and its value.
    known: BTreeMap<Slot, (&'static str, AttributeValue)>,
    /// The names of attributes that say something about usage and are not read.
    unread: Vec<Box<str>>,
    /// Attributes that only spans of coding agents have, until it is known whether the span is one.
    bare: Vec<(&'static str, AttributeValue)>,
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
        if value == AttributeValue::Null {
            return;
        }
        match vendors::span_attribute(key) {
            Some(name) => self.bare.push((name, value)),
            None => self.insert_value(key, value),
        }
    }
}

impl Attributes {
    /// As [`AttributeSink::insert`], of what is no span of a coding agent.
    pub(crate) fn insert_value(&mut self, key: &str, value: AttributeValue) {
        let Some((slot, name, rank)) = slot_of(key) else {
            if is_unread_usage(key) {
                self.note_unread(key, &value);
            }
            return;
        };
        // A list is no text, and hides none under another name.
        if value == AttributeValue::Other && !slot.is_number() {
            return;
        }
        // A name of the source's own is preferred to all others.
        let is_preferred = |known: &str| slot_of(known).is_some_and(|(_, _, known)| rank <= known);
        if self.known.get(&slot).is_none_or(|(known, _)| is_preferred(known)) {
            self.known.insert(slot, (name, value));
        }
    }

    /// Notes that an attribute says something about usage and is not read, if it says anything.
    pub(crate) fn note_unread(&mut self, key: &str, value: &AttributeValue) {
        let is_stated = value.whole() != Some(0);
        if self.unread.len() < MAX_UNREAD && is_stated {
            self.unread.push(clip(key, MAX_TEXT_BYTES / 8).into());
        }
    }

    /// Takes the attributes that only spans of coding agents have.
    pub(crate) fn take_bare(&mut self) -> Vec<(&'static str, AttributeValue)> {
        std::mem::take(&mut self.bare)
    }

    /// The attributes whose values are not what they should be, with what that is and the value as it was found. They are not
    /// read, and the rest of the span is.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> {
        self.known.iter().filter_map(|(slot, (name, value))| {
            let (expected, is_read) = match slot {
                Slot::Cost => ("an amount of money", amount(value).is_some()),
                Slot::Total => ("a count", value.whole().is_some_and(|total| total >= 0)),
                Slot::FirstToken => ("a duration", value.seconds_as_ms().is_some()),
                Slot::FirstTokenMs | Slot::LatencyMs => ("a duration", value.milliseconds().is_some()),
                _ => return None,
            };
            let is_stated = value.text().is_none_or(|text| !text.trim().is_empty());
            (is_stated && !is_read).then(|| (*name, expected, value.display()))
        })
    }

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
        let bare = self.bare.iter().map(|bare| size_of_val(bare) + text(bare)).sum::<usize>();
        // A node of a `BTreeMap` has room for eleven entries. With more entries there are leaves with five at least, and a
        // root.
        let nodes = match self.known.len() {
            0 => 0,
            1..=11 => 1,
            len => 1 + len / 5,
        } * 12
            * size_of::<(Slot, &str, AttributeValue)>();
        nodes + unread + bare + self.known.values().map(text).sum::<usize>()
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
        if scope == ScopeBasis::CachedBeside {
            return self.usage_of_vendor(Counting { is_cached_beside: true, is_reasoning_beside: false });
        }
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
            ScopeBasis::Provider | ScopeBasis::CachedBeside => false,
            ScopeBasis::AddsUpStreams if is_streamed => true,
            ScopeBasis::AddsUpStreams | ScopeBasis::Usual => !is_decided,
        };
        Ok(Some(StatedUsage { usage, is_assumed }))
    }

    /// As [`Attributes::usage`], for a source that is known to count cached tokens or reasoning tokens beside the others.
    pub(crate) fn usage_of_vendor(&self, counting: Counting) -> Result<Option<StatedUsage>, RefusalReason> {
        let mut usage = Usage::default();
        for &meter in Meter::ALL {
            usage.set(meter, self.quantity(meter)?);
        }
        if let Some((field, value)) = self.known.get(&Slot::ToolPrompt) {
            let of_tools = value.whole().ok_or_else(|| RefusalReason::NotACount { field, found: value.display() })?;
            let of_tools = values::quantity(field, Some(of_tools))?;
            usage.set(Meter::Input, checked(usage.get(Meter::Input).get() + of_tools.get())?);
        }
        if usage.is_empty() {
            return Ok(None);
        }
        let (by_counts, is_decided) = Counts::of(&usage).placement(self.total());
        let Counting { is_cached_beside, is_reasoning_beside } = counting;
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
        let amount = amount(&self.known.get(&Slot::Cost)?.1)?;
        Some(ReportedCost { amount, source: Some(CostSource::Client) })
    }

    /// The duration that an event states, in milliseconds.
    pub(crate) fn latency_ms(&self) -> Option<u64> {
        self.known.get(&Slot::LatencyMs)?.1.milliseconds()
    }

    /// A count of a meter as it is stated, or nothing.
    pub(crate) fn stated_count(&self, meter: Meter) -> String {
        let stated = self.known.get(&Slot::Meter(meter)).and_then(|(_, value)| value.whole());
        stated.map(|count| count.to_string()).unwrap_or_default()
    }

    /// What the span is, by its operation.
    pub(crate) fn operation(&self) -> Operation {
        operation(self.text(Slot::Operation))
    }

    /// The time to the first token of the response, in milliseconds. The conventions have it in seconds.
    pub(crate) fn first_token_ms(&self) -> Option<u64> {
        let value = |slot| self.known.get(&slot).map(|(_, value)| value);
        let of_seconds = value(Slot::FirstToken).and_then(AttributeValue::seconds_as_ms);
        of_seconds.or_else(|| value(Slot::FirstTokenMs)?.milliseconds())
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

/// A value as an amount of money, rounded half to even to 12 decimal places; none if it is negative, or no amount.
fn amount(value: &AttributeValue) -> Option<Money> {
    let amount = value.decimal()?.round_dp_with_strategy(COST_SCALE, RoundingStrategy::MidpointNearestEven);
    Money::parse(&amount.normalize().to_string()).ok().filter(|amount| !amount.is_negative())
}

/// The interfaces of providers in the names of Vercel's AI SDK, such as `openai.chat`.
const INTERFACES: [&str; 8] =
    [".chat", ".messages", ".responses", ".completion", ".embedding", ".image", ".generative-ai", ".text-embedding"];
