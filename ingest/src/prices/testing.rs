//! Helpers of the tests of prices.

use chrono::{DateTime, Utc};
use domain::price_book::{Price, PriceBook, PriceBookCommand, PriceSource};
use domain::{Aggregate, Meter, Name};

/// The start of a day.
pub(crate) fn at(date: &str) -> DateTime<Utc> {
    format!("{date}T00:00:00Z").parse().unwrap()
}

/// A price book with these prices.
pub(crate) fn book(prices: Vec<Price>) -> PriceBook {
    let source = PriceSource::named(Name::new("test").unwrap());
    let command = PriceBookCommand::Set { prices, source, at: at("2026-01-01") };
    let events = PriceBook::default().decide(command).unwrap();
    events.iter().fold(PriceBook::default(), |book, event| book.evolve(event))
}

/// The rates of input, output, cache reads, and cache writes for five minutes and one hour that have no conditions; `-`
/// for one that is not set.
pub(crate) fn display(price: &Price) -> String {
    let rate = |meter| {
        let found = price.components.iter().find(|component| component.meter == meter && component.when.is_empty());
        found.map_or("-".to_owned(), |component| component.rate.to_string())
    };
    let meters =
        [Meter::Input, Meter::Output, Meter::CacheRead, Meter::CacheWrite5Min, Meter::CacheWrite1Hour].map(rate);
    meters.join(" ")
}
