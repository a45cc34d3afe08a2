use crate::call::tests::{charged, facts, line, prices, record};
use crate::call::{Call, CallCommand, CallEvent, CallFacts, CallIds, ChargedCall, Field, NamedCalls, Reporters, Tags};
use crate::price_book::PriceBook;
use crate::tag_keys::{TagKeyDeclared, TagKeys, TagKeysEvent};
use crate::testing::{at, body, given, name, uuid};
use crate::{Aggregate, CallId, EventCodec, TagKey};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

fn key(text: &str) -> TagKey {
    TagKey::new(text).unwrap()
}

/// Tag keys that are declared.
fn declared(keys: &[&str]) -> TagKeys {
    let declared = |key: &&str| TagKeysEvent::Declared(TagKeyDeclared { key: TagKey::new(*key).unwrap(), at: at(0) });
    keys.iter().map(declared).fold(TagKeys::default(), |keys, event| keys.evolve(&event))
}

fn tagged<const N: usize>(tags: [(&str, &str); N]) -> CallFacts {
    CallFacts { tags: Some(Tags::new(tags).unwrap()), ..facts(10, 3) }
}

fn report(facts: CallFacts, keys: &[&str]) -> CallCommand {
    CallCommand::Report { facts, prices: prices(3), tag_keys: declared(keys), reported_by: Reporters::default() }
}

fn correct(values: CallFacts, keys: &[&str]) -> CallCommand {
    let (fields, prices, tag_keys) = (BTreeSet::from([Field::Tags]), prices(3), declared(keys));
    CallCommand::Correct { fields, values, reason: body("a test"), at: at(50), prices, tag_keys }
}

/// The call after commands, and the number of events.
fn after<const N: usize>(commands: [CallCommand; N]) -> (Call, usize) {
    commands.into_iter().fold((Call::default(), 0), |(call, count), command| {
        let events = call.decide(command).unwrap();
        (events.iter().fold(call, |call, event| call.evolve(event)), count + events.len())
    })
}

fn counted<const N: usize>(commands: [CallCommand; N]) -> Vec<(String, String)> {
    let charged = after(commands).0.charged.unwrap();
    charged.counted().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn pairs<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    expected.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

#[test]
fn an_event_names_the_declared_keys_of_the_tags_of_the_call_and_no_others() {
    let facts = tagged([("env", "prod"), ("pull_request", "17"), ("team", "search")]);
    let expected =
        ChargedCall { counted_tags: BTreeSet::from([key("env"), key("team")]), ..charged(facts.clone(), prices(3)) };
    given::<Call>([]).when(report(facts, &["team", "env", "branch"])).then([CallEvent::Recorded(expected.into())]);
}

#[test]
fn a_call_without_a_declared_tag_pays_no_byte() {
    for command in [report(tagged([("team", "search")]), &["env"]), report(facts(10, 3), &["env", "team"])] {
        let events = Call::default().decide(command).unwrap();
        let [event] = &*events else { panic!("one event") };
        assert!(!event.encode().unwrap().contains("counted_tags"));
    }
}

#[test]
fn a_record_that_is_reported_again_after_a_declaration_counts_the_call_and_after_a_withdrawal_adds_nothing() {
    let search = || tagged([("team", "search")]);
    assert_eq!(counted([report(search(), &[])]), pairs([]));
    assert_eq!(counted([report(search(), &[]), report(search(), &["team"])]), pairs([("team", "search")]));
    let (call, events) =
        after([report(search(), &["team"]), report(search(), &[]), report(facts(10, 3), &["team", "env"])]);
    assert_eq!((call.charged.unwrap().counted_tags, events), (BTreeSet::from([key("team")]), 1));
}

#[test]
fn a_correction_of_the_tags_moves_the_call_and_one_of_another_field_does_not() {
    let (search, ads) = (tagged([("team", "search")]), tagged([("team", "ads")]));
    let recorded = || report(search.clone(), &["team"]);
    assert_eq!(counted([recorded(), correct(ads.clone(), &["team"])]), pairs([("team", "ads")]));
    assert_eq!(counted([recorded(), correct(ads, &[])]), pairs([("team", "ads")]), "withdrawn in between");
    assert_eq!(counted([recorded(), correct(facts(1, 1), &["team"])]), pairs([]), "the tag was removed");
    let again = [recorded(), correct(facts(1, 1), &["team"]), correct(search.clone(), &[])];
    assert_eq!(counted(again), pairs([]), "removed, and back after the key was withdrawn");
    let twice = |keys: &[&str]| {
        after([report(search.clone(), &[]), correct(search.clone(), &[]), correct(search.clone(), keys)])
    };
    let (call, events) = twice(&["team"]);
    assert_eq!((call.charged.unwrap().counted_tags, events), (BTreeSet::from([key("team")]), 3), "declared in between");
    assert_eq!(twice(&[]).1, 2, "repeated");
    let user = CallCommand::Correct {
        fields: BTreeSet::from([Field::User]),
        values: CallFacts { user: Some(name("ada")), ..facts(1, 1) },
        reason: body("a test"),
        at: at(50),
        prices: prices(3),
        tag_keys: TagKeys::default(),
    };
    assert_eq!(counted([recorded(), user]), pairs([("team", "search")]));
}

/// Calls by their ids, as the streams of a log have them.
#[derive(Default)]
struct Streams(BTreeMap<CallId, Arc<Call>>);

impl Streams {
    /// Executes a command, and returns its events as they are read from the log. A rejected command has none.
    fn execute(&mut self, ids: &CallIds, command: CallCommand) -> Vec<CallEvent> {
        let get = |id| Ok::<_, Infallible>(self.0.get(&id).cloned().unwrap_or_default());
        let Ok(calls) = NamedCalls::resolve(ids, get);
        let mut read = Vec::new();
        for (id, event) in calls.unwrap().decide(command).unwrap_or_default() {
            let event = CallEvent::decode(event.event_type().name, 1, &event.encode().unwrap()).unwrap();
            let call = self.0.entry(id).or_default();
            *call = Arc::new(Call::clone(call).evolve(&event));
            read.push(event);
        }
        read
    }

    fn calls(&self) -> impl Iterator<Item = &ChargedCall> {
        self.0.values().filter_map(|call| call.charged.as_ref())
    }
}

/// The number of calls by tag.
type Counts = BTreeMap<(TagKey, String), i64>;

fn add(counts: &mut Counts, call: &ChargedCall, number: i64) {
    for (key, value) in call.counted() {
        let count = counts.entry((key.clone(), value.to_string())).or_default();
        *count += number;
        if *count == 0 {
            counts.remove(&(key.clone(), value.to_string()));
        }
    }
}

#[test]
fn calls_that_are_tied_together_stay_counted_under_the_keys_of_each() {
    let ids = |numbers: &[u128]| CallIds::of(numbers.iter().map(|number| CallId(uuid(*number)))).unwrap();
    let mut streams = Streams::default();
    streams.execute(&ids(&[5]), report(CallFacts { tags: None, ..line(0, "a", 3) }, &["team"]));
    let tags = Tags::new([("team", "search"), ("env", "prod")]).unwrap();
    streams.execute(&ids(&[7]), report(CallFacts { tags: Some(tags), ..line(1, "b", 3) }, &["team"]));
    streams.execute(&ids(&[5, 7]), report(line(2, "c", 3), &[]));
    let calls: Vec<_> = streams.calls().collect();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].counted_tags, BTreeSet::from([key("team")]));
}

/// Which keys are declared when a command is decided: those that are declared at the moment.
fn keys() -> impl Strategy<Value = TagKeys> {
    prop::sample::subsequence(vec!["a", "b"], 0..=2).prop_map(|keys| declared(&keys))
}

/// A report of a record of one or two of four ids, or a correction of a call by one of them.
fn command() -> impl Strategy<Value = (CallIds, CallFacts, Option<Vec<Field>>)> {
    let fields = prop::sample::subsequence(vec![Field::Tags, Field::StartedAt, Field::Usage, Field::User], 1..4);
    (1_u128..5, 1_u128..5, record(), prop::option::weighted(0.3, fields)).prop_map(|(one, two, facts, fields)| {
        let ids = if fields.is_some() { vec![one] } else { vec![one, two] };
        (CallIds::of(ids.into_iter().map(|id| CallId(uuid(id)))).unwrap(), facts, fields)
    })
}

fn decided(
    (ids, facts, fields): (CallIds, CallFacts, Option<Vec<Field>>),
    tag_keys: TagKeys,
) -> (CallIds, CallCommand) {
    let prices = PriceBook::default();
    let command = match fields {
        None => CallCommand::Report { facts, prices, tag_keys, reported_by: Reporters::default() },
        Some(fields) => {
            let fields = fields.into_iter().collect();
            CallCommand::Correct { fields, values: facts, reason: body("a test"), at: at(50), prices, tag_keys }
        }
    };
    (ids, command)
}

proptest! {
    /// Whatever is declared when, and however calls are tied together: what the events add to the sums by tag, and subtract
    /// from them, adds up to the calls that remain.
    #[test]
    fn the_differences_of_the_events_add_up_to_the_calls_while_keys_are_declared_and_withdrawn(
        commands in prop::collection::vec((command(), keys()), 1..12),
    ) {
        let (mut streams, mut sums) = (Streams::default(), Counts::new());
        for (command, keys) in commands {
            let (ids, command) = decided(command, keys);
            for event in streams.execute(&ids, command) {
                let (befores, after) = event.befores_and_after();
                befores.iter().for_each(|before| add(&mut sums, before, -1));
                after.into_iter().for_each(|after| add(&mut sums, after, 1));
            }
        }
        let mut expected = Counts::new();
        streams.calls().for_each(|call| add(&mut expected, call, 1));
        prop_assert_eq!(sums, expected);
    }

    /// As long as the declared keys stay the same, a call is counted under those of them that its tags have.
    #[test]
    fn under_the_same_keys_a_call_is_counted_by_what_is_known_of_it_alone(
        commands in prop::collection::vec(command(), 1..12),
        keys in keys(),
    ) {
        let mut streams = Streams::default();
        for command in commands {
            let (ids, command) = decided(command, keys.clone());
            streams.execute(&ids, command);
        }
        for call in streams.calls() {
            let tags = call.facts.tags.iter().flat_map(Tags::iter);
            let expected: BTreeSet<_> = tags.filter(|(key, _)| keys.is_declared(key)).map(|(key, _)| key.clone()).collect();
            prop_assert_eq!(&call.counted_tags, &expected);
        }
    }
}
