//! The fields of an entry: which meter a cost is of, and under which conditions it applies.

use super::skip::{MAX_RATE, SkipReason};
use crate::text::json_decimal;
use domain::price_book::{Conditions, ContextSize, MILLION, PriceComponent, Rate, rate};
use domain::{Meter, Name, Unit};
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// The number of decimal places of a rate: as many as an amount may have on the wire. Further digits in these tables
/// are float noise, such as in `4.000000000000001e-06`.
const RATE_SCALE: u32 = 12;

pub(super) const INPUT: &str = "input_cost_per_token";
pub(super) const OUTPUT: &str = "output_cost_per_token";

/// The cost of a unit, by field, and the meter that counts it.
const COSTS: &[(&str, Meter)] = &[
    (INPUT, Meter::Input),
    (OUTPUT, Meter::Output),
    ("cache_read_input_token_cost", Meter::CacheRead),
    ("input_cost_per_token_cache_hit", Meter::CacheRead),
    ("cache_creation_input_token_cost", Meter::CacheWrite5Min),
    ("cache_creation_input_token_cost_above_1hr", Meter::CacheWrite1Hour),
    ("output_cost_per_reasoning_token", Meter::Reasoning),
    ("input_cost_per_audio_token", Meter::AudioInput),
    ("output_cost_per_audio_token", Meter::AudioOutput),
    ("input_cost_per_image_token", Meter::ImageInput),
    ("output_cost_per_image_token", Meter::ImageOutput),
    ("output_cost_per_image", Meter::Images),
    ("input_cost_per_request", Meter::Requests),
    ("input_cost_per_second", Meter::MediaMs),
    ("input_cost_per_character", Meter::Characters),
];

/// The service tiers, by the suffix of a field.
const SERVICE_TIERS: &[(&str, &str)] = &[("_priority", "priority"), ("_flex", "flex"), ("_batches", "batch")];

/// The fields of an entry, or of a part of it.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// A field that is a string.
pub(super) fn text(fields: &Fields, field: &str) -> Option<String> {
    serde_json::from_str(fields.get(field)?.get()).ok()
}

/// The meter and the conditions of a field such as `input_cost_per_token_above_200k_tokens_batches`; none if it is not
/// the cost of a meter.
pub(super) fn parse(field: &str) -> Option<(Meter, Conditions)> {
    let suffixed = |(name, meter): &(&str, Meter)| Some((*meter, conditions(field.strip_prefix(name)?)?));
    COSTS.iter().find_map(suffixed)
}

fn conditions(suffixes: &str) -> Option<Conditions> {
    let (size, tier) =
        match SERVICE_TIERS.iter().find_map(|(suffix, tier)| Some((suffixes.strip_suffix(suffix)?, *tier))) {
            Some((size, tier)) => (size, Some(Name::new(tier).ok()?)),
            None => (suffixes, None),
        };
    let context = match size {
        "" => None,
        size => {
            let thousands: u32 = size.strip_prefix("_above_")?.strip_suffix("k_tokens")?.parse().ok()?;
            above(u64::from(thousands) * 1_000)
        }
    };
    Some(Conditions { context, service_tier: tier, ..Conditions::default() })
}

/// The condition that a prompt is larger than a number of tokens; none for 0.
pub(super) fn above(tokens: u64) -> Option<ContextSize> {
    (tokens > 0).then_some(ContextSize { above: tokens, graduated: false })
}

/// A component from the cost of one unit; none if the value is null.
pub(super) fn component(
    field: &str,
    value: &RawValue,
    meter: Meter,
    when: Conditions,
) -> Result<Option<PriceComponent>, SkipReason> {
    let (factor, per, units) = quoted_units(meter);
    let Some(rate) = cost(field, value, factor, units)? else { return Ok(None) };
    Ok(Some(PriceComponent { meter, rate, per, when }))
}

/// The units for which the rates of a meter are quoted: how many of the table's units they are, how many of the
/// meter's, and their name.
fn quoted_units(meter: Meter) -> (u32, NonZeroU64, &'static str) {
    const SECOND_MS: NonZeroU64 = NonZeroU64::MIN.saturating_add(999);
    match meter.unit() {
        Unit::Token => (1_000_000, MILLION, "million tokens"),
        Unit::Character => (1_000_000, MILLION, "million characters"),
        Unit::Millisecond => (1, SECOND_MS, "second"),
        Unit::Image => (1, NonZeroU64::MIN, "image"),
        Unit::Request => (1, NonZeroU64::MIN, "request"),
        Unit::Search => (1, NonZeroU64::MIN, "search"),
    }
}

fn cost(field: &str, value: &RawValue, factor: u32, units: &'static str) -> Result<Option<Rate>, SkipReason> {
    let text = value.get();
    if text == "null" {
        return Ok(None);
    }
    let field = || field.to_owned();
    let Some(dollars) = decimal(value).and_then(|cost| cost.checked_mul(factor.into())) else {
        return Err(SkipReason::NotANumber { field: field(), found: text.chars().take(64).collect() });
    };
    if dollars > Decimal::from(MAX_RATE) {
        return Err(SkipReason::TooHigh { field: field(), dollars, units });
    }
    rate(dollars.round_dp(RATE_SCALE)).map(Some).map_err(|cause| SkipReason::Negative { field: field(), cause })
}

/// A number, or a number in a string.
pub(super) fn decimal(value: &RawValue) -> Option<Decimal> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => json_decimal(text.trim()),
        Err(_) => json_decimal(value.get()),
    }
}

/// Whether a cost is absent: null or 0.
pub(super) fn is_zero(value: &RawValue) -> bool {
    value.get() == "null" || decimal(value).is_some_and(|cost| cost.is_zero())
}

/// Whether the name of a field says that it changes what is charged.
pub(super) fn is_cost(field: &str) -> bool {
    ["cost", "pricing", "multiplier"].iter().any(|word| field.contains(word))
}
