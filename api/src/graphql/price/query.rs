//! Queries for prices.

use super::types::{Discount, Price};
use crate::graphql::scalars::Long;
use crate::graphql::services::{authorise, requester, services, state};
use crate::graphql::{connection, errors};
use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Object, Result};
use domain::permissions::ReadPrices;
use domain::price_book::{PriceBook, Quote};

/// The price book as it is now.
pub(crate) async fn book(ctx: &Context<'_>) -> Result<PriceBook> {
    Ok(PriceBook::clone(&*state(ctx, PriceBook::id()).await?))
}

/// Queries for prices.
#[derive(Default)]
pub(crate) struct PriceQuery;

#[Object]
impl PriceQuery {
    /// Lists prices, sorted by model, provider and the time from which they are effective.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn prices(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only prices of this provider. Default: of all providers.")] provider: Option<String>,
        #[graphql(desc = "Returns only prices of this model. Default: of all models.")] model: Option<String>,
        #[graphql(
            desc = "Returns the prices that this version of the price book had. Default: the prices that it has now."
        )]
        as_of_version: Option<Long>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of prices to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the prices after this cursor. Default: from the first price on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, Price>> {
        authorise::<ReadPrices>(ctx)?;
        let size = connection::size(ctx, first)?;
        let after = after.map(|cursor| decode(&cursor).ok_or_else(|| connection::bad_cursor(&cursor))).transpose()?;
        let book = services(ctx)?.commands.load::<PriceBook>(&requester(ctx)?.principal, PriceBook::id()).await;
        let book = book.map_err(|error| errors::failed(&error))?;
        let wanted = |quote: &&Quote| {
            provider.as_deref().is_none_or(|provider| provider == quote.price.provider.as_str())
                && model.as_deref().is_none_or(|model| model == quote.price.model.as_str())
                && after.as_ref().is_none_or(|after| sort_key(quote) > *after)
        };
        let mut found: Vec<&Quote> =
            book.state.quotes(as_of_version.map(Long::unsigned)).filter(wanted).take(size + 1).collect();
        let mut connection = Connection::new(after.is_some(), found.len() > size);
        found.truncate(size);
        for quote in found {
            connection.edges.push(Edge::new(encode(quote), Price::from(quote)));
        }
        Ok(connection)
    }

    /// Lists the discounts on list prices, sorted by name.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn discounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Returns the discounts that this version of the price book had. Default: those that it has now."
        )]
        as_of_version: Option<Long>,
    ) -> Result<Vec<Discount>> {
        authorise::<ReadPrices>(ctx)?;
        let book = services(ctx)?.commands.load::<PriceBook>(&requester(ctx)?.principal, PriceBook::id()).await;
        let book = book.map_err(|error| errors::failed(&error))?;
        Ok(book.state.discounts(as_of_version.map(Long::unsigned)).map(Discount::from).collect())
    }
}

/// What prices are sorted by: model, provider, whether it is one of a contract, and microseconds since 1970.
type SortKey = (String, String, bool, i64);

fn sort_key(quote: &Quote) -> SortKey {
    let price = &quote.price;
    let (model, provider) = (price.model.to_string(), price.provider.to_string());
    (model, provider, price.contract, price.effective_from.timestamp_micros())
}

fn encode(quote: &Quote) -> String {
    let (model, provider, contract, micros) = sort_key(quote);
    // Names contain no line breaks.
    connection::encode_text(&format!("{model}\n{provider}\n{}\n{micros}", u8::from(contract)))
}

fn decode(cursor: &str) -> Option<SortKey> {
    let text = connection::decode_text(cursor)?;
    let mut parts = text.split('\n');
    let (model, provider) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let contract = parts.next()? == "1";
    let key = (model, provider, contract, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(key)
}
