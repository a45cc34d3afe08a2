//! Commands to the price book.

use super::types::Meter;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, Outcome};
use crate::graphql::scalars::{Decimal, Long, Position, Timestamp, Uid, or_now};
use crate::graphql::services::{requester, services};
use crate::graphql::{connection, errors};
use async_graphql::{ComplexObject, Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::price_book::{
    self, Conditions, ContextSize, Discount, MAX_DISCOUNTS, MAX_NAMES, MAX_UTC_OFFSET_MINUTES, MILLION, Minute,
    ModelPattern, Percent, Price, PriceBook, PriceBookCommand, PriceBookError, PriceSource, Rate, RateError,
    TimeWindow,
};
use domain::{Money, Unit, error_with_causes};
use std::num::NonZeroU64;

/// The most prices in one command.
const MAX_PRICES: usize = 10_000;

command_error! {
    /// Reason for which `setPrices` or `setDiscounts` was rejected.
    PriceCommandError,
    /// Reasons for which `setPrices` and `setDiscounts` are rejected.
    PriceErrorCode {
        /// The list of prices or discounts is empty.
        Empty,
        /// The command has two different prices for the same provider, model and time.
        Contradiction,
        /// A rate is negative.
        NegativeRate,
        /// A price has no components or too many, components that contradict each other, or conditions that are not
        /// valid.
        InvalidPrice,
        /// There are too many discounts, two of one name, or one that ends before it takes effect.
        InvalidDiscount,
    }
}

impl From<PriceBookError> for PriceCommandError {
    fn from(error: PriceBookError) -> Self {
        let code = match error {
            PriceBookError::Empty => PriceErrorCode::Empty,
            PriceBookError::ConflictingPrices { .. } => PriceErrorCode::Contradiction,
            PriceBookError::InvalidPrice { .. } => PriceErrorCode::InvalidPrice,
            PriceBookError::NumberOfDiscounts { found: 0 } => PriceErrorCode::Empty,
            PriceBookError::NumberOfDiscounts { .. } | PriceBookError::InvalidDiscount { .. } => {
                PriceErrorCode::InvalidDiscount
            }
        };
        Self::new(code, error_with_causes(&error))
    }
}

impl From<RateError> for PriceCommandError {
    fn from(error: RateError) -> Self {
        Self::new(PriceErrorCode::NegativeRate, error)
    }
}

/// Payload of `setPrices` and `setDiscounts`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct PricesPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command. It is `ALREADY_DONE` if the price book contains all of the prices or discounts already.
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

/// A size that must be exceeded.
#[derive(Debug, InputObject)]
pub(crate) struct ContextSizeInput {
    /// The size, which itself does not exceed it.
    above: Long,
    /// Whether the component bills only the units of its meter above the size, up to the next higher size. If not, the
    /// size is that of the prompt in tokens, cached tokens included, and the component bills the whole call. Default: false.
    graduated: Option<bool>,
}

/// A part of the day, on some days of the week.
#[derive(Debug, InputObject)]
pub(crate) struct TimeWindowInput {
    /// First minute, from `00:00` to `23:59`.
    from: String,
    /// Minute after the last one. The window continues after midnight if it is not later than `from`.
    to: String,
    /// Offset of the time zone from UTC, in minutes: at most 840. Default: 0.
    utc_offset_minutes: Option<i32>,
    /// Days of the week, from 1 for Monday to 7 for Sunday. Default: every day.
    weekdays: Option<Vec<i32>>,
}

/// Conditions under which a component of a price applies: all of them must be met.
#[derive(Debug, InputObject)]
pub(crate) struct PriceConditionsInput {
    /// Size that must be exceeded. Default: any size.
    context: Option<ContextSizeInput>,
    /// Service tier of the call, such as `batch`: one line of at most 256 bytes. Default: any.
    service_tier: Option<String>,
    /// Speed of the call, such as `fast`: one line of at most 256 bytes. Default: any.
    speed: Option<String>,
    /// Region that the call was processed in, such as `eu`: one line of at most 256 bytes. Default: any.
    region: Option<String>,
    /// Time at which the call started. Default: any.
    time: Option<TimeWindowInput>,
}

/// Component of a price: the rate of one meter under some conditions.
#[derive(Debug, InputObject)]
pub(crate) struct PriceComponentInput {
    /// Meter whose units are billed.
    meter: Meter,
    /// Rate in US dollars for `per` units, 0 or more.
    rate: Decimal,
    /// Number of units that the rate is for, at least 1. Default: 1,000,000 for meters of tokens, 1 for others.
    per: Option<Long>,
    /// Conditions under which the component applies. Default: it always does.
    when: Option<PriceConditionsInput>,
}

/// A price: what one model of one provider costs from a date on.
#[derive(Debug, InputObject)]
pub(crate) struct PriceInput {
    /// Provider that sells the model, such as `openai`: one line of at most 256 bytes.
    provider: String,
    /// Name that the provider gives the model: one line of at most 256 bytes.
    model: String,
    /// Whether the provider is the maker of the model, which then holds for all of its prices for the model. Calls that
    /// name no provider are charged at the price of the maker. Default: false.
    list_price: Option<bool>,
    /// Other names under which calls name the model, at most 64, each one line of at most 256 bytes. Default: none.
    names: Option<Vec<String>>,
    /// Patterns of further names, at most 64, such as `gpt-5* !*-pro`: `*` is any number of characters, `?` any character,
    /// `#` a digit, and patterns after `!` exclude names. A price that has the name itself precedes them. Default: none.
    patterns: Option<Vec<String>>,
    /// Whether the price is one of the tenant's own contract, which precedes list prices and has no discount. Default: false.
    contract: Option<bool>,
    /// Time from which the price is effective, until `effectiveTo` or a later price for the same provider and model.
    /// Calls that were charged already keep their cost.
    effective_from: Timestamp,
    /// Time at which the price ends, after `effectiveFrom`. Default: never.
    effective_to: Option<Timestamp>,
    /// Components, at least 1 and at most 64. Those of a meter differ in their conditions.
    components: Vec<PriceComponentInput>,
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
    /// Version that the price book must have. The command is rejected with `WRONG_VERSION` if it has another one.
    /// Default: any version.
    expected_version: Option<Long>,
    /// Time at which the prices were set, which does not affect from when they are effective. Default: the current time
    /// of the server.
    at: Option<Timestamp>,
}

/// A discount on list prices, such as that of a contract.
#[derive(Debug, InputObject)]
pub(crate) struct DiscountInput {
    /// Name of the discount: one line of at most 256 bytes. Setting another one of the name replaces it.
    name: String,
    /// Provider whose prices are discounted: one line of at most 256 bytes. Default: all providers.
    provider: Option<String>,
    /// Pattern of the models whose prices are discounted, as in `PriceInput.patterns`. Default: all models.
    models: Option<String>,
    /// Part of the list price that is not charged, in percent: from 0 to 100 with at most 4 decimal places. 0 replaces an
    /// earlier discount of the name by none.
    percent: Decimal,
    /// Time from which the discount is effective.
    effective_from: Timestamp,
    /// Time at which the discount ends, after `effectiveFrom`. Default: never.
    effective_to: Option<Timestamp>,
}

/// Input of `setDiscounts`.
#[derive(Debug, InputObject)]
pub(crate) struct SetDiscountsInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
    /// position of the first execution. A key that was used for another mutation, object or input is rejected with
    /// `COMMAND_ID_REUSED`. Default: a new UUID.
    command_id: Option<Uid>,
    /// Discounts to set, at least 1 and at most 1,000, each with another name.
    discounts: Vec<DiscountInput>,
    /// Version that the price book must have. The command is rejected with `WRONG_VERSION` if it has another one.
    /// Default: any version.
    expected_version: Option<Long>,
    /// Time at which the discounts were set, which does not affect from when they are effective. Default: the current time
    /// of the server.
    at: Option<Timestamp>,
}

/// Commands to the price book.
#[derive(Default)]
pub(crate) struct PriceMutation;

#[Object]
impl PriceMutation {
    /// Sets prices. A price applies to calls that started at or after its effective time. Calls that were charged
    /// already keep their cost.
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

    /// Sets discounts on list prices. A discount applies to calls that started while it is effective and are charged after
    /// it was set. Calls that were charged already keep their cost.
    async fn set_discounts(&self, ctx: &Context<'_>, input: SetDiscountsInput) -> Result<PricesPayload> {
        let options = CommandOptions {
            may_send: MaySend::check(ctx)?,
            target: PriceBook::id(),
            command_id: input.command_id,
            expected_version: input.expected_version,
            at: or_now(input.at),
        };
        let command = discounts_command(input.discounts, options.at);
        payload::execute::<PriceBook, PriceCommandError>(ctx, options, command).await.map(Into::into)
    }
}

fn discounts_command(discounts: Vec<DiscountInput>, at: DateTime<Utc>) -> Result<PriceBookCommand, PriceCommandError> {
    if discounts.len() > MAX_DISCOUNTS {
        let found = discounts.len();
        let message = format!("{found} discounts, at most {MAX_DISCOUNTS} are allowed");
        return Err(Invalid::new("discounts", message).into());
    }
    let discounts = discounts.into_iter().map(discount).collect::<Result<_, _>>()?;
    Ok(PriceBookCommand::SetDiscounts { discounts, at })
}

fn discount(input: DiscountInput) -> Result<Discount, PriceCommandError> {
    let percent = Money::try_from(&input.percent).map_err(|error| Invalid::new("percent", error))?;
    let percent = Percent::try_from(percent.as_decimal()).map_err(|error| Invalid::new("percent", error))?;
    Ok(Discount {
        name: input::name("name", input.name)?,
        provider: input::name_opt("provider", input.provider)?,
        models: input.models.map(|models| pattern("models", &models)).transpose()?,
        percent,
        effective_from: input.effective_from.0,
        effective_to: input.effective_to.map(|end| end.0),
    })
}

fn pattern(field: &'static str, text: &str) -> Result<ModelPattern, Invalid> {
    ModelPattern::new(text).map_err(|error| Invalid::new(field, error))
}

fn command(input: SetPricesInput, at: DateTime<Utc>) -> Result<PriceBookCommand, PriceCommandError> {
    if input.prices.len() > MAX_PRICES {
        let found = input.prices.len();
        return Err(Invalid::new("prices", format!("{found} prices, at most {MAX_PRICES} are allowed")).into());
    }
    let source = PriceSource::named(input::name("source", input.source.unwrap_or_else(|| "api".to_owned()))?);
    let prices = input.prices.into_iter().map(price).collect::<Result<_, _>>()?;
    Ok(PriceBookCommand::Set { prices, source, at })
}

fn price(input: PriceInput) -> Result<Price, PriceCommandError> {
    let (names, patterns) = (input.names.unwrap_or_default(), input.patterns.unwrap_or_default());
    for (field, found) in [("names", names.len()), ("patterns", patterns.len())] {
        if found > MAX_NAMES {
            return Err(Invalid::new(field, format!("{found} are given, at most {MAX_NAMES} are allowed")).into());
        }
    }
    let components = input.components.into_iter().map(component).collect::<Result<_, _>>()?;
    Ok(Price {
        list_price: input.list_price.unwrap_or_default(),
        names: names.into_iter().map(|text| input::name("names", text)).collect::<Result<_, _>>()?,
        patterns: patterns.iter().map(|text| pattern("patterns", text)).collect::<Result<_, _>>()?,
        contract: input.contract.unwrap_or_default(),
        effective_from: input.effective_from.0,
        effective_to: input.effective_to.map(|end| end.0),
        ..Price::new(input::name("provider", input.provider)?, input::name("model", input.model)?, components)
    })
}

fn component(input: PriceComponentInput) -> Result<price_book::PriceComponent, PriceCommandError> {
    let meter = domain::Meter::from(input.meter);
    let amount = Money::try_from(&input.rate).map_err(|error| Invalid::new("rate", error))?;
    let per = match input.per {
        Some(per) => {
            NonZeroU64::new(per.unsigned()).ok_or_else(|| Invalid::new("per", "0 units, at least 1 is needed"))?
        }
        None if meter.unit() == Unit::Token => MILLION,
        None => NonZeroU64::MIN,
    };
    let when = input.when.map(conditions).transpose()?.unwrap_or_default();
    Ok(price_book::PriceComponent { meter, rate: Rate::try_from(amount)?, per, when })
}

fn conditions(input: PriceConditionsInput) -> Result<Conditions, Invalid> {
    let context = |size: ContextSizeInput| ContextSize {
        above: size.above.unsigned(),
        graduated: size.graduated.unwrap_or_default(),
    };
    Ok(Conditions {
        context: input.context.map(context),
        service_tier: input::name_opt("serviceTier", input.service_tier)?,
        speed: input::name_opt("speed", input.speed)?,
        region: input::name_opt("region", input.region)?,
        time: input.time.map(time_window).transpose()?,
    })
}

fn time_window(input: TimeWindowInput) -> Result<TimeWindow, Invalid> {
    let minute = |field, text: String| Minute::try_from(text).map_err(|error| Invalid::new(field, error));
    let offset = input.utc_offset_minutes.unwrap_or_default();
    let weekday = |day: i32| {
        let day = u8::try_from(day).ok().filter(|day| (1..=7).contains(day));
        day.ok_or_else(|| Invalid::new("weekdays", "a day of the week is 1 to 7"))
    };
    Ok(TimeWindow {
        from: minute("from", input.from)?,
        to: minute("to", input.to)?,
        utc_offset_minutes: i16::try_from(offset).map_err(|_| {
            Invalid::new("utcOffsetMinutes", format!("{offset}, at most {MAX_UTC_OFFSET_MINUTES} are allowed"))
        })?,
        weekdays: input.weekdays.unwrap_or_default().into_iter().map(weekday).collect::<Result<_, _>>()?,
    })
}
