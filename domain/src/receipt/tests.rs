use super::*;
use crate::aggregate::Aggregate;
use crate::call::{CallFacts, CallKind};
use crate::money::Money;
use crate::price_book::{
    Conditions, ContextSize, Discount, DiscountSet, PriceBookCommand, PriceBookEvent, PriceComponent,
};
use crate::price_book::{Percent, Price, Rate};
use crate::testing::{at, name, usage, uuid};
use crate::usage::{Quantity, Usage};
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

fn component(meter: Meter, rate: &str, per: u64, when: Conditions) -> PriceComponent {
    let rate = Rate::try_from(Money::parse(rate).unwrap()).unwrap();
    PriceComponent { meter, rate, per: NonZeroU64::new(per).unwrap(), when }
}

fn book(components: Vec<PriceComponent>) -> PriceBook {
    let price = Price { effective_from: at(0), ..Price::new(name("openai"), name("m"), components) };
    let source = PriceSource { licence: Some(name("MIT")), ..PriceSource::named(name("table 1")) };
    let events = PriceBook::default().decide(PriceBookCommand::Set { prices: vec![price], source, at: at(0) }).unwrap();
    events.iter().fold(PriceBook::default(), |book, event| book.evolve(event))
}

fn discounted(book: &PriceBook, percent: Percent) -> PriceBook {
    let (name, effective_from, effective_to) = (name("contract"), at(0), None);
    let discount = Discount { name, provider: None, models: None, percent, effective_from, effective_to };
    book.clone().evolve(&PriceBookEvent::DiscountSet(DiscountSet { discount, at: at(0) }))
}

fn call(usage: Usage, book: &PriceBook) -> ChargedCall {
    let mut facts = CallFacts::new(CallKind::Llm, at(10), name("test"));
    (facts.provider, facts.model, facts.usage) = (Some(name("openai")), Some(name("m")), usage);
    let charge = book.charge(&facts.pricing().unwrap(), None).ok();
    let (provenance, counted_tags, reported_by) = Default::default();
    ChargedCall { facts, provenance, charge, counted_tags, reservation_id: None, reported_by }
}

fn receipt(call: &ChargedCall, book: &PriceBook) -> Receipt {
    Receipt::new(CallId(uuid(7)), call, book)
}

/// Sums what a text states, without Apex: the units by the meter that they are billed as, and the costs of lines.
struct AddedUp {
    used: BTreeMap<String, u64>,
    billed: BTreeMap<String, u64>,
    costs: Vec<(Decimal, Decimal)>,
    total: Decimal,
}

fn add_up(text: &str) -> AddedUp {
    let mut sums = AddedUp { used: BTreeMap::new(), billed: BTreeMap::new(), costs: Vec::new(), total: Decimal::ZERO };
    let mut section = "";
    for line in text.lines() {
        let Some(line) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) else {
            section = line.split_whitespace().next().unwrap();
            continue;
        };
        let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let after = |word: &str| words.iter().position(|other| *other == word).map(|at| words[at + 1]);
        match (section, words[0]) {
            ("Usage", "none") => {}
            ("Usage", meter) if !line.ends_with("not billed") => {
                let units: u64 = after("=").unwrap_or(words[1]).parse().unwrap();
                *sums.used.entry(after("as").unwrap_or(meter).to_owned()).or_default() += units;
            }
            ("Charge", "total") => sums.total = after("=").unwrap().parse().unwrap(),
            ("Charge", meter) => {
                let number = |text: &str| text.trim_matches(['(', ')']).parse::<Decimal>().unwrap();
                *sums.billed.entry(meter.to_owned()).or_default() += words[1].parse::<u64>().unwrap();
                let product = number(words[1]) * number(words[3]) / number(words[5]);
                let percent =
                    line.split("(100 - ").nth(1).map_or(Decimal::ZERO, |rest| number(rest.split(')').next().unwrap()));
                let exact = product * (Decimal::ONE_HUNDRED - percent) / Decimal::ONE_HUNDRED;
                sums.costs.push((exact, number(after("=").unwrap())));
            }
            _ => {}
        }
    }
    sums.used.retain(|_, units| *units > 0);
    sums
}

fn check(receipt: &Receipt) {
    let text = receipt.to_string();
    let sums = add_up(&text);
    assert_eq!(sums.used, sums.billed, "{text}");
    for (exact, cost) in &sums.costs {
        assert_eq!(exact.round_dp(12).normalize(), cost.normalize(), "{text}");
    }
    assert_eq!(sums.costs.iter().map(|(_, cost)| cost).sum::<Decimal>(), sums.total, "{text}");
    assert_eq!(receipt.charge.as_ref().map_or(Decimal::ZERO, |charge| charge.amount.as_decimal()), sums.total);
}

#[test]
fn a_receipt_shows_each_step() {
    let graduated =
        |above| Conditions { context: Some(ContextSize { above, graduated: true }), ..Conditions::default() };
    let mut book = book(vec![
        component(Meter::Input, "2.5", 1_000_000, Conditions::default()),
        component(Meter::Output, "10", 1_000_000, Conditions::default()),
        component(Meter::Output, "5", 1_000_000, graduated(100)),
        component(Meter::AudioOutput, "0.001", 7, Conditions::default()),
    ]);
    let percent = Percent::try_from("12.5".to_owned()).unwrap();
    book = discounted(&book, percent);
    let used = usage([
        (Meter::Input, 1000),
        (Meter::CacheRead, 512),
        (Meter::Output, 200),
        (Meter::AudioOutput, 20),
        (Meter::Images, 1),
    ]);
    let receipt = receipt(&call(used, &book), &book);
    check(&receipt);
    let expected = "\
Call      00000000-0000-0000-0000-000000000007
          openai m, started 2023-11-14T22:13:30Z
Price     price of openai m, effective from 2023-11-14T22:13:20Z
          charged by version 2 of the price book
Source    table 1 (MIT), set in version 1
Discount  contract: 12.5 % of each line
Usage
  input                 1000
  output                200 - audio_output 20 = 180
  cache_read            512, billed as input
  audio_output          20
  images                1, not billed
Charge in USD
  input                 1512 x 2.5 / 1000000 x (100 - 12.5) / 100 = 0.0033075
  output                100 x 10 / 1000000 x (100 - 12.5) / 100 = 0.000875
  output                80 x 5 / 1000000 x (100 - 12.5) / 100 = 0.00035, as units above 100
  audio_output          20 x 0.001 / 7 x (100 - 12.5) / 100 = 0.0025
  total                 = 0.0070325
";
    assert_eq!(receipt.to_string(), expected);
}

#[test]
fn a_call_without_a_price_has_a_receipt_that_says_why() {
    let receipt = receipt(&call(usage([(Meter::Input, 3)]), &PriceBook::default()), &PriceBook::default());
    let text = receipt.to_string();
    assert!(
        text.ends_with(
            "Usage\n  input                 3, not billed\nCharge    none: no provider has a price for it\n"
        ),
        "{text}"
    );
}

#[test]
fn what_is_rounded_says_so() {
    let book = book(vec![component(Meter::Input, "1", 3, Conditions::default())]);
    let text = receipt(&call(usage([(Meter::Input, 1)]), &book), &book).to_string();
    assert!(text.contains("input                 1 x 1 / 3 = 0.333333333333 (rounded half to even)\n"), "{text}");
}

proptest! {
    /// The text of any receipt adds up: units, products, rounding and sum.
    #[test]
    fn receipts_add_up(
        components in prop::collection::vec((0..Meter::COUNT, 0_u64..100_000_000, 0_u32..=6, 0_usize..4, 0_u64..3), 1..8),
        used in prop::collection::vec((0..Meter::COUNT, 0_u64..100_000), 0..6),
        percent in prop::option::of(0_u32..=1_000_000),
    ) {
        let components = components.into_iter().map(|(meter, mantissa, scale, per, above)| {
            let context = (above > 0).then(|| ContextSize { above: above * 500, graduated: meter % 2 == 0 });
            let rate = Rate::try_from(Money::from_decimal(Decimal::new(mantissa.try_into().unwrap(), scale))).unwrap();
            let per = NonZeroU64::new([1, 7, 1000, 1_000_000][per]).unwrap();
            PriceComponent { meter: Meter::ALL[meter], rate, per, when: Conditions { context, ..Conditions::default() } }
        });
        // Sizes of one meter are of one kind, and graduated ones have a first band; and a price has one component for each meter and condition.
        let first = |one: &PriceComponent| PriceComponent { when: Conditions::default(), ..one.clone() };
        let components = components.flat_map(|one| [first(&one), one]);
        let components: BTreeMap<_, _> =
            components.map(|one| ((one.meter.name(), one.when.to_string()), one)).collect();
        let mut book = book(components.into_values().collect());
        if let Some(percent) = percent {
            let percent = Percent::try_from(Decimal::new(percent.into(), 4)).unwrap();
            book = discounted(&book, percent);
        }
        let mut used: Usage =
            used.into_iter().map(|(meter, n)| (Meter::ALL[meter], Quantity::new(n).unwrap())).collect();
        // A meter includes its parts.
        for part in Meter::ALL {
            if let Some(whole) = part.part_of() {
                used.set(whole, Quantity::new(used.get(whole).get() + used.get(*part).get()).unwrap());
            }
        }
        let call = call(used, &book);
        check(&receipt(&call, &book));
    }
}
