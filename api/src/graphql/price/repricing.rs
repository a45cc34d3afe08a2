//! Charging calls again by the prices that the price book has now.

use crate::graphql::call::CallCommandError;
use crate::graphql::command_options::MaySend;
use crate::graphql::connection;
use crate::graphql::errors;
use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::input::Invalid;
use crate::graphql::payload::Outcome;
use crate::graphql::scalars::{Currency, Decimal, Long, Position, Timestamp, Uid, or_now};
use crate::graphql::services::{authorise, requester, services};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use commands::{Error, PriceDifference, RecordRepricing, Reprice, Repriced};
use domain::permissions::{ReadCalls, ReadPrices};
use projections::calls::{self, CallFilter};
use uuid::Uuid;

/// The complexity of charging the calls of a request, in the unit of [`crate::config::Limits::max_complexity`]: each is folded from its
/// stream.
const REPRICING_COST: usize = 1_000;
/// The projection that finds the calls.
const CALLS: &[&str] = &["calls"];

/// Difference that charging calls again makes, of one model on one day.
#[derive(Debug, SimpleObject)]
pub(crate) struct RepricingDifference {
    /// Model, as the calls name it.
    model: Option<String>,
    /// Day (UTC) on which the calls started, such as `2023-11-14`.
    day: String,
    /// Number of calls with another charge.
    calls: Long,
    /// Number of those calls that had no price before.
    unpriced_before: Long,
    /// Sum of the charges before.
    before: Decimal,
    /// Sum of the charges after.
    after: Decimal,
    /// How much more the calls are charged after than before. Negative if it is less.
    difference: Decimal,
    /// Currency of the sums.
    currency: Currency,
}

/// Calls without a price.
#[derive(Debug, SimpleObject)]
pub(crate) struct UnpricedCalls {
    /// Model, as the calls name it.
    model: Option<String>,
    /// Provider that the calls name.
    provider: Option<String>,
    /// Reason for which they have no price.
    reason: String,
    /// Number of the calls.
    calls: Long,
    /// Number of those calls that keep a charge, by a price that the price book had before.
    charged: Long,
}

/// Version of the price book, with the calls that were looked at by it.
#[derive(Debug, SimpleObject)]
pub(crate) struct RepricingVersion {
    /// The version.
    version: Long,
    /// Number of the calls.
    calls: Long,
}

/// What charging some calls again changes, or would change: a part of a repricing, to be added to the others.
#[derive(Debug, SimpleObject)]
pub(crate) struct Repricing {
    /// Number of calls that were looked at: at most 500, in the order in which they started.
    calls: Long,
    /// Differences, by model and day. Calls without a difference are in none of them.
    differences: Vec<RepricingDifference>,
    /// Calls for which the price book has no price now. They are in none of the differences.
    unpriced: Vec<UnpricedCalls>,
    /// Calls that could not be charged again, such as one that others kept changing. They are in none of the differences.
    failed: Vec<NotRepriced>,
    /// Versions of the price book by which the calls were looked at: one, unless prices changed meanwhile.
    book_versions: Vec<RepricingVersion>,
    /// Cursor of the last call: pass it as `after` to go on with the calls that are left. Null if none is left.
    next: Option<String>,
    /// Start of the last call, if calls are left: they started then or later.
    next_from: Option<Timestamp>,
}

impl Repricing {
    fn new(repriced: &Repriced, next: Option<projections::Cursor>) -> Self {
        let difference = |((model, day), sums): (&(Option<domain::Name>, chrono::NaiveDate), &PriceDifference)| {
            let PriceDifference { calls, unpriced, before, after } = sums.clone();
            RepricingDifference {
                model: model.as_ref().map(ToString::to_string),
                day: day.to_string(),
                calls: Long::from_unsigned(calls),
                unpriced_before: Long::from_unsigned(unpriced),
                difference: sums.difference().into(),
                before: before.into(),
                after: after.into(),
                currency: Currency::Usd,
            }
        };
        let unpriced = |(by, count): (&commands::UnpricedBy, &commands::UnpricedCount)| UnpricedCalls {
            model: by.model.as_ref().map(ToString::to_string),
            provider: by.provider.as_ref().map(ToString::to_string),
            reason: by.reason.clone(),
            calls: Long::from_unsigned(count.calls),
            charged: Long::from_unsigned(count.charged),
        };
        let version = |(version, calls): (&u64, &u64)| RepricingVersion {
            version: Long::from_unsigned(*version),
            calls: Long::from_unsigned(*calls),
        };
        Self {
            calls: Long::from_unsigned(repriced.calls),
            differences: repriced.differences.iter().map(difference).collect(),
            unpriced: repriced.unpriced.iter().map(unpriced).collect(),
            failed: repriced.failed.iter().map(NotRepriced::from).collect(),
            book_versions: repriced.book_versions.iter().map(version).collect(),
            next: next.map(connection::encode),
            next_from: next.map(|(started_at, _)| started_at.into()),
        }
    }
}

/// A call that could not be charged again, or of which it could not be found out what that would change.
#[derive(Debug, SimpleObject)]
pub(crate) struct NotRepriced {
    /// Global id of the call.
    call: ID,
    /// Reason for which it could not.
    message: String,
}

impl From<&commands::NotRepriced> for NotRepriced {
    fn from(failed: &commands::NotRepriced) -> Self {
        Self { call: Kind::Call.id(failed.call_id), message: failed.reason.to_string() }
    }
}

/// Conditions on the calls that are charged again. A call must meet all conditions that are given.
#[derive(Debug, Default, InputObject)]
pub(crate) struct RepricingFilter {
    /// Selects calls of this model, as they name it.
    model: Option<String>,
    /// Selects calls that started at or after this time.
    from: Option<Timestamp>,
    /// Selects calls that started before this time.
    to: Option<Timestamp>,
}

/// Input of `repriceCalls`.
#[derive(Debug, InputObject)]
pub(crate) struct RepriceCallsInput {
    /// Id that all events of this command have as correlation id. Charging calls again by the same version of the price book
    /// changes nothing, with any `commandId`. Default: a new UUID.
    command_id: Option<Uid>,
    /// Reason for which the calls are charged again: text of at most 1 KiB, because each call has it.
    reason: String,
    /// Charges only calls that meet these conditions. Default: all calls of language models.
    filter: Option<RepricingFilter>,
    /// Charges the calls after this cursor: `next` of the part before. Default: from the first call on.
    after: Option<String>,
    /// Waits up to 10 seconds until the read model of calls has applied every event up to this position, and fails with `LATE` if
    /// it has not. Default: does not wait.
    min_position: Option<Position>,
    /// Time at which this happened. Default: the current time of the server.
    at: Option<Timestamp>,
}

/// Payload of `repriceCalls`.
#[derive(SimpleObject)]
pub(crate) struct RepriceCallsPayload {
    /// Id of the command.
    command_id: Uid,
    /// Outcome of this part. It is `ALREADY_DONE` if nothing was written.
    outcome: Outcome,
    /// Position of the last event that was written. Pass it as `minPosition` to see the result in queries. Null if none was.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<CallCommandError>,
    /// What was changed, and which calls are left. Null if the command was rejected.
    repricing: Option<Repricing>,
    /// Calls that could not be charged again. The rest was charged all the same.
    failed: Vec<NotRepriced>,
}

/// Reads a part of the calls, and charges them again.
async fn reprice(
    ctx: &Context<'_>,
    reprice: &Reprice,
    filter: Option<RepricingFilter>,
    after: Option<&str>,
) -> Result<Result<(Repriced, Option<projections::Cursor>), Error<domain::call::CallError>>> {
    let RepricingFilter { model, from, to } = filter.unwrap_or_default();
    let (from, to) = (from.map(|from| from.0), to.map(|to| to.0));
    let filter = CallFilter::to_reprice(model, from, to);
    let after = after.map(connection::cursor).transpose()?;
    let access = authorise::<ReadCalls>(ctx)?;
    let part = calls::part(&services(ctx)?.reads, &access, &filter, after, Reprice::MAX_CALLS).await;
    let (ids, next) = part.map_err(|error| errors::database(&error))?;
    Ok(services(ctx)?.commands.reprice(reprice, &ids).await.map(|repriced| (repriced, next)))
}

/// Queries about charging calls again.
#[derive(Default)]
pub(crate) struct RepricingQuery;

#[Object]
impl RepricingQuery {
    /// Finds what it would change to charge calls of language models again by the prices that the price book has now, and
    /// changes nothing.
    ///
    /// A request looks at 500 calls, in the order in which they started: ask again with `next` as `after` until it is null, and
    /// add up the differences. It has a complexity of 1000.
    #[graphql(complexity = "REPRICING_COST + child_complexity")]
    async fn repricing(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Looks only at calls that meet these conditions. Default: all calls of language models.")]
        filter: Option<RepricingFilter>,
        #[graphql(
            desc = "Looks at the calls after this cursor: `next` of the part before. Default: from the first call on."
        )]
        after: Option<String>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read model of calls has applied every event up to this position, and fails \
                    with `LATE` if it has not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Repricing> {
        authorise::<ReadCalls>(ctx)?;
        authorise::<ReadPrices>(ctx)?;
        await_projections(ctx, CALLS, min_position).await?;
        let dry_run = Reprice { principal: requester(ctx)?.principal.clone(), record: None };
        let (repriced, next) =
            reprice(ctx, &dry_run, filter, after.as_deref()).await?.map_err(|error| errors::failed(&error))?;
        Ok(Repricing::new(&repriced, next))
    }
}

/// Commands that charge calls again.
#[derive(Default)]
pub(crate) struct RepricingMutation;

#[Object]
impl RepricingMutation {
    /// Charges calls of language models again by the prices that the price book has now: each call with another charge gets an
    /// event with the charge before and after, and the reason. A call that has no price now keeps its charge. The query
    /// `repricing` says before what this changes.
    ///
    /// A request charges up to 500 calls, in the order in which they started: send the command again, with `next` as `after`,
    /// until it is null. One that was interrupted may be sent again: calls that were charged are not charged twice.
    ///
    /// Takes the permissions to set prices, to change calls, and to read calls.
    #[graphql(complexity = "REPRICING_COST + child_complexity")]
    async fn reprice_calls(&self, ctx: &Context<'_>, input: RepriceCallsInput) -> Result<RepriceCallsPayload> {
        MaySend::check(ctx)?;
        authorise::<ReadCalls>(ctx)?;
        let RepriceCallsInput { command_id, reason, filter, after, min_position, at } = input;
        let command_id = command_id.map_or_else(Uuid::now_v7, |id| id.0);
        let requester = requester(ctx)?;
        let may = Reprice { principal: requester.principal.clone(), record: None };
        may.check_recording().map_err(|forbidden| errors::forbidden(&forbidden))?;
        let reason = match Reprice::reason(&reason).map_err(|error| Invalid::new("reason", error)) {
            Ok(reason) => reason,
            Err(invalid) => return Ok(RepriceCallsPayload::rejected(command_id, invalid.into())),
        };
        await_projections(ctx, CALLS, min_position).await?;
        let correlation_id = requester.correlation_id.unwrap_or(command_id);
        let record = Some(RecordRepricing { reason, at: or_now(at), correlation_id });
        match reprice(ctx, &Reprice { record, ..may }, filter, after.as_deref()).await? {
            Ok((repriced, next)) => Ok(RepriceCallsPayload::new(command_id, &repriced, next)),
            Err(Error::Rejected(rejected)) => Ok(RepriceCallsPayload::rejected(command_id, rejected.into())),
            Err(error) => Err(errors::failed(&error)),
        }
    }
}

impl RepriceCallsPayload {
    fn rejected(command_id: Uuid, error: CallCommandError) -> Self {
        let (outcome, command_id) = (Outcome::Rejected, command_id.into());
        Self { command_id, outcome, position: None, error: Some(error), repricing: None, failed: Vec::new() }
    }

    fn new(command_id: Uuid, repriced: &Repriced, next: Option<projections::Cursor>) -> Self {
        let is_written = repriced.position > commands::Position::ZERO;
        Self {
            command_id: command_id.into(),
            outcome: if is_written { Outcome::Done } else { Outcome::AlreadyDone },
            position: is_written.then_some(Position(repriced.position)),
            error: None,
            repricing: Some(Repricing::new(repriced, next)),
            failed: repriced.failed.iter().map(NotRepriced::from).collect(),
        }
    }
}
