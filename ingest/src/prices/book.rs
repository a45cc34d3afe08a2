//! The price book of a tenant, initialised with the shipped prices.

use super::builtin::{BuiltinError, builtin};
use chrono::Utc;
use commands::{Commands, Context, Error, Loaded, Outcome, OutcomeKind, Principal};
use domain::price_book::{Price, PriceBook, PriceBookCommand, PriceBookError};
use domain::{Name, TextError, derived_id};
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
    /// The book after the change.
    pub book: Arc<Loaded<PriceBook>>,
}

/// Why prices cannot be set.
#[derive(Debug, ThisError)]
pub enum SetPricesError {
    /// The shipped prices cannot be read.
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
    /// The name of the source is invalid.
    #[error("the name of the source of the prices is invalid")]
    Source(#[from] TextError),
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
    Ok(set(commands, principal, builtin()?, BUILTIN, command_id).await?.book)
}

/// Sets prices in the price book of the principal's tenant.
///
/// # Errors
/// [`SetPricesError::Source`] if `source` is not a name; [`SetPricesError::Book`] if the book refuses the prices, or
/// cannot be loaded or changed.
pub async fn set(
    commands: &Commands,
    principal: &Principal,
    prices: Vec<Price>,
    source: &str,
    command_id: Uuid,
) -> Result<PricesSet, SetPricesError> {
    let before = commands.load::<PriceBook>(principal, PriceBook::id()).await?.version.get();
    let context = Context::new(principal.clone(), command_id);
    let command = PriceBookCommand::Set { prices, source: Name::new(source)?, at: Utc::now() };
    let outcome: Outcome<PriceBook> = commands.execute(&context, PriceBook::id(), command).await?;
    let changed = match outcome.kind {
        OutcomeKind::Done => outcome.aggregate.version.get() - before,
        OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => 0,
    };
    Ok(PricesSet { changed, book: outcome.aggregate })
}
