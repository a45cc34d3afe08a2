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
pub(in crate::prices) const RATE_SCALE: u32 = 12;

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
    ("output_cost_per_second", Meter::MediaMs),
    ("cost_per_second", Meter::MediaMs),
];

/// The service tiers, by the suffix of a field.
const SERVICE_TIERS: &[(&str, &str)] = &[
    ("_priority", "priority"),
    ("_flex", "flex"),
    ("_batches", "batch"),
    ("_ultrafast", "ultrafast"),
    ("_balanced", "balanced"),
    ("_decisions", "decisions"),
];

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
pub(in crate::prices) fn decimal(value: &RawValue) -> Option<Decimal> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => json_decimal(text.trim()),
        Err(_) => json_decimal(value.get()),
    }
}

/// Whether a cost is absent: null or 0.
pub(super) fn is_zero(value: &RawValue) -> bool {
    value.get() == "null" || decimal(value).is_some_and(|cost| cost.is_zero())
}

/// The beginnings of fields that say what a model can do, and how it is called.
const NEUTRAL_PREFIXES: &[&str] = &[
    "supports_",
    "supported_",
    "max_",
    "bedrock_",
    "gemini_",
    "token_count_",
    "reasoning_",
    "prompt_cache_",
    "uses_",
    "use_",
];

/// Other fields that are no prices.
const NEUTRAL_FIELDS: &[&str] = &[
    "audio_transcription_config",
    "comment",
    "default_reasoning_effort",
    "deprecation_date",
    "litellm_provider",
    "metadata",
    "mode",
    "output_vector_size",
    "rpm",
    "rules",
    "source",
    "thinking_always_on",
    "tpm",
    "vertex_ai_audio_api",
];

/// Why a field that is not read matters, by a part of its name; the first one that fits.
const REASONS: &[(&str, &str)] = &[
    ("search_free_requests", "a number of free searches by month or day is no condition of a call"),
    ("web_search_billing_unit", "it does not say that searches are billed one by one"),
    ("above_12hr", "no meter counts cache writes for 12 hours"),
    ("dbu_cost", "it is in units of Databricks, not in dollars"),
    ("multiplier", "it is for regions that it does not name"),
    ("provider_specific_entry", "it has no number by a region or speed"),
    ("audio_token_cost", "no meter counts cached tokens by what they hold"),
    ("image_token_cost", "no meter counts cached tokens by what they hold"),
    ("explicit_cache", "no meter counts reads of explicit caches apart"),
    ("_pixel", "no meter counts pixels"),
    ("_page", "no meter counts pages"),
    ("credit", "no meter counts pages"),
    ("video", "no meter counts video"),
    ("audio_per_second", "seconds of audio in a prompt are billed beside its tokens, which no meter tells apart"),
    ("cost_per_second_", "the resolution of a video is no condition"),
    ("interval", "the length of a video is no condition"),
    ("cost_per_image_", "the size of an image is no condition"),
    ("input_cost_per_image", "no meter counts the images of a prompt"),
    ("google_maps", "no meter counts queries of maps"),
    ("per_query", "no meter counts queries of a search engine or a reranker"),
    ("output_cost_per_character", "no meter counts generated characters"),
    ("citation", "no meter counts tokens of citations"),
    ("computer_use", "no meter counts tokens of computer use apart"),
    ("code_interpreter", "no meter counts sessions of a code interpreter"),
    ("file_search", "no meter counts searches of files, or stored bytes"),
    ("vector_store", "no meter counts stored bytes"),
    ("text_message", "no meter counts messages"),
    ("guardrail", "no meter counts uses of guardrails"),
    ("_above_", "the size in its name is no number of thousand tokens"),
    ("cost", "no meter counts it"),
    ("pricing", "it has a form that is not known"),
];

/// Why a field that is not read matters; none if it is no price.
pub(super) fn reason_not_read(field: &str, value: &RawValue) -> Option<&'static str> {
    let is_neutral = NEUTRAL_FIELDS.contains(&field)
        || NEUTRAL_PREFIXES.iter().any(|prefix| field.starts_with(prefix))
        || field == "web_search_billing_unit" && value.get() == "\"per_query\"";
    if is_neutral {
        return None;
    }
    let known = REASONS.iter().find(|(part, _)| field.contains(part)).map(|(_, reason)| *reason);
    Some(known.unwrap_or("Apex does not know the field"))
}

/// The conditions that multiply all rates of tokens, each with its factor; empty if the field is no such multiplier.
pub(super) fn multipliers(field: &str, value: &RawValue) -> Vec<(Conditions, Decimal)> {
    let region = |region: &str| Some(Conditions { region: Some(Name::new(region).ok()?), ..Conditions::default() });
    if let Some(of_region) = field.strip_prefix("regional_processing_uplift_multiplier_") {
        return region(of_region).zip(decimal(value)).into_iter().collect();
    }
    if field != "provider_specific_entry" {
        return Vec::new();
    }
    let entries: BTreeMap<String, Box<RawValue>> = serde_json::from_str(value.get()).unwrap_or_default();
    let multiplier = |key: &str, factor: &RawValue| {
        let conditions = match key {
            "fast" => Conditions { speed: Name::new("fast").ok(), ..Conditions::default() },
            key if key.len() == 2 => region(key)?,
            _ => return None,
        };
        Some((conditions, decimal(factor)?))
    };
    let all: Option<Vec<_>> = entries.iter().map(|(key, factor)| multiplier(key, factor)).collect();
    all.unwrap_or_default()
}
