//! The price book of a tenant, initialised with the shipped prices.

use super::builtin::{BuiltinError, builtin};
use chrono::{DateTime, Utc};
use commands::{Commands, Context, Error, Loaded, Outcome, OutcomeKind, Principal};
use domain::price_book::{Price, PriceBook, PriceBookCommand, PriceBookError, PriceSource};
use domain::{Name, derived_id};
use std::collections::BTreeSet;
use std::sync::Arc;
use thiserror::Error as ThisError;
use uuid::Uuid;

/// The name of the shipped prices as a source.
const BUILTIN: &str = "builtin";

/// The result of setting prices.
#[derive(Debug, Clone)]
pub struct PricesSet {
    /// The number of prices that were new or different.
    pub changed: u64,
    /// The given prices that later prices replaced by now: calls after those are not charged at them.
    pub overtaken: Vec<Overtaken>,
    /// The book after the change.
    pub book: Arc<Loaded<PriceBook>>,
}

/// A price that a later one replaced by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overtaken {
    /// The provider of the model.
    pub provider: Name,
    /// The model.
    pub model: Name,
    /// When the price took effect.
    pub effective_from: DateTime<Utc>,
    /// When the later price took effect.
    pub until: DateTime<Utc>,
}

/// Why prices cannot be set.
#[derive(Debug, ThisError)]
pub enum SetPricesError {
    /// The shipped prices cannot be read.
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
    /// The price book refuses the prices, or cannot be loaded or changed.
    #[error(transparent)]
    Book(#[from] Error<PriceBookError>),
}

/// Loads the price book of the principal's tenant, and sets the shipped prices if the book is empty. Later releases do
/// not change the prices of a book that is not.
///
/// # Errors
/// [`SetPricesError::Book`] if the book cannot be loaded or changed.
pub async fn load_or_init(
    commands: &Commands,
    principal: &Principal,
) -> Result<Arc<Loaded<PriceBook>>, SetPricesError> {
    let book = commands.load::<PriceBook>(principal, PriceBook::id()).await?;
    if book.version.get() > 0 {
        return Ok(book);
    }
    let command_id = derived_id(&["prices", BUILTIN]);
    let table = builtin()?;
    Ok(set(commands, principal, table.prices, table.source, command_id).await?.book)
}

/// Sets prices in the price book of the principal's tenant.
///
/// # Errors
/// [`SetPricesError::Book`] if the book refuses the prices, or
/// cannot be loaded or changed.
pub async fn set(
    commands: &Commands,
    principal: &Principal,
    prices: Vec<Price>,
    source: PriceSource,
    command_id: Uuid,
) -> Result<PricesSet, SetPricesError> {
    let before = commands.load::<PriceBook>(principal, PriceBook::id()).await?.version.get();
    let context = Context::new(principal.clone(), command_id);
    let (given, at) = (prices.clone(), Utc::now());
    let command = PriceBookCommand::Set { prices, source, at };
    let outcome: Outcome<PriceBook> = commands.execute(&context, PriceBook::id(), command).await?;
    let book = outcome.aggregate;
    let changed = match outcome.kind {
        OutcomeKind::Done => book.state.quotes(None).filter(|quote| quote.book_version > before).count() as u64,
        OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => 0,
    };
    // A table with dates of its own has later prices too.
    let key = |price: &Price| (price.provider.clone(), price.model.clone(), price.effective_from);
    let own: BTreeSet<_> = given.iter().map(key).collect();
    let is_of_others = |one: &Overtaken| !own.contains(&(one.provider.clone(), one.model.clone(), one.until));
    let overtaken = given.iter().filter_map(|price| overtaken(&book.state, price, at)).filter(is_of_others).collect();
    Ok(PricesSet { changed, overtaken, book })
}

fn overtaken(book: &PriceBook, price: &Price, now: DateTime<Utc>) -> Option<Overtaken> {
    let until = book.replaced_by(price)?.price.effective_from;
    let Price { provider, model, effective_from, .. } = price.clone();
    (until <= now).then_some(Overtaken { provider, model, effective_from, until })
}
