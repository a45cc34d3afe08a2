//! Why a call has no price.

use crate::meter::Meter;
use crate::money::MoneyError;
use crate::text::Name;
use chrono::{DateTime, Utc};
use std::fmt;
use thiserror::Error;

/// The maximum number of providers that a message names.
const MAX_NAMED: usize = 5;

/// Why a call has no price. A call without a price has no cost, which does not mean that it was free.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Unpriced {
    /// No provider has a price for the model.
    #[error("no provider has a price for it")]
    UnknownModel,
    /// The provider of the call has no price for the model. That of another provider would be a guess.
    #[error("its provider has no price for it, but these have: {0}")]
    OtherProviders(Providers),
    /// The price of the model takes effect later, or ended.
    #[error("its price was not in effect then; the first takes effect on {}", .first_from.format("%Y-%m-%d"))]
    NotInEffect {
        /// When the first price takes effect.
        first_from: DateTime<Utc>,
    },
    /// The call names no provider, and several have a price for the model, of which none or several are its maker.
    #[error("it names no provider, and it could be any of {0}")]
    Ambiguous(Providers),
    /// The name of the model is, once normalized or by a list of names, that of several models of one provider.
    #[error("its name could be that of any of {0}")]
    AmbiguousModel(Providers),
    /// No component of the price bills anything that the call used.
    #[error("its price has no component for {} under the conditions of the call", list(.0))]
    NothingBilled(Vec<Meter>),
}

/// The names of the providers, or of the models, that have a price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Providers(pub Vec<Name>);

impl fmt::Display for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list(&self.0))
    }
}

/// The first items, separated by commas, and the number of the others.
fn list<T: fmt::Display>(items: &[T]) -> String {
    let mut texts: Vec<String> = items.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    if items.len() > MAX_NAMED {
        texts.push(format!("{} more", items.len() - MAX_NAMED));
    }
    texts.join(", ")
}

/// Why a call cannot be charged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChargeError {
    /// The call has no price.
    #[error(transparent)]
    Unpriced(#[from] Unpriced),
    /// The charge is out of range.
    #[error(transparent)]
    Money(#[from] MoneyError),
}
