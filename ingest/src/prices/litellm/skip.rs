//! Why an entry of a table is skipped.

use domain::TextError;
use domain::price_book::{PriceError, RateError};
use rust_decimal::Decimal;
use thiserror::Error;

/// The maximum rate, in US dollars per million tokens or characters, per second, or per image, request or search. The
/// most expensive model cost 600. A table that has dollars per thousand tokens, or per million, where dollars per token
/// are expected gives rates far above.
pub const MAX_RATE: u32 = 1_000;

/// Why an entry of a table is skipped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// The entry is too long.
    #[error("its entry is longer than {limit_bytes} bytes")]
    TooLong {
        /// The maximum size of an entry.
        limit_bytes: usize,
    },
    /// The entry is not an object.
    #[error("it is not an object")]
    NotAnObject,
    /// The entry has no `litellm_provider`.
    #[error("it names no provider")]
    NoProvider,
    /// A model that is billed by token has no rate for input or for output.
    #[error("it has no {0}, so that its calls would be charged in part only")]
    NoRate(&'static str),
    /// The entry has no cost, or none that is read.
    #[error("it has no cost that can be read{}", named(.found.as_deref()))]
    NoCost {
        /// The first of its costs; none if it has none.
        found: Option<String>,
    },
    /// All costs that are read are 0, and another one is not. A model whose costs are all 0 is free.
    #[error("it costs 0 but for {0}, which is not read")]
    BilledOtherwise(String),
    /// A rate is not a number.
    #[error("{field} is {found}, which is not a number")]
    NotANumber {
        /// The field.
        field: String,
        /// Its value, clipped.
        found: String,
    },
    /// A rate is negative.
    #[error("{field}: {cause}")]
    Negative {
        /// The field.
        field: String,
        /// Why it is no rate.
        cause: RateError,
    },
    /// A rate is above [`MAX_RATE`].
    #[error("{field} is {dollars} dollars per {units}, above the maximum of {MAX_RATE}")]
    TooHigh {
        /// The field.
        field: String,
        /// The rate.
        dollars: Decimal,
        /// The units that the rate is for.
        units: &'static str,
    },
    /// The name of the model or the provider is invalid.
    #[error("its name is invalid: {0}")]
    Name(TextError),
    /// A price book would reject the price.
    #[error("{0}")]
    Price(PriceError),
    /// An earlier key that means the same model of the same provider has another price.
    #[error("{first} has another price for the same model; the first is used")]
    Contradiction {
        /// The earlier key, whose price is used.
        first: String,
    },
}

fn named(field: Option<&str>) -> String {
    field.map_or_else(String::new, |field| format!(": it has {field}"))
}
