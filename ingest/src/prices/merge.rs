//! Merges the history of prices that Apex keeps with a table of today's prices.
//!
//! Tables drop models and forget what they cost before. The history has the prices by date, and the table their conditions:
//! batches, service tiers, sizes, searches.

use chrono::{DateTime, Utc};
use domain::Meter;
use domain::Name;
use domain::price_book::{PriceBook, PriceBookEvent, PriceComponent, PriceSource, PricesSet};
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
    for ((provider, model), prices) in of_history {
        let found = book.quote(Some(&provider), &model, DateTime::<Utc>::MAX_UTC, None).ok();
        let key = found.map(|found| (provider.clone(), found.quote.price.model.clone()));
        let Some(periods) = key.as_ref().and_then(|key| of_table.get(key)) else {
            merged.extend(prices);
            continue;
        };
        let mut periods = periods.clone();
        periods.sort_by_key(|period| period.effective_from);
        match with_periods(&prices, &periods) {
            Some(prices) => merged.extend(prices),
            None => {
                disagreements.push(Disagreement { provider: provider.clone(), model: model.clone() });
                merged.extend(prices);
            }
        }
        // The names of the table's own model stay with it.
        let of_same_name = (provider, model);
        if let Some(table_prices) = of_table.get(&of_same_name) {
            let names = table_prices.first().map(|price| (price.names.clone(), price.patterns.clone()));
            let (names, patterns) = names.unwrap_or_default();
            let of_model = |price: &&mut Price| (&price.provider, &price.model) == (&of_same_name.0, &of_same_name.1);
            for price in merged.iter_mut().filter(of_model) {
                price.names.clone_from(&names);
                price.patterns.clone_from(&patterns);
            }
            replaced.insert(of_same_name);
        }
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
/// of the table; none if the table disagrees.
fn with_periods(prices: &[Price], periods: &[Price]) -> Option<Vec<Price>> {
    let (last, earlier) = prices.split_last()?;
    let current =
        periods.iter().rev().find(|period| period.effective_from <= last.effective_from).or(periods.first())?;
    if !agree(last, current) {
        return None;
    }
    let named = |price: &Price, effective_from| Price {
        model: last.model.clone(),
        names: Default::default(),
        patterns: Default::default(),
        effective_from,
        ..price.clone()
    };
    let later = periods.iter().filter(|period| period.effective_from > last.effective_from);
    let later = later.map(|period| named(period, period.effective_from));
    let merged = earlier.iter().cloned().chain([named(current, last.effective_from)]).chain(later);
    Some(merged.collect())
}

/// Whether two prices have the same rates for calls of the standard tier, of the meters that both have.
fn agree(history: &Price, table: &Price) -> bool {
    let standard = |price: &Price| -> BTreeMap<(Meter, u64), PriceComponent> {
        let is_standard = |one: &&PriceComponent| one.when.without_context().is_empty();
        let size = |one: &PriceComponent| one.when.context.map_or(0, |context| context.above);
        price.components.iter().filter(is_standard).map(|one| ((one.meter, size(one)), one.clone())).collect()
    };
    let (of_history, of_table) = (standard(history), standard(table));
    let sizes = |components: &BTreeMap<(Meter, u64), PriceComponent>| -> Vec<u64> {
        components.keys().filter(|(meter, _)| *meter == Meter::Input).map(|(_, size)| *size).collect()
    };
    let has_same_rates =
        of_history.iter().all(|(key, one)| of_table.get(key).is_none_or(|other| one.rate == other.rate));
    let has_all = [Meter::Input, Meter::Output].iter().all(|meter| {
        of_history.contains_key(&(*meter, 0)) == of_table.contains_key(&(*meter, 0)) || *meter == Meter::Output
    });
    has_same_rates && has_all && sizes(&of_history) == sizes(&of_table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::testing::{at, display};
    use domain::price_book::{Conditions, rate};

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
}
