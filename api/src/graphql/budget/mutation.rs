//! Commands to budgets.

use super::types::Budget;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, command_input};
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, payload};
use crate::graphql::scalars::Decimal;
use async_graphql::{Context, ID, InputObject, Object, OneofObject, Result};
use chrono_tz::Tz;
use commands::Commands;
use domain::assignment::BudgetRejection;
use domain::budget::{BudgetCommand, BudgetError, BudgetScope as DomainScope, BudgetTerms, Threshold};
use domain::{AgentId, BudgetId, Money};
use std::collections::BTreeSet;

/// The time zone of a budget without `timeZone`.
const DEFAULT_TIME_ZONE: &str = "UTC";
/// The thresholds of a budget without `thresholds`, in percent of the limit.
const DEFAULT_THRESHOLDS: [i32; 3] = [50, 80, 100];

command_error! {
    /// Reason for which a command to a budget was rejected.
    BudgetCommandError,
    /// Reasons for which a command to a budget is rejected.
    BudgetErrorCode {
        /// No budget with this id is defined.
        NotDefined,
        /// A budget with different terms is defined under this id.
        AlreadyDefined,
        /// The budget is closed.
        Closed,
        /// The scope of a budget cannot be changed.
        ScopeFixed,
        /// The limit is not greater than zero.
        LimitNotPositive,
        /// A threshold is not between 1 and 1000 percent.
        BadThreshold,
        /// There are more than 16 thresholds.
        TooManyThresholds,
        /// The time zone is not in the IANA time zone database.
        UnknownTimeZone,
        /// The agent of the scope is not registered.
        UnknownAgent,
    }
}

impl From<BudgetError> for BudgetCommandError {
    fn from(error: BudgetError) -> Self {
        let code = match error {
            BudgetError::NotDefined => BudgetErrorCode::NotDefined,
            BudgetError::AlreadyDefined => BudgetErrorCode::AlreadyDefined,
            BudgetError::Closed => BudgetErrorCode::Closed,
            BudgetError::ScopeImmutable => BudgetErrorCode::ScopeFixed,
            BudgetError::LimitNotPositive(_) => BudgetErrorCode::LimitNotPositive,
            BudgetError::InvalidThreshold(_) => BudgetErrorCode::BadThreshold,
            BudgetError::TooManyThresholds(_) => BudgetErrorCode::TooManyThresholds,
            BudgetError::InvalidMonth(_) => BudgetErrorCode::InvalidInput,
        };
        Self::new(code, error)
    }
}

impl From<BudgetRejection> for BudgetCommandError {
    fn from(rejection: BudgetRejection) -> Self {
        match rejection {
            BudgetRejection::Budget(error) => error.into(),
            BudgetRejection::Agent(error) => Self::new(BudgetErrorCode::UnknownAgent, error),
        }
    }
}

payload! {
    /// Payload of the mutations of a budget.
    BudgetPayload {
        /// The budget as of `position`. If the command was rejected, the budget as it is now.
        budget: Budget, error: BudgetCommandError
    }
}

/// Scope of a budget: the calls that it counts. Give exactly one of these.
#[derive(Debug, OneofObject)]
pub(crate) enum BudgetScopeInput {
    /// Counts all calls of the tenant. The value is always `true`.
    Tenant(bool),
    /// Counts the calls of this agent. Global id or UUID.
    AgentId(ID),
    /// Counts the calls of this model, from any provider: one line of at most 256 bytes.
    Model(String),
}

/// Terms of a budget.
#[derive(Debug, InputObject)]
pub(crate) struct BudgetTermsInput {
    /// Display name: one line of at most 256 bytes.
    name: String,
    /// Scope: the calls that the budget counts.
    scope: BudgetScopeInput,
    /// Limit for each month, in US dollars. It must be greater than zero.
    limit: Decimal,
    /// IANA name of the time zone in which months start, such as `Europe/Berlin`. Default: `UTC`.
    time_zone: Option<String>,
    /// Thresholds at which alerts are raised, in percent of the limit: at most 16, each from 1 to 1000. Default: 50, 80 and
    /// 100.
    thresholds: Option<Vec<i32>>,
}

command_input! {
    /// Input of `defineBudget`.
    DefineBudgetInput {
        /// Id of the new budget: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise
        /// a new UUID.
        id: new Budget,
        /// Terms of the budget.
        terms: BudgetTermsInput,
    }
}

command_input! {
    /// Input of `reviseBudget`.
    ReviseBudgetInput {
        /// Global id or UUID of the budget.
        id: Budget,
        /// New terms, which replace all current ones. The scope cannot be changed.
        terms: BudgetTermsInput,
    }
}

command_input! {
    /// Input of `closeBudget`.
    CloseBudgetInput {
        /// Global id or UUID of the budget.
        id: Budget,
    }
}

/// Commands to budgets.
#[derive(Default)]
pub(crate) struct BudgetMutation;

#[Object]
impl BudgetMutation {
    /// Defines a budget. Calls that were charged before count as well, in their months. Defining the same budget again has
    /// no effect.
    async fn define_budget(&self, ctx: &Context<'_>, input: DefineBudgetInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        let terms = terms(input.terms)?;
        execute(ctx, options, terms.map(|terms| BudgetCommand::Define { terms, at: options.at })).await
    }

    /// Replaces the terms of a budget. A threshold that is exceeded under the old and the new terms raises no second alert;
    /// one that the new terms leave unreached may be crossed again.
    async fn revise_budget(&self, ctx: &Context<'_>, input: ReviseBudgetInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        let terms = terms(input.terms)?;
        execute(ctx, options, terms.map(|terms| BudgetCommand::Revise { terms, at: options.at })).await
    }

    /// Closes a budget, so that it no longer counts calls.
    async fn close_budget(&self, ctx: &Context<'_>, input: CloseBudgetInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, Ok(BudgetCommand::Close { at: options.at })).await
    }
}

/// Executes a command whose decision depends on the agent of the scope too.
async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<BudgetCommand, BudgetCommandError>,
) -> Result<BudgetPayload> {
    let execute = |commands: Commands, context: commands::Context, command| async move {
        commands.execute_budget(&context, BudgetId(options.target), command).await
    };
    let result: CommandResult<BudgetCommandError> = payload::execute_by(ctx, options, command, execute).await?;
    Ok(result.into())
}

/// The terms in an input: an error of the response for ids that are not valid, a rejection for other fields.
fn terms(input: BudgetTermsInput) -> Result<Result<BudgetTerms, BudgetCommandError>> {
    let scope = match input.scope {
        BudgetScopeInput::Tenant(true) => Ok(DomainScope::Tenant),
        BudgetScopeInput::Tenant(false) => Err(Invalid::new("scope", "`tenant` must be true or absent")),
        BudgetScopeInput::AgentId(id) => Ok(DomainScope::Agent { agent_id: AgentId(Kind::Agent.parse(&id)?) }),
        BudgetScopeInput::Model(model) => input::name("scope.model", model).map(|model| DomainScope::Model { model }),
    };
    let checked = || {
        Ok(BudgetTerms {
            name: input::name("name", input.name)?,
            scope: scope?,
            limit: Money::try_from(&input.limit).map_err(|error| Invalid::new("limit", error))?,
            currency: domain::Currency::Usd,
            time_zone: time_zone(input.time_zone.as_deref().unwrap_or(DEFAULT_TIME_ZONE))?,
            thresholds: thresholds(input.thresholds)?,
        })
    };
    Ok(checked())
}

fn time_zone(name: &str) -> Result<Tz, BudgetCommandError> {
    name.parse().map_err(|_| {
        let shown: String = name.chars().take(64).collect();
        let message = format!("{shown:?} is not a time zone of the IANA database, such as \"Europe/Berlin\"");
        BudgetCommandError {
            field: Some("timeZone".to_owned()),
            ..BudgetCommandError::new(BudgetErrorCode::UnknownTimeZone, message)
        }
    })
}

fn thresholds(given: Option<Vec<i32>>) -> Result<BTreeSet<Threshold>, BudgetCommandError> {
    let percents = given.unwrap_or_else(|| DEFAULT_THRESHOLDS.to_vec());
    let threshold = |percent: i32| match u16::try_from(percent) {
        Ok(percent) => Threshold::try_from(percent).map_err(BudgetCommandError::from),
        Err(_) => {
            let message = format!("a threshold is 1 to 1000 percent, not {percent}");
            Err(BudgetCommandError::new(BudgetErrorCode::BadThreshold, message))
        }
    };
    percents.into_iter().map(threshold).collect()
}
