//! Hostile input: bodies of exporters, files of every format, and price tables, with random changes. `fuzz/` does the same
//! guided by coverage, for longer.
//!
//! Each target is run for `APEX_TEST_FUZZ_S` seconds. A failure prints its input and `APEX_TEST_FUZZ_SEED`, which repeats the
//! random choices.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod mutate;
mod protobuf;
mod seeds;
mod targets;

use ingest::otlp::{Encoding, Export, Signal, SpanUse};
use ingest::{Format, Item};
use mutate::{Random, mutated};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// The duration of the test of one target, in seconds, unless it is given.
const DEFAULT_S: u64 = 3;
/// The longest time that one input may take. It is far more than any needs, because other tests run meanwhile.
const MAX_INPUT_TIME: Duration = Duration::from_secs(20);
/// The most bytes of an input that a failure prints.
const MAX_SHOWN_BYTES: usize = 4_096;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, but is {text:?}")))
}

fn target(name: &str) -> Target {
    *TARGETS.iter().find(|(known, _)| *known == name).unwrap()
}

/// Runs a function on one input, and returns why it failed.
fn fault(run: fn(&[u8]), input: &[u8]) -> Option<String> {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| run(input)));
    let took = began.elapsed();
    let why = match result {
        Ok(()) if took <= MAX_INPUT_TIME => return None,
        Ok(()) => format!("it took {took:?}"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        }
    };
    let shown = input.get(..MAX_SHOWN_BYTES).unwrap_or(input).escape_ascii();
    Some(format!("{why}\nan input of {} bytes: b\"{shown}\"", input.len()))
}

/// Runs a target on its seeds, and then on changes of them until `until`. Returns the number of inputs, and a failure.
fn fuzz((name, run): Target, seed: u64, until: Instant) -> (u64, Option<String>) {
    let (corpus, dictionary) = (seeds::of_target(name), seeds::dictionary());
    let (mut random, mut count) = (Random::new(seed), 0);
    let mut unchanged = corpus.iter().cloned();
    loop {
        let input = match unchanged.next() {
            Some(input) => input,
            None if Instant::now() < until => mutated(&corpus, &dictionary, &mut random),
            None => return (count, None),
        };
        count += 1;
        if let Some(why) = fault(run, &input) {
            return (count, Some(format!("input {count} of {name}, APEX_TEST_FUZZ_SEED={seed}: {why}")));
        }
    }
}

fn check(name: &str) {
    let seed = setting("APEX_TEST_FUZZ_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().1);
    let duration = Duration::from_secs(setting("APEX_TEST_FUZZ_S").unwrap_or(DEFAULT_S));
    let (count, failure) = fuzz(target(name), seed, Instant::now() + duration);
    assert_eq!(failure, None);
    assert!(count > 100, "{count} inputs in {duration:?}");
}

#[test]
fn bodies_of_protobuf_are_read_or_refused() {
    check("otlp_protobuf");
}

#[test]
fn bodies_of_json_are_read_or_refused() {
    check("otlp_json");
}

#[test]
fn files_of_all_formats_are_read_or_refused() {
    check("records");
}

#[test]
fn lines_are_read_or_refused() {
    check("lines");
}

#[test]
fn batches_of_langfuse_are_read_or_refused() {
    check("langfuse_batch");
}

#[test]
fn price_tables_are_read_or_refused() {
    check("price_table");
}

#[test]
fn invoices_are_read_or_refused() {
    check("invoice");
}

/// Otherwise nothing behind the first error is reached.
#[test]
fn every_seed_is_understood() {
    for (name, run) in TARGETS {
        let seeds = seeds::of_target(name);
        assert!(seeds.len() > 4, "{name}");
        seeds.iter().for_each(|seed| run(seed));
    }
    for (encoding, name) in [(Encoding::Protobuf, "otlp_protobuf"), (Encoding::Json, "otlp_json")] {
        let mut found = std::collections::BTreeSet::new();
        for seed in seeds::of_target(name) {
            let signal = targets::SIGNALS[usize::from(seed[0])];
            let export = Export::decode(signal, encoding, &seed[1..], (None, SpanUse::CallsAndContents)).unwrap();
            assert!(export.count() > 0 && export.refusals().is_empty(), "{export:?}");
            found.insert(signal.name());
            assert!(signal == Signal::Metrics || !export.into_items().is_empty());
        }
        assert_eq!(found.len(), targets::SIGNALS.len(), "{name}");
    }
    for seed in seeds::of_target("invoice") {
        assert!(targets::invoice_lines(&seed) > 0, "{}", seed.escape_ascii());
    }
    let seeds = seeds::of_target("records");
    // Files of this format state no usage.
    for format in Format::ALL.iter().filter(|format| **format != Format::TauBench) {
        let of_format = seeds.iter().filter(|seed| Format::ALL[usize::from(seed[0])] == *format);
        let found: Vec<_> = of_format.map(|seed| targets::count(*format, &seed[1..])).collect();
        assert!(!found.is_empty() && found.iter().all(|count| *count > 0), "{}: {found:?}", format.as_str());
    }
}

/// A planted bug: a target that does not hold where a span with a count above the largest quantity is accepted beside others.
#[test]
fn random_changes_find_a_planted_bug() {
    fn planted(input: &[u8]) {
        let Some((_, body)) = input.split_first() else { return };
        let Ok(export) = Export::decode(Signal::Traces, Encoding::Json, body, (None, SpanUse::CallsAndContents)) else {
            return;
        };
        let is_too_large = export.refusals().iter().any(|refusal| refusal.to_string().contains("is too large"));
        assert!(!is_too_large || export.into_items().iter().map(Item::len).sum::<u64>() == 0, "planted");
    }
    let (count, failure) = fuzz(("otlp_json", planted), 7, Instant::now() + Duration::from_secs(120));
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("planted")), "not found by {count} inputs");
}
