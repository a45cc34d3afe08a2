//! Commands to the price book.

use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, Outcome};
use crate::graphql::scalars::{Decimal, Long, Position, Timestamp, Uid, or_now};
use crate::graphql::services::{requester, services};
use crate::graphql::{connection, errors};
use async_graphql::{ComplexObject, Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::price_book::{self, Price, PriceBook, PriceBookCommand, PriceBookError, Rate, RateError};
use domain::{Meter, Money, for_each_meter};
use std::collections::BTreeMap;

/// The most prices in one command.
const MAX_PRICES: usize = 10_000;
/// The most tiers of one price.
const MAX_TIERS: usize = 16;

command_error! {
    /// Reason for which `setPrices` was rejected.
    PriceCommandError,
    /// Reasons for which `setPrices` is rejected.
    PriceErrorCode {
        /// The list of prices is empty.
        Empty,
        /// The command has two different prices for the same provider, model and time.
        Contradiction,
        /// A rate is negative.
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

/// Payload of `setPrices`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct PricesPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command. It is `ALREADY_DONE` if the price book contains all of the prices already.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<PriceCommandError>,
}

#[ComplexObject]
impl PricesPayload {
    /// Current version of the price book: the number of its events.
    #[graphql(complexity = "connection::STATEMENT_COST")]
    async fn book_version(&self, ctx: &Context<'_>) -> Result<Long> {
        let book = services(ctx)?.commands.load::<PriceBook>(&requester(ctx)?.principal, PriceBook::id()).await;
        book.map(|book| book.version.as_i64().into()).map_err(|error| errors::failed(&error))
    }
}

impl From<CommandResult<PriceCommandError>> for PricesPayload {
    fn from(result: CommandResult<PriceCommandError>) -> Self {
        let CommandResult { command_id, outcome, position, error, .. } = result;
        Self { command_id: command_id.into(), outcome, position, error }
    }
}

macro_rules! rates_input {
    ($($variant:ident, $name:ident, $column:ident, $description:tt, $definition:tt);+ $(;)?) => {
        /// Rates by meter, in US dollars per million units, each 0 or more. A meter without a rate of its own is charged at
        /// another rate: cache reads and writes at `input`, reasoning at `output`. `input` and `output` are required.
        #[derive(Debug, InputObject)]
        pub(crate) struct RatesInput {
            $(#[doc = $description] $name: Option<Decimal>),+
        }

        impl RatesInput {
            /// The rates that are given.
            fn given(&self) -> impl Iterator<Item = (Meter, &Decimal)> {
                [$((Meter::$variant, self.$name.as_ref())),+]
                    .into_iter()
                    .filter_map(|(meter, rate)| Some((meter, rate?)))
            }
        }
    };
}
for_each_meter!(rates_input);

/// Rates that apply to the whole call if its prompt is large.
#[derive(Debug, InputObject)]
pub(crate) struct PriceTierInput {
    /// The tier applies if the prompt, cached tokens included, has more tokens than this.
    above_prompt_tokens: Long,
    /// Rates of the tier.
    rates: RatesInput,
}

/// A price: the rates of one model of one provider from a date on.
#[derive(Debug, InputObject)]
pub(crate) struct PriceInput {
    /// Provider that offers the model, such as `openai`: one line of at most 256 bytes.
    provider: String,
    /// Name that the provider gives the model: one line of at most 256 bytes.
    model: String,
    /// Time from which the price is effective, until a later price for the same provider and model. Calls that were charged
    /// already keep their cost.
    effective_from: Timestamp,
    /// Rates that apply if no tier does.
    rates: RatesInput,
    /// Tiers for large prompts, at most 16. Default: none.
    tiers: Option<Vec<PriceTierInput>>,
}

/// Input of `setPrices`.
#[derive(Debug, InputObject)]
pub(crate) struct SetPricesInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
    /// position of the first execution. A key that was used for another mutation, object or input is rejected with
    /// `COMMAND_ID_REUSED`. Default: a new UUID.
    command_id: Option<Uid>,
    /// Prices to set, at least 1 and at most 10,000.
    prices: Vec<PriceInput>,
    /// Source of the prices: one line of at most 256 bytes. Default: `api`.
    source: Option<String>,
    /// Version that the price book must have. The command is rejected with `WRONG_VERSION` if it has another one. Default:
    /// any version.
    expected_version: Option<Long>,
    /// Time at which the prices were set, which does not affect from when they are effective. Default: the current time of
    /// the server.
    at: Option<Timestamp>,
}

/// Commands to the price book.
#[derive(Default)]
pub(crate) struct PriceMutation;

#[Object]
impl PriceMutation {
    /// Sets prices. A price applies to calls that started at or after its effective time. Calls that were charged already
    /// keep their cost.
    async fn set_prices(&self, ctx: &Context<'_>, input: SetPricesInput) -> Result<PricesPayload> {
        let options = CommandOptions {
            may_send: MaySend::check(ctx)?,
            target: PriceBook::id(),
            command_id: input.command_id,
            expected_version: input.expected_version,
            at: or_now(input.at),
        };
        let command = command(input, options.at);
        payload::execute::<PriceBook, PriceCommandError>(ctx, options, command).await.map(Into::into)
    }
}

fn command(input: SetPricesInput, at: DateTime<Utc>) -> Result<PriceBookCommand, PriceCommandError> {
    if input.prices.len() > MAX_PRICES {
        let found = input.prices.len();
        return Err(Invalid::new("prices", format!("{found} prices, at most {MAX_PRICES} are allowed")).into());
    }
    let source = input::name("source", input.source.unwrap_or_else(|| "api".to_owned()))?;
    let prices = input.prices.into_iter().map(price).collect::<Result<_, _>>()?;
    Ok(PriceBookCommand::Set { prices, source, at })
}

fn price(input: PriceInput) -> Result<Price, PriceCommandError> {
    let tiers = input.tiers.unwrap_or_default();
    if tiers.len() > MAX_TIERS {
        let found = tiers.len();
        return Err(Invalid::new("tiers", format!("{found} tiers, at most {MAX_TIERS} are allowed")).into());
    }
    let tier = |tier: PriceTierInput| {
        let above_prompt_tokens = tier.above_prompt_tokens.unsigned();
        Ok::<_, PriceCommandError>(price_book::Tier { above_prompt_tokens, rates: rates(&tier.rates)? })
    };
    Ok(Price {
        provider: input::name("provider", input.provider)?,
        model: input::name("model", input.model)?,
        effective_from: input.effective_from.0,
        currency: domain::Currency::Usd,
        rates: rates(&input.rates)?,
        tiers: tiers.into_iter().map(tier).collect::<Result<_, _>>()?,
    })
}

fn rates(input: &RatesInput) -> Result<price_book::Rates, PriceCommandError> {
    let rate = |(meter, rate): (Meter, &Decimal)| {
        let amount = Money::try_from(rate).map_err(|error| Invalid::new("rates", error))?;
        Ok::<_, PriceCommandError>((meter, Rate::try_from(amount)?))
    };
    let rates = input.given().map(rate).collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(price_book::Rates::try_from(rates).map_err(|error| Invalid::new("rates", error))?)
}
