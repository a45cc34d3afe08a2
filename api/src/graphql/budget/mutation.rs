//! Commands to budgets.

use super::control::{
    self, BudgetConditionInput, BudgetEnforcement, BudgetMeasureInput, BudgetPeriodUnit, ControlInput,
};
use super::policies::{BudgetOnRefusalInput, BudgetUnreachablePolicy};
use super::types::Budget;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, command_input};
use crate::graphql::errors;
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, payload};
use crate::graphql::scalars::{Decimal, Timestamp, or_now};
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
        /// The user, the team or the API key of the scope does not exist.
        UnknownSubject,
        /// The scope has no conditions, more than 8, or one whose value calls cannot have.
        BadConditions,
        /// The budget selects calls by conditions, or is suspended, resumed or raised, and has no `enforcement`.
        NoEnforcement,
        /// Whether a budget has `enforcement`, what it counts, and its number of parts cannot be changed.
        ControlFixed,
        /// Periods begin on a day from 1 to 28.
        BadAnchor,
        /// A raise is not above zero, or does not end after it begins.
        BadRaise,
        /// As many budgets, raises, delegations or changes of the period exist as may be.
        TooMany,
        /// Only a hard budget that is not suspended delegates.
        DelegatesNothing,
        /// A delegation is not above zero, or does not end after it begins.
        BadDelegation,
        /// Another delegation has the id, or had it.
        DelegationExists,
        /// The budget has no delegation with the id that runs.
        UnknownDelegation,
        /// More is to be delegated than is left of the period.
        DelegationExceeds,
        /// The parts are not 1 to 8, or the budget has thresholds of its own, which only a budget of one part has.
        BadParts,
        /// With the budget, more than 24 could apply to one call.
        TooManyApplying,
        /// What follows a refusal, or happens while Apex cannot be reached, is not one of the enforcement, or not within its limits.
        BadPolicy,
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
            BudgetError::NumberOfConditions { .. } | BudgetError::NotAnId { .. } => BudgetErrorCode::BadConditions,
            BudgetError::ConditionsWithoutControl | BudgetError::NotControlled => BudgetErrorCode::NoEnforcement,
            BudgetError::AnchorDay(_) => BudgetErrorCode::BadAnchor,
            BudgetError::NumberOfParts(_) | BudgetError::PartsWithThresholds => BudgetErrorCode::BadParts,
            BudgetError::ControlImmutable | BudgetError::PartsImmutable => BudgetErrorCode::ControlFixed,
            BudgetError::InvalidRaise => BudgetErrorCode::BadRaise,
            BudgetError::DelegatesNothing => BudgetErrorCode::DelegatesNothing,
            BudgetError::InvalidDelegation => BudgetErrorCode::BadDelegation,
            BudgetError::DelegationExists => BudgetErrorCode::DelegationExists,
            BudgetError::UnknownDelegation => BudgetErrorCode::UnknownDelegation,
            BudgetError::DelegationExceeds { .. } => BudgetErrorCode::DelegationExceeds,
            BudgetError::TooManyDelegations
            | BudgetError::TooManyRaises
            | BudgetError::TooManyPeriodChanges
            | BudgetError::TooManyBudgets => BudgetErrorCode::TooMany,
            BudgetError::TooManyApplying => BudgetErrorCode::TooManyApplying,
            BudgetError::RefusesNothing
            | BudgetError::HardAndOpen
            | BudgetError::TooManyModels(_)
            | BudgetError::ApprovalMinutes(_) => BudgetErrorCode::BadPolicy,
        };
        Self::new(code, error)
    }
}

impl From<BudgetRejection> for BudgetCommandError {
    fn from(rejection: BudgetRejection) -> Self {
        match rejection {
            BudgetRejection::Budget(error) => error.into(),
            BudgetRejection::Agent(error) => Self::new(BudgetErrorCode::UnknownAgent, error),
            error @ BudgetRejection::UnknownSubject { .. } => Self::new(BudgetErrorCode::UnknownSubject, error),
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
    /// Counts the calls that have all of these values, 1 to 8, each of another dimension. The budget needs `enforcement`.
    Conditions(Vec<BudgetConditionInput>),
}

/// Terms of a budget.
#[derive(Debug, InputObject)]
pub(crate) struct BudgetTermsInput {
    /// Display name: one line of at most 256 bytes.
    name: String,
    /// Scope: the calls that the budget counts.
    scope: BudgetScopeInput,
    /// Limit for each period, in US dollars or in the unit of `measure`. It must be greater than zero.
    limit: Decimal,
    /// IANA name of the time zone in which months start, such as `Europe/Berlin`. Default: `UTC`.
    time_zone: Option<String>,
    /// Thresholds at which alerts are raised, in percent of the limit: at most 16, each from 1 to 1000. Default: 50, 80 and
    /// 100; none for a budget that is not of money by calendar month, of all calls, an agent or a model.
    thresholds: Option<Vec<i32>>,
    /// How strictly the budget is enforced when `reserveSpend` asks for it. Default: the budget only counts money by calendar
    /// month, and raises alerts.
    enforcement: Option<BudgetEnforcement>,
    /// What the budget counts. Default: money.
    measure: Option<BudgetMeasureInput>,
    /// How often a period begins. A change is in force after the running period. Default: every month.
    period: Option<BudgetPeriodUnit>,
    /// A day on which a period begins in `timeZone`, such as `2024-01-15`: its day is 1 to 28. Weeks begin on its weekday, months
    /// on its day, quarters and years on its day and month. Default: `2024-01-01`, a Monday.
    anchor: Option<String>,
    /// Whether what is left of a period, up to the limit, is added to the next one. Default: false.
    carry_over: Option<bool>,
    /// What follows when a call does not fit into what is left of a `HARD` budget. Default: it is refused.
    on_refusal: Option<BudgetOnRefusalInput>,
    /// What happens to calls that the budget counts while Apex cannot be reached. A `HARD` one is always `CLOSED`. Default of others:
    /// `OPEN`.
    on_unreachable: Option<BudgetUnreachablePolicy>,
    /// Number of parts of each period, 1 to 8: each is a stream of its own, so that several servers reserve without waiting for each
    /// other. It cannot be changed. Default: 1.
    parts: Option<i32>,
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
        /// Why the terms are changed: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `suspendBudget`.
    SuspendBudgetInput {
        /// Global id or UUID of the budget.
        id: Budget,
        /// Why it is suspended: text of at most 64 KiB.
        reason: String,
    }
}

command_input! {
    /// Input of `resumeBudget`.
    ResumeBudgetInput {
        /// Global id or UUID of the budget.
        id: Budget,
        /// Why it is resumed: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `raiseBudget`.
    RaiseBudgetInput {
        /// Global id or UUID of the budget.
        id: Budget,
        /// What is added to the limit, in its unit: greater than zero.
        amount: Decimal,
        /// When the raise ends.
        until: Timestamp,
        /// Why the limit is raised: text of at most 64 KiB.
        reason: String,
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
        let reason = input::body_opt("reason", input.reason);
        let revise = terms.and_then(|terms| Ok(BudgetCommand::Revise { terms, reason: reason?, at: options.at }));
        execute(ctx, options, revise).await
    }

    /// Suspends the enforcement of a budget: it counts, and refuses nothing.
    async fn suspend_budget(&self, ctx: &Context<'_>, input: SuspendBudgetInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        let reason = input::body("reason", input.reason).map_err(BudgetCommandError::from);
        execute(ctx, options, reason.map(|reason| BudgetCommand::Suspend { reason, at: options.at })).await
    }

    /// Enforces a suspended budget again. What was charged and reserved meanwhile counts.
    async fn resume_budget(&self, ctx: &Context<'_>, input: ResumeBudgetInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        let reason = input::body_opt("reason", input.reason).map_err(BudgetCommandError::from);
        execute(ctx, options, reason.map(|reason| BudgetCommand::Resume { reason, at: options.at })).await
    }

    /// Raises the limit of a budget for a time.
    async fn raise_budget(&self, ctx: &Context<'_>, input: RaiseBudgetInput) -> Result<BudgetPayload> {
        let options = input.options(ctx)?;
        let raise = || {
            let amount = Money::try_from(&input.amount).map_err(|error| Invalid::new("amount", error))?;
            let (until, reason) = (input.until.0, input::body("reason", input.reason)?);
            Ok(BudgetCommand::Raise { amount: amount.into(), until, reason, at: options.at })
        };
        execute(ctx, options, raise()).await
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
        commands.execute_budget(&context, BudgetId(options.target), command, or_now(None)).await
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
        BudgetScopeInput::Conditions(given) => {
            control::parse_conditions(given).map(|conditions| DomainScope::Conditions { conditions })
        }
    };
    let checked = || {
        let control = ControlInput {
            enforcement: input.enforcement,
            measure: input.measure,
            period: input.period,
            anchor: input.anchor,
            carry_over: input.carry_over,
            on_refusal: input.on_refusal,
            on_unreachable: input.on_unreachable,
            parts: input.parts,
        };
        let terms = BudgetTerms {
            name: input::name("name", input.name)?,
            scope: scope?,
            limit: Money::try_from(&input.limit).map_err(|error| Invalid::new("limit", error))?,
            currency: domain::Currency::Usd,
            time_zone: time_zone(input.time_zone.as_deref().unwrap_or(DEFAULT_TIME_ZONE))?,
            thresholds: BTreeSet::new(),
            control: control.parse()?,
        };
        let defaults = if terms.is_counted_by_month() { &DEFAULT_THRESHOLDS[..] } else { &[] };
        Ok(BudgetTerms { thresholds: thresholds(input.thresholds.unwrap_or_else(|| defaults.to_vec()))?, ..terms })
    };
    Ok(checked())
}

/// The terms in the argument of a query.
///
/// # Errors
/// `BAD_USER_INPUT` if no budget could have them.
pub(super) fn terms_of_query(input: BudgetTermsInput) -> Result<BudgetTerms> {
    terms(input)?.map_err(|rejected| errors::bad_input("BAD_TERMS", rejected.message))
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

fn thresholds(percents: Vec<i32>) -> Result<BTreeSet<Threshold>, BudgetCommandError> {
    let threshold = |percent: i32| match u16::try_from(percent) {
        Ok(percent) => Threshold::try_from(percent).map_err(BudgetCommandError::from),
        Err(_) => {
            let message = format!("a threshold is 1 to 1000 percent, not {percent}");
            Err(BudgetCommandError::new(BudgetErrorCode::BadThreshold, message))
        }
    };
    percents.into_iter().map(threshold).collect()
}
