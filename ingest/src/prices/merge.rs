//! Merges the history of prices that Apex keeps with a table of today's prices.
//!
//! Tables drop models and forget what they cost before. The history has the prices by date, and the table their conditions:
//! batches, service tiers, sizes, searches.

use chrono::{DateTime, Utc};
use domain::Meter;
use domain::Name;
use domain::price_book::{MAX_COMPONENTS, PriceBook, PriceBookEvent, PriceComponent, PriceSource, PricesSet, Rate};
use domain::{Aggregate, price_book::Price};
use std::collections::{BTreeMap, BTreeSet};

/// A model for which the history and the table have different rates at one time. The history is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Disagreement {
    pub(super) provider: Name,
    pub(super) model: Name,
}

/// The history with the conditions of a table, and the other prices of the table.
pub(super) fn merge(history: Vec<Price>, table: Vec<Price>) -> (Vec<Price>, Vec<Disagreement>) {
    let mut of_table: BTreeMap<(Name, Name), Vec<Price>> = BTreeMap::new();
    for price in &table {
        of_table.entry((price.provider.clone(), price.model.clone())).or_default().push(price.clone());
    }
    let book = book_of(table);
    let mut of_history: BTreeMap<(Name, Name), Vec<Price>> = BTreeMap::new();
    for price in history {
        of_history.entry((price.provider.clone(), price.model.clone())).or_default().push(price);
    }
    let (mut merged, mut disagreements, mut replaced) = (Vec::new(), Vec::new(), BTreeSet::new());
    for ((provider, model), mut prices) in of_history {
        let found = book.quote(Some(&provider), &model, DateTime::<Utc>::MAX_UTC, None).ok();
        let key = found.map(|found| (provider.clone(), found.quote.price.model.clone()));
        let Some(periods) = key.as_ref().and_then(|key| of_table.get(key)) else {
            merged.extend(prices);
            continue;
        };
        let mut periods = periods.clone();
        periods.sort_by_key(|period| period.effective_from);
        match with_periods(&prices, &periods) {
            Some(with_periods) => prices = with_periods,
            None => disagreements.push(Disagreement { provider: provider.clone(), model: model.clone() }),
        }
        // The names of the table's own model stay with it.
        let of_same_name = (provider, model);
        if let Some(table_prices) = of_table.get(&of_same_name) {
            let names = table_prices.first().map(|price| (price.names.clone(), price.patterns.clone()));
            let (names, patterns) = names.unwrap_or_default();
            for price in &mut prices {
                price.names.clone_from(&names);
                price.patterns.clone_from(&patterns);
            }
            replaced.insert(of_same_name);
        }
        merged.extend(prices);
    }
    let others = of_table.into_iter().filter(|(key, _)| !replaced.contains(key));
    merged.extend(others.flat_map(|(_, prices)| prices));
    (merged, disagreements)
}

fn book_of(prices: Vec<Price>) -> PriceBook {
    #[allow(clippy::expect_used, reason = "the text is a constant")]
    let source = PriceSource::named(Name::new("table").expect("a short text is a name"));
    PriceBook::default().evolve(&PriceBookEvent::Set(PricesSet { prices, source, at: DateTime::UNIX_EPOCH }))
}

/// The prices of a model, of which the last one has the conditions that the table has for it, followed by the later prices
/// of the table; none if the table disagrees. A rate of a meter that the table lacks stays, or the meter would be billed as
/// another one.
fn with_periods(prices: &[Price], periods: &[Price]) -> Option<Vec<Price>> {
    let (last, earlier) = prices.split_last()?;
    let current =
        periods.iter().rev().find(|period| period.effective_from <= last.effective_from).or(periods.first())?;
    let (of_history, of_table) = (standard_rates(last), standard_rates(current));
    if !agree(&of_history, &of_table) {
        return None;
    }
    let named = |price: &Price, effective_from| Price {
        model: last.model.clone(),
        names: Default::default(),
        patterns: Default::default(),
        effective_from,
        ..price.clone()
    };
    let mut with_conditions = named(current, last.effective_from);
    with_conditions.components.extend(last.components.iter().filter(|one| !has(&of_table, one.meter)).cloned());
    if with_conditions.components.len() > MAX_COMPONENTS {
        return None;
    }
    let later = periods.iter().filter(|period| period.effective_from > last.effective_from);
    let later = later.map(|period| named(period, period.effective_from));
    let merged = earlier.iter().cloned().chain([with_conditions]).chain(later);
    Some(merged.collect())
}

/// Rates by meter and by the size of the prompt above which they apply.
type Rates = BTreeMap<(Meter, u64), Rate>;

/// The rates of a price for calls of the standard tier.
fn standard_rates(price: &Price) -> Rates {
    let is_standard = |one: &&PriceComponent| one.when.without_context().is_empty();
    let size = |one: &PriceComponent| one.when.context.map_or(0, |context| context.above);
    price.components.iter().filter(is_standard).map(|one| ((one.meter, size(one)), one.rate)).collect()
}

fn has(rates: &Rates, meter: Meter) -> bool {
    rates.keys().any(|(other, _)| *other == meter)
}

/// Whether the table has the rates of the history for the meters that both have, and the same sizes of prompts.
fn agree(history: &Rates, table: &Rates) -> bool {
    let sizes = |rates: &Rates| -> Vec<u64> {
        rates.keys().filter(|(meter, _)| *meter == Meter::Input).map(|(_, size)| *size).collect()
    };
    let mut of_both = history.iter().filter(|((meter, _), _)| has(table, *meter));
    of_both.all(|(key, rate)| table.get(key) == Some(rate)) && sizes(history) == sizes(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::testing::{at, display};
    use domain::price_book::{Conditions, ContextSize, rate};

    fn component(meter: Meter, dollars: u32, tier: Option<&str>) -> PriceComponent {
        let when = Conditions { service_tier: tier.map(|tier| Name::new(tier).unwrap()), ..Conditions::default() };
        PriceComponent { when, ..PriceComponent::per_million(meter, rate(dollars.into()).unwrap()) }
    }

    fn price(model: &str, from: &str, input: u32, batch: Option<u32>) -> Price {
        let mut components = vec![component(Meter::Input, input, None), component(Meter::Output, 9, None)];
        components.extend(batch.map(|dollars| component(Meter::Input, dollars, Some("batch"))));
        let name = |text: &str| Name::new(text).unwrap();
        Price { effective_from: at(from), ..Price::new(name("openai"), name(model), components) }
    }

    #[test]
    fn the_history_has_the_dates_and_the_table_the_conditions() {
        let named = |price: Price| Price { names: [Name::new("m-2025").unwrap()].into(), ..price };
        let history = vec![
            price("m", "2024-01-01", 4, None),
            price("m", "2024-06-01", 2, None),
            price("m-2025", "2025-01-01", 2, None),
            price("gone", "2023-01-01", 3, None),
            price("other", "2023-01-01", 3, None),
        ];
        let table = vec![
            named(price("m", "2020-01-01", 2, Some(1))),
            named(price("m", "2026-01-01", 5, Some(3))),
            price("new", "2020-01-01", 7, None),
            price("other", "2020-01-01", 8, Some(4)),
        ];
        let (merged, disagreements) = merge(history, table);
        let lines: Vec<_> = merged
            .iter()
            .map(|price| {
                let day = price.effective_from.format("%Y-%m-%d");
                format!(
                    "{} {day} {} of {} names {}",
                    price.model,
                    display(price),
                    price.components.len(),
                    price.names.len()
                )
            })
            .collect();
        let expected = [
            "gone 2023-01-01 3 9 - - - of 2 names 0",
            "m 2024-01-01 4 9 - - - of 2 names 1",
            "m 2024-06-01 2 9 - - - of 3 names 1",
            "m 2026-01-01 5 9 - - - of 3 names 1",
            "m-2025 2025-01-01 2 9 - - - of 3 names 0",
            "m-2025 2026-01-01 5 9 - - - of 3 names 0",
            "other 2023-01-01 3 9 - - - of 2 names 0",
            "new 2020-01-01 7 9 - - - of 2 names 0",
        ];
        assert_eq!(lines, expected);
        let [one] = disagreements.as_slice() else { panic!("{disagreements:?}") };
        assert_eq!(one.model.as_str(), "other");
    }
    /// The meters, rates and conditions of the last price of a history of one price, merged with a table of one price.
    fn merged_components(history: &[PriceComponent], table: &[PriceComponent]) -> (Vec<String>, usize) {
        let with = |components: &[PriceComponent]| Price {
            components: components.to_vec(),
            ..price("m", "2024-01-01", 1, None)
        };
        let (merged, disagreements) = merge(vec![with(history)], vec![with(table)]);
        let [price] = merged.as_slice() else { panic!("{merged:?}") };
        price.check().unwrap();
        let line = |one: &PriceComponent| format!("{} {} {}", one.meter, one.rate, one.when).trim().to_owned();
        (price.components.iter().map(line).collect(), disagreements.len())
    }

    #[test]
    fn rates_of_meters_that_the_table_lacks_stay() {
        let above = |component: PriceComponent| {
            let context = Some(ContextSize { above: 128_000, graduated: false });
            PriceComponent { when: Conditions { context, ..component.when }, ..component }
        };
        let [input, output, cache, large_cache] = [
            component(Meter::Input, 4, None),
            component(Meter::Output, 9, None),
            component(Meter::CacheRead, 1, None),
            above(component(Meter::CacheRead, 2, None)),
        ];
        let batch = component(Meter::Input, 2, Some("batch"));
        let history = [input.clone(), output.clone(), cache.clone(), large_cache];
        let table = [input.clone(), output.clone(), batch.clone()];
        let kept =
            ["input 4", "output 9", "input 2 service_tier batch", "cache_read 1", "cache_read 2 context > 128000"];
        assert_eq!(merged_components(&history, &table), (kept.map(str::to_owned).to_vec(), 0));
        // Rates of other tiers do not replace the standard one.
        let with_batch = [input.clone(), output.clone(), batch, component(Meter::CacheRead, 1, Some("batch"))];
        let (lines, disagreements) = merged_components(&history[..3], &with_batch);
        assert!(lines.contains(&"cache_read 1".to_owned()) && lines.len() == 5 && disagreements == 0, "{lines:?}");
        // A table that has the meter, but not for all sizes, is another opinion.
        let (lines, disagreements) = merged_components(&history, &[input, output, cache]);
        assert_eq!((lines.len(), disagreements), (4, 1), "{lines:?}");
    }

    #[test]
    fn a_price_does_not_become_too_large_by_what_is_kept() {
        let tier = |number: usize| component(Meter::Input, 1, Some(&format!("tier-{number}")));
        let [input, output, cache] =
            [Meter::Input, Meter::Output, Meter::CacheRead].map(|meter| component(meter, 4, None));
        let full: Vec<_> = [input.clone(), output.clone()].into_iter().chain((2..MAX_COMPONENTS).map(tier)).collect();
        let (lines, disagreements) = merged_components(&[input.clone(), output.clone()], &full);
        assert_eq!((lines.len(), disagreements), (MAX_COMPONENTS, 0));
        let (lines, disagreements) = merged_components(&[input, output, cache], &full);
        assert_eq!((lines.len(), disagreements), (3, 1), "{lines:?}");
    }
}
