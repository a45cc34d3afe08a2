//! Whether those who read an event type as it was released can read it as it is now.
//!
//! Readers elsewhere have code for the released shape. They may be given more than they know, but nothing that they
//! know may be missing or of another kind; and what is in logs already must fit the new shape.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What of a schema breaks readers of the released one, each with its place; nothing for a schema that they can read.
///
/// Breaking are a field that is gone or may be absent now, a new field that must be there, and a type that is narrower
/// than it was: fewer kinds or variants, tighter bounds, another pattern or format.
#[must_use]
pub fn breaking_changes(released: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", released, now, &mut found);
    found
}

fn compare(place: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
    let (before, after) = (variants(released), variants(now));
    if before.len() > 1 || after.len() > 1 {
        for variant in before {
            if !after.iter().any(|other| breaking_changes(variant, other).is_empty()) {
                found.push(format!("{place}: a variant is gone or narrower: {variant}"));
            }
        }
        return;
    }
    compare_type(place, before[0], after[0], found);
    compare_bounds(place, before[0], after[0], found);
    compare_fields(place, before[0], after[0], found);
    for part in ["items", "additionalProperties"] {
        match (&before[0][part], &after[0][part]) {
            (Value::Null, Value::Object(_)) => found.push(format!("{place}: {part} are restricted")),
            (Value::Object(_), Value::Bool(false)) => found.push(format!("{place}: {part} are gone")),
            (released @ Value::Object(_), now @ Value::Object(_)) => {
                compare(&format!("{place}/{part}"), released, now, found);
            }
            _ => {}
        }
    }
}

/// The alternatives of a schema; itself where there are none.
fn variants(schema: &Value) -> Vec<&Value> {
    let listed = ["oneOf", "anyOf"].iter().find_map(|key| schema[*key].as_array());
    listed.filter(|listed| !listed.is_empty()).map_or_else(|| vec![schema], |listed| listed.iter().collect())
}

/// The values of a keyword that holds one or several.
fn set(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Null => BTreeSet::new(),
        Value::Array(values) => values.iter().map(ToString::to_string).collect(),
        value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => [value.to_string()].into(),
    }
}

fn compare_type(place: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
    for key in ["type", "enum", "const", "pattern", "format"] {
        let (before, after) = (set(&released[key]), set(&now[key]));
        let has_more_digits = key == "pattern" && allows_more_digits(&released[key], &now[key]);
        let is_narrower = !after.is_empty() && (before.is_empty() || !before.is_subset(&after)) && !has_more_digits;
        // Who reads one kind of value cannot read another.
        let is_wider = key == "type" && !before.is_empty() && !after.is_subset(&before);
        if is_narrower || is_wider {
            found.push(format!("{place}: {key} was {}, is {}", released[key], now[key]));
        }
    }
}

/// Whether a pattern is another one with the same or more repetitions allowed, as in `[0-9]{1,15}` and `[0-9]{1,35}`: a
/// bound that was raised.
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

fn compare_bounds(place: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
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
            found.push(format!("{place}: {key} was {}, is {after}", released[key]));
        }
    }
}

fn compare_fields(place: &str, released: &Value, now: &Value, found: &mut Vec<String>) {
    let none = Map::new();
    let fields = |schema: &'_ Value| schema["properties"].as_object().cloned().unwrap_or_else(|| none.clone());
    let (before, after) = (fields(released), fields(now));
    let (needed, needs) = (set(&released["required"]), set(&now["required"]));
    for (name, released) in &before {
        let place = format!("{place}/{name}");
        let quoted = Value::from(name.as_str()).to_string();
        match after.get(name) {
            None => found.push(format!("{place}: the field is gone")),
            Some(now) => {
                compare(&place, released, now, found);
                if needed.contains(&quoted) && !needs.contains(&quoted) {
                    found.push(format!("{place}: the field was always there, and may be absent now"));
                }
            }
        }
    }
    for name in needs.difference(&needed) {
        found.push(format!("{place}/{}: the field must be there now", name.trim_matches('"')));
    }
}
