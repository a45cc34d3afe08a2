//! Prices to fill a price book with: the ones that Apex ships, and tables in LiteLLM's format.
//!
//! A table of today's prices cannot price yesterday's calls: tables forget models and change numbers. So the
//! shipped book dates every price, and a table that has no dates is given the one from which it is to hold.
//! Every number is read from its digits; no float is made on the way.

use crate::import::json_decimal;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::price_book::{Price, Rate, RateError, Rates, Tier, rate};
use domain::{Currency, Name, TextError};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::io::Read;
use thiserror::Error;

const BUILTIN: &str = include_str!("prices/builtin.csv");

/// Why the shipped book cannot be read; a test sees to it that it can.
#[derive(Debug, Error)]
pub enum BuiltinError {
    /// A line that does not fit the columns.
    #[error("the shipped price book cannot be read")]
    Csv(#[from] csv::Error),
    /// A line for large prompts that does not follow the price it belongs to.
    #[error("{model} from {effective_from} has rates above {above_prompt_tokens} tokens, but no price before them")]
    TierWithoutPrice {
        /// The model.
        model: Name,
        /// The date.
        effective_from: NaiveDate,
        /// The size of prompt.
        above_prompt_tokens: u64,
    },
}

/// A line of the shipped book; rates are US dollars a million tokens.
#[derive(Debug, Deserialize)]
struct Row {
    provider: Name,
    model: Name,
    effective_from: NaiveDate,
    above_prompt_tokens: Option<u64>,
    input: Rate,
    output: Rate,
    cache_read: Option<Rate>,
    cache_write: Option<Rate>,
    reasoning: Option<Rate>,
}

impl Row {
    fn rates(&self) -> Rates {
        let Self { input, output, cache_read, cache_write, reasoning, .. } = *self;
        Rates { input, output, cache_read, cache_write, reasoning }
    }

    fn from(&self) -> DateTime<Utc> {
        self.effective_from.and_time(NaiveTime::MIN).and_utc()
    }
}

/// The prices that Apex ships, dated, with their tiers.
///
/// # Errors
/// [`BuiltinError`]; never in a build that passed its tests.
pub fn builtin() -> Result<Vec<Price>, BuiltinError> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(BUILTIN.as_bytes());
    let mut prices: Vec<Price> = Vec::new();
    for row in reader.deserialize() {
        let row: Row = row?;
        let (rates, effective_from) = (row.rates(), row.from());
        let Some(above_prompt_tokens) = row.above_prompt_tokens else {
            let (provider, model) = (row.provider, row.model);
            prices.push(Price { provider, model, effective_from, currency: Currency::Usd, rates, tiers: Vec::new() });
            continue;
        };
        let belongs = |price: &&mut Price| {
            (&price.provider, &price.model, price.effective_from) == (&row.provider, &row.model, effective_from)
        };
        let Some(price) = prices.last_mut().filter(belongs) else {
            let Row { model, effective_from, .. } = row;
            return Err(BuiltinError::TierWithoutPrice { model, effective_from, above_prompt_tokens });
        };
        price.tiers.push(Tier { above_prompt_tokens, rates });
    }
    Ok(prices)
}

/// The largest table that is read, in bytes: 64 MiB, twenty times what LiteLLM's has today.
pub const MAX_TABLE_BYTES: u64 = 64 * 1024 * 1024;

/// The highest rate that is believed, in US dollars a million tokens. The dearest model had 600; a table that
/// gives dollars a thousand tokens, or a million, as dollars a token comes out far above.
pub const MAX_RATE: u32 = 1_000;

/// Digits behind the point that a rate keeps: as many as an amount may have on the wire. What is beyond them in
/// these tables is the noise of floats, such as `4.000000000000001e-06`.
const RATE_SCALE: u32 = 12;

/// A table, as prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LitellmTable {
    /// What it prices, in its order.
    pub prices: Vec<Price>,
    /// The models left out, and why. Models that are listed twice with the same price are not among them.
    pub skipped: Vec<(String, SkipReason)>,
}

/// Why a table cannot be read at all.
#[derive(Debug, Error)]
pub enum LitellmError {
    /// Not an object by model, or no JSON.
    #[error("the table is not a JSON object of models")]
    Json(#[from] serde_json::Error),
    /// Over [`MAX_TABLE_BYTES`].
    #[error("the table is longer than {MAX_TABLE_BYTES} bytes")]
    TooLarge,
}

/// Why an entry of a table gives no price.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// Not an object.
    #[error("it is not an object")]
    NotAnObject,
    /// No `litellm_provider`.
    #[error("it names no provider")]
    NoProvider,
    /// Billed by the image, second, page, or not said.
    #[error("it has no {0}: it is not billed by token")]
    NotByToken(&'static str),
    /// Both rates are 0: in these tables that is a model billed otherwise as often as a free one, and no price is
    /// not the same as free.
    #[error("it costs 0, which is not told from a price that is not known")]
    Zero,
    /// Not a number.
    #[error("{field} is {found}, which is not a number")]
    NotANumber {
        /// The field.
        field: String,
        /// What it holds, clipped.
        found: String,
    },
    /// Below 0.
    #[error("{field}: {cause}")]
    Negative {
        /// The field.
        field: String,
        /// What is wrong with it.
        cause: RateError,
    },
    /// Above [`MAX_RATE`].
    #[error("{field} comes to {dollars_per_million} dollars a million tokens, above the {MAX_RATE} that are believed")]
    Absurd {
        /// The field.
        field: String,
        /// The rate.
        dollars_per_million: Decimal,
    },
    /// A name that does not fit.
    #[error("its name does not fit: {0}")]
    Name(TextError),
    /// Priced differently before, under another key that means the same model of the same provider.
    #[error("{first} has another price for the same model; the first is kept")]
    Contradiction {
        /// The key that was kept.
        first: String,
    },
}

/// Reads a table in LiteLLM's format (`model_prices_and_context_window.json`), which tokencost uses too.
///
/// Taken are the entries billed by token, with cache and reasoning rates and tiers; rates for batches, priority,
/// audio, images and longer cache lifetimes are not. Providers lose what only says how LiteLLM calls them, and
/// models the provider in front of them, so that `vertex_ai/x` of `vertex_ai-language-models` is `x` of
/// `vertex_ai`. Where two keys then mean one model, the first one holds.
///
/// # Errors
/// [`LitellmError`]; a single bad entry is skipped, with its reason.
pub fn litellm(input: impl Read, effective_from: DateTime<Utc>) -> Result<LitellmTable, LitellmError> {
    let mut input = input.take(MAX_TABLE_BYTES + 1);
    let read = serde_json::from_reader(std::io::BufReader::new(&mut input));
    if input.limit() == 0 {
        return Err(LitellmError::TooLarge);
    }
    let Entries(entries) = read?;
    let mut table = LitellmTable { prices: Vec::new(), skipped: Vec::new() };
    let mut known: BTreeMap<(Name, Name), (usize, String)> = BTreeMap::new();
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
        match known.entry((price.provider.clone(), price.model.clone())) {
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
    let rates = Rates {
        input,
        output,
        cache_read: field_rate(&fields, CACHE_READ, "")?,
        cache_write: field_rate(&fields, CACHE_WRITE, "")?,
        reasoning: field_rate(&fields, REASONING, "")?,
    };
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

/// The provider as everybody calls it, from the name that also says which of its interfaces LiteLLM uses.
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

/// Rates for large prompts: `input_cost_per_token_above_200k_tokens` and its like. What a tier does not price
/// costs what it does below it, except that reasoning is output again.
fn tiers(fields: &Fields, base: &Rates) -> Result<Vec<Tier>, SkipReason> {
    let thousands = |key: &str| {
        let above = [INPUT, OUTPUT, CACHE_READ, CACHE_WRITE].iter().find_map(|field| key.strip_prefix(field))?;
        above.strip_prefix("_above_")?.strip_suffix("k_tokens")?.parse::<u32>().ok()
    };
    let sizes: std::collections::BTreeSet<u32> = fields.keys().filter_map(|key| thousands(key)).collect();
    let tier = |size: u32| {
        let suffix = format!("_above_{size}k_tokens");
        let rates = Rates {
            input: field_rate(fields, INPUT, &suffix)?.unwrap_or(base.input),
            output: field_rate(fields, OUTPUT, &suffix)?.unwrap_or(base.output),
            cache_read: field_rate(fields, CACHE_READ, &suffix)?.or(base.cache_read),
            cache_write: field_rate(fields, CACHE_WRITE, &suffix)?.or(base.cache_write),
            reasoning: None,
        };
        Ok(Tier { above_prompt_tokens: u64::from(size) * 1_000, rates })
    };
    sizes.into_iter().map(tier).collect()
}

fn text(fields: &Fields, field: &str) -> Option<String> {
    serde_json::from_str(fields.get(field)?.get()).ok()
}

/// A rate a million from dollars a token; none where the field is absent or null.
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
        return Err(SkipReason::Absurd { field, dollars_per_million });
    }
    rate(dollars_per_million.round_dp(RATE_SCALE)).map(Some).map_err(|cause| negative(&field, cause))
}

fn negative(field: &str, cause: RateError) -> SkipReason {
    SkipReason::Negative { field: field.to_owned(), cause }
}
