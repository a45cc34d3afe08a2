//! Reads price tables in LiteLLM's format.
//!
//! Such a table has no dates, so that the caller gives the date from which its prices apply. Every rate is read from
//! its digits; no float is made on the way.

mod entry;
mod fields;
mod skip;

pub use skip::{MAX_RATE, SkipReason};

use chrono::{DateTime, Utc};
use domain::Name;
use domain::price_book::Price;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::io::{self, BufReader, Cursor, Read};
use thiserror::Error;

/// The maximum size of a table, in bytes: 64 MiB, twenty times the size of LiteLLM's today.
pub const MAX_TABLE_BYTES: u64 = 64 * 1024 * 1024;

/// The maximum number of models in a table, thirty times that of LiteLLM's today: each takes memory, however short its
/// entry.
pub const MAX_ENTRIES: usize = 100_000;

/// What some editors write at the start of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The prices of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LitellmTable {
    /// The prices, in the order of the table.
    pub prices: Vec<Price>,
    /// The models that were skipped, and why. A model that is listed twice with the same price is not among them.
    pub skipped: Vec<(String, SkipReason)>,
    /// The fields with a cost that were not read, each with the number of prices that have it. They bill what no meter
    /// counts, or under conditions that a price cannot express.
    pub not_read: BTreeMap<String, u64>,
}

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum LitellmError {
    /// The table is not JSON, or not an object with one entry per model.
    #[error("the table is not a JSON object of models")]
    Json(#[from] serde_json::Error),
    /// The input cannot be read.
    #[error("the table cannot be read")]
    Io(#[from] io::Error),
    /// The table is larger than [`MAX_TABLE_BYTES`].
    #[error("the table is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The maximum size of a table.
        limit_bytes: u64,
    },
}

/// Reads a table in LiteLLM's format (`model_prices_and_context_window.json`), which tokencost uses too.
///
/// Each cost of a meter becomes a component of the price, with its conditions: the size of the prompt
/// (`_above_200k_tokens` and `tiered_pricing`), the service tier (`_priority`, `_flex`, `_batches`), the time
/// (`off_peak_pricing`). Other costs are counted in [`LitellmTable::not_read`]. Suffixes that only say how LiteLLM
/// calls a provider are removed from its name, and the provider's name from the front of the model's, so that
/// `vertex_ai/x` of `vertex_ai-language-models` is `x` of `vertex_ai`. If two keys then mean the same model, the first
/// one is used.
///
/// # Errors
/// [`LitellmError`] if the table as a whole cannot be read. A single bad entry is skipped, with its reason.
pub fn litellm(input: impl Read, effective_from: DateTime<Utc>) -> Result<LitellmTable, LitellmError> {
    let Entries(entries) = read_at_most(input, MAX_TABLE_BYTES)?;
    let mut table = LitellmTable::default();
    let mut seen: BTreeMap<(Name, Name), (usize, String)> = BTreeMap::new();
    for (key, entry) in entries {
        if key == "sample_spec" {
            continue;
        }
        let entry = match entry::read(&key, &entry, effective_from) {
            Ok(entry) => entry,
            Err(reason) => {
                table.skipped.push((key, reason));
                continue;
            }
        };
        match seen.entry((entry.price.provider.clone(), entry.price.model.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert((table.prices.len(), key));
                table.prices.push(entry.price);
                for field in entry.not_read {
                    *table.not_read.entry(field).or_default() += 1;
                }
            }
            Entry::Occupied(first) if table.prices[first.get().0] == entry.price => {}
            Entry::Occupied(first) => {
                table.skipped.push((key, SkipReason::Contradiction { first: first.get().1.clone() }));
            }
        }
    }
    Ok(table)
}

fn read_at_most(input: impl Read, limit_bytes: u64) -> Result<Entries, LitellmError> {
    let mut input = input.take(limit_bytes + 1);
    let mut start = Vec::new();
    input.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut start)?;
    if start == BYTE_ORDER_MARK {
        start.clear();
    }
    let read = serde_json::from_reader(BufReader::new(Cursor::new(start).chain(&mut input)));
    if input.limit() == 0 {
        return Err(LitellmError::TooLarge { limit_bytes });
    }
    Ok(read?)
}

/// The entries of a JSON object in their order, duplicates included.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of models")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
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
