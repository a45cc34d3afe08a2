//! The commands to a price book, its events, and why a command is rejected.

use crate::codec::events;
use crate::price_book::discount::Discount;
use crate::price_book::price::{Price, PriceError};
use crate::price_book::source::PriceSource;
use crate::text::Name;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most discounts in one command.
pub const MAX_DISCOUNTS: usize = 1_000;

/// A command to a price book.
#[derive(Debug, Clone, PartialEq)]
pub enum PriceBookCommand {
    /// Sets prices. Those that are already set change nothing.
    Set {
        /// The prices to set.
        prices: Vec<Price>,
        /// The table that the prices are from.
        source: PriceSource,
        /// When the prices were set, which is not when they take effect.
        at: DateTime<Utc>,
    },
    /// Sets discounts. Those that are already set change nothing.
    SetDiscounts {
        /// The discounts to set, each with another name.
        discounts: Vec<Discount>,
        /// When the discounts were set, which is not when they take effect.
        at: DateTime<Utc>,
    },
}

/// The payload of `prices.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PricesSet {
    /// The prices that were set.
    #[schemars(length(min = 1, max = 64))]
    pub prices: Vec<Price>,
    /// The table that the prices are from.
    #[serde(flatten)]
    pub source: PriceSource,
    /// When the prices were set, which is not when they take effect.
    pub at: DateTime<Utc>,
}

/// The payload of `discount.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiscountSet {
    /// The discount that was set.
    #[serde(flatten)]
    pub discount: Discount,
    /// When the discount was set, which is not when it takes effect.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a price book.
    pub enum PriceBookEvent {
        /// Prices were set.
        "prices.set" v 1 => Set(PricesSet),
        /// A discount was set.
        "discount.set" v 1 => DiscountSet(DiscountSet),
    }
}

/// Why a command to a price book is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriceBookError {
    /// The command has no prices.
    #[error("no prices were given")]
    Empty,
    /// The command has no discounts, or more than [`MAX_DISCOUNTS`].
    #[error("{found} discounts were given; a command has 1 to {MAX_DISCOUNTS}")]
    NumberOfDiscounts {
        /// The number of discounts.
        found: usize,
    },
    /// The command has two discounts of one name, or one that ends before it takes effect.
    #[error("the discount {name} is given twice, or ends before it takes effect")]
    InvalidDiscount {
        /// The name of the discount.
        name: Name,
    },
    /// The command has two different prices for one provider, model and date.
    #[error("two prices for {provider}/{model} take effect on {effective_from}")]
    ConflictingPrices {
        /// The provider of the model.
        provider: Name,
        /// The model that has two prices.
        model: Name,
        /// The date on which both take effect.
        effective_from: DateTime<Utc>,
    },
    /// A price is not valid.
    #[error("the price of {provider}/{model} is not valid")]
    InvalidPrice {
        /// The provider of the model.
        provider: Name,
        /// The model.
        model: Name,
        /// Why the price is not valid.
        #[source]
        source: PriceError,
    },
}
