use super::*;
use crate::price_book::{Price, PriceBookEvent, PriceComponent, PriceSet, rate};
use crate::testing::{at, given, name, usage, uuid};
use crate::{Currency, EventCodec, Meter};
use proptest::prelude::*;

fn facts(input: u64, output: u64) -> CallFacts {
    CallFacts {
        kind: CallKind::Llm,
        agent_id: Some(AgentId(uuid(1))),
        task_id: None,
        provider: Some(name("openai")),
        model: Some(name("m")),
        tool: None,
        usage: usage([(Meter::Input, input), (Meter::Output, output)]),
        started_at: at(0),
        latency_ms: None,
        reported_cost: None,
        error: None,
        source: name("test"),
    }
}
fn price(from: i64, input: u32) -> PriceBookEvent {
    let per_million = |meter, dollars: u32| PriceComponent::per_million(meter, rate(dollars.into()).unwrap());
    let price = Price {
        provider: name("openai"),
        model: name("m"),
        list_price: false,
        effective_from: at(from),
        effective_to: None,
        currency: Currency::Usd,
        components: vec![per_million(Meter::Input, input), per_million(Meter::Output, 4)],
    };
    PriceBookEvent::Set(PriceSet { price, source: name("test"), at: at(0) })
}
/// A price book with one price.
fn prices(input: u32) -> PriceBook {
    PriceBook::default().evolve(&price(-9, input))
}
fn no_prices() -> PriceBook {
    PriceBook::default()
}
fn report(facts: CallFacts, prices: PriceBook) -> CallCommand {
    CallCommand::Report { facts, prices }
}
fn charged(facts: CallFacts, prices: PriceBook) -> ChargedCall {
    let charge = prices.charge(&facts.pricing().unwrap(), None).ok();
    ChargedCall { facts, charge }
}

#[test]
fn the_first_record_is_charged() {
    let call = given::<Call>([])
        .when(report(facts(3071, 59), prices(3)))
        .then([CallEvent::Recorded(charged(facts(3071, 59), prices(3)))]);
    assert_eq!(call.charged.unwrap().cost().unwrap().to_string(), "0.009449");
}

#[test]
fn a_call_that_started_in_a_leap_second_counts_in_the_month_before_it() {
    let started = |text: &str| CallFacts { started_at: text.parse().unwrap(), ..facts(1, 1) };
    let recorded = CallEvent::Recorded(charged(started("2016-12-31T23:59:59.999999Z"), no_prices()));
    given::<Call>([]).when(report(started("2016-12-31T23:59:60Z"), no_prices())).then([recorded.clone()]);
    let written = recorded.encode().unwrap().replace("23:59:59.999999Z", "23:59:60Z");
    assert!(written.contains("23:59:60Z"));
    assert_eq!(CallEvent::decode("call.recorded", 1, &written).unwrap(), recorded);
}

#[test]
fn the_same_record_again_is_not_charged_again() {
    given::<Call>([CallEvent::Recorded(charged(facts(10, 3), prices(3)))])
        .when(report(facts(10, 3), prices(3)))
        .then([]);
}

#[test]
fn a_record_with_fewer_tokens_changes_nothing() {
    given::<Call>([CallEvent::Recorded(charged(facts(10, 263), prices(3)))])
        .when(report(facts(10, 3), prices(3)))
        .then([]);
}

#[test]
fn a_later_record_amends_at_the_price_first_applied() {
    let before = charged(facts(10, 3), prices(3));
    let after = charged(facts(10, 263), prices(3));
    given::<Call>([CallEvent::Recorded(before.clone())])
        .when(report(facts(10, 263), prices(3).evolve(&price(-9, 99))))
        .then([CallEvent::Amended(CallAmended { before, after })]);
}

#[test]
fn the_version_of_the_price_book_that_first_had_a_price_is_kept() {
    let later = prices(3).evolve(&price(-9, 5));
    let before = charged(facts(10, 3), prices(3));
    let after = charged(facts(10, 263), prices(3));
    assert_eq!(after.charge.as_ref().map(|charge| charge.book_version), Some(1));
    given::<Call>([CallEvent::Recorded(before.clone())])
        .when(report(facts(10, 263), later.clone()))
        .then([CallEvent::Amended(CallAmended { before, after })]);
    // A call that is charged by a later version is not charged again by an earlier one.
    given::<Call>([CallEvent::Recorded(charged(facts(10, 3), later))])
        .when(report(facts(10, 263), prices(3)))
        .then_rejected(CallError::PriceBookOutdated { charged_by: 2, given: 1 });
}

/// Two records of one call say that it started before and after a change of the price: it started at the earlier time.
#[test]
fn the_price_is_that_of_the_earliest_start_in_any_order() {
    let book = || prices(3).evolve(&price(5, 2));
    let at_second = |second| CallFacts { started_at: at(second), ..facts(1_000_000, 0) };
    let cost = |seconds: [i64; 2]| {
        let mut call = Call::default();
        for second in seconds {
            for event in call.decide(report(at_second(second), book())).unwrap() {
                call = call.evolve(&event);
            }
        }
        call.charged.unwrap().cost().unwrap().to_string()
    };
    assert_eq!(cost([4, 6]), "3");
    assert_eq!(cost([6, 4]), "3");
    assert_eq!(cost([6, 6]), "2");
}

#[test]
fn without_a_price_there_is_no_cost() {
    let call = given::<Call>([])
        .when(report(facts(10, 3), no_prices()))
        .then([CallEvent::Recorded(charged(facts(10, 3), no_prices()))]);
    let charged = call.charged.unwrap();
    assert_eq!(charged.cost(), None);
    assert!(charged.is_unpriced());
}

#[test]
fn a_call_without_a_price_is_charged_once_a_price_is_known() {
    given::<Call>([CallEvent::Recorded(charged(facts(10, 3), no_prices()))])
        .when(report(facts(10, 3), prices(3)))
        .then([CallEvent::Amended(CallAmended {
            before: charged(facts(10, 3), no_prices()),
            after: charged(facts(10, 3), prices(3)),
        })]);
}

#[test]
fn invalid_facts_are_rejected() {
    let reject = |facts, error| given::<Call>([]).when(report(facts, no_prices())).then_rejected(error);
    reject(CallFacts { model: None, ..facts(1, 1) }, CallError::NoModel);
    reject(CallFacts { kind: CallKind::Tool, ..facts(1, 1) }, CallError::NoTool);
    reject(CallFacts { latency_ms: Some(u64::MAX), ..facts(1, 1) }, CallError::LatencyTooLong(u64::MAX));
    let far = at(0).with_year(2300).unwrap();
    reject(CallFacts { started_at: far, ..facts(1, 1) }, CallError::StartOutOfRange(far));
    let minus = Money::parse("-1").unwrap();
    reject(CallFacts { reported_cost: Some(minus), ..facts(1, 1) }, CallError::NegativeCost(minus));
    let parts = usage([(Meter::Reasoning, 2)]);
    reject(
        CallFacts { usage: usage([(Meter::Output, 1), (Meter::Reasoning, 2)]), ..facts(1, 1) },
        CallError::Usage(UsageError::PartsExceedWhole { whole: Meter::Output, quantity: 1, parts: Box::new(parts) }),
    );
}

#[test]
fn a_call_keeps_its_kind() {
    let tool = CallFacts { kind: CallKind::Tool, tool: Some(name("grep")), ..facts(0, 0) };
    given::<Call>([CallEvent::Recorded(charged(facts(1, 1), no_prices()))])
        .when(report(tool, no_prices()))
        .then_rejected(CallError::KindMismatch);
}

proptest! {
    /// Records of one call give the same state in any order and with any repetition, and the changes of the events add
    /// up to its cost.
    #[test]
    fn order_and_repetition_do_not_matter(
        records in proptest::collection::vec((0_u64..1000, 0_u64..1000), 1..8),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..16),
    ) {
        let fold = |records: &mut dyn Iterator<Item = (u64, u64)>| {
            let mut sum = Money::ZERO;
            let mut call = Call::default();
            for (input, output) in records {
                for event in call.decide(report(facts(input, output), prices(3))).unwrap() {
                    let (before, after) = event.before_and_after();
                    sum = sum.checked_add(after.cost().unwrap()).unwrap();
                    sum = sum.checked_sub(before.and_then(ChargedCall::cost).unwrap_or(Money::ZERO)).unwrap();
                    call = call.evolve(&event);
                }
            }
            (call, sum)
        };
        let (straight, sum) = fold(&mut records.iter().copied());
        let mut shuffled: Vec<_> = order.iter().map(|index| *index.get(&records)).collect();
        shuffled.extend(records.iter().rev());
        let (other, other_sum) = fold(&mut shuffled.into_iter());
        prop_assert_eq!(&straight, &other);
        prop_assert_eq!(sum, other_sum);
        prop_assert_eq!(Some(sum), straight.charged.unwrap().cost());
    }
}
