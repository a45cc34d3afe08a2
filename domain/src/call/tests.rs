use super::*;
use crate::ids::{AgentId, DagId, TaskId};
use crate::money::Money;
use crate::price_book::{Price, PriceBookEvent, PriceComponent, PriceSource, PricesSet, rate};
use crate::testing::{at, body, given, name, usage, uuid};
use crate::usage::{Quantity, Usage, UsageError};
use crate::{EventCodec, Meter};
use chrono::Datelike;
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(super) fn facts(input: u64, output: u64) -> CallFacts {
    CallFacts {
        agent_id: Some(AgentId(uuid(1))),
        provider: Some(name("openai")),
        model: Some(name("m")),
        usage: usage([(Meter::Input, input), (Meter::Output, output)]),
        ..CallFacts::new(CallKind::Llm, at(0), name("test"))
    }
}
fn price(from: i64, input: u32) -> PriceBookEvent {
    let per_million = |meter, dollars: u32| PriceComponent::per_million(meter, rate(dollars.into()).unwrap());
    let components = vec![per_million(Meter::Input, input), per_million(Meter::Output, 4)];
    let price = Price { effective_from: at(from), ..Price::new(name("openai"), name("m"), components) };
    PriceBookEvent::Set(PricesSet { prices: vec![price], source: PriceSource::named(name("test")), at: at(0) })
}
/// A price book with one price.
pub(super) fn prices(input: u32) -> PriceBook {
    PriceBook::default().evolve(&price(-9, input))
}
fn no_prices() -> PriceBook {
    PriceBook::default()
}
pub(super) fn report(facts: CallFacts, prices: PriceBook) -> CallCommand {
    CallCommand::Report { facts, prices, tag_keys: TagKeys::default(), reported_by: Reporters::default() }
}
pub(super) fn charged(facts: CallFacts, prices: PriceBook) -> ChargedCall {
    let charge = prices.charge(&facts.pricing().unwrap(), None).ok();
    let (provenance, counted_tags, reported_by) = Default::default();
    ChargedCall { facts, provenance, charge, counted_tags, reservation_id: None, reported_by }
}

pub(super) fn recorded(after: ChargedCall) -> CallEvent {
    CallEvent::Recorded(after.into())
}
pub(super) fn amended(before: ChargedCall, after: ChargedCall) -> CallEvent {
    CallEvent::Amended(CallAmended { before, after, absorbed: Vec::new(), settles: None, in_part: false })
}

#[test]
fn the_first_record_is_charged() {
    let call = given::<Call>([])
        .when(report(facts(3071, 59), prices(3)))
        .then([recorded(charged(facts(3071, 59), prices(3)))]);
    assert_eq!(call.charged.unwrap().cost().unwrap().to_string(), "0.009449");
}

#[test]
fn a_call_that_started_in_a_leap_second_counts_in_the_month_before_it() {
    let started = |text: &str| CallFacts { started_at: text.parse().unwrap(), ..facts(1, 1) };
    let recorded = recorded(charged(started("2016-12-31T23:59:59.999999Z"), no_prices()));
    given::<Call>([]).when(report(started("2016-12-31T23:59:60Z"), no_prices())).then([recorded.clone()]);
    let written = recorded.encode().unwrap().replace("23:59:59.999999Z", "23:59:60Z");
    assert!(written.contains("23:59:60Z"));
    assert_eq!(CallEvent::decode("call.recorded", 1, &written).unwrap(), recorded);
}

#[test]
fn the_same_record_again_is_not_charged_again() {
    given::<Call>([recorded(charged(facts(10, 3), prices(3)))]).when(report(facts(10, 3), prices(3))).then([]);
}

#[test]
fn a_record_with_fewer_tokens_changes_nothing() {
    given::<Call>([recorded(charged(facts(10, 263), prices(3)))]).when(report(facts(10, 3), prices(3))).then([]);
}

#[test]
fn a_later_record_amends_at_the_price_first_applied() {
    let before = charged(facts(10, 3), prices(3));
    let after = charged(facts(10, 263), prices(3));
    given::<Call>([recorded(before.clone())])
        .when(report(facts(10, 263), prices(3).evolve(&price(-9, 99))))
        .then([amended(before, after)]);
}

#[test]
fn the_version_of_the_price_book_that_first_had_a_price_is_kept() {
    let later = prices(3).evolve(&price(-9, 5));
    let before = charged(facts(10, 3), prices(3));
    let after = charged(facts(10, 263), prices(3));
    assert_eq!(after.charge.as_ref().map(|charge| charge.book_version), Some(1));
    given::<Call>([recorded(before.clone())])
        .when(report(facts(10, 263), later.clone()))
        .then([amended(before, after)]);
    // A call that is charged by a later version is not charged again by an earlier one.
    given::<Call>([recorded(charged(facts(10, 3), later))])
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
    let call =
        given::<Call>([]).when(report(facts(10, 3), no_prices())).then([recorded(charged(facts(10, 3), no_prices()))]);
    let charged = call.charged.unwrap();
    assert_eq!(charged.cost(), None);
    assert!(charged.is_unpriced());
}

#[test]
fn a_call_without_a_price_is_charged_once_a_price_is_known() {
    given::<Call>([recorded(charged(facts(10, 3), no_prices()))])
        .when(report(facts(10, 3), prices(3)))
        .then([amended(charged(facts(10, 3), no_prices()), charged(facts(10, 3), prices(3)))]);
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
    let cost = ReportedCost { amount: minus, source: None };
    reject(CallFacts { reported_cost: Some(cost), ..facts(1, 1) }, CallError::NegativeCost(minus));
    let too_long = CallError::LatencyTooLong(30 * 86_400_000 + 1);
    reject(CallFacts { first_token_ms: Some(30 * 86_400_000 + 1), ..facts(1, 1) }, too_long);
    let parts = usage([(Meter::Reasoning, 2)]);
    reject(
        CallFacts { usage: usage([(Meter::Output, 1), (Meter::Reasoning, 2)]), ..facts(1, 1) },
        CallError::Usage(UsageError::PartsExceedWhole { whole: Meter::Output, quantity: 1, parts: Box::new(parts) }),
    );
}

#[test]
fn a_call_keeps_its_kind() {
    let tool = CallFacts { kind: CallKind::Tool, tool: Some(name("grep")), ..facts(0, 0) };
    given::<Call>([recorded(charged(facts(1, 1), no_prices()))])
        .when(report(tool, no_prices()))
        .then_rejected(CallError::KindMismatch);
}

/// A record of a log that is written while a response is streamed.
pub(super) fn line(second: i64, id: &str, output: u64) -> CallFacts {
    CallFacts { started_at: at(second), record_id: Some(name(id)), ..facts(10, output) }
}

pub(super) fn fold(records: impl IntoIterator<Item = CallFacts>, prices: &PriceBook) -> ChargedCall {
    let report = |call: Call, facts| {
        let events = call.decide(self::report(facts, prices.clone())).unwrap();
        events.iter().fold(call, |call, event| call.evolve(event))
    };
    records.into_iter().fold(Call::default(), report).charged.unwrap()
}

#[test]
fn the_usage_is_that_of_the_last_line_and_the_start_that_of_the_first() {
    let [first, last] = [line(0, "a", 3), line(2, "b", 263)];
    for records in [vec![first.clone(), last.clone()], vec![last.clone(), first.clone(), last.clone()]] {
        let call = fold(records, &prices(3));
        assert_eq!(call.facts, CallFacts { usage: last.usage, ..first.clone() });
        let record = RecordKey { at: at(2), source: name("test"), id: Some(name("b")) };
        let origins = vec![Origin { record, fields: BTreeSet::from([Field::Usage]) }];
        assert_eq!(call.provenance, Provenance { origins, ..Provenance::default() });
        assert_eq!(call.cost().unwrap().to_string(), "0.001082");
    }
}

#[test]
fn usage_is_taken_whole_from_the_record_that_knows_it_best() {
    let record = |second, source: &str, assumed, quantities: &[(Meter, u64)]| CallFacts {
        usage: quantities.iter().map(|&(meter, number)| (meter, Quantity::new(number).unwrap())).collect(),
        usage_assumed: assumed,
        started_at: at(second),
        source: name(source),
        ..facts(0, 0)
    };
    let split = [(Meter::Input, 200), (Meter::Output, 5), (Meter::CacheRead, 800)];
    for (better, worse, why) in [
        (record(1, "claude-code", false, &split), record(0, "otlp", false, &[(Meter::Input, 1800)]), "the source"),
        (record(1, "x", false, &[(Meter::Input, 1)]), record(0, "claude-code", true, &split), "it is stated"),
        (record(1, "otlp", false, &[(Meter::Input, 2)]), record(0, "otlp", false, &[(Meter::Input, 1)]), "the total"),
        (
            record(1, "x", false, &split),
            record(0, "x", false, &[(Meter::Input, 1000), (Meter::Output, 5)]),
            "its detail",
        ),
        (record(1, "x", true, &[(Meter::Input, 1)]), record(0, "claude-code", false, &[]), "the other has none"),
        (record(1, "otlp", false, &[(Meter::Input, 1)]), record(0, "x", false, &split), "the source, not the total"),
    ] {
        for records in [[better.clone(), worse.clone()], [worse.clone(), better.clone()]] {
            let facts = fold(records, &prices(3)).facts;
            assert_eq!((facts.usage, facts.usage_assumed), (better.usage, better.usage_assumed), "{why}");
            assert_eq!((facts.started_at, facts.source), (worse.started_at, worse.source.clone()));
        }
    }
}

#[test]
fn a_copied_call_belongs_to_the_session_that_had_it_first_and_ties_are_decided_by_id() {
    let owned = |second, id: &str, task| CallFacts { task_id: Some(TaskId(uuid(task))), ..line(second, id, 1) };
    let owner = |records: [CallFacts; 3]| fold(records, &prices(3)).facts.task_id;
    let [original, copy, later] = [owned(0, "a", 7), owned(0, "b", 1), owned(2, "0", 3)];
    assert_eq!(owner([copy.clone(), later.clone(), original.clone()]), Some(TaskId(uuid(7))));
    assert_eq!(owner([original, copy, later]), Some(TaskId(uuid(7))));
}

pub(super) fn correct(fields: &[Field], values: CallFacts, prices: PriceBook) -> CallCommand {
    correct_at(50, fields, values, prices)
}
pub(super) fn correct_at(second: i64, fields: &[Field], values: CallFacts, prices: PriceBook) -> CallCommand {
    let reason = body("the invoice says so");
    let (fields, tag_keys) = (fields.iter().copied().collect(), TagKeys::default());
    CallCommand::Correct { fields, values, reason, at: at(second), prices, tag_keys }
}

fn corrected_at_50(fields: &[Field]) -> BTreeMap<Field, DateTime<Utc>> {
    fields.iter().map(|field| (*field, at(50))).collect()
}

#[test]
fn a_correction_is_final_for_the_fields_it_names() {
    let before = charged(facts(10, 3), prices(3));
    let values = CallFacts { user: Some(name("ada")), usage: usage([(Meter::Input, 1)]), ..line(-5, "x", 0) };
    let fields = [Field::User, Field::Usage, Field::StartedAt];
    let corrected = CallFacts { user: values.user.clone(), usage: values.usage, started_at: at(-5), ..facts(10, 3) };
    let provenance =
        Provenance { corrected: corrected_at_50(&fields), first_record_at: Some(at(0)), ..Provenance::default() };
    let after = ChargedCall { provenance, ..charged(corrected, prices(3)) };
    let event = CallCorrected { before: before.clone(), after, reason: Some(body("the invoice says so")), at: at(50) };
    let call = given::<Call>([recorded(before)])
        .when(correct(&fields, values.clone(), prices(3)))
        .then([CallEvent::Corrected(event)]);
    assert_eq!(call.decide(correct(&fields, values.clone(), prices(3))), Ok(vec![]), "the same correction again");
    let later = call.decide(correct_at(60, &fields, values, prices(3))).unwrap();
    assert_eq!(later.len(), 1, "a later one with the same values, which counts if calls are tied");

    // An earlier record with more tokens and other names changes what is not corrected.
    let record = CallFacts { user: Some(name("eve")), team: Some(name("t")), ..line(-9, "y", 99) };
    let events = call.decide(report(record, prices(3))).unwrap();
    let facts = events.iter().fold(call, |call, event| call.evolve(event)).charged.unwrap().facts;
    assert_eq!((facts.user, facts.usage), (Some(name("ada")), usage([(Meter::Input, 1)])));
    assert_eq!((facts.started_at, facts.team, facts.record_id), (at(-5), Some(name("t")), Some(name("y"))));
}

#[test]
fn a_correction_needs_a_call_and_a_field_and_leaves_valid_facts() {
    let recorded = || given::<Call>([recorded(charged(facts(1, 1), no_prices()))]);
    let values = CallFacts { model: None, ..facts(1, 1) };
    given::<Call>([]).when(correct(&[Field::Model], values.clone(), no_prices())).then_rejected(CallError::NotReported);
    recorded().when(correct(&[], values.clone(), no_prices())).then_rejected(CallError::NothingToCorrect);
    recorded().when(correct(&[Field::Model], values.clone(), no_prices())).then_rejected(CallError::NoModel);
    // A correction may remove a field that need not be known.
    let after = charged(CallFacts { agent_id: None, ..facts(1, 1) }, no_prices());
    let provenance = Provenance { corrected: corrected_at_50(&[Field::AgentId]), ..Provenance::default() };
    recorded().when(correct(&[Field::AgentId], CallFacts { agent_id: None, ..values }, no_prices())).then([
        CallEvent::Corrected(CallCorrected {
            before: charged(facts(1, 1), no_prices()),
            after: ChargedCall { provenance, ..after },
            reason: Some(body("the invoice says so")),
            at: at(50),
        }),
    ]);
}

/// A price book whose prices change by time and by the facts of a call.
pub(super) fn changing_prices() -> PriceBook {
    let tier = |events: PriceBookEvent, tier: &str| {
        let PriceBookEvent::Set(mut set) = events else { panic!("prices") };
        let when = crate::price_book::Conditions { service_tier: Some(name(tier)), ..Default::default() };
        let batch = PriceComponent { when, ..PriceComponent::per_million(Meter::Input, rate(1.into()).unwrap()) };
        set.prices[0].components.push(batch);
        PriceBookEvent::Set(set)
    };
    [price(-9, 3), price(1, 5), tier(price(2, 7), "1")]
        .iter()
        .fold(PriceBook::default(), |book, event| book.evolve(event))
}

/// A record with few different values, so that several records have the same value, the same key, or no value.
pub(super) fn record() -> impl Strategy<Value = CallFacts> {
    (named_facts(), measured_facts(), identifying_facts()).prop_map(|(named, measured, identifying)| CallFacts {
        outcome: measured.outcome,
        latency_ms: measured.latency_ms,
        first_token_ms: measured.first_token_ms,
        reported_cost: measured.reported_cost,
        usage: measured.usage,
        usage_assumed: measured.usage_assumed,
        model: identifying.model,
        tags: identifying.tags,
        span: identifying.span,
        started_at: identifying.started_at,
        source: identifying.source,
        record_id: identifying.record_id,
        ..named
    })
}

fn no_facts() -> CallFacts {
    CallFacts::new(CallKind::Llm, at(0), name("x"))
}

/// Facts with the fields that are ids and names.
fn named_facts() -> impl Strategy<Value = CallFacts> {
    let ids = prop::array::uniform3(prop::option::of((0_u128..3).prop_map(uuid)));
    let names = prop::array::uniform11(prop::option::of("[0-2]".prop_map(|text| name(&text))));
    let error = prop::option::of("[x-z]".prop_map(|text| body(&text)));
    (ids, names, error).prop_map(|([agent, task, dag], names, error)| {
        let [conversation, user, team, key, provider, tool, service_tier, speed, region, response_id, request_id] =
            names;
        CallFacts {
            agent_id: agent.map(AgentId),
            task_id: task.map(TaskId),
            dag_id: dag.map(DagId),
            provider: provider.map(|_| name("openai")),
            conversation,
            user,
            team,
            key,
            tool,
            service_tier,
            speed,
            region,
            response_id,
            request_id,
            error,
            ..no_facts()
        }
    })
}

/// Facts with the fields that are measured.
fn measured_facts() -> impl Strategy<Value = CallFacts> {
    let number = || prop::option::of(0_u64..3);
    let outcome = prop::sample::select(&[None, Some(Outcome::Ok), Some(Outcome::Error), Some(Outcome::Timeout)]);
    let cost = (0_u32..3, any::<bool>()).prop_map(|(amount, has_source)| ReportedCost {
        amount: Money::from_decimal(amount.into()),
        source: has_source.then_some(CostSource::Client),
    });
    let meter = prop::sample::select(&[Meter::Input, Meter::Output, Meter::CacheRead]);
    let usage = prop::collection::vec((meter, 0_u64..3), 0..3).prop_map(|meters| {
        meters.into_iter().map(|(meter, number)| (meter, Quantity::new(number).unwrap())).collect::<Usage>()
    });
    (outcome, number(), number(), prop::option::of(cost), usage, any::<bool>()).prop_map(
        |(outcome, latency_ms, first_token_ms, reported_cost, usage, usage_assumed)| CallFacts {
            outcome,
            latency_ms,
            first_token_ms,
            reported_cost,
            usage,
            usage_assumed,
            ..no_facts()
        },
    )
}

/// Facts with the model, the tags, the span and the key of the record.
fn identifying_facts() -> impl Strategy<Value = CallFacts> {
    let span = (1_u128..3, 1_u64..3, prop::option::of(1_u64..3)).prop_map(|(trace, span, parent)| CallSpan {
        trace_id: TraceId::new(trace).unwrap(),
        span_id: SpanId::new(span).unwrap(),
        parent_span_id: parent.and_then(SpanId::new),
    });
    let tags = ("[a-b]", "[0-2]").prop_map(|(key, value)| Tags::new([(key, value)]).unwrap());
    let model = prop::sample::select(&["m", "n"]);
    let source = prop::sample::select(&["otlp", "claude-code", "x"]);
    let record_id = prop::option::of("[0-2]".prop_map(|text| name(&text)));
    (model, prop::option::of(tags), prop::option::of(span), 0_i64..4, source, record_id).prop_map(
        |(model, tags, span, second, source, record_id)| CallFacts {
            model: Some(name(model)),
            tags,
            span,
            started_at: at(second),
            source: name(source),
            record_id,
            ..no_facts()
        },
    )
}

fn records() -> impl Strategy<Value = Vec<CallFacts>> {
    prop::collection::vec(record(), 1..7)
}

/// The records in an order that the indices give, with repetition, each at least once.
pub(super) fn reordered<T: Clone>(records: &[T], order: &[prop::sample::Index]) -> Vec<T> {
    let mut rest: Vec<_> = records.to_vec();
    let mut reordered = Vec::new();
    for index in order {
        reordered.push(index.get(records).clone());
        if !rest.is_empty() {
            reordered.push(rest.swap_remove(index.index(rest.len())));
        }
    }
    reordered.extend(rest);
    reordered
}

/// Records, some of which the gateway made.
fn records_with_gateway() -> impl Strategy<Value = Vec<CallFacts>> {
    let of_any = (record(), any::<bool>()).prop_map(|(facts, is_of_gateway)| match is_of_gateway {
        true => CallFacts { source: name(GATEWAY_SOURCE), ..facts },
        false => facts,
    });
    prop::collection::vec(of_any, 1..7)
}

fn key_of(facts: &CallFacts) -> RecordKey {
    RecordKey { at: facts.started_at, source: facts.source.clone(), id: facts.record_id.clone() }
}

/// The key of the record that a field of a call was taken from.
fn origin_of(call: &ChargedCall, field: Field) -> RecordKey {
    let origin = call.provenance.origins.iter().find(|origin| origin.fields.contains(&field));
    origin.map_or_else(|| key_of(&call.facts), |origin| origin.record.clone())
}

proptest! {
    /// Records of one call give the same facts, owner, origins and charge in any order and with any repetition.
    #[test]
    fn order_and_repetition_do_not_matter(
        records in records(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let prices = changing_prices();
        let straight = fold(records.clone(), &prices);
        prop_assert_eq!(&straight, &fold(records.iter().rev().cloned(), &prices));
        prop_assert_eq!(&straight, &fold(reordered(&records, &order), &prices));
    }

    /// What the gateway says of the price and of the usage counts, whatever others report, and in whatever order.
    #[test]
    fn the_record_of_the_gateway_decides_what_is_charged(
        records in records(),
        metered in record(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let usage = usage([(Meter::Input, 2), (Meter::Output, 1)]);
        let metered = CallFacts { source: name(GATEWAY_SOURCE), usage, ..metered };
        let alone = fold([metered.clone()], &changing_prices());
        let all: Vec<_> = records.into_iter().chain([metered]).collect();
        // The book is the one that first had a price, which is one book here.
        let together = fold(reordered(&all, &order), &changing_prices());
        prop_assert_eq!(&together.charge, &alone.charge);
        let pricing = |call: &ChargedCall| {
            let CallFacts { provider, model, service_tier, speed, region, usage, started_at, .. } = call.facts.clone();
            (provider, model, service_tier, speed, region, usage, started_at, call.facts.usage_assumed)
        };
        prop_assert_eq!(pricing(&together), pricing(&alone));
        prop_assert_eq!(key_of(&together.facts), key_of(&alone.facts));
    }

    /// Two processes that join some of the records each know together what one knows that joins them all.
    #[test]
    fn grouping_does_not_matter(records in records_with_gateway(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 2)) {
        let join = |records: &[CallFacts]| {
            let joined = records.iter().map(|facts| Joined::of_record(normalized(facts.clone())));
            joined.reduce(|one, other| one.join(&other))
        };
        let together = |one: Option<Joined>, other: Option<Joined>| match (one, other) {
            (Some(one), Some(other)) => Some(one.join(&other)),
            (one, other) => one.or(other),
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(records.len() + 1)).collect();
        cuts.sort_unstable();
        let [one, two, three] = [&records[..cuts[0]], &records[cuts[0]..cuts[1]], &records[cuts[1]..]].map(join);
        let all = join(&records);
        prop_assert_eq!(&together(together(one.clone(), two.clone()), three.clone()), &all);
        prop_assert_eq!(&together(one.clone(), together(two.clone(), three.clone())), &all);
        prop_assert_eq!(&together(three, together(two, one)), &all);
        prop_assert_eq!(&together(all.clone(), all.clone()), &all);
    }

    /// The rule itself, for every field, said in another way.
    #[test]
    fn each_field_is_that_of_the_lowest_record_that_has_it(records in records()) {
        let call = fold(records.clone(), &changing_prices());
        let value = |facts: &CallFacts, field: Field| serde_json::to_value(facts).unwrap().get(field.name()).cloned();
        for &field in Field::ALL.iter().filter(|field| **field != Field::Usage) {
            let with_field = || records.iter().filter(|facts| value(facts, field).is_some());
            let Some(lowest) = with_field().map(key_of).min() else {
                prop_assert_eq!(value(&call.facts, field), None);
                continue;
            };
            let mut candidates = with_field().filter(|facts| key_of(facts) == lowest).map(|facts| value(facts, field));
            prop_assert!(candidates.any(|candidate| candidate == value(&call.facts, field)), "{}", field);
            prop_assert_eq!(origin_of(&call, field), lowest, "{}", field);
        }
        let used = origin_of(&call, Field::Usage);
        let candidates = || records.iter().filter(|facts| key_of(facts) == used);
        prop_assert!(candidates().any(|facts| facts.usage == call.facts.usage));
        let stated = |facts: &CallFacts| !facts.usage.is_empty() && !facts.usage_assumed;
        if records.iter().any(stated) {
            prop_assert!(!call.facts.usage_assumed && !call.facts.usage.is_empty());
        }
        prop_assert_eq!(key_of(&call.facts), records.iter().map(key_of).min().unwrap());
    }

    /// The changes that the events state add up to the state, and the join goes on from a state that was read from the log.
    #[test]
    fn the_changes_of_the_events_add_up_to_the_state(
        records in records(),
        corrections in prop::collection::vec((prop::sample::subsequence(Field::ALL, 1..4), record()), 0..3),
    ) {
        let prices = changing_prices();
        let reports = records.into_iter().map(|facts| report(facts, prices.clone()));
        let corrections = corrections.iter().map(|(fields, values)| correct(fields, values.clone(), prices.clone()));
        let mut commands: Vec<_> = reports.collect();
        commands.extend(corrections);
        commands.extend(commands.clone().into_iter().rev());
        let mut call = Call::default();
        let (mut cost, mut usage) = (Money::ZERO, [0_i64; Meter::COUNT]);
        for command in commands {
            // A correction may be rejected, as it may remove the model.
            for event in call.decide(command).unwrap_or_default() {
                let event = CallEvent::decode(event.event_type().name, 1, &event.encode().unwrap()).unwrap();
                let (befores, after) = event.befores_and_after();
                prop_assert_eq!(&befores, &call.charged.iter().collect::<Vec<_>>());
                let (before, after) = (befores.first().copied(), after.unwrap());
                cost = cost.checked_add(after.cost().unwrap_or_default()).unwrap();
                cost = cost.checked_sub(before.and_then(ChargedCall::cost).unwrap_or_default()).unwrap();
                for (meter, sum) in Meter::ALL.iter().zip(&mut usage) {
                    let count = |call: &ChargedCall| i64::try_from(call.facts.usage.get(*meter).get()).unwrap();
                    *sum += count(after) - before.map_or(0, count);
                }
                call = call.evolve(&event);
            }
        }
        let state = call.charged.unwrap();
        prop_assert_eq!(cost, state.cost().unwrap_or_default());
        for (meter, sum) in Meter::ALL.iter().zip(usage) {
            prop_assert_eq!(u64::try_from(sum).unwrap(), state.facts.usage.get(*meter).get());
        }
    }

    /// What is corrected stays, and everything else is as if there were no correction.
    #[test]
    fn records_change_what_is_not_corrected(
        first in record(),
        later in records(),
        fields in prop::sample::subsequence(Field::ALL, 1..6),
        values in record(),
    ) {
        let prices = changing_prices();
        let recorded = Call::default().evolve(&recorded(fold([first.clone()], &prices)));
        let events = recorded.decide(correct(&fields, values.clone(), prices.clone())).unwrap();
        let mut call = events.iter().fold(recorded, |call, event| call.evolve(event));
        for facts in later.clone() {
            for event in call.decide(report(facts, prices.clone())).unwrap() {
                call = call.evolve(&event);
            }
        }
        let mut expected = fold(std::iter::once(first).chain(later), &prices).facts;
        for field in &fields {
            expected.copy_field(*field, &normalized(values.clone()));
        }
        prop_assert_eq!(call.charged.unwrap().facts, expected);
    }
}

fn of_gateway(second: i64, input: u64, is_assumed: bool) -> CallFacts {
    CallFacts { usage_assumed: is_assumed, source: name(GATEWAY_SOURCE), ..line(second, "g", 0) }.with_input(input)
}

impl CallFacts {
    fn with_input(self, input: u64) -> Self {
        Self { usage: usage([(Meter::Input, input)]), ..self }
    }
}

#[test]
fn a_client_does_not_lower_what_the_gateway_charged() {
    let cost = |records: [CallFacts; 2]| fold(records, &changing_prices()).cost().unwrap();
    // A tier at a dollar for a million tokens; and an earlier start, at a lower price.
    let tier = |facts: CallFacts| CallFacts { service_tier: Some(name("1")), ..facts };
    let metered = of_gateway(3, 1_000_000, false);
    let right = fold([metered.clone()], &changing_prices()).cost().unwrap();
    for claim in [
        tier(line(3, "a", 0).with_input(1_000_000)),
        line(-5, "a", 0).with_input(1_000_000),
        line(4, "a", 0).with_input(1),
        CallFacts { model: Some(name("free")), ..line(0, "a", 0).with_input(2_000_000) },
        CallFacts { source: name("responses"), usage: usage([(Meter::Output, 1_000_001)]), ..line(0, "a", 0) },
    ] {
        assert_eq!(cost([metered.clone(), claim.clone()]), right, "{claim:?}");
        assert_eq!(cost([claim.clone(), metered.clone()]), right, "{claim:?}");
    }
    // Of a record of another source it does: the check is not one that cannot fail.
    let recorded = CallFacts { source: name("responses"), ..metered.clone() };
    assert!(cost([recorded, tier(line(3, "a", 0).with_input(1_000_000))]) < right);
    let assumed = of_gateway(3, 1_000_000, true);
    let stated = fold([assumed, line(3, "a", 0).with_input(1)], &changing_prices());
    assert!(stated.facts.usage_assumed && stated.cost().unwrap() == right, "what is assumed stays, too");
    // What else a client knows of the call is added.
    let named = CallFacts { team: Some(name("t")), ..line(0, "a", 1) };
    assert_eq!(fold([metered, named], &changing_prices()).facts.team, Some(name("t")));
    // Of a call that the provider did not charge for, the gateway states nothing.
    let failed = CallFacts { usage: Usage::default(), ..of_gateway(3, 0, false) };
    assert_eq!(fold([failed, line(3, "a", 7)], &no_prices()).facts.usage, line(3, "a", 7).usage);
}

#[test]
fn an_operator_corrects_what_the_gateway_metered() {
    let call = Call::default().evolve(&recorded(charged(of_gateway(0, 10, true), prices(3))));
    let events = call.decide(correct(&[Field::Usage], line(0, "g", 3).with_input(1), prices(3))).unwrap();
    let corrected = events.iter().fold(call, |call, event| call.evolve(event));
    assert!(corrected.is_of_gateway());
    assert_eq!(corrected.charged.unwrap().facts.usage, usage([(Meter::Input, 1)]));
}

#[test]
fn a_report_does_not_make_one_call_of_two_that_the_gateway_passed_on() {
    let metered = recorded(charged(of_gateway(0, 10, false), prices(3)));
    let other = report(of_gateway(1, 10, false), prices(3));
    given::<Call>([metered.clone()]).when(other).then_rejected(CallError::PassedOnApart);
    given::<Call>([metered]).when(report(of_gateway(0, 10, false), prices(3))).then([]);
}

#[test]
fn a_record_of_before_a_price_was_raised_does_not_lower_what_the_gateway_charges() {
    let raised = || prices(3).evolve(&price(-9, 6));
    let cost = |call: Call, facts| {
        let events = call.decide(report(facts, raised())).unwrap();
        let call = events.iter().fold(call, |call, event| call.evolve(event));
        call.charged.unwrap().cost().unwrap().to_string()
    };
    let (metered, claim) = (of_gateway(0, 1_000_000, false), line(0, "a", 0).with_input(1));
    let claimed = Call::default().evolve(&recorded(charged(claim.clone(), prices(3))));
    assert_eq!(cost(claimed, metered.clone()), "6");
    let passed_on = Call::default().evolve(&recorded(charged(metered.clone(), raised())));
    assert_eq!(cost(passed_on, claim.clone()), "6");
    // Its own record has the price that it had when it was recorded.
    let passed_on = Call::default().evolve(&recorded(charged(metered, prices(3))));
    assert_eq!(cost(passed_on, claim), "3");
}

/// A client knows the id of a response before its call is settled, and may correct what it reported of it until then.
#[test]
fn a_correction_that_precedes_the_record_of_the_gateway_does_not_say_what_it_charges() {
    let metered = || report(of_gateway(0, 10, false), prices(3));
    let claimed = Call::default().evolve(&recorded(charged(line(0, "a", 3), prices(3))));
    assert!(claimed.decide(metered()).is_ok(), "a report adds to what the gateway knows");
    let events = claimed.decide(correct(&[Field::Usage], line(0, "a", 1), prices(3))).unwrap();
    let claimed = events.iter().fold(claimed, |call, event| call.evolve(event));
    assert_eq!(claimed.decide(metered()), Err(CallError::CorrectedApart));
    // That of an operator is one of the call of the gateway, which reports add to.
    let passed_on = Call::default().evolve(&recorded(charged(of_gateway(0, 10, false), prices(3))));
    let events = passed_on.decide(correct(&[Field::Usage], line(0, "g", 1), prices(3))).unwrap();
    let corrected = events.iter().fold(passed_on, |call, event| call.evolve(event));
    assert!(corrected.decide(report(line(1, "b", 7), prices(3))).is_ok());
}

#[test]
fn a_repricing_charges_by_the_newest_version_and_later_records_keep_it() {
    let (old, new) = (prices(3), prices(3).evolve(&price(-9, 6)));
    let command = || CallCommand::Reprice { reason: Some(body("wrong rate")), at: at(9), prices: new.clone() };
    let before = charged(facts(1_000_000, 0), old.clone());
    let after = charged(facts(1_000_000, 0), new.clone());
    let event =
        CallRepriced { before: before.clone(), after: after.clone(), reason: Some(body("wrong rate")), at: at(9) };
    assert_eq!(
        (before.cost().unwrap().to_string(), after.cost().unwrap().to_string()),
        ("3".to_owned(), "6".to_owned())
    );
    let repriced = || [recorded(before.clone()), CallEvent::Repriced(event.clone())];
    given::<Call>([recorded(before.clone())]).when(command()).then([CallEvent::Repriced(event.clone())]);
    // Once more, there is nothing to change.
    given::<Call>(repriced()).when(command()).then([]);
    let later = charged(facts(2_000_000, 0), new.clone());
    let newest = new.clone().evolve(&price(-9, 9));
    let version = |charged: &ChargedCall| charged.charge.as_ref().unwrap().book_version;
    let call =
        given::<Call>(repriced()).when(report(facts(2_000_000, 0), newest.clone())).then([amended(after, later)]);
    assert_eq!(version(call.charged.as_ref().unwrap()), 2);
    assert_eq!(call.charged.unwrap().cost().unwrap().to_string(), "12");
    // A price that does not change the charge is no reason to reprice, and a call is never left without its charge.
    given::<Call>([recorded(before.clone())])
        .when(CallCommand::Reprice { reason: None, at: at(9), prices: old.evolve(&price(99, 7)) })
        .then([]);
    let outdated = CallError::PriceBookOutdated { charged_by: 2, given: 1 };
    given::<Call>(repriced())
        .when(CallCommand::Reprice { reason: None, at: at(9), prices: prices(3) })
        .then_rejected(outdated);
    given::<Call>([]).when(command()).then_rejected(CallError::NotReported);
}
