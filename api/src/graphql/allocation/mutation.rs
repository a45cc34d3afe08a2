//! The command to the allocation rules.

use super::query;
use super::rules::AllocationRules;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::connection;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, Outcome};
use crate::graphql::price::Meter;
use crate::graphql::scalars::{Long, Position, Timestamp, Uid, or_now};
use async_graphql::{ComplexObject, Context, InputObject, Object, OneofObject, Result, SimpleObject};
use domain::allocation::{self as model, AllocationDimension, AllocationError, AllocationRulesCommand};
use domain::{CostCentreCode, Name, error_with_causes};
use std::collections::BTreeMap;

command_error! {
    /// Reason for which `setAllocationRules` was rejected.
    AllocationCommandError,
    /// Reasons for which `setAllocationRules` is rejected.
    AllocationErrorCode {
        /// There are no cost centres, or too many of them, of rules, or of values in rules.
        Number,
        /// The cost centres and rules have more than 500,000 bytes as JSON.
        TooLarge,
        /// Two cost centres have the same code.
        DuplicateCode,
        /// A rule assigns nothing: it names no value, one that no call has, or what an earlier one has.
        IneffectiveRule,
        /// A rule, or the sharing of costs, names a cost centre that is not among the cost centres.
        UnknownCostCentre,
        /// No sums are kept by the dimensions of the rules together.
        MixedDimensions,
        /// There are no weights, or one is zero or too large.
        InvalidWeight,
        /// The limit of 1,000 consecutive versions is reached.
        TooManyPeriods,
    }
}

impl From<AllocationError> for AllocationCommandError {
    fn from(error: AllocationError) -> Self {
        let code = match error {
            AllocationError::NumberOfCostCentres { .. }
            | AllocationError::TooManyRules { .. }
            | AllocationError::TooManyValues { .. } => AllocationErrorCode::Number,
            AllocationError::TooLarge { .. } => AllocationErrorCode::TooLarge,
            AllocationError::DuplicateCode(_) => AllocationErrorCode::DuplicateCode,
            AllocationError::EmptyRule { .. }
            | AllocationError::CodesTwice { .. }
            | AllocationError::NotAnId { .. } => AllocationErrorCode::IneffectiveRule,
            AllocationError::UnknownCostCentre { .. } => AllocationErrorCode::UnknownCostCentre,
            AllocationError::MixedDimensions { .. } => AllocationErrorCode::MixedDimensions,
            AllocationError::NoWeights | AllocationError::InvalidWeight { .. } => AllocationErrorCode::InvalidWeight,
            AllocationError::TooManyPeriods => AllocationErrorCode::TooManyPeriods,
        };
        Self::new(code, error)
    }
}

/// A unit of an organisation to which costs are allocated.
#[derive(Debug, InputObject)]
pub(crate) struct CostCentreInput {
    /// Code of the cost centre, unique among them: one line of at most 64 bytes.
    code: String,
    /// Display name: one line of at most 256 bytes.
    name: String,
}

/// A value that usage must have of a dimension.
#[derive(Debug, InputObject)]
pub(crate) struct AllocationValueInput {
    /// The dimension: `agent`, `user`, `team`, `key`, `provider`, `model`, `tool`, `outcome` or `source`; a tag is `tag:KEY`.
    dimension: String,
    /// The value as reports have it; of agents, their UUID in lower case.
    value: String,
}

/// Assigns usage that has all of some values to one cost centre.
#[derive(Debug, InputObject)]
pub(crate) struct MatchRuleInput {
    /// Values that usage must have, at least one and each of another dimension.
    when: Vec<AllocationValueInput>,
    /// Code of the cost centre.
    cost_centre: String,
}

/// The cost centre of a value.
#[derive(Debug, InputObject)]
pub(crate) struct ValueCostCentreInput {
    /// The value as reports have it; of agents, their UUID in lower case.
    value: String,
    /// Code of the cost centre.
    cost_centre: String,
}

/// Assigns usage to the cost centre of its value of one dimension.
#[derive(Debug, InputObject)]
pub(crate) struct ValuesRuleInput {
    /// The dimension, as of a value of a rule.
    dimension: String,
    /// Cost centre of each value, at least one.
    cost_centres: Vec<ValueCostCentreInput>,
}

/// Assigns usage to the cost centre whose code its value of one dimension is.
#[derive(Debug, InputObject)]
pub(crate) struct CodesRuleInput {
    /// The dimension, as of a value of a rule.
    dimension: String,
}

/// A rule that assigns usage to cost centres. Give exactly one kind.
#[derive(Debug, OneofObject)]
pub(crate) enum AllocationRuleInput {
    /// Usage that has all of some values is assigned to one cost centre.
    Match(MatchRuleInput),
    /// Usage is assigned to the cost centre of its value of one dimension.
    Values(ValuesRuleInput),
    /// Usage is assigned to the cost centre whose code its value of one dimension is.
    Codes(CodesRuleInput),
}

/// The weight of a cost centre.
#[derive(Debug, InputObject)]
pub(crate) struct CostCentreWeightInput {
    /// Code of the cost centre.
    cost_centre: String,
    /// The weight, from 1 to 1,000,000.
    weight: i32,
}

/// How the cost of usage that no rule assigns is shared. Give exactly one.
#[derive(Debug, OneofObject)]
pub(crate) enum SharedCostInput {
    /// In equal parts, by all cost centres. The value must be true.
    InEqualParts(bool),
    /// In proportion to these weights, at least one. Cost centres that are not named have no part.
    ByWeights(Vec<CostCentreWeightInput>),
    /// In proportion to the direct cost of the cost centres; in equal parts if none has any. The value must be true.
    ByDirectCost(bool),
    /// In proportion to what the direct usage of the cost centres has of a meter; in equal parts if none has any.
    ByMeter(Meter),
    /// It is not shared: the cost centre with this code has all of it.
    To(String),
}

fn code(field: &'static str, text: String) -> Result<CostCentreCode, Invalid> {
    CostCentreCode::new(text).map_err(|error| Invalid::new(field, error))
}

fn dimension(text: &str) -> Result<AllocationDimension, Invalid> {
    text.parse().map_err(|error| Invalid::new("rules", error_with_causes(&error)))
}

/// Collects a map, in which no key may be twice.
fn unique<K: Ord + ToString, V>(
    field: &'static str,
    entries: impl IntoIterator<Item = Result<(K, V), Invalid>>,
) -> Result<BTreeMap<K, V>, Invalid> {
    let mut map = BTreeMap::new();
    for entry in entries {
        let (key, value) = entry?;
        let text = key.to_string();
        if map.insert(key, value).is_some() {
            return Err(Invalid::new(field, format!("{text:?} occurs twice")));
        }
    }
    Ok(map)
}

impl AllocationRuleInput {
    fn parse(self) -> Result<model::AllocationRule, Invalid> {
        let value = |text| input::name("rules", text);
        Ok(match self {
            Self::Match(MatchRuleInput { when, cost_centre }) => {
                let entry = |given: AllocationValueInput| -> Result<(AllocationDimension, Name), Invalid> {
                    Ok((dimension(&given.dimension)?, value(given.value)?))
                };
                let when = unique("rules", when.into_iter().map(entry))?;
                model::AllocationRule::Match { when, cost_centre: code("rules", cost_centre)? }
            }
            Self::Values(ValuesRuleInput { dimension: of, cost_centres }) => {
                let entry = |given: ValueCostCentreInput| Ok((value(given.value)?, code("rules", given.cost_centre)?));
                let cost_centres = unique("rules", cost_centres.into_iter().map(entry))?;
                model::AllocationRule::Values { dimension: dimension(&of)?, cost_centres }
            }
            Self::Codes(CodesRuleInput { dimension: of }) => {
                model::AllocationRule::Codes { dimension: dimension(&of)? }
            }
        })
    }
}

impl SharedCostInput {
    fn parse(self) -> Result<model::SharedCost, Invalid> {
        const FIELD: &str = "sharedCost";
        let stated = |is_stated: bool, shared| {
            if is_stated { Ok(shared) } else { Err(Invalid::new(FIELD, "it must be true")) }
        };
        match self {
            Self::InEqualParts(is_stated) => stated(is_stated, model::SharedCost::InEqualParts),
            Self::ByDirectCost(is_stated) => stated(is_stated, model::SharedCost::ByDirectCost),
            Self::ByMeter(meter) => Ok(model::SharedCost::ByMeter { meter: meter.into() }),
            Self::To(text) => Ok(model::SharedCost::To { cost_centre: code(FIELD, text)? }),
            Self::ByWeights(weights) => {
                let entry = |CostCentreWeightInput { cost_centre, weight }| {
                    let is_negative = |_| Invalid::new(FIELD, format!("the weight {weight} is below zero"));
                    Ok((code(FIELD, cost_centre)?, u32::try_from(weight).map_err(is_negative)?))
                };
                let weights = unique(FIELD, weights.into_iter().map(entry))?;
                Ok(model::SharedCost::ByWeights { weights })
            }
        }
    }
}

/// Input of `setAllocationRules`.
#[derive(Debug, InputObject)]
pub(crate) struct SetAllocationRulesInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
    /// position of the first execution. A key that was used for another mutation, object or input is rejected with
    /// `COMMAND_ID_REUSED`. Default: a new UUID.
    command_id: Option<Uid>,
    /// Cost centres, from 1 to 500.
    cost_centres: Vec<CostCentreInput>,
    /// Rules, at most 500, which name at most 2000 values together. The first one that assigns usage decides. They look either
    /// at one tag, or at dimensions that are no tags.
    rules: Vec<AllocationRuleInput>,
    /// How the cost of usage that no rule assigns is shared.
    shared_cost: SharedCostInput,
    /// Time from which on costs are allocated by the rules. They replace those that would take effect later. Default: always.
    effective_from: Option<Timestamp>,
    /// Why they are set: at most 64 KiB. Default: no reason.
    reason: Option<String>,
    /// Version that the allocation rules must have, which is the number of sets that were set. The command is rejected with
    /// `WRONG_VERSION` if they have another one. Default: any version.
    expected_version: Option<Long>,
    /// Time at which this happened. Default: the current time of the server.
    at: Option<Timestamp>,
}

impl SetAllocationRulesInput {
    fn options(&self, ctx: &Context<'_>) -> Result<CommandOptions> {
        Ok(CommandOptions {
            may_send: MaySend::check(ctx)?,
            target: model::AllocationRules::id(),
            command_id: self.command_id,
            expected_version: self.expected_version,
            at: or_now(self.at),
        })
    }

    fn command(self, options: CommandOptions) -> Result<AllocationRulesCommand, Invalid> {
        let centre = |CostCentreInput { code: text, name }| {
            Ok(model::CostCentre { code: code("costCentres", text)?, name: input::name("costCentres", name)? })
        };
        let rules = model::AllocationRuleSet {
            cost_centres: self.cost_centres.into_iter().map(centre).collect::<Result<_, _>>()?,
            rules: self.rules.into_iter().map(AllocationRuleInput::parse).collect::<Result<_, _>>()?,
            shared_cost: self.shared_cost.parse()?,
        };
        let effective_from = self.effective_from.map(|from| from.0);
        Ok(AllocationRulesCommand::Set {
            rules,
            effective_from,
            reason: input::body_opt("reason", self.reason)?,
            at: options.at,
        })
    }
}

/// Payload of `setAllocationRules`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct AllocationPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command. It is `ALREADY_DONE` if the latest rules are these, from the same time on.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<AllocationCommandError>,
}

#[ComplexObject]
impl AllocationPayload {
    /// The latest rules. Null if none were set.
    #[graphql(complexity = "2 * connection::STATEMENT_COST + child_complexity")]
    async fn allocation_rules(&self, ctx: &Context<'_>) -> Result<Option<AllocationRules>> {
        query::version(ctx, None).await
    }
}

impl From<CommandResult<AllocationCommandError>> for AllocationPayload {
    fn from(result: CommandResult<AllocationCommandError>) -> Self {
        let CommandResult { command_id, outcome, position, error, .. } = result;
        Self { command_id: command_id.into(), outcome, position, error }
    }
}

/// The command to the allocation rules.
#[derive(Default)]
pub(crate) struct AllocationMutation;

#[Object]
impl AllocationMutation {
    /// Sets the cost centres and the rules by which costs are allocated to them. They replace those that were set before as a
    /// whole, from a time on. Earlier versions stay: a statement names the version that it used, and can be asked for with it again.
    async fn set_allocation_rules(
        &self,
        ctx: &Context<'_>,
        input: SetAllocationRulesInput,
    ) -> Result<AllocationPayload> {
        let options = input.options(ctx)?;
        let command = input.command(options);
        let executed = payload::execute::<model::AllocationRules, AllocationCommandError>(ctx, options, command);
        executed.await.map(Into::into)
    }
}
