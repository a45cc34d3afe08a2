//! Reads price tables in LiteLLM's format.
//!
//! Such a table has no dates, so that the caller gives the date from which its prices apply. Every rate is read from
//! its digits; no float is made on the way.

use crate::text::json_decimal;
use chrono::{DateTime, Utc};
use domain::price_book::{Price, Rate, RateError, Rates, Tier, rate};
use domain::{Currency, Meter, Name, TextError};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::io::{BufReader, Read};
use thiserror::Error;

/// The maximum size of a table, in bytes: 64 MiB, twenty times the size of LiteLLM's today.
pub const MAX_TABLE_BYTES: u64 = 64 * 1024 * 1024;

/// The maximum number of models in a table, thirty times that of LiteLLM's today: each takes memory, however short its
/// entry.
pub const MAX_ENTRIES: usize = 100_000;

/// The maximum size of a model's entry, in bytes: 64 KiB. Its fields take many times that in memory.
const MAX_ENTRY_BYTES: usize = 64 * 1024;

/// The maximum rate, in US dollars per million tokens. The most expensive model cost 600. A table that has dollars per
/// thousand tokens, or per million, where dollars per token are expected gives rates far above.
pub const MAX_RATE: u32 = 1_000;

/// The number of decimal places of a rate: as many as an amount may have on the wire. Further digits in these tables
/// are float noise, such as in `4.000000000000001e-06`.
const RATE_SCALE: u32 = 12;

/// The prices of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LitellmTable {
    /// The prices, in the order of the table.
    pub prices: Vec<Price>,
    /// The models that were skipped, and why. A model that is listed twice with the same price is not among them.
    pub skipped: Vec<(String, SkipReason)>,
}

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum LitellmError {
    /// The table is not JSON, or not an object with one entry per model.
    #[error("the table is not a JSON object of models")]
    Json(#[from] serde_json::Error),
    /// The table is larger than [`MAX_TABLE_BYTES`].
    #[error("the table is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The maximum size of a table.
        limit_bytes: u64,
    },
}

/// Why an entry of a table is skipped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// The entry is too long.
    #[error("its entry is longer than {limit_bytes} bytes")]
    TooLong {
        /// The maximum size of an entry.
        limit_bytes: usize,
    },
    /// The entry is not an object.
    #[error("it is not an object")]
    NotAnObject,
    /// The entry has no `litellm_provider`.
    #[error("it names no provider")]
    NoProvider,
    /// The model is billed per image, second or page, or the entry does not say how.
    #[error("it has no {0}: it is not billed by token")]
    NotByToken(&'static str),
    /// Both rates are 0. In these tables such a model is as often billed otherwise as it is free.
    #[error("it costs 0, which may mean that its price is not known")]
    Zero,
    /// A rate is not a number.
    #[error("{field} is {found}, which is not a number")]
    NotANumber {
        /// The field.
        field: String,
        /// Its value, clipped.
        found: String,
    },
    /// A rate is negative.
    #[error("{field}: {cause}")]
    Negative {
        /// The field.
        field: String,
        /// Why it is no rate.
        cause: RateError,
    },
    /// A rate is above [`MAX_RATE`].
    #[error("{field} is {dollars_per_million} dollars per million tokens, above the maximum of {MAX_RATE}")]
    TooHigh {
        /// The field.
        field: String,
        /// The rate.
        dollars_per_million: Decimal,
    },
    /// The name of the model or the provider is invalid.
    #[error("its name is invalid: {0}")]
    Name(TextError),
    /// An earlier key that means the same model of the same provider has another price.
    #[error("{first} has another price for the same model; the first is used")]
    Contradiction {
        /// The earlier key, whose price is used.
        first: String,
    },
}

/// Reads a table in LiteLLM's format (`model_prices_and_context_window.json`), which tokencost uses too.
///
/// Entries billed by token are read, with their cache and reasoning rates and their tiers. Rates for batches, priority,
/// audio, images and longer cache lifetimes are ignored. Suffixes that only say how LiteLLM calls a provider are
/// removed from its name, and the provider's name from the front of the model's, so that `vertex_ai/x` of
/// `vertex_ai-language-models` is `x` of `vertex_ai`. If two keys then mean the same model, the first one is used.
///
/// # Errors
/// [`LitellmError`] if the table as a whole cannot be read. A single bad entry is skipped, with its reason.
pub fn litellm(input: impl Read, effective_from: DateTime<Utc>) -> Result<LitellmTable, LitellmError> {
    let Entries(entries) = read_at_most(input, MAX_TABLE_BYTES)?;
    let mut table = LitellmTable { prices: Vec::new(), skipped: Vec::new() };
    let mut seen: BTreeMap<(Name, Name), (usize, String)> = BTreeMap::new();
    for (key, entry) in entries {
        if key == "sample_spec" {
            continue;
        }
        let price = match price(&key, &entry, effective_from) {
            Ok(price) => price,
            Err(reason) => {
                table.skipped.push((key, reason));
                continue;
            }
        };
        match seen.entry((price.provider.clone(), price.model.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert((table.prices.len(), key));
                table.prices.push(price);
            }
            Entry::Occupied(first) if table.prices[first.get().0] == price => {}
            Entry::Occupied(first) => {
                table.skipped.push((key, SkipReason::Contradiction { first: first.get().1.clone() }));
            }
        }
    }
    Ok(table)
}

fn read_at_most(input: impl Read, limit_bytes: u64) -> Result<Entries, LitellmError> {
    let mut input = input.take(limit_bytes + 1);
    let read = serde_json::from_reader(BufReader::new(&mut input));
    if input.limit() == 0 {
        return Err(LitellmError::TooLarge { limit_bytes });
    }
    Ok(read?)
}

/// The entries of a JSON object in their order, duplicates included.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of models")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() >= MAX_ENTRIES {
                        let error = format!("the table has more than {MAX_ENTRIES} models: split it");
                        return Err(serde::de::Error::custom(error));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

type Fields = BTreeMap<String, Box<RawValue>>;

fn price(key: &str, entry: &RawValue, effective_from: DateTime<Utc>) -> Result<Price, SkipReason> {
    if entry.get().len() > MAX_ENTRY_BYTES {
        return Err(SkipReason::TooLong { limit_bytes: MAX_ENTRY_BYTES });
    }
    let fields: Fields = serde_json::from_str(entry.get()).map_err(|_| SkipReason::NotAnObject)?;
    let listed = text(&fields, "litellm_provider").ok_or(SkipReason::NoProvider)?;
    let provider = provider(&listed);
    let prefix = |name: &str| key.strip_prefix(name)?.strip_prefix('/');
    let model = prefix(provider).or_else(|| prefix(&listed)).unwrap_or(key);
    let is_embedding = text(&fields, "mode").as_deref() == Some("embedding");
    let input = field_rate(&fields, INPUT, "")?.ok_or(SkipReason::NotByToken(INPUT))?;
    let output = match field_rate(&fields, OUTPUT, "")? {
        None if is_embedding => rate(Decimal::ZERO).map_err(|cause| negative(OUTPUT, cause))?,
        output => output.ok_or(SkipReason::NotByToken(OUTPUT))?,
    };
    if [input, output].iter().all(|rate| rate.as_money().as_decimal().is_zero()) {
        return Err(SkipReason::Zero);
    }
    let mut rates = Rates::new(input, output);
    for (meter, field) in OPTIONAL.into_iter().chain([(Meter::Reasoning, REASONING)]) {
        if let Some(rate) = field_rate(&fields, field, "")? {
            rates = rates.with(meter, rate);
        }
    }
    Ok(Price {
        provider: Name::new(provider).map_err(SkipReason::Name)?,
        model: Name::new(model).map_err(SkipReason::Name)?,
        effective_from,
        currency: Currency::Usd,
        tiers: tiers(&fields, &rates)?,
        rates,
    })
}

const INPUT: &str = "input_cost_per_token";
const OUTPUT: &str = "output_cost_per_token";
const CACHE_READ: &str = "cache_read_input_token_cost";
const CACHE_WRITE: &str = "cache_creation_input_token_cost";
const REASONING: &str = "output_cost_per_reasoning_token";
/// The meters whose rates an entry and each of its tiers may give.
const OPTIONAL: [(Meter, &str); 2] = [(Meter::CacheRead, CACHE_READ), (Meter::CacheWrite5Min, CACHE_WRITE)];

/// The common name of a provider. LiteLLM's name also says which of its APIs is called.
fn provider(listed: &str) -> &str {
    match listed {
        "text-completion-openai" => "openai",
        "text-completion-codestral" => "codestral",
        "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        _ if listed.starts_with("vertex_ai-") => "vertex_ai",
        _ => listed.strip_suffix("-embedding-models").unwrap_or(listed),
    }
}

/// The rates for large prompts, such as `input_cost_per_token_above_200k_tokens`. A rate that a tier omits is the base
/// rate, except that reasoning is billed as output.
fn tiers(fields: &Fields, base: &Rates) -> Result<Vec<Tier>, SkipReason> {
    let thousands = |key: &str| {
        let above = [INPUT, OUTPUT, CACHE_READ, CACHE_WRITE].iter().find_map(|field| key.strip_prefix(field))?;
        above.strip_prefix("_above_")?.strip_suffix("k_tokens")?.parse::<u32>().ok()
    };
    let sizes: BTreeSet<u32> = fields.keys().filter_map(|key| thousands(key)).collect();
    let tier = |size: u32| {
        let suffix = format!("_above_{size}k_tokens");
        let required = [(Meter::Input, INPUT), (Meter::Output, OUTPUT)];
        let mut rates = base.clone().without(Meter::Reasoning);
        for (meter, field) in required.into_iter().chain(OPTIONAL) {
            if let Some(rate) = field_rate(fields, field, &suffix)? {
                rates = rates.with(meter, rate);
            }
        }
        Ok(Tier { above_prompt_tokens: u64::from(size) * 1_000, rates })
    };
    sizes.into_iter().map(tier).collect()
}

fn text(fields: &Fields, field: &str) -> Option<String> {
    serde_json::from_str(fields.get(field)?.get()).ok()
}

/// A rate per million tokens, from a field in dollars per token. `None` if the field is absent or null.
fn field_rate(fields: &Fields, name: &str, suffix: &str) -> Result<Option<Rate>, SkipReason> {
    let field = format!("{name}{suffix}");
    let text = match fields.get(&field).map(|raw| raw.get()) {
        None | Some("null") => return Ok(None),
        Some(text) => text,
    };
    let per_million = json_decimal(text).and_then(|per_token| per_token.checked_mul(Decimal::from(1_000_000)));
    let Some(dollars_per_million) = per_million else {
        return Err(SkipReason::NotANumber { field, found: text.chars().take(64).collect() });
    };
    if dollars_per_million > Decimal::from(MAX_RATE) {
        return Err(SkipReason::TooHigh { field, dollars_per_million });
    }
    rate(dollars_per_million.round_dp(RATE_SCALE)).map(Some).map_err(|cause| negative(&field, cause))
}

fn negative(field: &str, cause: RateError) -> SkipReason {
    SkipReason::Negative { field: field.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::testing::{at, book, display};

    const TABLE: &str = r#"{
        "sample_spec": {"litellm_provider": "one of", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
        "plain": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 3e-06,
            "output_cost_per_token": 0.000015, "cache_read_input_token_cost": 3e-07,
            "cache_creation_input_token_cost": 3.75e-06, "output_cost_per_reasoning_token": 2e-05},
        "openai/plain": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.000003,
            "output_cost_per_token": 1.5E-5, "cache_read_input_token_cost": 3e-07,
            "cache_creation_input_token_cost": 3.75e-06, "output_cost_per_reasoning_token": 2e-05},
        "gemini/large": {"litellm_provider": "gemini", "input_cost_per_token": 1.25e-06,
            "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07,
            "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05,
            "input_cost_per_token_above_200k_tokens_batches": 9e-06,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 9e-06},
        "vertex_ai/large": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1e-06,
            "output_cost_per_token": 1e-05},
        "embed": {"litellm_provider": "fireworks_ai-embedding-models", "mode": "embedding",
            "input_cost_per_token": 8e-09},
        "noisy": {"litellm_provider": "x", "input_cost_per_token": 4.000000000000001e-06,
            "output_cost_per_token": 3.0000000000000004e-08},
        "azure/eu/plain": {"litellm_provider": "azure", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06},

        "image": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
        "no-output": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06},
        "free": {"litellm_provider": "ollama", "input_cost_per_token": 0.0, "output_cost_per_token": 0},
        "minus": {"litellm_provider": "x", "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
        "per-thousand": {"litellm_provider": "x", "input_cost_per_token": 0.0032, "output_cost_per_token": 0.00971},
        "text": {"litellm_provider": "x", "input_cost_per_token": "cheap", "output_cost_per_token": 1e-06},
        "huge": {"litellm_provider": "x", "input_cost_per_token": 1e+40, "output_cost_per_token": 1e-06},
        "nobody": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
        "list": [1, 2],
        " ": {"litellm_provider": "x", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
        "x/noisy": {"litellm_provider": "x", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}
    }"#;

    #[test]
    fn tables_are_read_exactly_and_providers_get_their_common_names() {
        let table = litellm(TABLE.as_bytes(), at("2026-01-01")).unwrap();
        let found: Vec<String> = table
            .prices
            .iter()
            .map(|price| format!("{}/{} {}", price.provider, price.model, display(&price.rates)))
            .collect();
        assert_eq!(
            found,
            [
                "openai/plain 3 15 0.3 3.75",
                "gemini/large 1.25 10 0.125 -",
                "vertex_ai/large 1 10 - -",
                "fireworks_ai/embed 0.008 0 - -",
                "x/noisy 4 0.03 - -",
                "azure/eu/plain 2 8 - -",
            ]
        );
        assert_eq!(table.prices[0].rates.own(Meter::Reasoning).map(|rate| rate.to_string()), Some("20".to_owned()));
        let tiers: Vec<_> = table.prices[1].tiers.iter().map(|t| (t.above_prompt_tokens, display(&t.rates))).collect();
        assert_eq!(tiers, [(200_000, "2.5 15 0.125 -".to_owned())]);
        assert!(table.prices.iter().all(|price| price.effective_from == at("2026-01-01")));
        assert_eq!(book(table.prices).quotes().count(), 6);
    }

    #[test]
    fn each_entry_without_a_price_is_skipped_with_its_reason() {
        let table = litellm(TABLE.as_bytes(), at("2026-01-01")).unwrap();
        let found: Vec<String> = table.skipped.iter().map(|(key, reason)| format!("{key}: {reason}")).collect();
        assert_eq!(
            found,
            [
                "image: it has no input_cost_per_token: it is not billed by token",
                "no-output: it has no output_cost_per_token: it is not billed by token",
                "free: it costs 0, which may mean that its price is not known",
                "minus: input_cost_per_token: -1 is negative; a rate is 0 or more",
                "per-thousand: input_cost_per_token is 3200.0000 dollars per million tokens, above the maximum of 1000",
                "text: input_cost_per_token is \"cheap\", which is not a number",
                "huge: input_cost_per_token is 1e+40, which is not a number",
                "nobody: it names no provider",
                "list: it is not an object",
                " : its name is invalid: the text is empty",
                "x/noisy: noisy has another price for the same model; the first is used",
            ]
        );
    }

    #[test]
    fn an_input_that_is_not_a_table_is_an_error() {
        for text in ["", "[]", "[{\"modelName\": \"x\"}]", "{", "{\"a\": {}} {}", "7"] {
            assert!(matches!(litellm(text.as_bytes(), at("2026-01-01")), Err(LitellmError::Json(_))), "{text}");
        }
        assert!(matches!(read_at_most(&b"{}   "[..], 4), Err(LitellmError::TooLarge { limit_bytes: 4 })));
        assert!(read_at_most(&b"{}  "[..], 4).is_ok());
    }

    /// A table that compresses to a few kilobytes must not take a gigabyte.
    #[test]
    fn the_memory_of_a_table_is_bounded() {
        let many = format!("{{{}\"a\":0}}", "\"\":0,".repeat(MAX_ENTRIES));
        let error = litellm(many.as_bytes(), at("2026-01-01")).unwrap_err();
        assert!(matches!(&error, LitellmError::Json(error) if error.to_string().contains("more than 100000 models")));
        let long = format!("{{\"a\":{{{}\"b\":0}}}}", "\"c\":0,".repeat(MAX_ENTRY_BYTES));
        let table = litellm(long.as_bytes(), at("2026-01-01")).unwrap();
        assert_eq!(table.skipped, [("a".to_owned(), SkipReason::TooLong { limit_bytes: MAX_ENTRY_BYTES })]);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_tables_never_panic(number in "-?(0|[1-9][0-9]{0,29})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", key in ".*") {
            let key = serde_json::to_string(&key).unwrap();
            let entry = format!("{{\"litellm_provider\":{key},{key}:{number},\"input_cost_per_token\":{number},\
                \"output_cost_per_token\":{number},\"output_cost_per_token_above_99999999k_tokens\":{number}}}");
            let table = litellm(format!("{{{key}:{entry}}}").as_bytes(), at("2026-01-01")).unwrap();
            // Every price can be serialized and deserialized.
            for price in table.prices {
                let text = serde_json::to_string(&price).unwrap();
                proptest::prop_assert_eq!(serde_json::from_str::<Price>(&text).unwrap(), price);
            }
        }
    }
}
