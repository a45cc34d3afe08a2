//! Price tables: what readers return, and how their text is read.

use domain::price_book::{Price, PriceSource};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read};
use thiserror::Error;

/// The maximum size of a table, in bytes: 64 MiB, twenty times the size of the largest today.
pub const MAX_TABLE_BYTES: u64 = 64 * 1024 * 1024;

/// The maximum number of models in a table, twenty times that of the largest today: each takes memory, however short its
/// entry.
pub const MAX_ENTRIES: usize = 100_000;

/// What some editors write at the start of a file in UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A field of a table that a price cannot express.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NotRead {
    /// The entry of the table, such as a model.
    pub entry: String,
    /// The field of the entry.
    pub field: String,
    /// Why it is not read.
    pub reason: String,
}

/// An entry of a table that has no price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The entry of the table, such as a model.
    pub entry: String,
    /// Why it is skipped.
    pub reason: String,
}

/// The prices of a table. Whatever is not among them is listed with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    /// The table.
    pub source: PriceSource,
    /// The prices, in the order of the table.
    pub prices: Vec<Price>,
    /// The entries that were skipped. One that is listed twice with the same price is not among them.
    pub skipped: Vec<Skipped>,
    /// The fields of other entries that were not read.
    pub not_read: Vec<NotRead>,
}

impl PriceTable {
    /// A table from which nothing was read yet.
    pub(super) fn new(source: PriceSource) -> Self {
        Self { source, prices: Vec::new(), skipped: Vec::new(), not_read: Vec::new() }
    }

    pub(super) fn skip(&mut self, entry: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push(Skipped { entry: entry.into(), reason: reason.into() });
    }

    /// The number of entries by field and reason, the highest number first.
    #[must_use]
    pub fn not_read_by_reason(&self) -> Vec<(&str, &str, u64)> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for NotRead { field, reason, .. } in &self.not_read {
            *counts.entry((field, reason)).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().map(|((field, reason), count)| (field, reason, count)).collect();
        counts.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        counts
    }
}

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    /// The table is not JSON of the expected form.
    #[error("the table is not {expected}")]
    Json {
        /// The expected form.
        expected: &'static str,
        /// The error of the parser.
        #[source]
        source: serde_json::Error,
    },
    /// The input cannot be read.
    #[error("the table cannot be read")]
    Io(#[from] io::Error),
    /// The table is larger than [`MAX_TABLE_BYTES`].
    #[error("the table is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The maximum size of a table.
        limit_bytes: u64,
    },
    /// The table is not text.
    #[error("the table is not text in UTF-8")]
    NotText,
}

/// Reads the text of a table, without a byte order mark, and with the numbers that are not JSON as strings, so that they
/// cost no other entry.
pub(super) fn read_text(input: impl Read, limit_bytes: u64) -> Result<String, TableError> {
    let mut bytes = Vec::new();
    input.take(limit_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(TableError::TooLarge { limit_bytes });
    }
    let text = String::from_utf8(bytes).map_err(|_| TableError::NotText)?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    Ok(with_quoted_constants(text))
}

/// Puts `NaN` and `Infinity`, which some writers of JSON use, in quotation marks.
fn with_quoted_constants(text: &str) -> String {
    const CONSTANTS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let mut quoted = String::with_capacity(text.len());
    let (mut rest, mut is_in_string) = (text, false);
    while let Some(next) = rest.find(['"', '\\', 'N', 'I', '-']) {
        let (before, from) = rest.split_at(next);
        quoted.push_str(before);
        let constant = CONSTANTS.iter().find(|constant| !is_in_string && from.starts_with(**constant));
        let taken = match (constant, from.as_bytes()) {
            (Some(constant), _) => {
                quoted.extend(["\"", constant, "\""]);
                rest = &from[constant.len()..];
                continue;
            }
            // The escaped character may be of several bytes: only a quotation mark or a backslash matters.
            (None, [b'\\', b'"' | b'\\', ..]) if is_in_string => 2,
            (None, [first, ..]) => {
                is_in_string ^= *first == b'"';
                1
            }
            (None, []) => break,
        };
        quoted.push_str(&from[..taken]);
        rest = &from[taken..];
    }
    quoted.push_str(rest);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_json_become_text() {
        for (text, read) in [
            (r#"{"a":NaN,"b":-Infinity,"c":[Infinity,-1]}"#, r#"{"a":"NaN","b":"-Infinity","c":["Infinity",-1]}"#),
            (r#"{"NaN":"Infinity \" NaN \\","N":null}"#, r#"{"NaN":"Infinity \" NaN \\","N":null}"#),
            ("\u{feff}{}", "{}"),
            (r#""é\né" NaN"#, r#""é\né" "NaN""#),
        ] {
            assert_eq!(read_text(text.as_bytes(), 1_000).unwrap(), read);
        }
    }

    #[test]
    fn a_text_has_a_limit() {
        assert!(matches!(read_text(&b"{}   "[..], 4), Err(TableError::TooLarge { limit_bytes: 4 })));
        assert!(read_text(&b"{}  "[..], 4).is_ok());
        assert!(matches!(read_text(&b"\xff"[..], 4), Err(TableError::NotText)));
    }

    proptest::proptest! {
        #[test]
        fn json_stays_as_it_is(text in ".*") {
            let json = serde_json::to_string(&vec![&text]).unwrap();
            proptest::prop_assert_eq!(with_quoted_constants(&json), json);
            with_quoted_constants(&text);
        }
    }
}
