//! Backward compatibility of event schemas: whether consumers of a released schema can read events of a newer one.
//!
//! A newer event may have more fields than a consumer knows, but no field that it knows may be missing or have another
//! type. Events that are already in logs must match the newer schema, too.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The changes that break consumers of the released schema, each with the path of its field; empty if there are none.
///
/// Breaking changes are: a field that was removed or became optional, a new required field, and a narrower type (fewer
/// types or variants, tighter bounds, another pattern or format).
#[must_use]
pub fn breaking_changes(released: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", released, now, &mut found);
    found
}

fn compare(path: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
    let (before, after) = (variants(released), variants(now));
    if before.len() > 1 || after.len() > 1 {
        for variant in before {
            if !after.iter().any(|other| breaking_changes(variant, other).is_empty()) {
                found.push(format!("{path}: a variant was removed or narrowed: {variant}"));
            }
        }
        return;
    }
    compare_type(path, before[0], after[0], found);
    compare_bounds(path, before[0], after[0], found);
    compare_fields(path, before[0], after[0], found);
    for part in ["items", "additionalProperties"] {
        match (&before[0][part], &after[0][part]) {
            (Value::Null, Value::Object(_)) => found.push(format!("{path}: {part} are restricted")),
            (Value::Object(_), Value::Bool(false)) => found.push(format!("{path}: {part} are no longer allowed")),
            (released @ Value::Object(_), now @ Value::Object(_)) => {
                compare(&format!("{path}/{part}"), released, now, found);
            }
            _ => {}
        }
    }
}

/// The alternatives of a schema; the schema itself if there are none.
fn variants(schema: &Value) -> Vec<&Value> {
    let listed = ["oneOf", "anyOf"].iter().find_map(|key| schema[*key].as_array());
    listed.filter(|listed| !listed.is_empty()).map_or_else(|| vec![schema], |listed| listed.iter().collect())
}

/// The values of a keyword, which has one value or an array of values.
fn set(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Null => BTreeSet::new(),
        Value::Array(values) => values.iter().map(ToString::to_string).collect(),
        value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => [value.to_string()].into(),
    }
}

fn compare_type(path: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
    for key in ["type", "enum", "const", "pattern", "format"] {
        let (before, after) = (set(&released[key]), set(&now[key]));
        let has_more_digits = key == "pattern" && allows_more_digits(&released[key], &now[key]);
        let is_narrower = !after.is_empty() && (before.is_empty() || !before.is_subset(&after)) && !has_more_digits;
        // A consumer of one type cannot read another one.
        let is_wider = key == "type" && !before.is_empty() && !after.is_subset(&before);
        if is_narrower || is_wider {
            found.push(format!("{path}: {key} was {}, is {}", released[key], now[key]));
        }
    }
}

/// Whether two patterns differ only in the upper bounds of repetitions, none of which is lower in the new one, as in
/// `[0-9]{1,15}` and `[0-9]{1,35}`.
fn allows_more_digits(released: &Value, now: &Value) -> bool {
    let (Some(released), Some(now)) = (released.as_str(), now.as_str()) else { return false };
    let (mut before, mut after) = (released.split("{1,"), now.split("{1,"));
    if before.next() != after.next() || released.matches("{1,").count() != now.matches("{1,").count() {
        return false;
    }
    before.zip(after).all(|(before, after)| match (before.split_once('}'), after.split_once('}')) {
        (Some((before, rest)), Some((after, same))) => {
            let bounds = before.parse::<u32>().ok().zip(after.parse::<u32>().ok());
            rest == same && bounds.is_some_and(|(before, after)| after >= before)
        }
        _ => false,
    })
}

fn compare_bounds(path: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
    for (key, is_upper) in [
        ("maximum", true),
        ("maxLength", true),
        ("maxItems", true),
        ("maxProperties", true),
        ("minimum", false),
        ("minLength", false),
        ("minItems", false),
        ("minProperties", false),
    ] {
        let Some(after) = now[key].as_i64() else { continue };
        let is_narrower =
            released[key].as_i64().is_none_or(|before| if is_upper { after < before } else { after > before });
        if is_narrower {
            found.push(format!("{path}: {key} was {}, is {after}", released[key]));
        }
    }
}

fn compare_fields(path: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
    let none = Map::new();
    let fields = |schema: &'_ Value| schema["properties"].as_object().cloned().unwrap_or_else(|| none.clone());
    let (before, after) = (fields(released), fields(now));
    let (needed, needs) = (set(&released["required"]), set(&now["required"]));
    for (name, released) in &before {
        let path = format!("{path}/{name}");
        let quoted = Value::from(name.as_str()).to_string();
        match after.get(name) {
            None => found.push(format!("{path}: the field was removed")),
            Some(now) => {
                compare(&path, released, now, found);
                if needed.contains(&quoted) && !needs.contains(&quoted) {
                    found.push(format!("{path}: the field was required and is optional now"));
                }
            }
        }
    }
    for name in needs.difference(&needed) {
        found.push(format!("{path}/{}: the new field is required", name.trim_matches('"')));
    }
}
