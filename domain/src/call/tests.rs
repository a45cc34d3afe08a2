use super::*;
use crate::price_book::{Price, Rates, rate};
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
fn quote(input: u32) -> Quote {
    Quote {
        price: Price {
            provider: name("openai"),
            model: name("m"),
            effective_from: at(-9),
            currency: Currency::Usd,
            rates: Rates::new(rate(input.into()).unwrap(), rate(4.into()).unwrap()),
            tiers: vec![],
        },
        book_version: 7,
    }
}
fn report(facts: CallFacts, quote: Option<Quote>) -> CallCommand {
    CallCommand::Report { facts, quote }
}
fn charged(facts: CallFacts, quote: Option<Quote>) -> ChargedCall {
    let charge = quote.map(|quote| quote.charge(&facts.usage).unwrap());
    ChargedCall { facts, charge }
}

#[test]
fn the_first_record_is_charged() {
    let call = given::<Call>([])
        .when(report(facts(3071, 59), Some(quote(3))))
        .then([CallEvent::Recorded(charged(facts(3071, 59), Some(quote(3))))]);
    assert_eq!(call.charged.unwrap().cost().unwrap().to_string(), "0.009449");
}

#[test]
fn a_call_that_started_in_a_leap_second_counts_in_the_month_before_it() {
    let started = |text: &str| CallFacts { started_at: text.parse().unwrap(), ..facts(1, 1) };
    let recorded = CallEvent::Recorded(charged(started("2016-12-31T23:59:59.999999Z"), None));
    given::<Call>([]).when(report(started("2016-12-31T23:59:60Z"), None)).then([recorded.clone()]);
    let written = recorded.encode().unwrap().replace("23:59:59.999999Z", "23:59:60Z");
    assert!(written.contains("23:59:60Z"));
    assert_eq!(CallEvent::decode("call.recorded", 1, &written).unwrap(), recorded);
}

#[test]
fn the_same_record_again_is_not_charged_again() {
    given::<Call>([CallEvent::Recorded(charged(facts(10, 3), Some(quote(3))))])
        .when(report(facts(10, 3), Some(quote(3))))
        .then([]);
}

#[test]
fn a_record_with_fewer_tokens_changes_nothing() {
    given::<Call>([CallEvent::Recorded(charged(facts(10, 263), Some(quote(3))))])
        .when(report(facts(10, 3), Some(quote(3))))
        .then([]);
}

#[test]
fn a_later_record_amends_at_the_price_first_applied() {
    let before = charged(facts(10, 3), Some(quote(3)));
    let after = charged(facts(10, 263), Some(quote(3)));
    given::<Call>([CallEvent::Recorded(before.clone())])
        .when(report(facts(10, 263), Some(quote(99))))
        .then([CallEvent::Amended(CallAmended { before, after })]);
}

#[test]
fn without_a_price_there_is_no_cost() {
    let call =
        given::<Call>([]).when(report(facts(10, 3), None)).then([CallEvent::Recorded(charged(facts(10, 3), None))]);
    let charged = call.charged.unwrap();
    assert_eq!(charged.cost(), None);
    assert!(charged.is_unpriced());
}

#[test]
fn a_call_without_a_price_is_charged_once_a_price_is_known() {
    given::<Call>([CallEvent::Recorded(charged(facts(10, 3), None))]).when(report(facts(10, 3), Some(quote(3)))).then(
        [CallEvent::Amended(CallAmended {
            before: charged(facts(10, 3), None),
            after: charged(facts(10, 3), Some(quote(3))),
        })],
    );
}

#[test]
fn invalid_facts_are_rejected() {
    let reject = |facts, error| given::<Call>([]).when(report(facts, None)).then_rejected(error);
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
        CallError::Usage(UsageError::PartsExceedWhole { whole: Meter::Output, quantity: 1, parts }),
    );
}

#[test]
fn a_call_keeps_its_kind() {
    let tool = CallFacts { kind: CallKind::Tool, tool: Some(name("grep")), ..facts(0, 0) };
    given::<Call>([CallEvent::Recorded(charged(facts(1, 1), None))])
        .when(report(tool, None))
        .then_rejected(CallError::KindMismatch);
}

proptest! {
    /// Records of one call give the same state in any order and with any repetition, and the changes of the events add up
    /// to its cost.
    #[test]
    fn order_and_repetition_do_not_matter(
        records in proptest::collection::vec((0_u64..1000, 0_u64..1000), 1..8),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..16),
    ) {
        let fold = |records: &mut dyn Iterator<Item = (u64, u64)>| {
            let mut sum = Money::ZERO;
            let mut call = Call::default();
            for (input, output) in records {
                for event in call.decide(report(facts(input, output), Some(quote(3)))).unwrap() {
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
