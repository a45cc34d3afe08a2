//! Helpers of the tests of prices.

use chrono::{DateTime, Utc};
use domain::price_book::{Price, PriceBook, PriceBookCommand, Rate, Rates};
use domain::{Aggregate, Name};

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
    let optional = |rate: Option<Rate>| rate.map_or("-".to_owned(), |rate| rate.to_string());
    let (read, write) = (optional(rates.cache_read), optional(rates.cache_write));
    format!("{} {} {read} {write}", rates.input, rates.output)
}
