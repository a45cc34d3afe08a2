//! Public price tables: whatever is in them is read, or listed with its reason.
//!
//! The tables are not part of this project: `make known-answers APEX_DATA=FOLDER` runs these tests on a folder that has them.

use chrono::{DateTime, Utc};
use flate2::read::GzDecoder;
use ingest::prices::{PriceTable, langfuse, litellm};
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
    let text = table("litellm-1.109.1_model_prices_and_context_window.json.gz");
    let read = litellm(text.as_slice(), day()).unwrap();
    println!("{}", summary(&read));
    let entries: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
    let skipped: BTreeSet<&str> = read.skipped.iter().map(|one| one.entry.as_str()).collect();
    let not_read: BTreeSet<(&str, &str)> =
        read.not_read.iter().map(|one| (one.entry.as_str(), one.field.as_str())).collect();
    // Listed twice with the same price, once with the name of the provider before that of the model.
    let twice = entries.len() - 1 - read.prices.len() - skipped.len();
    println!("{} entries, {twice} of them listed twice with one price", entries.len());
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
    assert!(lost.is_empty(), "{} fields are lost in silence:\n{}", lost.len(), lost[..lost.len().min(40)].join("\n"));
    assert!(read.prices.len() > 3_800, "{}", read.prices.len());
    for one in &read.skipped {
        assert!(!one.reason.is_empty(), "{}", one.entry);
    }
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
