//! The shape of an event type does not change without a new version.
//!
//! `schemas/events` holds a JSON Schema for every version of every type, as `TYPE.vVERSION.json`. They are what is
//! promised to those who read events elsewhere, and the record of what was promised before.

#![allow(clippy::unwrap_used, reason = "tests stop where something does not hold")]

use domain::{Event, EventSchema, Kept};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const WRITE: &str = "write it with `apex schema events --out schemas/events`";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/events")
}

/// File names and texts of a folder, in order.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn goldens() -> Vec<(String, String)> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
}

/// What is wrong with what was kept of a schema.
fn problem(schema: &EventSchema, kept: Option<&str>) -> Option<String> {
    let file = schema.file_name();
    match kept.map(|kept| schema.compare(kept)) {
        Some(Ok(Kept::Same)) => None,
        Some(Ok(Kept::OtherWords)) => Some(format!("{file} says the same in other words: {WRITE}")),
        Some(Err(changed)) => Some(changed.to_string()),
        None => Some(format!("{file} is missing: {WRITE}")),
    }
}

/// The schema that a golden file must fit: `task.completed.v1.bare.json` is of `task.completed.v1.json`.
fn schema_of<'a>(schemas: &'a [EventSchema], golden: &str) -> Option<&'a EventSchema> {
    schemas.iter().find(|schema| golden.starts_with(&format!("{}.", schema.file_name().trim_end_matches(".json"))))
}

fn misfit(schema: &EventSchema, payload: &Value) -> Option<String> {
    let validator = jsonschema::options().should_validate_formats(true).build(&schema.schema).unwrap();
    validator.validate(payload).err().map(|error| format!("{error} at {}", error.instance_path()))
}

#[test]
fn no_event_type_changes_without_a_new_version() {
    let kept = files(&folder());
    let problems: Vec<_> = Event::schemas()
        .iter()
        .filter_map(|schema| {
            let file = kept.iter().find(|(name, _)| *name == schema.file_name());
            problem(schema, file.map(|(_, text)| text.as_str()))
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn every_schema_that_was_kept_is_of_a_version_that_can_be_read() {
    let known: BTreeSet<_> = Event::schemas().iter().map(EventSchema::file_name).collect();
    for (file, _) in files(&folder()) {
        assert!(known.contains(&file), "{file}: nothing reads this version any more. Logs hold it: bring it back.");
    }
    for info in Event::types() {
        let newest = info.event_type.schema_version;
        for version in 1..=newest {
            let file = format!("{}.v{version}.json", info.event_type.name);
            assert!(known.contains(&file), "{file} is missing");
        }
    }
}

#[test]
fn every_golden_file_fits_its_schema() {
    let schemas = Event::schemas();
    for (file, text) in goldens() {
        let schema = schema_of(&schemas, &file).unwrap_or_else(|| panic!("{file} has no schema"));
        let misfit = misfit(schema, &serde_json::from_str(&text).unwrap());
        assert_eq!(misfit, None, "{file}");
    }
}

/// The controls of the tests above: what they look for, they find.
#[test]
fn the_checks_can_fail() {
    let schemas = Event::schemas();
    for (file, text) in goldens() {
        let schema = schema_of(&schemas, &file).unwrap();
        let golden: Value = serde_json::from_str(&text).unwrap();
        let planted = |field: &str, value: Value| {
            let mut bad = golden.clone();
            bad[field] = value;
            bad
        };
        assert!(misfit(schema, &planted("unheard_of", json!(1))).is_some(), "{file} with a field more");
        for (field, value) in golden.as_object().unwrap() {
            for bad in [json!(null), json!(0.5), json!(""), json!([[]])] {
                let bad = planted(field, bad);
                // Free text may be empty where its type allows it.
                let is_free = bad[field] == "" && field == "time_zone";
                assert!(is_free || misfit(schema, &bad).is_some(), "{file} with another {field} than {value}: {bad}");
            }
        }
    }
    let schema = schema_of(&schemas, "task.submitted.v1.json").unwrap();
    assert!(problem(schema, None).unwrap().contains("is missing"));
    assert_eq!(problem(schema, Some(&schema.text())), None);
    let reworded = schema.text().replace("What is to be done", "What to do");
    assert!(problem(schema, Some(&reworded)).unwrap().contains("other words"));
    // The type as it was, of which today's is another: a field less, one more, one that must be there, other types.
    for (today, before) in [
        ("\"title\": {", "\"name\": {"),
        ("\"required\": [", "\"required\": [\n    \"dag_id\","),
        ("\"format\": \"uuid\"", "\"format\": \"uri\""),
        ("\"maxLength\": 256", "\"maxLength\": 255"),
        ("\"additionalProperties\": false", "\"additionalProperties\": true"),
    ] {
        let text = schema.text();
        assert!(text.contains(today), "{today}");
        let told = problem(schema, Some(&text.replacen(today, before, 1))).unwrap_or_default();
        assert!(told.contains("give it version 2, write an upcast"), "{before}: {told:?}");
    }
}
