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
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::io::{BufReader, Read};
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
    read_book(BUILTIN)
}

fn read_book(text: &str) -> Result<Vec<Price>, BuiltinError> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
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

/// The most models of a table, thirty times what LiteLLM's has today: each takes memory, however short its entry.
pub const MAX_ENTRIES: usize = 100_000;

/// The longest entry of a model, in bytes: 64 KiB. Its fields take many times that in memory.
const MAX_ENTRY_BYTES: usize = 64 * 1024;

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
    #[error("the table is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
}

/// Why an entry of a table gives no price.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// Longer than an entry may be.
    #[error("its entry is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
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
    let Entries(entries) = read_at_most(input, MAX_TABLE_BYTES)?;
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
    let sizes: BTreeSet<u32> = fields.keys().filter_map(|key| thousands(key)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::price_book::{PriceBook, PriceBookCommand};
    use domain::{Aggregate, Money, Tokens, Usage};

    fn at(date: &str) -> DateTime<Utc> {
        format!("{date}T00:00:00Z").parse().unwrap()
    }

    fn book(prices: Vec<Price>) -> PriceBook {
        let command = PriceBookCommand::Set { prices, source: Name::new("test").unwrap(), at: at("2026-01-01") };
        let events = PriceBook::default().decide(command).unwrap();
        events.iter().fold(PriceBook::default(), |book, event| book.evolve(event))
    }

    /// Input, output, cache read and cache write of a quote; a rate that is not there is `-`.
    fn shown(rates: &Rates) -> String {
        let optional = |rate: Option<Rate>| rate.map_or("-".to_owned(), |rate| rate.to_string());
        let (read, write) = (optional(rates.cache_read), optional(rates.cache_write));
        format!("{} {} {read} {write}", rates.input, rates.output)
    }

    fn on(book: &PriceBook, provider: &str, model: &str, date: &str) -> Option<String> {
        book.quote(Some(provider), model, at(date)).map(|quote| shown(&quote.price.rates))
    }

    #[test]
    fn the_shipped_book_is_one_that_a_price_book_takes() {
        let prices = builtin().unwrap();
        let keys: BTreeSet<_> = prices.iter().map(|p| (&p.provider, &p.model, p.effective_from)).collect();
        assert_eq!(keys.len(), prices.len(), "a price stands twice");
        assert!(prices.len() > 150);
        assert_eq!(book(prices.clone()).quotes().count(), prices.len());
    }

    #[test]
    fn a_book_that_does_not_fit_is_refused() {
        let head = "provider,model,effective_from,above_prompt_tokens,input,output,cache_read,cache_write,reasoning";
        let read = |rows: &str| read_book(&format!("{head}\n{rows}"));
        assert_eq!(read("# a comment\nx,m,2026-01-01,,1,2,,,\nx,m,2026-01-01,100,2,4,,,").unwrap()[0].tiers.len(), 1);
        for rows in ["x,m,2026-01-01,100,2,4,,,", "x,m,2026-01-01,,1,2,,,\nx,m,2026-01-02,100,2,4,,,"] {
            assert!(matches!(read(rows), Err(BuiltinError::TierWithoutPrice { .. })), "{rows}");
        }
        for rows in
            ["x,m,2026-01-01,,1e3,2,,,", "x,m,2026-01-01,,-1,2,,,", "x,m,today,,1,2,,,", "x,,2026-01-01,,1,2,,,"]
        {
            assert!(matches!(read(rows), Err(BuiltinError::Csv(_))), "{rows}");
        }
    }

    #[test]
    fn the_shipped_book_prices_each_model_under_one_provider() {
        let prices = builtin().unwrap();
        let sellers: BTreeSet<_> = prices.iter().map(|price| (&price.model, &price.provider)).collect();
        let models: BTreeSet<_> = prices.iter().map(|price| &price.model).collect();
        assert_eq!(sellers.len(), models.len());
    }

    /// A rate at the wrong power of ten is the likeliest slip: prompts cost less than answers, and more than when
    /// they come from the cache.
    #[test]
    fn the_shipped_rates_stand_in_proportion() {
        for price in builtin().unwrap() {
            let tiers = price.tiers.iter().map(|tier| &tier.rates);
            for rates in std::iter::once(&price.rates).chain(tiers) {
                let is_embedding = price.model.as_str().contains("embedding");
                assert!(is_embedding || rates.input <= rates.output, "{}", price.model);
                assert!(rates.cache_read.is_none_or(|read| read < rates.input), "{}", price.model);
                assert!(rates.cache_write.is_none_or(|write| write > rates.input), "{}", price.model);
            }
            assert!(price.tiers.iter().all(|tier| tier.rates.input > price.rates.input), "{}", price.model);
        }
    }

    #[test]
    fn the_shipped_book_knows_what_models_cost_when() {
        let book = book(builtin().unwrap());
        for (provider, model, date, rates) in [
            ("openai", "gpt-3.5-turbo-16k-0613", "2023-06-12", None),
            ("openai", "gpt-3.5-turbo-16k-0613", "2023-09-24", Some("3 4 - -")),
            ("openai", "gpt-4o", "2024-10-01", Some("5 15 - -")),
            ("openai", "gpt-4o", "2024-10-02", Some("2.5 10 1.25 -")),
            ("openai", "gpt-4.1-mini-2025-04-14", "2026-04-30", Some("0.4 1.6 0.1 -")),
            ("openai", "gpt-4-0125-preview", "2024-03-01", Some("10 30 - -")),
            ("openai", "o3", "2025-06-09", Some("10 40 2.5 -")),
            ("openai", "o3", "2025-06-10", Some("2 8 0.5 -")),
            ("anthropic", "claude-sonnet-4-20250514", "2025-09-07", Some("3 15 0.3 3.75")),
            ("azure", "gpt-4o", "2025-01-01", None),
            ("openai", "gpt-2", "2025-01-01", None),
        ] {
            assert_eq!(on(&book, provider, model, date).as_deref(), rates, "{model} on {date}");
        }
        let quote = book.quote(Some("anthropic"), "claude-sonnet-4-20250514", at("2025-09-07")).unwrap();
        let tokens = |count| Tokens::new(count).unwrap();
        let usage = Usage { input: tokens(200_001), output: tokens(2), ..Usage::default() };
        let charge = quote.charge(&usage).unwrap();
        assert_eq!((charge.tier.as_str(), charge.amount), ("above_200000", Money::parse("1.200051").unwrap()));
    }

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
    fn tables_are_read_exactly_and_in_the_names_of_providers() {
        let table = litellm(TABLE.as_bytes(), at("2026-01-01")).unwrap();
        let found: Vec<String> = table
            .prices
            .iter()
            .map(|price| format!("{}/{} {}", price.provider, price.model, shown(&price.rates)))
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
        assert_eq!(table.prices[0].rates.reasoning.map(|rate| rate.to_string()), Some("20".to_owned()));
        let tiers: Vec<_> = table.prices[1].tiers.iter().map(|t| (t.above_prompt_tokens, shown(&t.rates))).collect();
        assert_eq!(tiers, [(200_000, "2.5 15 0.125 -".to_owned())]);
        assert!(table.prices.iter().all(|price| price.effective_from == at("2026-01-01")));
        assert_eq!(book(table.prices).quotes().count(), 6);
    }

    #[test]
    fn each_entry_that_gives_no_price_is_skipped_with_its_reason() {
        let table = litellm(TABLE.as_bytes(), at("2026-01-01")).unwrap();
        let found: Vec<String> = table.skipped.iter().map(|(key, reason)| format!("{key}: {reason}")).collect();
        assert_eq!(
            found,
            [
                "image: it has no input_cost_per_token: it is not billed by token",
                "no-output: it has no output_cost_per_token: it is not billed by token",
                "free: it costs 0, which is not told from a price that is not known",
                "minus: input_cost_per_token: -1 is negative; a rate is 0 or more",
                "per-thousand: input_cost_per_token comes to 3200.0000 dollars a million tokens, above the 1000 that \
                 are believed",
                "text: input_cost_per_token is \"cheap\", which is not a number",
                "huge: input_cost_per_token is 1e+40, which is not a number",
                "nobody: it names no provider",
                "list: it is not an object",
                " : its name does not fit: the text is empty",
                "x/noisy: noisy has another price for the same model; the first is kept",
            ]
        );
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        for text in ["", "[]", "[{\"modelName\": \"x\"}]", "{", "{\"a\": {}} {}", "7"] {
            assert!(matches!(litellm(text.as_bytes(), at("2026-01-01")), Err(LitellmError::Json(_))), "{text}");
        }
        assert!(matches!(read_at_most(&b"{}   "[..], 4), Err(LitellmError::TooLarge { limit_bytes: 4 })));
        assert!(read_at_most(&b"{}  "[..], 4).is_ok());
    }

    /// A table that packs into a few kilobytes must not take a gigabyte.
    #[test]
    fn what_a_table_makes_us_hold_is_bounded() {
        let many = format!("{{{}\"a\":0}}", "\"\":0,".repeat(MAX_ENTRIES));
        let error = litellm(many.as_bytes(), at("2026-01-01")).unwrap_err();
        assert!(matches!(&error, LitellmError::Json(error) if error.to_string().contains("more than 100000 models")));
        let long = format!("{{\"a\":{{{}\"b\":0}}}}", "\"c\":0,".repeat(MAX_ENTRY_BYTES));
        let table = litellm(long.as_bytes(), at("2026-01-01")).unwrap();
        assert_eq!(table.skipped, [("a".to_owned(), SkipReason::TooLong { limit_bytes: MAX_ENTRY_BYTES })]);
    }

    proptest::proptest! {
        #[test]
        fn tables_of_any_kind_never_panic(number in "-?(0|[1-9][0-9]{0,29})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", key in ".*") {
            let key = serde_json::to_string(&key).unwrap();
            let entry = format!("{{\"litellm_provider\":{key},{key}:{number},\"input_cost_per_token\":{number},\
                \"output_cost_per_token\":{number},\"output_cost_per_token_above_99999999k_tokens\":{number}}}");
            let table = litellm(format!("{{{key}:{entry}}}").as_bytes(), at("2026-01-01")).unwrap();
            // What is taken can be written and read again.
            for price in table.prices {
                let text = serde_json::to_string(&price).unwrap();
                proptest::prop_assert_eq!(serde_json::from_str::<Price>(&text).unwrap(), price);
            }
        }
    }
}
