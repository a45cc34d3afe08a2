//! The price book.

use super::errors::{self, command_error};
use super::input::{self, Invalid};
use super::payload::{self, Order, Outcome, Settled};
use super::report::Currency;
use super::scalars::{Decimal, Long, Position, Timestamp, Uid, or_now};
use super::{Services, connection};
use crate::caller::Caller;
use async_graphql::connection::{Connection, Edge};
use async_graphql::{ComplexObject, Context, Error, InputObject, Object, Result, SimpleObject};
use domain::Money;
use domain::price_book::{
    self, Price as DomainPrice, PriceBook as Aggregate, PriceBookCommand, PriceBookError, Quote, Rate, RateError,
};
use std::sync::Arc;

/// The most prices in one command.
const MAX_PRICES: usize = 10_000;
/// The most tiers of one price.
const MAX_TIERS: usize = 16;

/// Dollars a million tokens, by kind of token. A kind without a rate of its own is charged as what it is a part of:
/// cached tokens as input, reasoning as output.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Rates {
    /// Prompt tokens that came from no cache.
    input: Decimal,
    /// Generated tokens.
    output: Decimal,
    /// Prompt tokens read from the cache.
    cache_read: Option<Decimal>,
    /// Prompt tokens written to the cache.
    cache_write: Option<Decimal>,
    /// Reasoning tokens.
    reasoning: Option<Decimal>,
}

impl From<&price_book::Rates> for Rates {
    fn from(rates: &price_book::Rates) -> Self {
        let rate = |rate: Rate| Decimal::from(rate.as_money());
        Self {
            input: rate(rates.input),
            output: rate(rates.output),
            cache_read: rates.cache_read.map(rate),
            cache_write: rates.cache_write.map(rate),
            reasoning: rates.reasoning.map(rate),
        }
    }
}

/// Other rates for the whole call, from a size of prompt on.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PriceTier {
    /// Holds when the prompt, cached or not, has more tokens than this.
    above_prompt_tokens: Long,
    /// The rates that hold then.
    rates: Rates,
}

/// A price: what one model of one provider costs from a date on.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Price {
    /// Who sells it, such as `openai`.
    provider: String,
    /// The model, as its provider names it.
    model: String,
    /// Since when; it holds until a later price for the same provider and model.
    effective_from: Timestamp,
    /// The currency of the rates.
    currency: Currency,
    /// The rates that hold unless a tier does.
    rates: Rates,
    /// Rates for large prompts.
    tiers: Vec<PriceTier>,
    /// The version of the book that set it.
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

/// Queries about prices.
#[derive(Default)]
pub(crate) struct PriceQuery;

#[Object]
impl PriceQuery {
    /// Prices, by model, provider and date.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn prices(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this provider alone.")] provider: Option<String>,
        #[graphql(desc = "Of this model alone.")] model: Option<String>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
    ) -> Result<Connection<String, Price>> {
        let size = connection::size(ctx, first)?;
        let after = after.map(|cursor| decode(&cursor).ok_or_else(|| connection::bad_cursor(&cursor))).transpose()?;
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let book = services.commands.load::<Aggregate>(&caller.tenant, Aggregate::id()).await;
        let book = book.map_err(|error| errors::failed(&error))?;
        let wanted = |quote: &&Quote| {
            provider.as_deref().is_none_or(|provider| provider == quote.price.provider.as_str())
                && model.as_deref().is_none_or(|model| model == quote.price.model.as_str())
                && after.as_ref().is_none_or(|after| place(quote) > *after)
        };
        let mut found: Vec<&Quote> = book.state.quotes().filter(wanted).take(size + 1).collect();
        let mut connection = Connection::new(after.is_some(), found.len() > size);
        found.truncate(size);
        for quote in found {
            connection.edges.push(Edge::new(encode(quote), Price::try_from(quote)?));
        }
        Ok(connection)
    }
}

/// Where a price stands in the order of the book.
fn place(quote: &Quote) -> (String, String, i64) {
    let price = &quote.price;
    (price.model.to_string(), price.provider.to_string(), price.effective_from.timestamp_micros())
}

fn encode(quote: &Quote) -> String {
    let (model, provider, micros) = place(quote);
    // Names are on one line.
    connection::encode_text(&format!("{model}\n{provider}\n{micros}"))
}

fn decode(cursor: &str) -> Option<(String, String, i64)> {
    let text = connection::decode_text(cursor)?;
    let mut parts = text.split('\n');
    let place = (parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(place)
}

command_error! {
    /// Why prices were not set.
    PriceCommandError, PriceErrorCode {
        /// No prices were given.
        Empty,
        /// Two different prices for one model and date in one command.
        Contradiction,
        /// A rate is below zero.
        NegativeRate,
    }
}

impl From<PriceBookError> for PriceCommandError {
    fn from(error: PriceBookError) -> Self {
        let code = match error {
            PriceBookError::Empty => PriceErrorCode::Empty,
            PriceBookError::ConflictingPrices { .. } => PriceErrorCode::Contradiction,
        };
        Self::new(code, error)
    }
}

impl From<RateError> for PriceCommandError {
    fn from(error: RateError) -> Self {
        Self::new(PriceErrorCode::NegativeRate, error)
    }
}

/// What became of setting prices.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct PricesPayload {
    /// The command's id: give it again to retry safely.
    command_id: Uid,
    /// What the command came to. Prices that stand as they are already change nothing.
    outcome: Outcome,
    /// The position of the last price that was set; none if the command was refused.
    position: Option<Position>,
    /// Why the command was refused.
    error: Option<PriceCommandError>,
}

#[ComplexObject]
impl PricesPayload {
    /// The version of the price book now.
    #[graphql(complexity = "connection::STATEMENT_COST")]
    async fn book_version(&self, ctx: &Context<'_>) -> Result<Long> {
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let book = services.commands.load::<Aggregate>(&caller.tenant, Aggregate::id()).await;
        book.map(|book| book.version.as_i64().into()).map_err(|error| errors::failed(&error))
    }
}

impl From<Settled<PriceCommandError>> for PricesPayload {
    fn from(settled: Settled<PriceCommandError>) -> Self {
        Self {
            command_id: settled.command_id.into(),
            outcome: settled.outcome,
            position: payload::position(settled.position),
            error: settled.error,
        }
    }
}

/// Dollars a million tokens, by kind of token; 0 or more.
#[derive(Debug, InputObject)]
pub(crate) struct RatesInput {
    /// Prompt tokens that came from no cache.
    input: Decimal,
    /// Generated tokens.
    output: Decimal,
    /// Prompt tokens read from the cache; charged as input if not given.
    cache_read: Option<Decimal>,
    /// Prompt tokens written to the cache; charged as input if not given.
    cache_write: Option<Decimal>,
    /// Reasoning tokens; charged as output if not given.
    reasoning: Option<Decimal>,
}

/// Other rates for the whole call, from a size of prompt on.
#[derive(Debug, InputObject)]
pub(crate) struct PriceTierInput {
    /// Holds when the prompt, cached or not, has more tokens than this.
    above_prompt_tokens: Long,
    /// The rates that hold then.
    rates: RatesInput,
}

/// A price.
#[derive(Debug, InputObject)]
pub(crate) struct PriceInput {
    /// Who sells it, such as `openai`.
    provider: String,
    /// The model, as its provider names it.
    model: String,
    /// Since when. What was charged before stays as it is.
    effective_from: Timestamp,
    /// The rates, in US dollars a million tokens.
    rates: RatesInput,
    /// Rates for large prompts; at most 16.
    tiers: Option<Vec<PriceTierInput>>,
}

/// Prices to be set.
#[derive(Debug, InputObject)]
pub(crate) struct SetPricesInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// The prices; at most 10,000.
    prices: Vec<PriceInput>,
    /// Where they come from; `api` if not given.
    source: Option<String>,
    /// The version that the book must be at; any if not given.
    expected_version: Option<Long>,
    /// When they are set, not when they take effect; now if not given.
    at: Option<Timestamp>,
}

/// Setting prices.
#[derive(Default)]
pub(crate) struct PriceMutation;

#[Object]
impl PriceMutation {
    /// Sets prices. A price holds from its date on; what was charged before never changes.
    async fn set_prices(&self, ctx: &Context<'_>, input: SetPricesInput) -> Result<PricesPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let settled = match command(input) {
            Ok(command) => {
                payload::run::<Aggregate, PriceCommandError>(ctx, Aggregate::id(), order, Ok(command)).await?
            }
            Err(error) => payload::refused(&order.context(ctx, Aggregate::id())?, Aggregate::id(), error),
        };
        Ok(settled.into())
    }
}

fn command(input: SetPricesInput) -> Result<PriceBookCommand, PriceCommandError> {
    if input.prices.len() > MAX_PRICES {
        let found = input.prices.len();
        return Err(Invalid::new("prices", format!("{found} prices, {MAX_PRICES} are allowed")).into());
    }
    let source = input::name("source", input.source.unwrap_or_else(|| "api".to_owned()))?;
    let prices = input.prices.into_iter().map(price).collect::<Result<_, _>>()?;
    Ok(PriceBookCommand::Set { prices, source, at: or_now(input.at) })
}

fn price(input: PriceInput) -> Result<DomainPrice, PriceCommandError> {
    let tiers = input.tiers.unwrap_or_default();
    if tiers.len() > MAX_TIERS {
        let found = tiers.len();
        return Err(Invalid::new("tiers", format!("{found} tiers, {MAX_TIERS} are allowed")).into());
    }
    let tier = |tier: PriceTierInput| {
        let above_prompt_tokens = tier.above_prompt_tokens.unsigned();
        Ok::<_, PriceCommandError>(price_book::Tier { above_prompt_tokens, rates: rates(&tier.rates)? })
    };
    Ok(DomainPrice {
        provider: input::name("provider", input.provider)?,
        model: input::name("model", input.model)?,
        effective_from: input.effective_from.0,
        currency: domain::Currency::Usd,
        rates: rates(&input.rates)?,
        tiers: tiers.into_iter().map(tier).collect::<Result<_, _>>()?,
    })
}

fn rates(input: &RatesInput) -> Result<price_book::Rates, PriceCommandError> {
    let rate = |rate: &Decimal| {
        let amount = Money::try_from(rate).map_err(|error| Invalid::new("rates", error))?;
        Ok::<_, PriceCommandError>(Rate::try_from(amount)?)
    };
    Ok(price_book::Rates {
        input: rate(&input.input)?,
        output: rate(&input.output)?,
        cache_read: input.cache_read.as_ref().map(rate).transpose()?,
        cache_write: input.cache_write.as_ref().map(rate).transpose()?,
        reasoning: input.reasoning.as_ref().map(rate).transpose()?,
    })
}
