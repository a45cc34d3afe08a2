//! The object types, and how their rows are loaded.

use super::control::{self, BudgetControl};
use super::status::{self, BudgetPeriodStatus};
use crate::graphql::entity::Entity;
use crate::graphql::errors;
use crate::graphql::ids::Kind;
use crate::graphql::loaders::{self, Rows};
use crate::graphql::scalars::{Currency, Decimal, Long, Position, Timestamp, Uid};
use crate::graphql::stored::from_stored_name;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Result, SimpleObject};
use domain::budget::ThresholdCrossed;
use domain::permissions::ReadBudgets;
use domain::{BudgetId, Money, Sum};
use projections::budgets::{self, AlertRow, BudgetMonthRow, BudgetRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use rust_decimal::Decimal as Number;
use std::collections::HashMap;
use std::sync::Arc;
use streams::RecordedEvent;

/// Kind of the scope of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BudgetScopeKind {
    /// The budget counts all calls of the tenant.
    Tenant,
    /// The budget counts the calls of one agent.
    Agent,
    /// The budget counts the calls of one model, from any provider.
    Model,
    /// The budget is not counted by calendar month: `control` says what it counts.
    Conditions,
}

impl BudgetScopeKind {
    const ALL: [Self; 4] = [Self::Tenant, Self::Agent, Self::Model, Self::Conditions];

    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Conditions => "conditions",
        }
    }
}

/// Scope of a budget: the calls that it counts.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetScope {
    /// Kind of the scope.
    kind: BudgetScopeKind,
    /// Global id of the agent. Null unless `kind` is `AGENT`.
    agent_id: Option<ID>,
    /// Name of the model. Null unless `kind` is `MODEL`.
    model: Option<String>,
}

/// One calendar month of a budget.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetMonth {
    /// The month, such as `2023-09`.
    month: String,
    /// Start of the month in the budget's time zone, inclusive.
    starts_at: Timestamp,
    /// End of the month in the budget's time zone, exclusive.
    ends_at: Timestamp,
    /// Amount spent in the month.
    spent: Decimal,
    /// Current limit less `spent`. Negative if more was spent.
    remaining: Decimal,
    /// Position of the last event that was counted.
    position: Position,
}

/// A budget: a limit on spending, with thresholds at which alerts are raised. Without `control` it is for each calendar month, and
/// does not block calls.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Budget {
    /// Global id of the budget.
    pub(crate) id: ID,
    /// UUID of the budget, as it occurs in events and exports.
    uuid: Uid,
    /// Display name.
    name: String,
    /// Scope: the calls that the budget counts.
    scope: BudgetScope,
    /// Limit for each month.
    limit: Decimal,
    /// Currency of all amounts of the budget.
    currency: Currency,
    /// IANA name of the time zone in which months start, such as `Europe/Berlin`.
    time_zone: String,
    /// Thresholds at which alerts are raised, in percent of the limit, in ascending order.
    thresholds: Vec<i32>,
    /// Whether the budget is closed. A closed budget no longer counts calls.
    closed: bool,
    /// Time at which the budget was defined.
    defined_at: Timestamp,
    /// Version of the budget: the number of its events.
    version: Long,
    /// Position of the budget's last event.
    position: Position,
    #[graphql(skip)]
    limit_amount: Number,
}

impl Entity for Budget {
    type Row = BudgetRow;
    type Key = BudgetId;
    const KIND: Kind = Kind::Budget;
    const PROJECTIONS: &'static [&'static str] = &["budgets"];
}

impl TryFrom<BudgetRow> for Budget {
    type Error = Error;

    fn try_from(row: BudgetRow) -> Result<Self> {
        let kind = from_stored_name(&BudgetScopeKind::ALL, BudgetScopeKind::as_str, &row.scope_kind)?;
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
    /// Months in which something was spent, as they are now, the latest first.
    #[graphql(complexity = "1 + 12 * child_complexity")]
    async fn months(&self, ctx: &Context<'_>) -> Result<Vec<BudgetMonth>> {
        let rows =
            loaders::of::<ReadBudgets>(ctx)?.load_one(MonthsOf(BudgetId(self.uuid.0))).await.map_err(errors::loader)?;
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

    /// How the budget is enforced, and what it counts in its periods. Null if it only counts money by calendar month.
    #[graphql(complexity = "10 + child_complexity")]
    async fn control(&self, ctx: &Context<'_>) -> Result<Option<BudgetControl>> {
        control::control(ctx, BudgetId(self.uuid.0)).await
    }

    /// What is charged and reserved in the running period, from the log itself. Null if the budget is not decided on before calls are
    /// made, or is closed. Takes the permission `read:spending`.
    #[graphql(complexity = "10 + child_complexity")]
    async fn period(&self, ctx: &Context<'_>) -> Result<Option<BudgetPeriodStatus>> {
        status::running(ctx, BudgetId(self.uuid.0)).await
    }

    /// Alerts of the budget up to now, in the order in which they were raised.
    #[graphql(complexity = "1 + 12 * child_complexity")]
    async fn alerts(&self, ctx: &Context<'_>) -> Result<Vec<BudgetAlert>> {
        let rows =
            loaders::of::<ReadBudgets>(ctx)?.load_one(AlertsOf(BudgetId(self.uuid.0))).await.map_err(errors::loader)?;
        rows.unwrap_or_default().into_iter().map(BudgetAlert::try_from).collect()
    }
}

/// An alert: a budget's spending crossed a threshold.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetAlert {
    /// Global id of the budget.
    pub(crate) budget_id: ID,
    /// Month in which the threshold was crossed, such as `2023-09`.
    month: String,
    /// Threshold that was crossed, in percent of the limit.
    threshold_percent: i32,
    /// Version of the budget whose terms were in force. After a revision of the terms the same threshold may be crossed
    /// again.
    terms_version: Long,
    /// Amount spent in the month when the threshold was crossed.
    spent: Decimal,
    /// Limit that was in force.
    limit: Decimal,
    /// Currency of `spent` and `limit`.
    currency: Currency,
    /// Position of the event with which the threshold was crossed.
    crossed_at_position: Position,
    /// Position of the alert. Pass it as `after` to subscribe to the alerts that follow.
    position: Position,
    /// Time at which the alert was raised.
    raised_at: Timestamp,
}

impl TryFrom<AlertRow> for BudgetAlert {
    type Error = Error;

    fn try_from(row: AlertRow) -> Result<Self> {
        Ok(Self {
            budget_id: Kind::Budget.id(row.budget_id),
            month: row.month,
            threshold_percent: row.threshold_percent,
            terms_version: row.terms_version.into(),
            spent: row.spent.into(),
            limit: row.limit_amount.into(),
            currency: Currency::Usd,
            crossed_at_position: Position::from_row(row.crossed_at_position),
            position: Position::from_row(row.alert_position),
            raised_at: row.alerted_at.into(),
        })
    }
}

impl BudgetAlert {
    /// The alert of an event.
    pub(crate) fn of_event(event: &RecordedEvent, crossed: ThresholdCrossed) -> Self {
        Self {
            budget_id: Kind::Budget.id(crossed.budget_id),
            month: crossed.month.to_string(),
            threshold_percent: crossed.threshold_percent.percent().into(),
            terms_version: Long::from_unsigned(crossed.terms_version),
            spent: crossed.spent.into(),
            limit: crossed.limit.into(),
            currency: crossed.currency.into(),
            crossed_at_position: Position(crossed.crossed_at_position.into()),
            position: event.position.into(),
            raised_at: event.recorded_at.into(),
        }
    }
}

/// Key of the months of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct MonthsOf(BudgetId);

impl Loader<MonthsOf> for Rows {
    type Value = Vec<BudgetMonthRow>;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[MonthsOf]) -> Result<HashMap<MonthsOf, Self::Value>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let ids: Vec<_> = keys.iter().map(|key| key.0.0).collect();
        let mut months: HashMap<MonthsOf, Self::Value> = HashMap::new();
        for row in budgets::months(&self.reads, &access, &ids).await? {
            months.entry(MonthsOf(BudgetId(row.budget_id))).or_default().push(row);
        }
        Ok(months)
    }
}

/// Key of the alerts of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct AlertsOf(BudgetId);

impl Loader<AlertsOf> for Rows {
    type Value = Vec<AlertRow>;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[AlertsOf]) -> Result<HashMap<AlertsOf, Self::Value>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let ids: Vec<_> = keys.iter().map(|key| key.0.0).collect();
        let mut alerts: HashMap<AlertsOf, Self::Value> = HashMap::new();
        for row in budgets::alerts_of_budgets(&self.reads, &access, &ids).await? {
            alerts.entry(AlertsOf(BudgetId(row.budget_id))).or_default().push(row);
        }
        Ok(alerts)
    }
}

impl Loader<BudgetId> for Rows {
    type Value = BudgetRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[BudgetId]) -> Result<HashMap<BudgetId, BudgetRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let ids: Vec<_> = keys.iter().map(|id| id.0).collect();
        let page = Page { limit: MAX_PAGE_ROWS, ..Page::default() };
        let rows = budgets::list(&self.reads, &access, &ids, page).await?;
        Ok(rows.into_iter().map(|row| (BudgetId(row.budget_id), row)).collect())
    }
}
