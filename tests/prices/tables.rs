//! Public price tables: whatever is in them is read, or listed with its reason.
//!
//! The tables are not part of this project: `make known-answers APEX_DATA=FOLDER` runs these tests on a folder that has them.

use chrono::{DateTime, NaiveDate, Utc};
use domain::price_book::Price;
use flate2::read::GzDecoder;
use ingest::prices::{PriceTable, genai_prices, langfuse, litellm};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;

fn table(name: &str) -> Vec<u8> {
    let folder = std::env::var("APEX_DATA").expect("APEX_DATA is not set to the folder of the tables");
    let mut text = Vec::new();
    GzDecoder::new(File::open(format!("{folder}/price-tables/{name}")).unwrap()).read_to_end(&mut text).unwrap();
    text
}

fn day() -> DateTime<Utc> {
    "2026-11-29T00:00:00Z".parse().unwrap()
}

fn summary(table: &PriceTable) -> String {
    let fields: Vec<_> =
        table.not_read_by_reason().iter().map(|(field, reason, n)| format!("  {n} {field}: {reason}")).collect();
    let entries: BTreeSet<_> = table.not_read.iter().map(|one| &one.entry).collect();
    format!(
        "{} prices, {} skipped, {} fields of {} entries not read:\n{}",
        table.prices.len(),
        table.skipped.len(),
        table.not_read.len(),
        entries.len(),
        fields.join("\n")
    )
}

/// Every field of every entry is a component of its price, says nothing of its price, or is listed.
#[test]
#[ignore = "needs the public tables: make known-answers"]
fn every_entry_of_litellms_table_is_a_price_or_listed() {
    // The second is an older table of the same form, which tokencost ships.
    for (name, least) in [
        ("litellm-1.109.1_model_prices_and_context_window.json.gz", 3_800),
        ("tokencost-0.1.26_model_prices.json.gz", 1_200),
    ] {
        let (prices, found) = assert_read_or_listed(name);
        println!("{name}: {found}");
        assert!(prices >= least, "{name}: {prices}");
    }
}

/// The number of prices in a table, and what was found in it.
fn assert_read_or_listed(name: &str) -> (usize, String) {
    let text = table(name);
    let read = litellm(text.as_slice(), day()).unwrap();
    let entries: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
    let skipped: BTreeSet<&str> = read.skipped.iter().map(|one| one.entry.as_str()).collect();
    let not_read: BTreeSet<(&str, &str)> =
        read.not_read.iter().map(|one| (one.entry.as_str(), one.field.as_str())).collect();
    // Listed twice with the same price, once with the name of the provider before that of the model.
    let samples = usize::from(entries.contains_key("sample_spec"));
    let twice = entries.len() - samples - read.prices.len() - skipped.len();
    let found = format!("{} entries, {twice} of them listed twice with one price; {}", entries.len(), summary(&read));
    let mut lost = Vec::new();
    for (key, entry) in &entries {
        let fields = entry.as_object().unwrap();
        if key == "sample_spec" || skipped.contains(key.as_str()) {
            continue;
        }
        // The field alone, with what an entry needs: if it changes the price, it is read.
        for (field, value) in fields {
            let is_free = value.is_null()
                || value.as_f64() == Some(0.0)
                || !field.contains("cost") && !field.contains("pricing") && !field.contains("multiplier");
            if is_free || not_read.contains(&(key.as_str(), field.as_str())) {
                continue;
            }
            let mut without = fields.clone();
            without.remove(field);
            let price = |fields: &serde_json::Map<String, serde_json::Value>| {
                let text = serde_json::json!({ key: fields }).to_string();
                litellm(text.as_bytes(), day()).unwrap().prices.pop()
            };
            let (with, without) = (price(fields), price(&without));
            if with == without && !is_same_rate(fields, field) {
                lost.push(format!("{key}: {field} = {value}"));
            }
        }
    }
    assert!(
        lost.is_empty(),
        "{name}: {} fields are lost in silence:\n{}",
        lost.len(),
        lost[..lost.len().min(40)].join("\n")
    );
    for one in &read.skipped {
        assert!(!one.reason.is_empty(), "{}", one.entry);
    }
    (read.prices.len(), found)
}

/// Whether another field of the entry, or of one of its tiers, has the same value, so that the price is the same without this
/// one.
fn is_same_rate(fields: &serde_json::Map<String, serde_json::Value>, field: &str) -> bool {
    let others = fields.iter().filter(|(other, _)| *other != field);
    let mut values: Vec<&serde_json::Value> = others.map(|(_, value)| value).collect();
    while let Some(value) = values.pop() {
        if *value == fields[field] {
            return true;
        }
        values.extend(value.as_array().into_iter().flatten());
        values.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
    }
    false
}

#[test]
#[ignore = "needs the public tables: make known-answers"]
fn every_entry_of_langfuses_table_is_a_price_or_listed() {
    let text = table("langfuse_default-model-prices.json.gz");
    let read = langfuse(text.as_slice(), day()).unwrap();
    println!("{}", summary(&read));
    for one in &read.skipped {
        println!("{}: {}", one.entry, one.reason);
    }
    assert_eq!(read.prices.len() + read.skipped.len(), 167);
    assert!(read.prices.len() >= 150, "{}", read.prices.len());
}

/// The models of the shipped table, each as a table of its own, with the name of its entry.
fn models_of_genai_prices() -> Vec<(String, Value)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ingest/src/prices/shipped/genai-prices.json.gz");
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let table: Value = serde_json::from_str(&text).unwrap();
    let providers = table["providers"].as_array().unwrap();
    let of_provider = |provider: &Value| {
        let id = provider["id"].as_str().unwrap().to_owned();
        let models = provider["models"].as_array().unwrap().clone();
        models.into_iter().map(move |model| {
            let entry = format!("{id}/{}", model["id"].as_str().unwrap());
            (entry, json!([{ "id": id, "models": [model] }]))
        })
    };
    providers.iter().flat_map(of_provider).collect()
}

/// What a table says: its prices, and what of it is listed.
fn said(table: &Value) -> (Vec<Price>, BTreeSet<String>) {
    let read = genai_prices(table.to_string().as_bytes()).unwrap();
    let skipped = read.skipped.into_iter().map(|one| format!("{}: {}", one.entry, one.reason));
    let not_read = read.not_read.into_iter().map(|one| format!("{} {}: {}", one.entry, one.field, one.reason));
    (read.prices, skipped.chain(not_read).collect())
}

/// The paths to all values of a table that are neither lists nor objects.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            leaves(value, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| leaves(value, &format!("{path}/{at}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Another value of the same form.
fn another(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_u64() => json!(number.as_u64().unwrap() + 77),
        Value::Number(_) => json!(value.as_f64().unwrap() + 7.75),
        Value::String(text) if text.parse::<NaiveDate>().is_ok() => json!("2021-02-03"),
        Value::String(text) if text.ends_with(":00Z") => {
            json!(if text == "05:07:00Z" { "06:07:00Z" } else { "05:07:00Z" })
        }
        Value::String(text) => json!(format!("{text}x")),
        other => panic!("{other} is no value of a price"),
    }
}

/// A table whose prices all differ: of two that are equal, a price book keeps one.
fn with_different_prices(table: &Value, paths: &[String]) -> Value {
    let mut changed = table.clone();
    for (number, path) in paths.iter().enumerate() {
        let value = changed.pointer_mut(path).unwrap();
        if value.is_number() && !path.ends_with("/start") {
            *value = json!(100.0 + f64::from(u32::try_from(number).unwrap()) / 8.0);
        }
    }
    changed
}

/// Each value of each entry, changed alone, changes a price or what is listed, or is a part of what is listed.
#[test]
fn every_field_of_genai_prices_table_is_read_or_listed() {
    let (mut lost, mut count, mut listed_count) = (Vec::new(), 0_u64, 0_u64);
    let models = models_of_genai_prices();
    for (entry, table) in &models {
        let mut paths = Vec::new();
        leaves(table, "", &mut paths);
        let table = with_different_prices(table, &paths);
        let (prices, listed) = said(&table);
        for path in &paths {
            count += 1;
            let mut changed = table.clone();
            let value = changed.pointer_mut(path).unwrap();
            *value = another(value);
            if said(&changed) != (prices.clone(), listed.clone()) {
                continue;
            }
            // A variant without prices says nothing, whatever its conditions are.
            let variant =
                path.rsplit_once("/when/").or_else(|| path.rsplit_once("/constraint/")).map(|(variant, _)| variant);
            let is_empty = variant.is_some_and(|variant| table.pointer(variant).unwrap()["prices"] == json!({}));
            if is_empty {
                continue;
            }
            let is_listed = listed.iter().any(|one| names(one, entry, &table, path));
            listed_count += u64::from(is_listed);
            if !is_listed {
                lost.push(format!("{entry}: {path}"));
            }
        }
    }
    println!("{} entries, {count} values, {listed_count} of them listed as not read", models.len());
    assert!(models.len() > 1_900 && listed_count > 50, "{} entries, {listed_count} listed", models.len());
    assert!(lost.is_empty(), "{} values are lost in silence:\n{}", lost.len(), lost[..lost.len().min(40)].join("\n"));
}

/// Whether what is listed is a value of an entry, by the path of the value: the key of a price, or a variant as a whole.
fn names(listed: &str, entry: &str, table: &Value, path: &str) -> bool {
    // An entry as a whole is skipped, or a field of it is not read.
    let Some(rest) = listed.strip_prefix(entry) else { return false };
    if rest.starts_with(": ") {
        return true;
    }
    let Some(field) = rest.strip_prefix(' ') else { return false };
    let parts: Vec<_> = path.split('/').collect();
    // /0/models/0/prices/KEY, /0/models/0/prices/N/prices/KEY, /0/models/0/price_variants/N/prices/KEY
    let key = match parts.as_slice() {
        [_, _, _, _, "prices", key] | [_, _, _, _, "prices", key, "base" | "tiers", ..]
            if key.parse::<u32>().is_err() =>
        {
            key
        }
        [_, _, _, _, _, _, "prices", key, ..] => key,
        _ => "",
    };
    let variant = match parts.as_slice() {
        [_, _, _, _, "price_variants", number, ..] => {
            let when = &table[0]["models"][0]["price_variants"][number.parse::<usize>().unwrap()]["when"];
            let when =
                when.as_object().unwrap().iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
            Some(format!("price_variants {}", when.collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    };
    let holder = variant.clone().unwrap_or_else(|| "prices".to_owned());
    let is_key = !key.is_empty() && field.starts_with(&format!("{holder}.{key}:"));
    let is_match = parts.get(4) == Some(&"match") && field.starts_with("match");
    is_key || is_match || variant.is_some_and(|variant| field.starts_with(&format!("{variant}:")))
}

/// The test above finds what is lost.
#[test]
fn a_field_that_is_dropped_in_silence_is_found() {
    let table = json!([{ "id": "x", "models": [{ "id": "m", "name": "M", "match": { "equals": "m" }, "prices": { "input_mtok": 1 } }] }]);
    let mut changed = table.clone();
    changed[0]["models"][0]["name"] = json!("N");
    assert_eq!(
        said(&changed),
        said(&table),
        "the name of a model is no price, and stands for a field that is not read"
    );
    changed[0]["models"][0]["prices"]["input_mtok"] = json!(2);
    assert_ne!(said(&changed), said(&table));
}
