//! The price book.

mod mutation;
mod query;
mod repricing;
mod types;

pub(crate) use mutation::{PriceCommandError, PriceMutation};
pub(crate) use query::{PriceQuery, book};
pub(crate) use repricing::{RepricingMutation, RepricingQuery};
pub(crate) use types::{Charge, Meter, Price, PriceSource};
