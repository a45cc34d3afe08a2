//! Prices as the price book holds them.

use crate::graphql::scalars::{Currency, Decimal, Long, Timestamp};
use async_graphql::{Error, Result, SimpleObject};
use domain::price_book::{self, Quote};
use domain::{Meter, for_each_meter};

macro_rules! rates {
    ($($variant:ident, $name:ident, $column:ident, $description:tt, $definition:tt);+ $(;)?) => {
        /// Rates by meter, in US dollars per million units. A meter without a rate of its own is charged at another rate:
        /// cache reads and writes at `input`, reasoning at `output`.
        #[derive(Debug, Clone, SimpleObject)]
        pub(crate) struct Rates {
            $(#[doc = $description] $name: Option<Decimal>),+
        }

        impl From<&price_book::Rates> for Rates {
            fn from(rates: &price_book::Rates) -> Self {
                Self { $($name: rates.own(Meter::$variant).map(|rate| rate.as_money().into())),+ }
            }
        }
    };
}
for_each_meter!(rates);

/// Rates that apply to the whole call if its prompt is large.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PriceTier {
    /// The tier applies if the prompt, cached tokens included, has more tokens than this.
    above_prompt_tokens: Long,
    /// Rates of the tier.
    rates: Rates,
}

/// A price: the rates of one model of one provider from a date on.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Price {
    /// Provider that offers the model, such as `openai`.
    provider: String,
    /// Name that the provider gives the model.
    model: String,
    /// Time from which the price is effective, until a later price for the same provider and model.
    effective_from: Timestamp,
    /// Currency of the rates.
    currency: Currency,
    /// Rates that apply if no tier does.
    rates: Rates,
    /// Tiers for large prompts, in ascending order.
    tiers: Vec<PriceTier>,
    /// Version of the price book that set the price.
    book_version: Long,
}

impl TryFrom<&Quote> for Price {
    type Error = Error;

    fn try_from(quote: &Quote) -> Result<Self> {
        let price = &quote.price;
        let tier = |tier: &price_book::Tier| PriceTier {
            above_prompt_tokens: Long::from_unsigned(tier.above_prompt_tokens),
            rates: (&tier.rates).into(),
        };
        Ok(Self {
            provider: price.provider.to_string(),
            model: price.model.to_string(),
            effective_from: price.effective_from.into(),
            currency: price.currency.into(),
            rates: (&price.rates).into(),
            tiers: price.tiers.iter().map(tier).collect(),
            book_version: Long::from_unsigned(quote.book_version),
        })
    }
}
