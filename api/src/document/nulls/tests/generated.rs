//! Generated selections of a cup, compared with what the specification says of them.

use super::{execute_all, only};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const LEAVES: [&str; 5] = ["id", "name", "spilt", "later", "must"];
/// No lists of lists: of those that are selected several times, the executor returns the first selection only.
const OBJECTS: [&str; 6] = ["cup", "mustCup", "noCup", "cups", "mustCups", "brokenCups"];

#[derive(Debug, Clone)]
enum Selected {
    Field { name: &'static str, is_aliased: bool, is_skipped: bool, inside: Vec<Selected> },
    Fragment { condition: &'static str, is_skipped: bool, inside: Vec<Selected> },
}

fn selections() -> impl Strategy<Value = Vec<Selected>> {
    let field = |name, is_aliased, is_skipped, inside| Selected::Field { name, is_aliased, is_skipped, inside };
    let rarely = || prop::bool::weighted(0.1);
    // Most objects are to stay, so that there is something to compare.
    let leaf = prop_oneof![4 => select(&LEAVES[..4]), 1 => select(&LEAVES[4..])];
    let leaf =
        (leaf, any::<bool>(), rarely()).prop_map(move |(name, aliased, skipped)| field(name, aliased, skipped, vec![]));
    let selected = leaf.prop_recursive(4, 40, 4, move |inner| {
        let inside = vec(inner, 1..4);
        let object = (select(&OBJECTS[..]), any::<bool>(), rarely(), inside.clone());
        let object = object.prop_map(move |(name, aliased, skipped, inside)| field(name, aliased, skipped, inside));
        let conditions = select(&["", "on Cup", "on Thing { ... on Cup"][..]);
        let fragment = (conditions, rarely(), inside);
        let fragment =
            fragment.prop_map(|(condition, is_skipped, inside)| Selected::Fragment { condition, is_skipped, inside });
        prop_oneof![3 => object, 1 => fragment]
    });
    vec(selected, 1..6)
}

fn text(selections: &[Selected]) -> String {
    let skip = |is_skipped| if is_skipped { "@skip(if: true)" } else { "" };
    let texts = selections.iter().map(|selected| match selected {
        Selected::Field { name, is_aliased, is_skipped, inside } => {
            let key = if *is_aliased { format!("{name}Alias: ") } else { String::new() };
            let inside = if inside.is_empty() { String::new() } else { text(inside) };
            format!("{key}{name} {} {inside}", skip(*is_skipped))
        }
        Selected::Fragment { condition, is_skipped, inside } => {
            let ends = "}".repeat(condition.matches('{').count());
            format!("... {} {{ ... {condition} {} {ends} }}", skip(*is_skipped), text(inside))
        }
    });
    format!("{{ {} }}", texts.collect::<Vec<_>>().join(" "))
}

/// The selected fields by response key, each with all that is selected inside of it.
fn collect<'a>(selections: &'a [Selected], fields: &mut BTreeMap<String, (&'static str, Vec<&'a [Selected]>)>) {
    for selected in selections {
        match selected {
            Selected::Field { is_skipped: true, .. } | Selected::Fragment { is_skipped: true, .. } => {}
            Selected::Field { name, is_aliased, inside, .. } => {
                let key = if *is_aliased { format!("{name}Alias") } else { (*name).to_owned() };
                fields.entry(key).or_insert_with(|| (name, Vec::new())).1.push(inside);
            }
            Selected::Fragment { inside, .. } => collect(inside, fields),
        }
    }
}

/// A cup by section 6.4.4; none if it has to be null.
fn cup(sets: &[&[Selected]]) -> Option<Value> {
    let mut fields = BTreeMap::new();
    sets.iter().for_each(|set| collect(set, &mut fields));
    let values = fields.into_iter().map(|(key, (name, inside))| Some((key, field(name, &inside)?)));
    values.collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// The value of a field of a cup; none if it failed and may not be null.
fn field(name: &str, inside: &[&[Selected]]) -> Option<Value> {
    let null = Value::Null;
    match name {
        "id" => Some(json!(1)),
        "name" => Some(json!("mug")),
        "must" => None,
        "cup" => Some(cup(inside).unwrap_or(null)),
        "mustCup" => cup(inside),
        "cups" => {
            let cup = cup(inside);
            Some(json!([cup, null, cup]))
        }
        "mustCups" => Some(cup(inside).map_or(null, |cup| json!([cup, cup]))),
        // What failed, and the cup that there is not.
        _ => Some(null),
    }
}

proptest! {
    #[test]
    fn what_failed_is_null_as_the_specification_says(selections in selections()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (set, sets) = (text(&selections), [selections.as_slice()]);
        for (root, expected) in [
            ("cup", json!({ "cup": cup(&sets) })),
            ("mustCup", cup(&sets).map_or(Value::Null, |cup| json!({ "mustCup": cup }))),
        ] {
            let query = format!("{{ {root} {set} }}");
            let (data, _) = only(runtime.block_on(execute_all(&query, json!({}))));
            prop_assert_eq!(data, expected, "{}", query);
        }
    }
}
