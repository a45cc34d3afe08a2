//! Prices, calls and lines for the tests of invoices.

use crate::aggregate::Aggregate as _;
use crate::invoice::{Compared, Expected, Figure, InvoiceLine, LinesHash, Reconciliation, reconcile};
use crate::meter::Meter;
use crate::price_book::{
    Conditions, ContextSize, MILLION, Price, PriceBook, PriceBookCommand, PriceComponent, PriceSource, PricingContext,
    rate,
};
use crate::testing::{at, name, usage};
use crate::usage::Usage;
use chrono::{DateTime, NaiveDate, Utc};

pub(super) fn figure(text: &str) -> Figure {
    Figure::parse(text).unwrap()
}

pub(super) fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, number).unwrap()
}

/// US dollars for a million tokens, without and with conditions.
fn component(meter: Meter, dollars: &str, when: Conditions) -> PriceComponent {
    PriceComponent { meter, rate: rate(dollars.parse().unwrap()).unwrap(), per: MILLION, when }
}

/// A model with a batch tier and a long context, whose cached input is cheaper.
pub(super) fn book() -> PriceBook {
    let batch = || Conditions { service_tier: Some(name("batch")), ..Conditions::default() };
    let long = Conditions { context: Some(ContextSize { above: 200_000, graduated: false }), ..Conditions::default() };
    let none = Conditions::default;
    let components = vec![
        component(Meter::Input, "2", none()),
        component(Meter::Input, "1", batch()),
        component(Meter::Input, "4", long),
        component(Meter::Output, "10", none()),
        component(Meter::Output, "5", batch()),
        component(Meter::CacheRead, "0.5", none()),
    ];
    let mut price = Price::new(name("openai"), name("gpt-4o"), components);
    price.names = [name("gpt-4o-2024-08-06")].into();
    let command = PriceBookCommand::Set { prices: vec![price], source: PriceSource::named(name("test")), at: at(0) };
    let events = PriceBook::default().decide(command).unwrap();
    events.iter().fold(PriceBook::default(), |book, event| book.evolve(event))
}

pub(super) fn noon(day: NaiveDate) -> DateTime<Utc> {
    day.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

/// A call of the model: its day, its tier, and its usage.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) day: NaiveDate,
    pub(super) tier: Option<&'static str>,
    pub(super) usage: Usage,
}

pub(super) fn call<const N: usize>(of: u32, quantities: [(Meter, u64); N]) -> Call {
    Call { day: day(of), tier: None, usage: usage(quantities) }
}

pub(super) fn batch<const N: usize>(of: u32, quantities: [(Meter, u64); N]) -> Call {
    Call { tier: Some("batch"), ..call(of, quantities) }
}

pub(super) fn expected(calls: &[Call]) -> Expected {
    let book = book();
    let mut expected = Expected::new(name("openai"), book.clone());
    let (provider, model) = (name("openai"), name("gpt-4o"));
    for call in calls {
        let tier = call.tier.map(name);
        let context = PricingContext {
            provider: Some(&provider),
            model: &model,
            usage: &call.usage,
            started_at: noon(call.day),
            service_tier: tier.as_ref(),
            speed: None,
            region: None,
        };
        let charge = book.charge(&context, None).unwrap();
        expected.add_charge(noon(call.day), (Some(&provider), Some(&model)), &charge).unwrap();
    }
    expected
}

/// A line of the model with a quantity and an amount; none of them if the text is empty.
pub(super) fn line(number: u32, of: u32, meter: Meter, quantity: &str, amount: &str) -> InvoiceLine {
    let given = |text: &str| (!text.is_empty()).then(|| figure(text));
    InvoiceLine {
        line: number,
        day: day(of),
        model: Some(name("gpt-4o-2024-08-06")),
        meter: Some(meter),
        quantity: given(quantity),
        amount: given(amount),
        tier: None,
        reference: None,
    }
}

pub(super) fn compare_within(lines: &[InvoiceLine], expected: Expected, tolerance: Figure) -> Reconciliation {
    let content = LinesHash::of(lines).id();
    reconcile(&Compared { lines, content, tolerance, position: 7 }, expected).unwrap()
}

pub(super) fn compare(lines: &[InvoiceLine], calls: &[Call]) -> Reconciliation {
    compare_within(lines, expected(calls), Figure::ZERO)
}

/// The cause, the line and the difference of each variance.
pub(super) fn found(reconciliation: &Reconciliation) -> Vec<(&'static str, Option<u32>, String)> {
    let variances = reconciliation.variances.iter();
    variances.map(|one| (one.cause.as_str(), one.line, one.difference.to_string())).collect()
}
