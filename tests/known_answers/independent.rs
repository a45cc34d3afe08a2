//! What `totals.py` works out of the same files, which shares nothing with Apex: the totals of each folder, and the usage of each
//! recorded response.

use crate::{data, recognised_formats};
use ingest::formats::read_records;
use ingest::{Defaults, Format, Item, Location, RecordError};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// What the script prints, a line each.
fn worked_out(arguments: &[&str]) -> Vec<Map<String, Value>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/tools/python-totals/bin/python");
    let missing = "run scripts/python-environment.sh python-totals tests/known_answers/requirements.txt";
    assert!(python.exists(), "{} is missing: {missing}", python.display());
    let script = root.join("tests/known_answers/totals.py");
    let output = Command::new(python).arg(script).arg(data("")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[ignore = "needs the public traces: make known-answers"]
fn the_known_totals_are_those_of_the_independent_script() {
    let known: BTreeMap<_, _> =
        recognised_formats().into_iter().map(|trace| (trace.path.to_owned(), trace.known)).collect();
    let found = worked_out(&[]);
    assert_eq!(found.len(), known.len());
    for mut totals in found {
        let Some(Value::String(path)) = totals.remove("path") else { panic!("{totals:?}") };
        let mut right = known[&path].as_object().unwrap().clone();
        // The script counts calls to models alone.
        right.remove("tool_calls");
        assert_eq!(totals, right, "{path}");
    }
}

/// A recorded response by its file and its number in it.
type Origin = (String, u64);

/// What a reader says of a response: its usage, as input, output, cache reads, cache writes and reasoning, or why it is refused.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Usage([u64; 5]),
    Refused(String),
}

/// The usage of a record, in the order of the script.
fn counts(usage: &domain::Usage) -> [u64; 5] {
    use domain::Meter::{CacheRead, CacheWrite1Hour, CacheWrite5Min, Input, Output, Reasoning};
    let sum = |meters: &[domain::Meter]| meters.iter().map(|meter| usage.get(*meter).get()).sum();
    let counts =
        [sum(&[Input]), sum(&[Output]), sum(&[CacheRead]), sum(&[CacheWrite5Min, CacheWrite1Hour]), sum(&[Reasoning])];
    let all: u64 = usage.iter().map(|(_, quantity)| quantity.get()).sum();
    assert_eq!(all, counts.iter().sum::<u64>(), "{usage} has a meter that the script does not know");
    counts
}

/// What Apex reads of each response, and what of their usage it does not understand.
fn read_by_apex(files: &BTreeSet<String>) -> (BTreeMap<Origin, Read>, Vec<String>) {
    let (mut found, mut not_understood) = (BTreeMap::new(), Vec::new());
    let started_at = "2025-01-01T00:00:00Z".parse().ok();
    for file in files {
        let defaults = Defaults { started_at, ..Defaults::default() };
        let reader = read_records(Format::Responses, defaults, Box::new(File::open(data(file)).unwrap())).unwrap();
        for item in reader {
            let (location, read) = match item {
                Ok(Item::Call(record)) => {
                    not_understood
                        .extend(record.ignored.iter().map(|ignored| format!("{file} {}: {ignored}", record.location)));
                    (record.location, Read::Usage(counts(&record.facts.usage)))
                }
                Err(RecordError::Refused(refusal)) => (refusal.location, Read::Refused(refusal.reason.to_string())),
                other => panic!("{file}: {other:?}"),
            };
            let Location::Item(number) = location else { panic!("{file}: {location}") };
            assert!(found.insert((file.clone(), number), read).is_none(), "{file} has two of item {number}");
        }
    }
    (found, not_understood)
}

/// One by one: of each recorded response, what is read is what its body says.
#[test]
#[ignore = "needs the public traces: make known-answers"]
fn the_usage_of_each_recorded_response_is_what_its_body_says() {
    let cassettes = ingest::files_in(Path::new(&data("cassettes-openllmetry")), &["yaml"]).unwrap();
    let folder = data("");
    let files: BTreeSet<String> =
        cassettes.iter().map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned()).collect();
    let (mut read, not_understood) = read_by_apex(&files);
    let (mut equal, mut unstated, mut wrong) = (0, BTreeMap::<String, u64>::new(), Vec::new());
    for answer in worked_out(&["--responses"]) {
        let origin = (answer["file"].as_str().unwrap().to_owned(), answer["item"].as_u64().unwrap());
        let usage = answer["usage"]
            .as_array()
            .map(|counts| counts.iter().map(|count| count.as_u64().unwrap()).collect::<Vec<_>>());
        match (read.remove(&origin), usage) {
            (Some(Read::Usage(found)), Some(right)) if found[..] == right[..] => equal += 1,
            (Some(Read::Refused(reason)), None) if reason.contains("states no usage") => {
                *unstated.entry(reason).or_default() += 1
            }
            (found, right) => wrong.push(format!("{origin:?}: {found:?} instead of {right:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert!(read.is_empty(), "these are no answers of calls: {read:?}");
    for (reason, count) in &unstated {
        println!("{count} refused: {reason}");
    }
    println!("{equal} responses with equal usage, {} refused, {} files", unstated.values().sum::<u64>(), files.len());
    assert_eq!((equal, unstated.values().sum::<u64>()), (477, 77));
    assert_eq!(not_understood, Vec::<String>::new());
}
