//! Prices: the ones that Apex ships, tables in the formats of LiteLLM, genai-prices and Langfuse, and the price book of a
//! tenant.

mod book;
mod builtin;
mod genai;
mod globs;
mod langfuse;
mod litellm;
mod makers;
mod merge;
mod rules;
mod table;
#[cfg(test)]
mod testing;

pub use book::{Overtaken, PricesSet, SetPricesError, load_or_init, set};
pub use builtin::{BuiltinError, builtin, public_table, with_history};
pub use genai::genai_prices;
pub use langfuse::langfuse;
pub use litellm::{MAX_RATE, SkipReason, litellm};
pub use table::{MAX_ENTRIES, MAX_TABLE_BYTES, NotRead, PriceTable, Skipped, TableError};
