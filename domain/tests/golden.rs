//! Every event that was ever written stays readable, and the encoding of new events does not change by accident.
//!
//! `golden/` contains payloads as they are stored in logs: `TYPE.vVERSION.json` with every optional field, and
//! `TYPE.vVERSION.VARIANT.json` where a type has more than one shape. The files are formatted for people; without white
//! space between tokens they have the bytes of the log.
//!
//! A released file is never edited, because logs contain such payloads. To change a shape, give the type a new schema
//! version with an upcast from the old one, and add a file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{Event, EventTypeInfo};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The smallest integer that some JSON parsers do not read exactly.
const FIRST_INEXACT: u64 = 1 << 53;

struct Golden {
    file: String,
    name: String,
    version: u16,
    text: String,
}

fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut goldens: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (name, version) =
                parse_name(&file).unwrap_or_else(|| panic!("{file} is not named TYPE.vVERSION[.VARIANT].json"));
            Golden { file, name, version, text: std::fs::read_to_string(path).unwrap() }
        })
        .collect();
    goldens.sort_by(|one, other| one.file.cmp(&other.file));
    goldens
}

/// `task.completed.v1.bare.json` is of the type `task.completed` in version 1.
fn parse_name(file: &str) -> Option<(String, u16)> {
    let parts: Vec<_> = file.strip_suffix(".json")?.split('.').collect();
    let index = parts.iter().position(|part| version(part).is_some())?;
    let at_most_one_variant = index > 0 && parts.len() <= index + 2;
    at_most_one_variant.then_some((parts[..index].join("."), version(parts[index])?))
}

fn version(part: &str) -> Option<u16> {
    part.strip_prefix('v')?.parse().ok()
}

fn known(name: &str) -> Option<EventTypeInfo> {
    Event::types().into_iter().find(|info| info.event_type.name == name)
}

fn decode(golden: &Golden, info: EventTypeInfo) -> Event {
    Event::decode(info.category, &golden.name, golden.version, &golden.text).unwrap_or_else(|error| {
        let mut cause = String::new();
        if let Some(source) = std::error::Error::source(&error) {
            cause = format!(": {source}");
        }
        panic!(
            "{} can no longer be decoded: {error}{cause}.\nLogs contain such events. Give {} a new schema version for its new \
             shape, with an upcast from version {}.",
            golden.file, golden.name, golden.version
        )
    })
}

/// The same JSON without the white space between tokens.
fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut compact = String::with_capacity(text.len());
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        compact.push(c);
    }
    compact
}

#[test]
fn every_version_of_every_type_has_a_golden_file() {
    let goldens = goldens();
    for info in Event::types() {
        for version in 1..=info.event_type.schema_version {
            let name = info.event_type.name;
            assert!(
                goldens.iter().any(|golden| golden.name == name && golden.version == version),
                "{name} has no golden file of version {version}: add domain/tests/golden/{name}.v{version}.json"
            );
        }
    }
}

/// The log refuses a payload that says nothing: the constraint of its table on contents.
#[test]
fn every_golden_payload_says_something() {
    let empty: Vec<_> = goldens().into_iter().filter(|golden| compact(&golden.text) == "{}").collect();
    assert!(empty.is_empty(), "{:?}", empty.iter().map(|golden| &golden.file).collect::<Vec<_>>());
}

#[test]
fn every_golden_file_is_of_a_known_type() {
    for golden in goldens() {
        let info = known(&golden.name).unwrap_or_else(|| {
            panic!("{}: the event type is unknown. Logs contain such events: restore the type.", golden.file)
        });
        let newest = info.event_type.schema_version;
        assert!(
            golden.version <= newest,
            "{} is newer than version {newest}, the newest that this code writes",
            golden.file
        );
    }
}

#[test]
fn every_golden_file_decodes_and_encodes_to_the_same_bytes() {
    for golden in goldens() {
        let Some(info) = known(&golden.name) else { continue };
        let event = decode(&golden, info);
        let newest = info.event_type.schema_version;
        let written = event.encode().unwrap();
        let again = Event::decode(info.category, &golden.name, newest, &written);
        assert_eq!(
            again.ok().as_ref(),
            Some(&event),
            "{}: the encoded event decodes to a different event",
            golden.file
        );
        if golden.version == newest {
            assert_eq!(
                written,
                compact(&golden.text),
                "\n{} differs from what this code writes.\nThe shape of {} has changed under version {newest}. If that \
                 version was released, keep the file and give the type version {} with an upcast from the old one.",
                golden.file,
                golden.name,
                newest + 1
            );
        }
    }
}

/// Otherwise no test would notice a change in the encoding of the field.
#[test]
fn every_optional_field_is_present_in_some_golden_file() {
    let mut absent: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for golden in goldens() {
        let Some(info) = known(&golden.name).filter(|info| info.event_type.schema_version == golden.version) else {
            continue;
        };
        let fields = absent_fields(&decode(&golden, info));
        match absent.get_mut(&golden.name) {
            Some(always) => always.retain(|field| fields.contains(field)),
            None => drop(absent.insert(golden.name, fields)),
        }
    }
    for (name, fields) in absent {
        assert!(fields.is_empty(), "no golden file of {name} has {fields:?}: add them to the one of all fields");
    }
}

/// The names of fields that are absent or empty, according to the Debug output.
fn absent_fields(event: &Event) -> BTreeSet<String> {
    let debug = format!("{event:?}");
    let ends: Vec<_> =
        [": None", ": []", ": {}", ": Labels({})"].iter().flat_map(|end| debug.match_indices(end)).collect();
    ends.into_iter()
        .map(|(end, _)| {
            let before = &debug[..end];
            before.rsplit([' ', '{']).next().unwrap_or(before).to_owned()
        })
        .collect()
}

#[test]
fn numbers_are_exact_integers() {
    for golden in goldens() {
        let payload: Value = serde_json::from_str(&golden.text).unwrap();
        assert!(payload.is_object(), "{}: a payload is an object", golden.file);
        let bad = inexact(&payload);
        assert!(bad.is_none(), "{}: {bad:?} is not an integer below 2^53; use a decimal string", golden.file);
    }
}

fn inexact(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => None,
        Value::Number(number) => {
            let exact = number.as_u64().or(number.as_i64().map(i64::unsigned_abs)).is_some_and(|n| n < FIRST_INEXACT);
            (!exact).then(|| number.to_string())
        }
        Value::Array(values) => values.iter().find_map(inexact),
        Value::Object(fields) => fields.values().find_map(inexact),
    }
}

/// The controls of the tests above: they detect what they look for.
#[test]
fn the_checks_can_fail() {
    for bad in ["1.5", "1.0", "1e3", "9007199254740992", "-9007199254740992", r#"{"a":[{"b":0.1}]}"#] {
        assert!(inexact(&serde_json::from_str(bad).unwrap()).is_some(), "{bad}");
    }
    assert_eq!(inexact(&serde_json::from_str(r#"{"a":[9007199254740991,-1,"1.5",null]}"#).unwrap()), None);

    assert_eq!(compact("{ \"a b\" : [ 1,\n 2 ], \"c\\\" \" : \" \\\\\" }\n"), r#"{"a b":[1,2],"c\" ":" \\"}"#);

    let bare = Event::decode("agent", "agent.registered", 1, r#"{"name":"ada","at":"2025-11-03T09:30:00Z"}"#).unwrap();
    assert_eq!(absent_fields(&bare), ["kind", "labels", "model"].map(str::to_owned).into());

    assert_eq!(parse_name("task.completed.v12.bare.json"), Some(("task.completed".to_owned(), 12)));
    for bad in ["task.completed.json", "v1.json", "a.v1.b.c.json", "a.v1", "a.v1.json.bak"] {
        assert_eq!(parse_name(bad), None, "{bad}");
    }
}
