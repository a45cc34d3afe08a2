use super::*;
use crate::testing::{at, given, name, usage};
use crate::{Currency, Meter, Money};
use proptest::prelude::*;

fn dollars(text: &str) -> Rate {
    Rate::try_from(Money::parse(text).unwrap()).unwrap()
}
fn rates(input: &str, output: &str) -> Rates {
    Rates::new(dollars(input), dollars(output))
}
fn price(provider: &str, from: i64, input: &str) -> Price {
    Price {
        provider: name(provider),
        model: name("m"),
        effective_from: at(from),
        currency: Currency::Usd,
        rates: rates(input, "4"),
        tiers: vec![],
    }
}
fn set(price: Price) -> PriceBookEvent {
    PriceBookEvent::Set(PriceSet { price, source: name("test"), at: at(0) })
}
fn command(prices: Vec<Price>) -> PriceBookCommand {
    PriceBookCommand::Set { prices, source: name("test"), at: at(0) }
}
fn book(prices: &[Price]) -> PriceBook {
    prices.iter().fold(PriceBook::default(), |book, price| book.evolve(&set(price.clone())))
}

#[test]
fn prices_that_are_already_set_append_nothing() {
    given::<PriceBook>([set(price("openai", 0, "3"))])
        .when(command(vec![price("openai", 0, "3"), price("openai", 9, "2")]))
        .then([set(price("openai", 9, "2"))]);
}

#[test]
fn a_command_with_conflicting_prices_or_none_is_rejected() {
    let conflict = PriceBookError::ConflictingPrices { provider: name("o"), model: name("m"), effective_from: at(0) };
    for prices in [vec![price("o", 0, "3"), price("o", 0, "2")], vec![price("o", 0, "2"), price("o", 0, "3")]] {
        given::<PriceBook>([]).when(command(prices.clone())).then_rejected(conflict.clone());
        given::<PriceBook>([set(price("o", 0, "3"))]).when(command(prices)).then_rejected(conflict.clone());
    }
    given::<PriceBook>([]).when(command(vec![])).then_rejected(PriceBookError::Empty);
}

#[test]
fn a_price_is_in_force_from_its_date_until_the_next() {
    let book = book(&[price("openai", 0, "3"), price("openai", 10, "2")]);
    let input_at = |second| book.quote(Some("openai"), "m", at(second)).and_then(|q| q.price.rates.own(Meter::Input));
    assert_eq!(input_at(-1), None);
    assert_eq!(input_at(0), Some(dollars("3")));
    assert_eq!(input_at(9), Some(dollars("3")));
    assert_eq!(input_at(10), Some(dollars("2")));
}

#[test]
fn no_price_is_guessed_between_providers() {
    assert!(book(&[price("openai", 0, "3")]).quote(Some("gemini"), "m", at(1)).is_none());
    assert!(book(&[price("openai", 0, "3")]).quote(None, "m", at(1)).is_some());
    let two = book(&[price("openai", 0, "3"), price("azure", 0, "5")]);
    assert!(two.quote(None, "m", at(1)).is_none());
    assert_eq!(two.quote(Some("azure"), "m", at(1)).map(|q| q.book_version), Some(2));
    assert!(two.quote(Some("azure"), "unknown", at(1)).is_none());
}

#[test]
fn a_tier_applies_to_the_whole_call_above_its_prompt_size() {
    let tier = |above_prompt_tokens, input| Tier { above_prompt_tokens, rates: rates(input, "4") };
    let price = Price { tiers: vec![tier(200, "6"), tier(100, "5")], ..price("google", 0, "3") };
    let quote = Quote { price, book_version: 1 };
    let charged =
        |tokens| quote.charge(&usage([(Meter::Input, tokens)])).map(|c| (c.tier, c.amount.to_string())).unwrap();
    assert_eq!(charged(100), ("standard".to_owned(), "0.0003".to_owned()));
    assert_eq!(charged(101), ("above_100".to_owned(), "0.000505".to_owned()));
    assert_eq!(charged(201), ("above_200".to_owned(), "0.001206".to_owned()));
}

#[test]
fn a_meter_is_billed_at_its_rate_or_at_that_of_the_meter_that_it_is_billed_as() {
    let million = |meter| (meter, 1_000_000);
    let usage = usage([
        million(Meter::Input),
        (Meter::Output, 3_000_000),
        million(Meter::CacheRead),
        million(Meter::CacheWrite5Min),
        million(Meter::CacheWrite1Hour),
        million(Meter::Reasoning),
        million(Meter::AudioOutput),
        million(Meter::Searches),
    ]);
    let plain = rates("3", "15");
    // Four times input and three times output; searches have no rate.
    assert_eq!(plain.cost(&usage).unwrap().to_string(), "57");
    assert_eq!(plain.rate(Meter::Searches), None);
    let written = plain.with(Meter::CacheRead, dollars("0.3")).with(Meter::CacheWrite5Min, dollars("3.75"));
    assert_eq!(written.rate(Meter::CacheWrite1Hour), Some(dollars("3.75")));
    assert_eq!(written.cost(&usage).unwrap().to_string(), "55.8");
    let all =
        [(Meter::CacheWrite1Hour, "6"), (Meter::Reasoning, "20"), (Meter::AudioOutput, "80"), (Meter::Searches, "1")];
    let all = all.into_iter().fold(written, |rates, (meter, rate)| rates.with(meter, dollars(rate)));
    assert_eq!(all.cost(&usage).unwrap().to_string(), "129.05");
}

#[test]
fn rates_without_input_or_output_are_refused() {
    for (json, missing) in [(r#"{"output":"1"}"#, "input"), (r#"{"input":"1","searches":"5"}"#, "output")] {
        let error = serde_json::from_str::<Rates>(json).unwrap_err().to_string();
        assert!(error.contains(&format!("there is no rate for {missing}")), "{error}");
    }
    let json = r#"{"input":"3","output":"15","cache_write_1hour":"6"}"#;
    let rates: Rates = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&rates).unwrap(), json);
}

#[test]
fn rates_are_not_negative() {
    let minus = Money::parse("-1").unwrap();
    assert_eq!(Rate::try_from(minus), Err(RateError::Negative(minus)));
}

proptest! {
    /// Setting the same prices twice appends nothing the second time.
    #[test]
    fn setting_is_idempotent(froms in proptest::collection::btree_set(0_i64..50, 1..20)) {
        let prices: Vec<_> = froms.into_iter().map(|from| price("openai", from, "3")).collect();
        let events = PriceBook::default().decide(command(prices.clone())).unwrap();
        let book = events.iter().fold(PriceBook::default(), |book, event| book.evolve(event));
        prop_assert_eq!(book.decide(command(prices)), Ok(vec![]));
    }
}
