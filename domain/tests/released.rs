//! Consumers of released schemas can read the events that are written now. `schemas/released` contains the released
//! schemas; a release copies `schemas/events` there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{Event, EventSchema, breaking_changes};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The newest released version of each type.
type Newest = BTreeMap<String, (u16, Value)>;
/// A change of a schema, as a planted bug makes it.
type Change = fn(&mut Value);

/// The newest released version of each type, and the name and text of every file.
fn released() -> (Newest, Vec<(String, String)>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/released");
    let (mut newest, mut files) = (BTreeMap::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (name, version) = path.file_stem().unwrap().to_str().unwrap().rsplit_once(".v").unwrap();
        let version: u16 = version.parse().unwrap();
        let known = newest.entry(name.to_owned()).or_insert((0, Value::Null));
        if version > known.0 {
            *known = (version, serde_json::from_str(&text).unwrap());
        }
        files.push((format!("{name}.v{version}.json"), text));
    }
    (newest, files)
}

fn problems(schemas: &[EventSchema], released: &Newest) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, (version, schema)) in released {
        let now = schemas.iter().filter(|schema| schema.name == name).max_by_key(|schema| schema.version);
        match now {
            None => problems.push(format!("{name}: the event type is no longer written")),
            Some(now) => {
                let changes = breaking_changes(schema, &now.schema);
                problems.extend(changes.iter().map(|change| {
                    format!("{name}, version {} breaks consumers of version {version}: {change}", now.version)
                }));
            }
        }
    }
    problems
}

#[test]
fn consumers_of_released_schemas_can_read_current_events() {
    let (released, _) = released();
    assert!(released.len() > 20, "only {} types are released: the test would prove nothing", released.len());
    assert_eq!(problems(&Event::schemas(), &released), Vec::<String>::new());
}

#[test]
fn released_versions_never_change() {
    let schemas = Event::schemas();
    for (file, text) in released().1 {
        let schema = schemas.iter().find(|schema| schema.file_name() == file);
        let schema = schema.unwrap_or_else(|| panic!("{file}: this version is no longer decoded"));
        assert!(schema.compare(&text).is_ok(), "{file} was released with a different shape");
    }
}

/// The controls of the tests above: each breaking change is detected, and compatible changes are not.
#[test]
fn the_checks_can_fail() {
    let (mut released, _) = released();
    released.retain(|name, _| name == "task.submitted");
    let schemas = Event::schemas();
    let mut now: Vec<_> = schemas.into_iter().filter(|schema| schema.name == "task.submitted").collect();
    let sound = now[0].schema.clone();
    assert_eq!(problems(&now, &released), Vec::<String>::new());
    assert_eq!(problems(&[], &released), ["task.submitted: the event type is no longer written"]);
    let breaking: [(&str, Change); 9] = [
        ("the field was removed", |schema| drop(schema["properties"].as_object_mut().unwrap().remove("title"))),
        ("the new field is required", |schema| {
            schema["properties"]["urgency"] = json!({ "type": "integer" });
            schema["required"].as_array_mut().unwrap().push(json!("urgency"));
        }),
        ("the new field is required", |schema| schema["required"].as_array_mut().unwrap().push(json!("dag_id"))),
        ("is optional now", |schema| schema["required"].as_array_mut().unwrap().retain(|name| name != "title")),
        ("type was \"string\", is \"integer\"", |schema| schema["properties"]["title"]["type"] = json!("integer")),
        ("is [\"string\",\"integer\"]", |schema| {
            schema["properties"]["title"]["type"] = json!(["string", "integer"]);
        }),
        ("maxLength was", |schema| schema["properties"]["title"]["maxLength"] = json!(10)),
        ("minLength was", |schema| schema["properties"]["title"]["minLength"] = json!(10)),
        ("format was", |schema| schema["properties"]["agent_id"]["format"] = json!("uri")),
    ];
    for (expected, change) in breaking {
        now[0].schema = sound.clone();
        change(&mut now[0].schema);
        let found = problems(&now, &released);
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
    }
    let compatible: [Change; 3] = [
        |schema| schema["properties"]["urgency"] = json!({ "type": "integer" }),
        |schema| schema["properties"]["title"]["maxLength"] = json!(100_000),
        |schema| schema["properties"]["title"]["description"] = json!("other words"),
    ];
    for change in compatible {
        now[0].schema = sound.clone();
        change(&mut now[0].schema);
        assert_eq!(problems(&now, &released), Vec::<String>::new());
    }
    let digits =
        |bound: u32| json!({ "type": "string", "pattern": format!("^-?[0-9]{{1,{bound}}}(\\.[0-9]{{1,12}})?$") });
    assert_eq!(breaking_changes(&digits(15), &digits(35)), Vec::<String>::new());
    assert_eq!(breaking_changes(&digits(35), &digits(15)).len(), 1);
    assert_eq!(breaking_changes(&digits(15), &json!({ "type": "string", "pattern": "^[0-9]{1,35}$" })).len(), 1);
    let variants = json!({ "oneOf": [{ "const": "a" }, { "const": "b" }] });
    let fewer = json!({ "oneOf": [{ "const": "a" }] });
    assert_eq!(breaking_changes(&fewer, &variants), Vec::<String>::new());
    assert_eq!(breaking_changes(&variants, &fewer).len(), 1);
    let nested = |bound: u32| json!({ "type": "array", "items": { "type": "string", "maxLength": bound } });
    assert_eq!(breaking_changes(&nested(5), &nested(4)), ["/items: maxLength was 5, is 4"]);
}
