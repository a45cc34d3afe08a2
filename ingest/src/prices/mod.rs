//! Prices: the ones that Apex ships, tables in LiteLLM's format, and the price book of a tenant.

mod book;
mod builtin;
mod litellm;
mod makers;
#[cfg(test)]
mod testing;

pub use book::{PricesSet, SetPricesError, load_or_init, set};
pub use builtin::{BuiltinError, builtin};
pub use litellm::{LitellmError, LitellmTable, MAX_ENTRIES, MAX_RATE, MAX_TABLE_BYTES, SkipReason, litellm};
