//! Charges by hand-worked sheets: each line is a multiplication that a reader can check.

use chrono::{DateTime, Utc};
use domain::price_book::{
    Conditions, ContextSize, Discount, MILLION, Minute, ModelPattern, Percent, Price, PriceBook, PriceBookCommand,
    PriceComponent, PriceSource, PricingContext, TimeWindow, rate,
};
use domain::{Aggregate, Meter, Name, Quantity, Usage};
use std::collections::BTreeSet;
use std::num::NonZeroU64;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn one(meter: Meter, dollars: &str, per: u64, when: Conditions) -> PriceComponent {
    PriceComponent { meter, rate: rate(dollars.parse().unwrap()).unwrap(), per: NonZeroU64::new(per).unwrap(), when }
}

fn tier(tier: &str) -> Conditions {
    Conditions { service_tier: Some(name(tier)), ..Conditions::default() }
}

fn size(above: u64, graduated: bool) -> Conditions {
    Conditions { context: Some(ContextSize { above, graduated }), ..Conditions::default() }
}

/// A price with every meter and every kind of condition.
fn price() -> Price {
    let minute = |text: &str| Minute::try_from(text.to_owned()).unwrap();
    let night =
        TimeWindow { from: minute("22:00"), to: minute("06:00"), utc_offset_minutes: 0, weekdays: BTreeSet::new() };
    let million = MILLION.get();
    let plain = Conditions::default;
    let components = vec![
        one(Meter::Input, "3", million, plain()),
        one(Meter::Input, "6", million, size(200_000, false)),
        one(Meter::Input, "1.5", million, tier("batch")),
        one(Meter::Input, "2", million, Conditions { time: Some(night), ..plain() }),
        one(Meter::Output, "15", million, plain()),
        one(Meter::Output, "10", million, size(1_000, true)),
        one(Meter::Output, "30", million, Conditions { speed: Some(name("fast")), ..plain() }),
        one(Meter::CacheRead, "0.3", million, plain()),
        one(Meter::CacheWrite5Min, "3.75", million, plain()),
        one(Meter::CacheWrite1Hour, "6", million, plain()),
        one(Meter::Reasoning, "20", million, plain()),
        one(Meter::AudioInput, "32", million, plain()),
        one(Meter::AudioOutput, "64", million, plain()),
        one(Meter::ImageInput, "5", million, Conditions { region: Some(name("eu")), ..plain() }),
        one(Meter::ImageOutput, "40", million, plain()),
        one(Meter::Images, "0.04", 1, plain()),
        one(Meter::Requests, "5", 1_000, plain()),
        one(Meter::Searches, "10", 1_000, plain()),
        one(Meter::MediaMs, "0.36", 3_600_000, plain()),
        one(Meter::Characters, "15", million, plain()),
    ];
    Price {
        names: [name("sheet-1")].into(),
        patterns: [ModelPattern::new("sheet-*").unwrap()].into(),
        ..Price::new(name("acme"), name("sheet"), components)
    }
}

struct Sheet<'a> {
    usage: &'a [(Meter, u64)],
    at: &'a str,
    service_tier: Option<&'a str>,
    speed: Option<&'a str>,
    region: Option<&'a str>,
}

impl Default for Sheet<'_> {
    fn default() -> Self {
        Self { usage: &[], at: "2026-03-02T12:00:00Z", service_tier: None, speed: None, region: None }
    }
}

fn cost(discount: Option<&str>, sheet: &Sheet<'_>) -> String {
    let source = PriceSource::named(name("sheet"));
    let mut events = PriceBook::default()
        .decide(PriceBookCommand::Set { prices: vec![price()], source, at: DateTime::UNIX_EPOCH })
        .unwrap();
    let discounts = discount.map(|percent| Discount {
        name: name("contract"),
        provider: Some(name("acme")),
        models: None,
        percent: Percent::try_from(percent.to_owned()).unwrap(),
        effective_from: DateTime::UNIX_EPOCH,
        effective_to: None,
    });
    if let Some(discount) = discounts {
        let command = PriceBookCommand::SetDiscounts { discounts: vec![discount], at: DateTime::UNIX_EPOCH };
        events.extend(PriceBook::default().decide(command).unwrap());
    }
    let book = events.iter().fold(PriceBook::default(), |book, event| book.evolve(event));
    let usage: Usage = sheet.usage.iter().map(|(meter, number)| (*meter, Quantity::new(*number).unwrap())).collect();
    let [service_tier, speed, region] = [sheet.service_tier, sheet.speed, sheet.region].map(|text| text.map(name));
    let call = PricingContext {
        provider: Some(&name("acme")),
        model: &name("sheet-7"),
        usage: &usage,
        started_at: sheet.at.parse::<DateTime<Utc>>().unwrap(),
        service_tier: service_tier.as_ref(),
        speed: speed.as_ref(),
        region: region.as_ref(),
    };
    book.charge(&call, None).unwrap().amount.to_string()
}

#[test]
fn each_meter_and_each_condition_costs_what_the_sheet_says() {
    use Meter::*;
    // Each sheet has 5 dollars for a thousand requests: 0.005.
    let requests = "0.005";
    assert_eq!(cost(None, &Sheet::default()), requests);
    let sheet = |usage| Sheet { usage, ..Sheet::default() };
    // 1,000 × 3 / 10^6 = 0.003
    assert_eq!(cost(None, &sheet(&[(Input, 1_000)])), "0.008");
    // 200,001 × 6 / 10^6 = 1.200006: the whole call, as the prompt is above 200,000
    assert_eq!(cost(None, &sheet(&[(Input, 200_001)])), "1.205006");
    // The cached tokens count: 100,000 × 6 / 10^6 = 0.6, and 100,001 × 0.3 / 10^6 = 0.0300003
    assert_eq!(cost(None, &sheet(&[(Input, 100_000), (CacheRead, 100_001)])), "0.6350003");
    // Graduated: 1,000 × 15 / 10^6 = 0.015, and 500 × 10 / 10^6 = 0.005
    assert_eq!(cost(None, &sheet(&[(Output, 1_500)])), "0.025");
    // 800 × 15 / 10^6 = 0.012, and 200 × 20 / 10^6 = 0.004
    assert_eq!(cost(None, &sheet(&[(Output, 1_000), (Reasoning, 200)])), "0.021");
    // 400 × 3.75 / 10^6 = 0.0015, and 100 × 6 / 10^6 = 0.0006
    assert_eq!(cost(None, &sheet(&[(CacheWrite5Min, 400), (CacheWrite1Hour, 100)])), "0.0071");
    // 90 × 3 / 10^6 = 0.00027, and 10 × 32 / 10^6 = 0.00032
    assert_eq!(cost(None, &sheet(&[(Input, 100), (AudioInput, 10)])), "0.00559");
    // Images in the prompt have a rate in the EU alone: 10 × 5 / 10^6 = 0.00005 and 90 × 3 / 10^6, else all at 3.
    let images = &[(Input, 100), (ImageInput, 10)];
    assert_eq!(cost(None, &Sheet { region: Some("eu"), ..sheet(images) }), "0.00532");
    assert_eq!(cost(None, &sheet(images)), "0.0053");
    // 10 × 64 / 10^6 = 0.00064, and 20 × 40 / 10^6 = 0.0008
    assert_eq!(cost(None, &sheet(&[(Output, 30), (AudioOutput, 10), (ImageOutput, 20)])), "0.00644");
    // 3 × 0.04 = 0.12, 2 × 10 / 1,000 = 0.02, 2 requests at 0.005 = 0.01
    assert_eq!(cost(None, &sheet(&[(Images, 3), (Searches, 2), (Requests, 2)])), "0.15");
    // 7 ms × 0.36 / 3,600,000 = 0.0000007, and 11 × 15 / 10^6 = 0.000165
    assert_eq!(cost(None, &sheet(&[(MediaMs, 7), (Characters, 11)])), "0.0051657");
    // Batch: 1,000 × 1.5 / 10^6 = 0.0015. Fast: 10 × 30 / 10^6 = 0.0003. At night: 1,000 × 2 / 10^6 = 0.002
    assert_eq!(cost(None, &Sheet { service_tier: Some("batch"), ..sheet(&[(Input, 1_000)]) }), "0.0065");
    assert_eq!(cost(None, &Sheet { speed: Some("fast"), ..sheet(&[(Output, 10)]) }), "0.0053");
    assert_eq!(cost(None, &Sheet { at: "2026-03-02T22:00:00Z", ..sheet(&[(Input, 1_000)]) }), "0.007");
    assert_eq!(cost(None, &Sheet { at: "2026-03-02T06:00:00Z", ..sheet(&[(Input, 1_000)]) }), "0.008");
    // 12.5 % less: 0.008 × 0.875
    assert_eq!(cost(Some("12.5"), &sheet(&[(Input, 1_000)])), "0.007");
    // Rounded once, half to even, at the twelfth place: 1 × 0.36 × (1 − 0.333333) / 3,600,000 = 0.0000000666667,
    // and 5 × 0.666667 / 1,000 = 0.003333335
    assert_eq!(cost(Some("33.3333"), &sheet(&[(MediaMs, 1)])), "0.003333401667");
}
