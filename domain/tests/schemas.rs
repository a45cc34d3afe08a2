//! The shape of an event type does not change without a new version.
//!
//! `schemas/events` contains a JSON Schema of every version of every event type, as `TYPE.vVERSION.json`. They are the
//! contract with consumers of events.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{Event, EventSchema, SchemaMatch};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const WRITE: &str = "write it with `apex schema events --out schemas/events`";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/events")
}

/// The names and texts of the files of a folder, ordered by name.
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

/// What is wrong with the existing file of a schema, if anything.
fn problem(schema: &EventSchema, existing: Option<&str>) -> Option<String> {
    let file = schema.file_name();
    match existing.map(|existing| schema.compare(existing)) {
        Some(Ok(SchemaMatch::Identical)) => None,
        Some(Ok(SchemaMatch::SameShape)) => Some(format!("the descriptions in {file} are outdated: {WRITE}")),
        Some(Err(changed)) => Some(changed.to_string()),
        None => Some(format!("{file} is missing: {WRITE}")),
    }
}

/// The schema of a golden file: `task.completed.v1.bare.json` belongs to `task.completed.v1.json`.
fn schema_of<'a>(schemas: &'a [EventSchema], golden: &str) -> Option<&'a EventSchema> {
    schemas.iter().find(|schema| golden.starts_with(&format!("{}.", schema.file_name().trim_end_matches(".json"))))
}

fn mismatch(schema: &EventSchema, payload: &Value) -> Option<String> {
    let validator = jsonschema::options().should_validate_formats(true).build(&schema.schema).unwrap();
    validator.validate(payload).err().map(|error| format!("{error} at {}", error.instance_path()))
}

#[test]
fn no_event_type_changes_without_a_new_version() {
    let existing = files(&folder());
    let problems: Vec<_> = Event::schemas()
        .iter()
        .filter_map(|schema| {
            let file = existing.iter().find(|(name, _)| *name == schema.file_name());
            problem(schema, file.map(|(_, text)| text.as_str()))
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn every_schema_file_is_of_a_version_that_can_be_decoded() {
    let known: BTreeSet<_> = Event::schemas().iter().map(EventSchema::file_name).collect();
    for (file, _) in files(&folder()) {
        assert!(known.contains(&file), "{file}: this version is no longer decoded. Logs contain it: restore it.");
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
fn every_golden_file_matches_its_schema() {
    let schemas = Event::schemas();
    for (file, text) in goldens() {
        let schema = schema_of(&schemas, &file).unwrap_or_else(|| panic!("{file} has no schema"));
        let mismatch = mismatch(schema, &serde_json::from_str(&text).unwrap());
        assert_eq!(mismatch, None, "{file}");
    }
}

/// The controls of the tests above: they detect what they look for.
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
        assert!(mismatch(schema, &planted("unknown", json!(1))).is_some(), "{file} with an unknown field");
        for (field, value) in golden.as_object().unwrap() {
            for bad in [json!(null), json!(0.5), json!(""), json!([[]])] {
                let bad = planted(field, bad);
                // The schema of a time zone is any text, so it may be empty.
                let is_free = bad[field] == "" && field == "time_zone";
                assert!(
                    is_free || mismatch(schema, &bad).is_some(),
                    "{file} with a wrong {field} instead of {value}: {bad}"
                );
            }
        }
    }
    let schema = schema_of(&schemas, "task.submitted.v1.json").unwrap();
    assert!(problem(schema, None).unwrap().contains("is missing"));
    assert_eq!(problem(schema, Some(&schema.text())), None);
    let reworded = schema.text().replace("What the task is about", "What to do");
    assert!(problem(schema, Some(&reworded)).unwrap().contains("are outdated"));
    // Existing files from which the current type differs: by a removed field, a new optional field, other types and bounds.
    for (current, existing) in [
        ("\"title\": {", "\"name\": {"),
        ("\"required\": [", "\"required\": [\n    \"dag_id\","),
        ("\"format\": \"uuid\"", "\"format\": \"uri\""),
        ("\"maxLength\": 256", "\"maxLength\": 255"),
        ("\"additionalProperties\": false", "\"additionalProperties\": true"),
    ] {
        let text = schema.text();
        assert!(text.contains(current), "{current}");
        let found = problem(schema, Some(&text.replacen(current, existing, 1))).unwrap_or_default();
        assert!(found.contains("give it version 2, write an upcast"), "{existing}: {found:?}");
    }
}
