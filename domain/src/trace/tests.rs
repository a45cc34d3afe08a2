use super::*;
use crate::call::{CallIds, CallKey, CallKind, CallNames, CallSpan};
use crate::meter::Meter;
use crate::testing::{at, name, usage};
use crate::text::Name;
use proptest::prelude::*;

fn span(id: u64) -> SpanId {
    SpanId::new(id).unwrap()
}

fn trace_id() -> TraceId {
    TraceId::new(7).unwrap()
}

/// A span with an id, the id of its parent (0 for none), and its prompt and output.
#[derive(Debug)]
struct Spec {
    id: u64,
    parent: u64,
    amounts: Option<(u64, u64)>,
    model: &'static str,
    response: &'static str,
    kind: SpanKind,
}

fn call(id: u64, parent: u64, input: u64, output: u64) -> Spec {
    Spec { id, parent, amounts: Some((input, output)), model: "m", response: "", kind: SpanKind::Call }
}

fn link(id: u64, parent: u64) -> Spec {
    Spec { amounts: None, ..call(id, parent, 0, 0) }
}

fn summary(id: u64, parent: u64, input: u64, output: u64) -> Spec {
    Spec { kind: SpanKind::Summary, model: "", ..call(id, parent, input, output) }
}

fn report(spec: &Spec) -> SpanReport {
    let ids = CallSpan { trace_id: trace_id(), span_id: span(spec.id), parent_span_id: None };
    let of_response = CallKey::of_response("openai", spec.model, spec.response);
    let call_ids = of_response
        .iter()
        .map(CallKey::call_id)
        .fold(CallIds::from(CallKey::of_span(CallKind::Llm, &ids).call_id()), CallIds::with);
    let usage = spec.amounts.map(|(input, output)| {
        let usage = usage([(Meter::Input, input), (Meter::Output, output)]);
        let facts = CallFacts { usage, ..CallFacts::new(CallKind::Llm, at(0), name("otlp")) };
        UsageReport {
            kind: spec.kind,
            usage,
            models: Name::new(spec.model).into_iter().collect(),
            response_id: Name::new(spec.response).ok(),
            call_ids,
            facts: Some(facts),
            fallback: CallNames::default(),
        }
    });
    SpanReport { span_id: span(spec.id), parent_span_id: SpanId::new(spec.parent), names: CallNames::default(), usage }
}

fn reports(specs: &[Spec]) -> Vec<SpanReport> {
    specs.iter().map(report).collect()
}

fn charged(trace: &Trace) -> Vec<u64> {
    let with_usage = trace.spans.iter().filter(|(_, span)| span.usage.is_some());
    let repeats = trace.repeats();
    let charged = with_usage.filter(|(id, _)| !repeats.contains(**id));
    charged.map(|(id, _)| u64::from_str_radix(&id.to_string(), 16).unwrap()).collect()
}

#[track_caller]
fn assert_charged(specs: &[Spec], expected: &[u64]) {
    let trace = Trace::default().merged(&reports(specs)).unwrap();
    assert_eq!(charged(&trace), expected);
}

#[test]
fn a_span_with_the_amounts_of_a_call_inside_repeats_it() {
    assert_charged(&[call(1, 0, 10, 2), call(2, 1, 10, 2)], &[2]);
    // Also through spans that state no usage.
    assert_charged(&[call(1, 0, 10, 2), link(5, 1), link(6, 5), call(2, 6, 10, 2)], &[2]);
    // And through a repeat.
    assert_charged(&[call(1, 0, 10, 2), call(2, 1, 10, 2), call(3, 2, 10, 2)], &[3]);
}

#[test]
fn a_span_with_the_sum_of_the_calls_inside_repeats_them() {
    assert_charged(&[call(1, 0, 30, 5), call(2, 1, 10, 2), call(3, 1, 20, 3)], &[2, 3]);
    assert_charged(&[call(1, 0, 30, 5), call(2, 1, 10, 2), call(3, 2, 20, 3)], &[2, 3]);
}

#[test]
fn a_span_with_other_amounts_is_a_call_of_its_own() {
    // A chat that searches by an embedding.
    let embedding = Spec { model: "e", ..call(2, 1, 9, 0) };
    assert_charged(&[call(1, 0, 100, 7), embedding], &[1, 2]);
    // A chat that asks another agent.
    assert_charged(&[call(1, 0, 100, 7), summary(2, 1, 30, 5), call(3, 2, 30, 5)], &[1, 3]);
}

#[test]
fn another_model_or_response_is_another_call() {
    let other_model = || Spec { model: "n", ..call(2, 1, 10, 2) };
    assert_charged(&[call(1, 0, 10, 2), other_model()], &[1, 2]);
    assert_charged(&[Spec { model: "", ..call(1, 0, 10, 2) }, other_model()], &[2]);
    let answered = |id, parent, response| Spec { response, ..call(id, parent, 10, 2) };
    assert_charged(&[answered(1, 0, "chatcmpl-1"), answered(2, 1, "chatcmpl-2")], &[1, 2]);
    assert_charged(&[answered(1, 0, "chatcmpl-1"), answered(2, 1, "chatcmpl-1")], &[2]);
    assert_charged(&[call(1, 0, 10, 2), answered(2, 1, "chatcmpl-1")], &[2]);
}

/// One response under two spans is one call, whatever their amounts: both are reported under its id.
#[test]
fn spans_of_one_response_are_one_call() {
    let answered = |id, parent, output| Spec { response: "chatcmpl-Abc123uniq", ..call(id, parent, 10, output) };
    assert_charged(&[answered(1, 0, 3), answered(2, 1, 2)], &[1, 2]);
    // It counts once in a sum.
    let other = call(3, 9, 5, 1);
    assert_charged(&[summary(9, 0, 15, 3), answered(1, 9, 2), answered(2, 1, 2), other], &[1, 2, 3]);
    let trace = Trace::default();
    let specs = [summary(9, 0, 15, 3), answered(1, 9, 2), answered(2, 1, 2), call(3, 9, 5, 1)];
    assert_eq!(trace.merged(&reports(&specs)).unwrap().repeats().mismatches(), []);
}

#[test]
fn a_summary_is_a_check_and_is_charged_only_if_nothing_else_is_known() {
    assert_charged(&[summary(1, 0, 30, 5)], &[1]);
    assert_charged(&[summary(1, 0, 30, 5), call(2, 1, 30, 5)], &[2]);
    let off = [summary(1, 0, 30, 5), call(2, 1, 10, 2)];
    assert_charged(&off, &[2]);
    let repeats = Trace::default().merged(&reports(&off)).unwrap().repeats();
    let found: Vec<_> = repeats.mismatches().iter().map(|found| (found.span_id, found.prompt_of_calls)).collect();
    assert_eq!(found, [(span(1), 10)]);
}

#[test]
fn cycles_are_cut() {
    assert_charged(&[call(1, 2, 10, 2), call(2, 1, 10, 2)], &[2]);
    assert_charged(&[call(1, 1, 10, 2)], &[1]);
    assert_charged(&[call(1, 5, 10, 2), link(5, 6), link(6, 5)], &[1]);
}

#[test]
fn a_charged_span_that_turns_out_to_be_a_repeat_is_reversed_and_charged_again_when_it_grows() {
    let mut trace = Trace::default().merged(&reports(&[call(1, 0, 10, 2)])).unwrap();
    assert_eq!(trace.changes(&trace.repeats()), [Change::Charge(span(1))]);
    trace.set_charged(span(1));
    assert_eq!(trace.changes(&trace.repeats()), []);
    let mut trace = trace.merged(&reports(&[call(2, 1, 10, 2)])).unwrap();
    assert_eq!(trace.changes(&trace.repeats()), [Change::Charge(span(2)), Change::Reverse(span(1))]);
    trace.set_charged(span(2));
    let facts = CallFacts::new(CallKind::Llm, at(0), name("otlp"));
    trace.set_repeat(span(1), Some((facts, Reporters::default())));
    assert_eq!(trace.changes(&trace.repeats()), []);
    let grown = trace.merged(&reports(&[call(1, 0, 50, 2)])).unwrap();
    assert_eq!(grown.changes(&grown.repeats()), [Change::Charge(span(1))]);
}

/// A file may name the call by the id of its response: it is charged again with all of its reporters.
#[test]
fn a_repeat_stays_as_long_as_anyone_reported_its_call() {
    let [one, two] = [1, 2].map(|number| ImportId(crate::testing::uuid(number)));
    let both = Reporters::of(Some(one)).union(&Reporters::of(Some(two)));
    let mut trace = Trace::default().merged_by(&reports(&[call(1, 0, 10, 2)]), &Reporters::of(Some(one))).unwrap();
    trace.set_charged(span(1));
    let mut trace = trace.merged_by(&reports(&[call(2, 1, 10, 2)]), &Reporters::of(Some(one))).unwrap();
    trace.set_charged(span(2));
    let facts = CallFacts::new(CallKind::Llm, at(0), name("otlp"));
    trace.set_repeat(span(1), Some((facts, both.clone())));
    assert_eq!(trace.spans[&span(1)].all_reporters(), both);
    let taken_back = |trace: &Trace, import_id| {
        let span_ids = trace.spans_of(import_id).map(|(id, _)| id).collect();
        let (reason, at) = (crate::testing::body("wrong file"), at(9));
        trace.clone().evolve(&TraceEvent::SpansWithdrawn(SpansWithdrawn { import_id, span_ids, reason, at }))
    };
    let left = taken_back(&trace, one);
    assert_eq!(left.spans.keys().collect::<Vec<_>>(), [&span(1)]);
    assert_eq!(left.changes(&left.repeats()), [Change::Charge(span(1))]);
    assert_eq!(left.spans[&span(1)].all_reporters(), Reporters::of(Some(two)));
    // In the other order, nothing of the second import is left either.
    let left = taken_back(&trace, two);
    assert_eq!(left.spans[&span(1)].all_reporters(), Reporters::of(Some(one)));
    assert_eq!(taken_back(&left, one), Trace::default());
    assert_eq!(taken_back(&taken_back(&trace, one), two), Trace::default());
    // The call was also reported directly, and another import reports the span.
    let directly = Reporters::of(Some(one)).union(&Reporters::of(None));
    let facts = CallFacts::new(CallKind::Llm, at(0), name("otlp"));
    trace.set_repeat(span(1), Some((facts, directly)));
    let trace = trace.merged_by(&reports(&[link(1, 0)]), &Reporters::of(Some(two))).unwrap();
    let left = taken_back(&taken_back(&trace, one), two);
    assert_eq!(left.spans[&span(1)].all_reporters(), Reporters::of(None));
    let events = Trace::default().event_to(&taken_back(&trace, one), None);
    assert!(!crate::EventCodec::encode(events.as_ref().unwrap()).unwrap().contains("[]"), "an empty list of imports");
}

#[test]
fn what_is_reported_twice_changes_nothing_and_a_snapshot_does_not_undo_the_end() {
    let ended = report(&call(1, 0, 10, 20));
    let recorded = Trace::default().decide(record(vec![ended.clone()])).unwrap();
    let state = recorded.iter().fold(Trace::default(), Trace::evolve);
    for again in [ended, report(&call(1, 0, 10, 1)), report(&link(1, 0))] {
        assert_eq!(state.decide(record(vec![again])), Ok(Vec::new()));
    }
}

#[test]
fn the_number_of_spans_is_limited() {
    let reports: Vec<_> = (1..=Trace::MAX_SPANS as u64 + 1).map(|id| report(&call(id, 0, 1, 1))).collect();
    assert!(Trace::default().merged(&reports[1..]).is_ok());
    assert_eq!(Trace::default().merged(&reports), Err(TraceError::TooManySpans));
}

#[test]
fn spans_without_usage_leave_room_for_calls() {
    let links: Vec<_> = (1..=Trace::MAX_LINKS as u64 + 1).map(|id| report(&link(id, 0))).collect();
    assert_eq!(Trace::default().merged(&links), Err(TraceError::TooManyLinks));
    let full = Trace::default().merged(&links[1..]).unwrap();
    assert_eq!(full.merged(&links[..1]), Err(TraceError::TooManyLinks));
    let calls = Trace::MAX_LINKS as u64 + 2..=Trace::MAX_SPANS as u64 + 1;
    let calls: Vec<_> = calls.map(|id| report(&call(id, 2, 1, 1))).collect();
    assert_eq!(full.merged(&calls).map(|trace| trace.spans.len()), Ok(Trace::MAX_SPANS));
    // A span may state its usage later.
    assert!(full.merged(&[report(&call(2, 0, 1, 1))]).unwrap().merged(&links[..1]).is_ok());
}

fn record(spans: Vec<SpanReport>) -> TraceCommand {
    TraceCommand::Record { agent_id: None, spans, reported_by: Reporters::default() }
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let amounts = prop_oneof![Just(None), (1_u64..4, 0_u64..3).prop_map(Some)];
    let kind = prop_oneof![4 => Just(SpanKind::Call), 1 => Just(SpanKind::Summary)];
    let texts = (prop::sample::select(&["m", "n", ""][..]), prop::sample::select(&["", "a", "b"][..]));
    (1_u64..9, 0_u64..9, amounts, kind, texts).prop_map(|(id, parent, amounts, kind, (model, response))| Spec {
        id,
        parent,
        amounts,
        model,
        response,
        kind,
    })
}

fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for at in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, usize::try_from(seed >> 33).unwrap() % (at + 1));
    }
}

/// A span, the agent that it names, and that of its service. Spans are in those with lower ids, so that there is no cycle.
fn named_spec() -> impl Strategy<Value = (Spec, Option<u128>, Option<u128>)> {
    let agent = || prop::option::of(1_u128..5);
    (any_spec(), agent(), agent()).prop_map(|(spec, named, service)| {
        let parent = if spec.parent < spec.id { spec.parent } else { 0 };
        (Spec { parent, ..spec }, named, service)
    })
}

fn named_report((spec, named, service): &(Spec, Option<u128>, Option<u128>)) -> SpanReport {
    let names = |agent: &Option<u128>| {
        let agent_id = agent.map(|number| AgentId(crate::testing::uuid(number)));
        CallNames { agent_id, ..CallNames::default() }
    };
    let mut report = SpanReport { names: names(named), ..report(spec) };
    if let Some(usage) = &mut report.usage {
        usage.fallback = names(service);
    }
    report
}

/// The agents of the charged spans, after batches whose changes were made one after the other.
fn charged_names(batches: &[&[SpanReport]]) -> BTreeMap<SpanId, Option<AgentId>> {
    let (mut trace, mut calls) = (Trace::default(), BTreeMap::new());
    for batch in batches {
        trace = trace.merged(batch).unwrap();
        for change in trace.changes(&trace.repeats()) {
            let agent = trace.names_of(change.span_id()).agent_id;
            match change {
                Change::Charge(id) => {
                    calls.insert(id, agent);
                    trace.set_charged(id);
                }
                Change::Name(id) => {
                    calls.insert(id, agent);
                    trace.set_named(id);
                }
                Change::Reverse(id) => {
                    calls.remove(&id);
                    let facts = CallFacts::new(CallKind::Llm, at(0), name("otlp"));
                    trace.set_repeat(id, Some((facts, Reporters::default())));
                }
            }
        }
    }
    calls
}

#[test]
fn a_late_root_of_many_calls_is_written_before_it_names_them() {
    let root = |agent: Option<u128>| named_report(&(link(Trace::MAX_SPANS as u64, 0), agent, None));
    let calls: Vec<_> =
        (1..Trace::MAX_SPANS as u64).map(|id| report(&call(id, Trace::MAX_SPANS as u64, id, 1))).collect();
    let mut trace = Trace::default().merged(&calls).unwrap();
    let charges = trace.changes(&trace.repeats());
    assert_eq!(charges.len(), calls.len());
    charges.iter().for_each(|change| trace.set_charged(change.span_id()));
    assert_eq!(trace.changes(&trace.repeats()), []);
    let (before, mut trace) = (trace.clone(), trace.merged(&[root(Some(1))]).unwrap());
    let written = |before: &Trace, after: &Trace| match before.event_to(after, None) {
        Some(TraceEvent::SpansRecorded(recorded)) => recorded.spans.len(),
        Some(TraceEvent::SpansWithdrawn(_)) | None => 0,
    };
    assert_eq!(written(&before, &trace), 1, "the root alone");
    let changes = trace.changes(&trace.repeats());
    assert_eq!(changes.len(), calls.len());
    assert!(changes.iter().all(|change| matches!(change, Change::Name(_))));
    let unnamed = trace.clone();
    changes.iter().take(8).for_each(|change| trace.set_named(change.span_id()));
    assert_eq!(written(&unnamed, &trace), 8);
    assert_eq!(trace.changes(&trace.repeats()), changes[8..]);
    // Money comes first, however many names are left.
    let trace = trace.merged(&[report(&call(Trace::MAX_SPANS as u64, 0, 1_000_000, 7))]).unwrap();
    assert_eq!(trace.changes(&trace.repeats()).first(), Some(&Change::Charge(span(Trace::MAX_SPANS as u64))));
}

#[test]
fn spans_of_a_cycle_name_only_themselves() {
    let named = |id, parent, agent| named_report(&(call(id, parent, id, 1), Some(agent), None));
    // 1 is below the cycle of 2 and 3.
    let unnamed = report(&call(1, 2, 1, 1));
    let trace = Trace::default().merged(&[unnamed, named(2, 3, 2), named(3, 2, 3)]).unwrap();
    let agents: Vec<_> = (1..=3).map(|id| trace.names_of(span(id)).agent_id.unwrap()).collect();
    assert_eq!(agents, [2, 2, 3].map(|number| AgentId(crate::testing::uuid(number))));
}

proptest! {
    /// The names of all spans are those of each.
    #[test]
    fn all_names_are_those_of_each_span(specs in prop::collection::vec((any_spec(), prop::option::of(1_u128..5)), 1..14)) {
        let reports: Vec<_> = specs.into_iter().map(|(spec, agent)| named_report(&(spec, agent, None))).collect();
        let trace = Trace::default().merged(&reports).unwrap();
        let all = trace.all_names();
        prop_assert_eq!(all.len(), trace.spans.values().filter(|span| span.usage.is_some()).count());
        for (id, names) in all {
            prop_assert!(names.are(&trace.names_of(id)));
        }
    }

    /// What is charged does not depend on the order, the repetition or the batches in which spans arrive.
    #[test]
    fn the_decision_does_not_depend_on_the_order(
        specs in prop::collection::vec(any_spec(), 1..14),
        order in any::<u64>(),
        cut in 0_usize..14,
    ) {
        let reports = reports(&specs);
        let mut shuffled = reports.clone();
        shuffle(&mut shuffled, order);
        shuffled.extend(reports.iter().take(cut).cloned());
        let (first, second) = shuffled.split_at(cut.min(shuffled.len()));
        let whole = Trace::default().merged(&reports).unwrap();
        let parts = Trace::default().merged(first).unwrap().merged(second).unwrap();
        prop_assert_eq!(charged(&whole), charged(&parts));
    }

    /// After the changes there are none left, and every call inside a repeat is charged.
    #[test]
    fn changes_settle(specs in prop::collection::vec(any_spec(), 1..14)) {
        let mut trace = Trace::default().merged(&reports(&specs)).unwrap();
        for change in trace.changes(&trace.repeats()) {
            match change {
                Change::Charge(id) => trace.set_charged(id),
                Change::Reverse(id) => trace.set_repeat(id, None),
                Change::Name(id) => trace.set_named(id),
            }
        }
        prop_assert_eq!(trace.changes(&trace.repeats()), []);
        let event = Trace::default().event_to(&trace, None);
        let folded = event.iter().fold(Trace::default(), Trace::evolve);
        prop_assert_eq!(folded, trace);
    }

    /// Whose a call is does not depend on the order, the repetition or the batches in which its span and those around it
    /// arrive, nor on what was charged in between.
    #[test]
    fn the_names_of_calls_do_not_depend_on_the_order(
        specs in prop::collection::vec(named_spec(), 1..14),
        order in any::<u64>(),
        cuts in prop::collection::btree_set(0_usize..14, 0..5),
    ) {
        let reports: Vec<_> = specs.iter().map(named_report).collect();
        let mut shuffled = reports.clone();
        shuffle(&mut shuffled, order);
        shuffled.extend(reports.first().cloned());
        let (mut batches, mut rest) = (Vec::new(), &shuffled[..]);
        for cut in cuts {
            let (batch, others) = rest.split_at(cut.min(rest.len()));
            batches.push(batch);
            rest = others;
        }
        batches.push(rest);
        let at_once = charged_names(&[&reports]);
        prop_assert_eq!(&charged_names(&batches), &at_once);
        // The nearest span that names an agent counts.
        let trace = Trace::default().merged(&reports).unwrap();
        for (id, agent) in at_once {
            prop_assert_eq!(trace.names_of(id).agent_id, agent);
        }
    }

    /// An import that is taken back leaves the trace that the others reported.
    #[test]
    fn spans_of_an_import_that_is_taken_back_are_gone(
        specs in prop::collection::vec((any_spec(), 1_u128..4), 1..14), taken in 1_u128..4,
    ) {
        let import = |number| ImportId(crate::testing::uuid(number));
        // One report of each span, so that no import adds to what another one said.
        let specs: BTreeMap<_, _> = specs.into_iter().map(|(spec, by)| (spec.id, (spec, by))).collect();
        let merged = |specs: &mut dyn Iterator<Item = &(Spec, u128)>| {
            specs.fold(Trace::default(), |trace, (spec, by)| {
                trace.merged_by(&[report(spec)], &Reporters::of(Some(import(*by)))).unwrap()
            })
        };
        let all = merged(&mut specs.values());
        let span_ids = all.spans_of(import(taken)).map(|(id, _)| id).collect();
        let (reason, at) = (crate::testing::body("wrong file"), at(9));
        let withdrawn = SpansWithdrawn { import_id: import(taken), span_ids, reason, at };
        let left = all.evolve(&TraceEvent::SpansWithdrawn(withdrawn));
        prop_assert_eq!(left, merged(&mut specs.values().filter(|(_, by)| *by != taken)));
    }

    /// Of spans that state usage, at least one is charged.
    #[test]
    fn usage_is_never_lost(specs in prop::collection::vec(any_spec(), 1..14)) {
        let trace = Trace::default().merged(&reports(&specs)).unwrap();
        let states_usage = trace.spans.values().any(|span| span.usage.is_some());
        prop_assert_eq!(states_usage, !charged(&trace).is_empty());
    }
}
