//! Budgets, their months and their alerts.

use super::alert::{AlertsOf, BudgetAlert};
use super::as_of::{self, AsOf};
use super::errors::{self, command_error};
use super::ids::Kind;
use super::input::{self, Invalid};
use super::payload::{self, Order, payload};
use super::report::Currency;
use super::scalars::{Decimal, Long, Position, Timestamp, Uid, or_now};
use super::{Services, connection, from_wire, loaders, ready};
use crate::caller::Caller;
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use chrono_tz::Tz;
use commands::BudgetRejection;
use domain::budget::{BudgetCommand, BudgetError, BudgetScope as DomainScope, BudgetTerms, Threshold};
use domain::{AgentId, BudgetId, Money, Sum};
use projections::budgets::{self, BudgetMonthRow, BudgetRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use rust_decimal::Decimal as Number;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// The projections that feed the lists.
pub(crate) const PROJECTIONS: &[&str] = &["budgets"];
/// Where months begin if nobody says so.
const DEFAULT_TIME_ZONE: &str = "UTC";
/// When alerts are raised if nobody says so, in percent of the limit.
const DEFAULT_THRESHOLDS: [i32; 3] = [50, 80, 100];

/// Whose spending a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BudgetScopeKind {
    /// All of the tenant's.
    Tenant,
    /// One agent's.
    Agent,
    /// One model's, whoever sells it.
    Model,
}

impl BudgetScopeKind {
    const ALL: [Self; 3] = [Self::Tenant, Self::Agent, Self::Model];

    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Agent => "agent",
            Self::Model => "model",
        }
    }
}

/// Whose spending a budget counts.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetScope {
    /// The kind.
    kind: BudgetScopeKind,
    /// Which agent's.
    agent_id: Option<ID>,
    /// Which model's.
    model: Option<String>,
}

/// A month of a budget.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetMonth {
    /// Which month, such as `2023-09`.
    month: String,
    /// Its first moment, in the budget's time zone.
    starts_at: Timestamp,
    /// The next month's first moment.
    ends_at: Timestamp,
    /// What was spent.
    spent: Decimal,
    /// What is left of the limit as it is now; below zero if more was spent.
    remaining: Decimal,
    /// The position of the last event that counted.
    position: Position,
}

/// A budget: how much may be spent in a month, by whom, and when to say so.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Budget {
    /// Its global id.
    pub(crate) id: ID,
    /// Its id as events and exports carry it.
    uuid: Uid,
    /// Its name.
    name: String,
    /// Whose spending it counts.
    scope: BudgetScope,
    /// How much may be spent in a month.
    limit: Decimal,
    /// In which currency.
    currency: Currency,
    /// Where the month begins, as an IANA time zone name.
    time_zone: String,
    /// Shares of the limit, in percent, at which alerts are raised.
    thresholds: Vec<i32>,
    /// Whether it counts no more.
    closed: bool,
    /// When it was defined.
    defined_at: Timestamp,
    /// How many events it has.
    version: Long,
    /// The position of its last event.
    position: Position,
    #[graphql(skip)]
    limit_amount: Number,
}

impl TryFrom<BudgetRow> for Budget {
    type Error = Error;

    fn try_from(row: BudgetRow) -> Result<Self> {
        let kind = from_wire(&BudgetScopeKind::ALL, BudgetScopeKind::as_str, &row.scope_kind)?;
        let key = |wanted| (kind == wanted).then(|| row.scope_key.clone());
        let scope = BudgetScope {
            kind,
            agent_id: key(BudgetScopeKind::Agent).map(|agent| Kind::Agent.id(agent)),
            model: key(BudgetScopeKind::Model),
        };
        Ok(Self {
            id: Kind::Budget.id(row.budget_id),
            uuid: row.budget_id.into(),
            name: row.name,
            scope,
            limit: row.limit_amount.into(),
            currency: Currency::Usd,
            time_zone: row.time_zone,
            thresholds: row.thresholds,
            closed: row.closed,
            defined_at: row.defined_at.into(),
            version: row.version.into(),
            position: Position::from_row(row.position),
            limit_amount: row.limit_amount,
        })
    }
}

#[ComplexObject]
impl Budget {
    /// Its months in which something was spent, the latest first, as they are now.
    #[graphql(complexity = "1 + 12 * child_complexity")]
    async fn months(&self, ctx: &Context<'_>) -> Result<Vec<BudgetMonth>> {
        let rows = loaders::of(ctx)?.load_one(MonthsOf(BudgetId(self.uuid.0))).await.map_err(errors::loader)?;
        let month = |row: BudgetMonthRow| {
            let (limit, spent) = (Sum::from(Money::from_decimal(self.limit_amount)), row.spent);
            BudgetMonth {
                month: row.month,
                starts_at: row.starts_at.into(),
                ends_at: row.ends_at.into(),
                remaining: (&limit - &spent).into(),
                spent: spent.into(),
                position: Position::from_row(row.position),
            }
        };
        Ok(rows.unwrap_or_default().into_iter().map(month).collect())
    }

    /// Its alerts, in the order in which they were raised, as they are now.
    #[graphql(complexity = "1 + 12 * child_complexity")]
    async fn alerts(&self, ctx: &Context<'_>) -> Result<Vec<BudgetAlert>> {
        let rows = loaders::of(ctx)?.load_one(AlertsOf(BudgetId(self.uuid.0))).await.map_err(errors::loader)?;
        rows.unwrap_or_default().into_iter().map(BudgetAlert::try_from).collect()
    }
}

/// The months of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MonthsOf(BudgetId);

impl Loader<MonthsOf> for loaders::Rows {
    type Value = Vec<BudgetMonthRow>;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[MonthsOf]) -> Result<HashMap<MonthsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0.0).collect();
        let mut months: HashMap<MonthsOf, Self::Value> = HashMap::new();
        for row in budgets::months(&self.pool, &self.tenant, &ids).await? {
            months.entry(MonthsOf(BudgetId(row.budget_id))).or_default().push(row);
        }
        Ok(months)
    }
}

impl Loader<BudgetId> for loaders::Rows {
    type Value = BudgetRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[BudgetId]) -> Result<HashMap<BudgetId, BudgetRow>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|id| id.0).collect();
        let page = Page { after: None, limit: MAX_PAGE_ROWS };
        let rows = budgets::list(&self.pool, &self.tenant, &ids, page).await?;
        Ok(rows.into_iter().map(|row| (BudgetId(row.budget_id), row)).collect())
    }
}

/// One budget, together with others that are asked for at this moment.
pub(crate) async fn by_id(ctx: &Context<'_>, id: Uuid) -> Result<Option<Budget>> {
    let row = loaders::of(ctx)?.load_one(BudgetId(id)).await.map_err(errors::loader)?;
    row.map(Budget::try_from).transpose()
}

/// Queries about budgets.
#[derive(Default)]
pub(crate) struct BudgetQuery;

#[Object]
impl BudgetQuery {
    /// A budget; null if there is none.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn budget(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id or UUID.")] id: ID,
        #[graphql(desc = "Its terms as they were then, rather than as they are now.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Option<Budget>> {
        let id = Kind::Budget.parse(&id)?;
        if let Some(as_of) = as_of {
            return as_of::row::<BudgetRow>(ctx, id, as_of).await?.map(Budget::try_from).transpose();
        }
        ready(ctx, PROJECTIONS, min_position).await?;
        by_id(ctx, id).await
    }

    /// Budgets, in the order in which they were defined.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budgets(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Connection<String, Budget>> {
        let page = connection::page(ctx, first, after.as_deref())?;
        ready(ctx, PROJECTIONS, min_position).await?;
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let rows = budgets::list(&services.pool, &caller.tenant, &[], page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.defined_at, row.budget_id))
    }
}

command_error! {
    /// Why a command to a budget was refused.
    BudgetCommandError, BudgetErrorCode {
        /// No budget has this id.
        NotDefined,
        /// A budget with other terms is defined under this id.
        AlreadyDefined,
        /// The budget is closed.
        Closed,
        /// Whose spending is counted cannot change.
        ScopeFixed,
        /// The limit is not above zero.
        LimitNotPositive,
        /// A threshold is 1 to 1000 percent.
        BadThreshold,
        /// There are more than 16 thresholds.
        TooManyThresholds,
        /// The time zone is not one of the IANA database.
        UnknownTimeZone,
        /// The agent whose spending it is to count is not registered.
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
    fn from(refusal: BudgetRejection) -> Self {
        match refusal {
            BudgetRejection::Budget(error) => error.into(),
            BudgetRejection::Agent(refusal) => Self::new(BudgetErrorCode::UnknownAgent, refusal),
        }
    }
}

payload! {
    /// What became of a command to a budget.
    BudgetPayload {
        /// The budget as of `position`; as it is now if the command was refused.
        budget: Budget(BudgetRow), error: BudgetCommandError
    }
}

/// Whose spending a budget counts: one of these.
#[derive(Debug, OneofObject)]
pub(crate) enum BudgetScopeInput {
    /// All of the tenant's; give `true`.
    Tenant(bool),
    /// This agent's.
    AgentId(ID),
    /// This model's, whoever sells it.
    Model(String),
}

/// What a budget is.
#[derive(Debug, InputObject)]
pub(crate) struct BudgetTermsInput {
    /// Its name: one line of at most 256 bytes.
    name: String,
    /// Whose spending it counts.
    scope: BudgetScopeInput,
    /// How much may be spent in a month, in US dollars; above zero.
    limit: Decimal,
    /// Where the month begins, as an IANA time zone name; UTC if not given.
    time_zone: Option<String>,
    /// Shares of the limit at which alerts are raised, each 1 to 1000 percent, at most 16; 50, 80 and 100 if not given.
    thresholds: Option<Vec<i32>>,
}

/// A new budget.
#[derive(Debug, InputObject)]
pub(crate) struct DefineBudgetInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// The budget's id, where the client knows it; otherwise one is made from `commandId`, or made up.
    id: Option<ID>,
    /// What it is.
    terms: BudgetTermsInput,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A budget with other terms from now on.
#[derive(Debug, InputObject)]
pub(crate) struct ReviseBudgetInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which budget.
    id: ID,
    /// What it is from now on. Whose spending it counts cannot change.
    terms: BudgetTermsInput,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A budget that is to count no more.
#[derive(Debug, InputObject)]
pub(crate) struct CloseBudgetInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which budget.
    id: ID,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// Commands to budgets.
#[derive(Default)]
pub(crate) struct BudgetMutation;

#[Object]
impl BudgetMutation {
    /// Sets up a budget. What was spent in its months before counts as well. Defining the same again changes nothing.
    async fn define_budget(&self, ctx: &Context<'_>, input: DefineBudgetInput) -> Result<BudgetPayload> {
        let id = Kind::Budget.new_id(input.id.as_ref(), input.command_id)?;
        let at = or_now(input.at);
        let terms = terms(input.terms)?;
        execute(ctx, id, Order::new(input.command_id), terms.map(|terms| BudgetCommand::Define { terms, at })).await
    }

    /// Changes the terms of a budget. Thresholds that they leave reached raise no alert again; those that they leave
    /// unreached may be crossed once more.
    async fn revise_budget(&self, ctx: &Context<'_>, input: ReviseBudgetInput) -> Result<BudgetPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let terms = terms(input.terms)?;
        let command = terms.map(|terms| BudgetCommand::Revise { terms, at });
        execute(ctx, Kind::Budget.parse(&input.id)?, order, command).await
    }

    /// Lets a budget count no more.
    async fn close_budget(&self, ctx: &Context<'_>, input: CloseBudgetInput) -> Result<BudgetPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let command = BudgetCommand::Close { at: or_now(input.at) };
        execute(ctx, Kind::Budget.parse(&input.id)?, order, Ok(command)).await
    }
}

async fn execute(
    ctx: &Context<'_>,
    id: Uuid,
    order: Order,
    command: Result<BudgetCommand, BudgetCommandError>,
) -> Result<BudgetPayload> {
    let context = order.context(ctx, id)?;
    let command = match command {
        Ok(command) => command,
        Err(error) => return Ok(payload::refused(&context, id, error).into()),
    };
    let result = ctx.data::<Arc<Services>>()?.commands.execute_budget(&context, BudgetId(id), command).await;
    payload::settle(&context, id, result).map(Into::into)
}

/// The terms in an input: an error of the request for ids that are none, a refusal for what does not fit.
fn terms(input: BudgetTermsInput) -> Result<Result<BudgetTerms, BudgetCommandError>> {
    let scope = match input.scope {
        BudgetScopeInput::Tenant(true) => Ok(DomainScope::Tenant),
        BudgetScopeInput::Tenant(false) => Err(Invalid::new("scope", "`tenant` is true or not given")),
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
