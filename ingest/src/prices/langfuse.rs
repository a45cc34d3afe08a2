//! Reads price tables in Langfuse's format: models with a regular expression of their names, and prices by kind of usage,
//! in tiers with conditions.
//!
//! Such a table has no dates, so that the caller gives the date from which its prices apply, and it names no providers:
//! that of a model follows from the tokenizer or from the prefix of its names.

use super::globs::globs_of_regex;
use super::litellm::{RATE_SCALE, decimal};
use super::makers::is_maker;
use super::rules::{Rule, compile};
use super::table::{MAX_ENTRIES, MAX_TABLE_BYTES, NotRead, PriceTable, TableError, read_text};
use chrono::{DateTime, Utc};
use domain::price_book::{Conditions, ContextSize, MAX_NAMES, MILLION, ModelPattern, Price, PriceSource, Rate, rate};
use domain::{Meter, Name};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroU64;

/// The kinds of usage, with their meters. Several kinds are names of one meter.
const KINDS: &[(&str, &[Meter])] = &[
    ("input", &[Meter::Input]),
    ("input_tokens", &[Meter::Input]),
    ("input_text", &[Meter::Input]),
    ("input_text_tokens", &[Meter::Input]),
    ("input_modality_1", &[Meter::Input]),
    ("prompt_token_count", &[Meter::Input]),
    ("promptTokenCount", &[Meter::Input]),
    ("output", &[Meter::Output]),
    ("output_tokens", &[Meter::Output]),
    ("output_text", &[Meter::Output]),
    ("output_text_tokens", &[Meter::Output]),
    ("output_modality_1", &[Meter::Output]),
    ("candidates_token_count", &[Meter::Output]),
    ("candidatesTokenCount", &[Meter::Output]),
    ("total", &[Meter::Input, Meter::Output]),
    ("input_cached_tokens", &[Meter::CacheRead]),
    ("input_cached_text_tokens", &[Meter::CacheRead]),
    ("input_cache_read", &[Meter::CacheRead]),
    ("cache_read_input_tokens", &[Meter::CacheRead]),
    ("cached_content_token_count", &[Meter::CacheRead]),
    ("input_cache_creation", &[Meter::CacheWrite5Min]),
    ("input_cache_creation_5m", &[Meter::CacheWrite5Min]),
    ("cache_creation_input_tokens", &[Meter::CacheWrite5Min]),
    ("cache_write_tokens", &[Meter::CacheWrite5Min]),
    ("input_cache_creation_1h", &[Meter::CacheWrite1Hour]),
    ("output_reasoning", &[Meter::Reasoning]),
    ("output_reasoning_tokens", &[Meter::Reasoning]),
    ("reasoning_tokens", &[Meter::Reasoning]),
    ("thoughts_token_count", &[Meter::Reasoning]),
    ("thoughtsTokenCount", &[Meter::Reasoning]),
    ("input_audio", &[Meter::AudioInput]),
    ("input_audio_tokens", &[Meter::AudioInput]),
    ("output_audio", &[Meter::AudioOutput]),
    ("output_audio_tokens", &[Meter::AudioOutput]),
    ("input_image", &[Meter::ImageInput]),
    ("grounding_queries", &[Meter::Searches]),
    ("groundingQueries", &[Meter::Searches]),
    ("web_search_queries", &[Meter::Searches]),
    ("webSearchQueries", &[Meter::Searches]),
];

/// Fields of models that are no prices.
const NEUTRAL_FIELDS: &[&str] = &[
    "id",
    "modelName",
    "matchPattern",
    "createdAt",
    "updatedAt",
    "tokenizerConfig",
    "tokenizerId",
    "pricingTiers",
    "startDate",
    "unit",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    model_name: String,
    match_pattern: String,
    start_date: Option<DateTime<Utc>>,
    tokenizer_id: Option<String>,
    pricing_tiers: Vec<Tier>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tier {
    #[serde(default)]
    name: String,
    #[serde(default)]
    is_default: bool,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    conditions: Vec<Condition>,
    prices: BTreeMap<String, Box<RawValue>>,
}

/// A condition of a tier: a parameter of the call with one of some values, or a size of the usage.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    source: Option<String>,
    key: Option<String>,
    operator: String,
    values: Option<Vec<String>>,
    usage_detail_pattern: Option<String>,
    value: Option<u64>,
    #[allow(dead_code, reason = "names of kinds of usage are compared as they are")]
    case_sensitive: Option<bool>,
}

/// Reads a table in Langfuse's format (`default-model-prices.json`).
///
/// # Errors
/// [`TableError`] if the table as a whole cannot be read. A single bad entry is skipped, with its reason.
pub fn langfuse(input: impl Read, effective_from: DateTime<Utc>) -> Result<PriceTable, TableError> {
    let text = read_text(input, MAX_TABLE_BYTES)?;
    let json_error = |source| TableError::Json { expected: "a JSON list of models", source };
    let entries: Vec<&RawValue> = serde_json::from_str(&text).map_err(json_error)?;
    #[allow(clippy::expect_used, reason = "the text is a constant")]
    let name = Name::new("langfuse").expect("a short text is a name");
    let mut table = PriceTable::new(PriceSource::named(name));
    for (number, entry) in entries.into_iter().enumerate() {
        if number >= MAX_ENTRIES {
            table.skip("", format!("the table has more than {MAX_ENTRIES} models: split it"));
            break;
        }
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(entry.get()).unwrap_or_default();
        let key = fields.get("modelName").and_then(|name| serde_json::from_str::<String>(name.get()).ok());
        let key = key.unwrap_or_else(|| format!("entry {}", number + 1));
        let read = serde_json::from_str::<Entry>(entry.get()).map_err(|error| error.to_string());
        let price = read.and_then(|entry| {
            let mut reader = Reader { entry: key.clone(), not_read: Vec::new() };
            let price = reader.price(entry, effective_from)?;
            Ok((price, reader.not_read))
        });
        match price {
            Ok((price, not_read)) => {
                table.prices.push(price);
                table.not_read.extend(not_read);
                let unknown = fields.into_keys().filter(|field| !NEUTRAL_FIELDS.contains(&field.as_str()));
                let reason = "Apex does not know the field";
                table.not_read.extend(unknown.map(|field| not_read_field(&key, &field, reason)));
            }
            Err(reason) => table.skip(key, reason),
        }
    }
    Ok(table)
}

fn not_read_field(entry: &str, field: &str, reason: &str) -> NotRead {
    NotRead { entry: entry.to_owned(), field: field.to_owned(), reason: reason.to_owned() }
}

struct Reader {
    entry: String,
    not_read: Vec<NotRead>,
}

impl Reader {
    fn price(&mut self, entry: Entry, effective_from: DateTime<Utc>) -> Result<Price, String> {
        let provider = provider(&entry).ok_or("it names no provider, by tokenizer or by the prefix of its names")?;
        let mut tiers = entry.pricing_tiers;
        tiers.sort_by_key(|tier| (tier.is_default, tier.priority));
        let mut rules: BTreeMap<Meter, Vec<Rule>> = BTreeMap::new();
        for tier in &tiers {
            let Some(cases) = cases(&tier.conditions) else {
                self.skip_field(&format!("pricingTiers {}", tier.name), "a price cannot have its conditions");
                continue;
            };
            for (meter, rate) in self.rates(tier)? {
                let rule = |when: &Conditions| Rule { when: when.clone(), rate };
                rules.entry(meter).or_default().extend(cases.iter().map(rule));
            }
        }
        let mut components = Vec::new();
        for (meter, rules) in rules {
            let compiled = compile(meter, units(meter).0, &rules);
            components.extend(compiled.ok_or_else(|| format!("{meter} has more conditions than a price can have"))?);
        }
        let name = |text: &str| Name::new(text).map_err(|error| format!("its name is invalid: {error}"));
        let mut price = Price::new(name(provider)?, name(&entry.model_name)?, components);
        price.list_price = is_maker(provider);
        price.effective_from = entry.start_date.unwrap_or(effective_from);
        self.add_names(&mut price, &entry.match_pattern);
        price.check().map_err(|error| error.to_string())?;
        Ok(price)
    }

    fn add_names(&mut self, price: &mut Price, regex: &str) {
        let Some(globs) = globs_of_regex(regex) else {
            return self.skip_field("matchPattern", "patterns cannot express its regular expression");
        };
        for glob in globs {
            let name = Name::new(glob.wanted.as_str()).ok().filter(|_| glob.is_name() && price.names.len() < MAX_NAMES);
            match (name, ModelPattern::new(&glob.to_string())) {
                (Some(name), _) if name == price.model => {}
                (Some(name), _) => _ = price.names.insert(name),
                (None, Ok(pattern)) if price.patterns.len() < MAX_NAMES => _ = price.patterns.insert(pattern),
                (None, _) => self.skip_field("matchPattern", &format!("{glob} is not a pattern, or one too many")),
            }
        }
    }

    /// The rates of a tier by meter.
    fn rates(&mut self, tier: &Tier) -> Result<BTreeMap<Meter, Rate>, String> {
        let mut rates: BTreeMap<Meter, Rate> = BTreeMap::new();
        // In the order of the table of kinds, so that the plain name of a meter comes first.
        for (kind, meters) in KINDS {
            let Some(value) = tier.prices.get(*kind) else { continue };
            for meter in *meters {
                let read = dollars(kind, value, units(*meter).1)?;
                let first = *rates.entry(*meter).or_insert(read);
                if first != read && *kind != "total" {
                    let reason = "another kind of usage, which is read, has another rate of the same meter";
                    self.skip_field(&format!("{} {kind}", tier.name), reason);
                }
            }
        }
        let unknown = tier.prices.keys().filter(|kind| !KINDS.iter().any(|(known, _)| known == kind));
        for kind in unknown {
            self.skip_field(&format!("{} {kind}", tier.name), "no meter counts this kind of usage");
        }
        Ok(rates)
    }

    fn skip_field(&mut self, field: &str, reason: &str) {
        self.not_read.push(not_read_field(&self.entry, field, reason));
    }
}

/// The number of units of a rate, and the factor from the price of one.
fn units(meter: Meter) -> (NonZeroU64, u32) {
    if meter == Meter::Searches { (NonZeroU64::MIN, 1) } else { (MILLION, 1_000_000) }
}

fn dollars(kind: &str, value: &RawValue, factor: u32) -> Result<Rate, String> {
    let number = decimal(value).and_then(|number: Decimal| number.checked_mul(factor.into()));
    let number = number.ok_or_else(|| format!("{kind} is {}, which is not a number", value.get()))?;
    rate(number.round_dp(RATE_SCALE)).map_err(|error| format!("{kind}: {error}"))
}

/// The conditions of the cases in which a tier applies; none if a price cannot have them.
fn cases(conditions: &[Condition]) -> Option<Vec<Conditions>> {
    let mut cases = vec![Conditions::default()];
    for condition in conditions {
        let Condition { source, key, operator, values, usage_detail_pattern, value, .. } = condition;
        match (source.as_deref(), key.as_deref(), operator.as_str(), values, usage_detail_pattern, value) {
            (Some("model_parameters"), Some(key), "in", Some(values), None, None) => {
                let case = |when: &Conditions, value: &String| {
                    let name = Name::new(value.as_str()).ok();
                    match key {
                        "service_tier" => Some(Conditions { service_tier: Some(name?), ..when.clone() }),
                        "speed" => Some(Conditions { speed: Some(name?), ..when.clone() }),
                        _ => None,
                    }
                };
                let all = cases.iter().flat_map(|when| values.iter().map(move |value| case(when, value)));
                cases = all.collect::<Option<Vec<_>>>()?;
            }
            // The size is that of the prompt, whichever of its kinds of usage the pattern names.
            (None, None, "gt", None, Some(pattern), Some(above)) if pattern.contains("input") => {
                let context = Some(ContextSize { above: *above, graduated: false });
                cases.iter_mut().for_each(|when| when.context = context);
            }
            _ => return None,
        }
    }
    Some(cases)
}

/// The provider of a model, by its tokenizer or the prefix of its names.
fn provider(entry: &Entry) -> Option<&'static str> {
    match entry.tokenizer_id.as_deref() {
        Some("openai") => return Some("openai"),
        Some("claude") => return Some("anthropic"),
        _ => {}
    }
    let known = [("anthropic", "anthropic"), ("google", "gemini"), ("openai", "openai")];
    let prefixed = known.iter().find(|(prefix, _)| entry.match_pattern.contains(prefix));
    let of_google = ["-bison", "-gecko", "-unicorn"].iter().any(|part| entry.model_name.contains(part));
    prefixed.map(|(_, provider)| *provider).or(of_google.then_some("vertex_ai"))
}

/// What is in the table of a test, by meter and conditions.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::testing::at;

    const TABLE: &str = r#"[
        {"id": "1", "modelName": "gpt-x", "matchPattern": "(?i)^(openai/)?(gpt-x)(-\\d{4})?$", "tokenizerId": "openai",
         "createdAt": "2026-01-01T00:00:00Z", "pricingTiers": [
            {"name": "Standard", "isDefault": true, "priority": 0, "conditions": [],
             "prices": {"input": 2.5e-6, "input_cached_tokens": 1.25e-6, "input_cache_read": 1.25e-6, "output": 10e-6,
                        "output_tokens": 11e-6, "input_video": 1}},
            {"name": "Large", "isDefault": false, "priority": 2,
             "conditions": [{"usageDetailPattern": "(input)", "operator": "gt", "value": 272000, "caseSensitive": false}],
             "prices": {"input": 5e-6, "output": 15e-6}},
            {"name": "Fast", "isDefault": false, "priority": 1, "conditions": [
                {"source": "model_parameters", "key": "service_tier", "operator": "in", "values": ["fast", "priority"]}],
             "prices": {"input": 9e-6, "output": 20e-6}},
            {"name": "Odd", "isDefault": false, "priority": 9, "conditions": [
                {"source": "weather", "key": "x", "operator": "in", "values": ["rain"]}], "prices": {"input": 9e-6}}]},
        {"modelName": "embed", "matchPattern": "^embed$", "tokenizerId": "openai", "extra": 1,
         "pricingTiers": [{"isDefault": true, "prices": {"total": 1e-7}}]},
        {"modelName": "mine", "matchPattern": "^mine$", "pricingTiers": [{"isDefault": true, "prices": {"input": 1}}]},
        {"modelName": "bad", "matchPattern": "^bad$", "tokenizerId": "claude",
         "pricingTiers": [{"isDefault": true, "prices": {"input": -1}}]},
        7]"#;

    #[test]
    fn tiers_are_conditions_and_the_rest_is_listed() {
        let table = langfuse(TABLE.as_bytes(), at("2026-01-01")).unwrap();
        let [gpt, embed] = table.prices.as_slice() else { panic!("{:?}", table.skipped) };
        let lines = |price: &Price| -> Vec<String> {
            price.components.iter().map(|one| format!("{} {} {}", one.meter, one.rate, one.when)).collect()
        };
        let expected = [
            "input 2.5 ",
            "input 9 service_tier fast",
            "input 9 service_tier priority",
            "input 5 context > 272000",
            "input 9 context > 272000, service_tier fast",
            "input 9 context > 272000, service_tier priority",
            "output 10 ",
            "output 20 service_tier fast",
            "output 20 service_tier priority",
            "output 15 context > 272000",
            "output 20 context > 272000, service_tier fast",
            "output 20 context > 272000, service_tier priority",
            "cache_read 1.25 ",
        ];
        assert_eq!(lines(gpt), expected);
        assert_eq!(
            (gpt.provider.as_str(), gpt.list_price, gpt.names.len(), gpt.patterns.len()),
            ("openai", true, 1, 2)
        );
        assert_eq!(lines(embed), ["input 0.1 ", "output 0.1 "]);
        let not_read: Vec<_> = table.not_read.iter().map(|one| format!("{} {}", one.entry, one.field)).collect();
        let expected =
            ["gpt-x pricingTiers Odd", "gpt-x Standard output_tokens", "gpt-x Standard input_video", "embed extra"];
        assert_eq!(not_read, expected);
        let skipped: Vec<_> = table.skipped.iter().map(|one| format!("{}: {}", one.entry, one.reason)).collect();
        assert_eq!(skipped.len(), 3, "{skipped:?}");
        assert!(skipped[0].starts_with("mine: it names no provider"), "{skipped:?}");
        assert!(skipped[1].starts_with("bad: input: -1000000 is negative"), "{skipped:?}");
        assert!(skipped[2].starts_with("entry 5: "), "{skipped:?}");
    }
}
