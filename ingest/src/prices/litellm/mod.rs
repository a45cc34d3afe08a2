//! Reads price tables in LiteLLM's format.
//!
//! Such a table has no dates, so that the caller gives the date from which its prices apply. Every rate is read from
//! its digits; no float is made on the way.

mod entry;
mod fields;
mod skip;

pub(super) use fields::{RATE_SCALE, decimal};
pub use skip::{MAX_RATE, SkipReason};

use super::table::{MAX_ENTRIES, MAX_TABLE_BYTES, NotRead, PriceTable, TableError, read_text};
use chrono::{DateTime, Utc};
use domain::Name;
use domain::price_book::PriceSource;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::io::Read;

/// Reads a table in LiteLLM's format (`model_prices_and_context_window.json`), which tokencost uses too.
///
/// Each cost of a meter becomes a component of the price, with its conditions: the size of the prompt
/// (`_above_200k_tokens` and `tiered_pricing`), the service tier (`_priority`, `_flex`, `_batches`), the time
/// (`off_peak_pricing`), region and speed (multipliers). Other fields are listed in [`PriceTable::not_read`]. Suffixes that only say how LiteLLM
/// calls a provider are removed from its name, and the provider's name from the front of the model's, so that
/// `vertex_ai/x` of `vertex_ai-language-models` is `x` of `vertex_ai`. If two keys then mean the same model, the first
/// one is used.
///
/// # Errors
/// [`TableError`] if the table as a whole cannot be read. A single bad entry is skipped, with its reason.
pub fn litellm(input: impl Read, effective_from: DateTime<Utc>) -> Result<PriceTable, TableError> {
    let text = read_text(input, MAX_TABLE_BYTES)?;
    let json_error = |source| TableError::Json { expected: "a JSON object of models", source };
    let Entries(entries) = serde_json::from_str(&text).map_err(json_error)?;
    let mut table = PriceTable::new(PriceSource::named(source_name()));
    let mut seen: BTreeMap<(Name, Name), (usize, String)> = BTreeMap::new();
    for (key, entry) in entries {
        if key == "sample_spec" {
            continue;
        }
        let entry = match entry::read(&key, entry, effective_from) {
            Ok(entry) => entry,
            Err(reason) => {
                table.skip(key, reason.to_string());
                continue;
            }
        };
        let key_of_price = (entry.price.provider.clone(), entry.price.model.clone());
        match seen.entry(key_of_price) {
            Entry::Vacant(vacant) => {
                vacant.insert((table.prices.len(), key.clone()));
                table.prices.push(entry.price);
            }
            Entry::Occupied(first) if table.prices[first.get().0] == entry.price => {}
            Entry::Occupied(first) => {
                table.skip(key, SkipReason::Contradiction { first: first.get().1.clone() }.to_string());
                continue;
            }
        }
        let not_read = entry.not_read.into_iter();
        let field = |(field, reason): (String, &str)| NotRead { entry: key.clone(), field, reason: reason.to_owned() };
        table.not_read.extend(not_read.map(field));
    }
    Ok(table)
}

fn source_name() -> Name {
    #[allow(clippy::expect_used, reason = "the text is a constant")]
    Name::new("litellm").expect("a short text is a name")
}

/// The entries of a JSON object in their order, duplicates included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of models")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() >= MAX_ENTRIES {
                        let error = format!("the table has more than {MAX_ENTRIES} models: split it");
                        return Err(serde::de::Error::custom(error));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests;
