//! The tenant's price book: filled with the shipped prices before it is first needed.

use chrono::Utc;
use commands::{Commands, Context, Loaded, Outcome, OutcomeKind};
use domain::price_book::{Price, PriceBook, PriceBookCommand};
use domain::{Name, TenantId, derived_id};
use std::sync::Arc;
use uuid::Uuid;

/// What the shipped prices are called as a source.
const BUILTIN: &str = "builtin";

/// How many prices a command changed, and the book afterwards.
pub struct PricesSet {
    /// Prices that were new or different.
    pub changed: u64,
    /// The book.
    pub book: Arc<Loaded<PriceBook>>,
}

/// Sets the shipped prices where the book is still empty. Once a tenant has a book it is the tenant's alone.
///
/// # Errors
/// Where the shipped prices do not fit, or the log fails.
pub async fn ensure(commands: &Commands, tenant: &TenantId) -> anyhow::Result<Arc<Loaded<PriceBook>>> {
    let book = commands.load::<PriceBook>(tenant, PriceBook::id()).await?;
    if book.version.get() > 0 {
        return Ok(book);
    }
    let command_id = derived_id(&["prices", BUILTIN]);
    Ok(set(commands, tenant, crate::prices::builtin()?, BUILTIN, command_id).await?.book)
}

/// Sets prices.
///
/// # Errors
/// Where the book refuses them, or the log fails.
pub async fn set(
    commands: &Commands,
    tenant: &TenantId,
    prices: Vec<Price>,
    source: &str,
    command_id: Uuid,
) -> anyhow::Result<PricesSet> {
    let before = commands.load::<PriceBook>(tenant, PriceBook::id()).await?.version.get();
    let context = Context::new(tenant.clone(), "apex", command_id);
    let command = PriceBookCommand::Set { prices, source: Name::new(source)?, at: Utc::now() };
    let outcome: Outcome<PriceBook> = commands.execute(&context, PriceBook::id(), command).await?;
    let changed = match outcome.kind {
        OutcomeKind::Done => outcome.aggregate.version.get() - before,
        OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => 0,
    };
    Ok(PricesSet { changed, book: outcome.aggregate })
}
