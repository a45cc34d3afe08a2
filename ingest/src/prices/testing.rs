//! Helpers of the tests of prices.

use chrono::{DateTime, Utc};
use domain::price_book::{Price, PriceBook, PriceBookCommand, Rates};
use domain::{Aggregate, Meter, Name};

/// The start of a day.
pub(crate) fn at(date: &str) -> DateTime<Utc> {
    format!("{date}T00:00:00Z").parse().unwrap()
}

/// A price book with these prices.
pub(crate) fn book(prices: Vec<Price>) -> PriceBook {
    let command = PriceBookCommand::Set { prices, source: Name::new("test").unwrap(), at: at("2026-01-01") };
    let events = PriceBook::default().decide(command).unwrap();
    events.iter().fold(PriceBook::default(), |book, event| book.evolve(event))
}

/// Input, output, cache read and cache write; `-` for a rate that is not set.
pub(crate) fn display(rates: &Rates) -> String {
    let meters = [Meter::Input, Meter::Output, Meter::CacheRead, Meter::CacheWrite5Min];
    meters.map(|meter| rates.own(meter).map_or("-".to_owned(), |rate| rate.to_string())).join(" ")
}
