//! The prices that Apex ships.
//!
//! A table of today's prices cannot price yesterday's calls: tables drop models and change rates. So the shipped book is a
//! history of prices by date, which Apex keeps, with the conditions and the other models of a public table, which
//! `scripts/price-table.sh` renews.

use super::genai::genai_prices;
use super::makers::is_maker;
use super::merge::{Disagreement, merge};
use super::table::{PriceTable, TableError};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::price_book::{Conditions, ContextSize, Price, PriceComponent, Rate};
use domain::{Meter, Name};
use flate2::read::GzDecoder;
use serde::Deserialize;
use thiserror::Error;

const HISTORY: &str = include_str!("shipped/history.csv");
/// The table of genai-prices, under the MIT licence in `shipped/LICENSE.genai-prices`.
const TABLE: &[u8] = include_bytes!("shipped/genai-prices.json.gz");

/// Why the shipped price book cannot be read. Never returned by a build that passed its tests.
#[derive(Debug, Error)]
pub enum BuiltinError {
    /// A line does not match the columns.
    #[error("the shipped price book cannot be read")]
    Csv(#[from] csv::Error),
    /// The shipped table cannot be read.
    #[error("the shipped price table cannot be read")]
    Table(#[from] TableError),
    /// A line with the rates for large prompts does not follow the price that it belongs to.
    #[error("{model} from {effective_from} has rates above {above_prompt_tokens} tokens, but no price before them")]
    TierWithoutPrice {
        /// The model of the line.
        model: Name,
        /// The date from which the line applies.
        effective_from: NaiveDate,
        /// The size of a prompt, in tokens, above which the rates of the line apply.
        above_prompt_tokens: u64,
    },
}

/// A line of the shipped book. Rates are in US dollars per million tokens.
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
    cache_write_1hour: Option<Rate>,
    reasoning: Option<Rate>,
}

impl Row {
    fn components(&self) -> Vec<PriceComponent> {
        let context = self.above_prompt_tokens.map(|above| ContextSize { above, graduated: false });
        let when = Conditions { context, ..Conditions::default() };
        let component = |(meter, rate): (Meter, Option<Rate>)| {
            Some(PriceComponent { when: when.clone(), ..PriceComponent::per_million(meter, rate?) })
        };
        let rates = [
            (Meter::Input, Some(self.input)),
            (Meter::Output, Some(self.output)),
            (Meter::CacheRead, self.cache_read),
            (Meter::CacheWrite5Min, self.cache_write),
            (Meter::CacheWrite1Hour, self.cache_write_1hour),
            (Meter::Reasoning, self.reasoning),
        ];
        rates.into_iter().filter_map(component).collect()
    }

    fn effective_from(&self) -> DateTime<Utc> {
        self.effective_from.and_time(NaiveTime::MIN).and_utc()
    }
}

/// The prices that Apex ships, with their effective dates and conditions.
///
/// # Errors
/// [`BuiltinError`] if a shipped file is invalid, which a test rules out.
pub fn builtin() -> Result<PriceTable, BuiltinError> {
    with_history(public_table()?)
}

/// The public table in the prices that Apex ships.
///
/// # Errors
/// [`BuiltinError`] if the shipped file is invalid, which a test rules out.
pub fn public_table() -> Result<PriceTable, BuiltinError> {
    Ok(genai_prices(GzDecoder::new(TABLE))?)
}

/// A table with the history of prices that Apex keeps: the prices of models that the table does not have any more, and
/// those from before its own.
///
/// # Errors
/// [`BuiltinError`] if the shipped history is invalid, which a test rules out.
pub fn with_history(table: PriceTable) -> Result<PriceTable, BuiltinError> {
    let (prices, disagreements) = merge(read_book(HISTORY)?, table.prices);
    let mut table = PriceTable { prices, ..table };
    for Disagreement { provider, model } in disagreements {
        table.skip(format!("{provider}/{model}"), "the history that Apex keeps has other rates, which are used");
    }
    Ok(table)
}

fn read_book(text: &str) -> Result<Vec<Price>, BuiltinError> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let mut prices: Vec<Price> = Vec::new();
    for row in reader.deserialize() {
        let row: Row = row?;
        let (components, effective_from) = (row.components(), row.effective_from());
        let Some(above_prompt_tokens) = row.above_prompt_tokens else {
            let list_price = is_maker(row.provider.as_str());
            let Row { provider, model, .. } = row;
            prices.push(Price { list_price, effective_from, ..Price::new(provider, model, components) });
            continue;
        };
        let is_base = |price: &&mut Price| {
            (&price.provider, &price.model, price.effective_from) == (&row.provider, &row.model, effective_from)
        };
        let Some(price) = prices.last_mut().filter(is_base) else {
            let Row { model, effective_from, .. } = row;
            return Err(BuiltinError::TierWithoutPrice { model, effective_from, above_prompt_tokens });
        };
        price.components.extend(components);
    }
    Ok(prices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::testing::{at, book, display};
    use domain::price_book::{PriceBook, PricingContext};
    use domain::{Quantity, Usage};
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn on(book: &PriceBook, provider: &str, model: &str, date: &str) -> Option<String> {
        book.quote(Some(&name(provider)), &name(model), at(date), None).ok().map(|found| display(&found.quote.price))
    }

    /// The conditions and the amount of the charge for a usage.
    fn charged(book: &PriceBook, model: &str, date: &str, usage: &[(Meter, u64)]) -> (String, String) {
        let usage: Usage = usage.iter().map(|(meter, number)| (*meter, Quantity::new(*number).unwrap())).collect();
        let call = PricingContext {
            provider: None,
            model: &name(model),
            usage: &usage,
            started_at: at(date),
            service_tier: None,
            speed: None,
            region: None,
        };
        let charge = book.charge(&call, None).unwrap();
        (charge.conditions(), charge.amount.to_string())
    }

    #[test]
    fn a_price_book_accepts_the_shipped_prices() {
        let table = builtin().unwrap();
        let prices = table.prices;
        let keys: BTreeSet<_> = prices.iter().map(|p| (&p.provider, &p.model, p.effective_from)).collect();
        assert_eq!(keys.len(), prices.len(), "a price is listed twice");
        assert!(prices.len() > 2_000, "{}", prices.len());
        assert_eq!((table.source.licence.unwrap().as_str(), table.source.dated.is_some()), ("MIT", true));
        assert_eq!(book(prices.clone()).quotes(None).count(), prices.len());
    }

    #[test]
    fn an_invalid_book_is_an_error() {
        let head = "provider,model,effective_from,above_prompt_tokens,input,output,cache_read,\
                    cache_write,cache_write_1hour,reasoning";
        let read = |rows: &str| read_book(&format!("{head}\n{rows}"));
        assert_eq!(
            read("# a comment\nx,m,2026-01-01,,1,2,,,,\nx,m,2026-01-01,100,2,4,,,,").unwrap()[0].components.len(),
            4
        );
        for rows in ["x,m,2026-01-01,100,2,4,,,,", "x,m,2026-01-01,,1,2,,,,\nx,m,2026-01-02,100,2,4,,,,"] {
            assert!(matches!(read(rows), Err(BuiltinError::TierWithoutPrice { .. })), "{rows}");
        }
        for rows in
            ["x,m,2026-01-01,,1e3,2,,,,", "x,m,2026-01-01,,-1,2,,,,", "x,m,today,,1,2,,,,", "x,,2026-01-01,,1,2,,,,"]
        {
            assert!(matches!(read(rows), Err(BuiltinError::Csv(_))), "{rows}");
        }
    }

    #[test]
    fn the_history_has_each_model_under_one_provider() {
        let prices = read_book(HISTORY).unwrap();
        let sellers: BTreeSet<_> = prices.iter().map(|price| (&price.model, &price.provider)).collect();
        let models: BTreeSet<_> = prices.iter().map(|price| &price.model).collect();
        assert_eq!(sellers.len(), models.len());
    }

    /// A rate at the wrong power of ten is the most likely mistake: input costs less than output, and more than cache
    /// reads, and what is kept for longer costs more.
    #[test]
    fn the_shipped_rates_are_in_proportion() {
        for price in read_book(HISTORY).unwrap() {
            let mut by_size: BTreeMap<u64, BTreeMap<Meter, Rate>> = BTreeMap::new();
            for component in &price.components {
                let above = component.when.context.map_or(0, |context| context.above);
                by_size.entry(above).or_default().insert(component.meter, component.rate);
            }
            for rates in by_size.values() {
                let is = |meter: Meter, holds: &dyn Fn(Rate) -> bool| {
                    assert!(rates.get(&meter).is_none_or(|rate| holds(*rate)), "{meter} of {}", price.model);
                };
                let input = rates[&Meter::Input];
                let is_embedding = price.model.as_str().contains("embedding");
                is(Meter::Output, &|output| is_embedding || input <= output);
                is(Meter::CacheRead, &|read| read < input);
                is(Meter::CacheWrite5Min, &|write| write > input);
                is(Meter::CacheWrite1Hour, &|write| write > rates[&Meter::CacheWrite5Min]);
            }
            let inputs: Vec<_> = by_size.values().map(|rates| rates[&Meter::Input]).collect();
            assert!(inputs.is_sorted_by(|small, large| small < large), "{}", price.model);
            assert!(by_size.values().all(|rates| rates.keys().eq(by_size[&0].keys())), "{}", price.model);
        }
    }

    #[test]
    fn the_shipped_book_has_the_price_of_each_date() {
        let book = book(builtin().unwrap().prices);
        for (provider, model, date, rates) in [
            ("openai", "gpt-3.5-turbo-16k-0613", "2023-06-12", None),
            ("openai", "gpt-3.5-turbo-16k-0613", "2023-09-24", Some("3 4 - - -")),
            ("openai", "gpt-4o", "2024-10-01", Some("5 15 - - -")),
            ("openai", "gpt-4o", "2024-10-02", Some("2.5 10 1.25 - -")),
            ("openai", "gpt-4.1-mini-2025-04-14", "2026-04-30", Some("0.4 1.6 0.1 - -")),
            ("openai", "gpt-4-0125-preview", "2024-03-01", Some("10 30 - - -")),
            ("openai", "o3", "2025-06-09", Some("10 40 2.5 - -")),
            ("openai", "o3", "2025-06-10", Some("2 8 0.5 - -")),
            ("anthropic", "claude-sonnet-4-20250514", "2025-09-07", Some("3 15 0.3 3.75 6")),
            ("azure", "gpt-4o", "2025-01-01", Some("2.5 10 1.25 - -")),
            ("gemini", "gemini-1.5-pro", "2024-10-01", Some("1.25 5 0.3125 - -")),
            ("gemini", "gemini-2.0-flash-lite", "2025-02-25", Some("0.075 0.3 0.01875 - -")),
            ("openai", "gpt-2", "2025-01-01", None),
        ] {
            assert_eq!(on(&book, provider, model, date).as_deref(), rates, "{model} on {date}");
        }
        let usage = [(Meter::Input, 200_001), (Meter::Output, 2), (Meter::CacheWrite1Hour, 1_000)];
        let charged = charged(&book, "claude-sonnet-4-20250514", "2025-09-07", &usage);
        assert_eq!(charged, ("context > 200000".to_owned(), "1.212051".to_owned()));
    }

    /// The public table has no rate for them; the history has.
    #[test]
    fn cached_tokens_are_not_billed_as_input() {
        let book = book(builtin().unwrap().prices);
        for (model, cached, conditions, amount) in [
            ("gemini-1.5-pro", 100_000, "standard", "0.03125"),
            ("gemini-1.5-pro", 200_000, "context > 128000", "0.125"),
            ("gemini-2.0-flash-lite", 200_000, "standard", "0.00375"),
        ] {
            let charged = charged(&book, model, "2026-01-01", &[(Meter::CacheRead, cached)]);
            assert_eq!(charged, (conditions.to_owned(), amount.to_owned()), "{model}");
        }
    }
}
