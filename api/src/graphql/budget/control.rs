//! How budgets are enforced, and what they count.

use super::policies::{BudgetOnRefusal, BudgetOnRefusalInput, BudgetUnreachablePolicy};
use crate::graphql::errors;
use crate::graphql::input::{self, Invalid};
use crate::graphql::loaders::{self, Rows};
use crate::graphql::price::Meter;
use crate::graphql::scalars::Decimal;
use async_graphql::dataloader::Loader;
use async_graphql::{Context, Enum, InputObject, OneofObject, Result, SimpleObject};
use domain::budget as model;
use domain::budget::{Attributes, BudgetDimension, PeriodUnit};
use domain::permissions::ReadBudgets;
use domain::{BudgetId, error_with_causes, parse_day};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// How strictly a budget is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "model::Enforcement")]
pub(crate) enum BudgetEnforcement {
    /// A reservation that does not fit is refused.
    Hard,
    /// Nothing is refused; the budget counts.
    Soft,
    /// Nothing is refused; the budget counts, and how often it would have refused.
    Shadow,
}

/// How often a period of a budget begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "PeriodUnit")]
pub(crate) enum BudgetPeriodUnit {
    /// Every hour of the local time.
    Hour,
    /// Every day.
    Day,
    /// Every seven days.
    Week,
    /// Every month.
    Month,
    /// Every three months.
    Quarter,
    /// Every year.
    Year,
    /// Once: there is one period.
    Total,
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum BudgetMeasure {
    /// What calls cost, in US dollars.
    Money,
    /// The number of calls.
    Calls,
    /// What calls use of a meter.
    Meter,
}

/// What a budget counts. Give exactly one. Default: money.
#[derive(Debug, OneofObject)]
pub(crate) enum BudgetMeasureInput {
    /// What calls cost, in US dollars. The value is always `true`.
    Money(bool),
    /// The number of calls. The value is always `true`.
    Calls(bool),
    /// What calls use of this meter, in its unit.
    Meter(Meter),
}

/// A value that calls must have.
#[derive(Debug, InputObject)]
pub(crate) struct BudgetConditionInput {
    /// The dimension: `agent`, `task`, `dag`, `conversation`, `user`, `team`, `key`, `provider`, `model` or `tool`; a tag is
    /// `tag:KEY`.
    dimension: String,
    /// The value; of agents, tasks, task graphs, users, teams and API keys a UUID in lower case.
    value: String,
}

/// A value that calls must have.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetCondition {
    /// The dimension, such as `team`; a tag is `tag:KEY`.
    dimension: String,
    /// The value.
    value: String,
}

/// How a budget is enforced, and what it counts.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetControl {
    /// How strictly it is enforced.
    enforcement: BudgetEnforcement,
    /// What it counts. The limit is in this unit.
    measure: BudgetMeasure,
    /// The meter. Null unless `measure` is `METER`.
    meter: Option<Meter>,
    /// Values that calls must have to be counted, each of another dimension.
    conditions: Vec<BudgetCondition>,
    /// How often a period begins.
    period: BudgetPeriodUnit,
    /// A day on which a period begins, such as `2024-01-01`.
    anchor: String,
    /// Whether what is left of a period is added to the next one.
    carry_over: bool,
    /// What follows when a call does not fit.
    on_refusal: BudgetOnRefusal,
    /// What happens to calls that it counts while Apex cannot be reached.
    on_unreachable: BudgetUnreachablePolicy,
    /// Number of parts of its periods.
    parts: i32,
    /// Whether the enforcement is suspended: the budget counts, and refuses nothing.
    suspended: bool,
}

/// The value of an amount.
pub(super) fn amount(amount: model::Amount) -> Decimal {
    amount.into()
}

fn conditions(attributes: &Attributes) -> Vec<BudgetCondition> {
    let condition = |(dimension, value): (&BudgetDimension, &domain::Name)| BudgetCondition {
        dimension: dimension.to_string(),
        value: value.to_string(),
    };
    attributes.iter().map(condition).collect()
}

/// The conditions in an input.
pub(super) fn parse_conditions(given: Vec<BudgetConditionInput>) -> Result<Attributes, Invalid> {
    const FIELD: &str = "scope.conditions";
    let mut conditions = Attributes::new();
    for BudgetConditionInput { dimension, value } in given {
        let dimension: BudgetDimension =
            dimension.parse().map_err(|error| Invalid::new(FIELD, error_with_causes(&error)))?;
        let name = dimension.to_string();
        if conditions.insert(dimension, input::name(FIELD, value)?).is_some() {
            return Err(Invalid::new(FIELD, format!("{name:?} occurs twice")));
        }
    }
    Ok(conditions)
}

/// The parts of an input that say how a budget is enforced.
pub(super) struct ControlInput {
    pub(super) enforcement: Option<BudgetEnforcement>,
    pub(super) measure: Option<BudgetMeasureInput>,
    pub(super) period: Option<BudgetPeriodUnit>,
    pub(super) anchor: Option<String>,
    pub(super) carry_over: Option<bool>,
    pub(super) on_refusal: Option<BudgetOnRefusalInput>,
    pub(super) on_unreachable: Option<BudgetUnreachablePolicy>,
    pub(super) parts: Option<i32>,
}

impl ControlInput {
    /// How the budget is enforced; none if the input does not say so.
    pub(super) fn parse(self) -> Result<Option<model::BudgetControl>, Invalid> {
        let Some(enforcement) = self.enforcement else {
            let is_given = self.measure.is_some()
                || self.period.is_some()
                || self.anchor.is_some()
                || self.carry_over.is_some()
                || self.on_refusal.is_some()
                || self.on_unreachable.is_some()
                || self.parts.is_some();
            let remedy = "`measure`, `period`, `anchor`, `carryOver`, `onRefusal`, `onUnreachable` and `parts` need it";
            return if is_given { Err(Invalid::new("enforcement", remedy)) } else { Ok(None) };
        };
        let stated = |is_stated, measure| {
            if is_stated { Ok(measure) } else { Err(Invalid::new("measure", "the value must be true")) }
        };
        let measure = match self.measure {
            None => model::Measure::Money,
            Some(BudgetMeasureInput::Money(is_stated)) => stated(is_stated, model::Measure::Money)?,
            Some(BudgetMeasureInput::Calls(is_stated)) => stated(is_stated, model::Measure::Calls)?,
            Some(BudgetMeasureInput::Meter(meter)) => model::Measure::Meter(meter.into()),
        };
        let anchor = self.anchor.as_deref().unwrap_or("2024-01-01");
        let anchor = parse_day(anchor).ok_or_else(|| {
            let shown: String = anchor.chars().take(64).collect();
            Invalid::new("anchor", format!("{shown:?} is not a day: write it like 2024-01-15"))
        })?;
        let parts = self.parts.unwrap_or(1);
        let parts = u8::try_from(parts).map_err(|_| model::BudgetError::NumberOfParts(parts.into()));
        let parts = parts.and_then(model::Parts::try_from).map_err(|error| Invalid::new("parts", error))?;
        Ok(Some(model::BudgetControl {
            enforcement: enforcement.into(),
            measure,
            period: self.period.map_or(PeriodUnit::Month, Into::into),
            anchor,
            carry_over: self.carry_over.unwrap_or(false),
            on_refusal: self.on_refusal.map_or(Ok(model::OnRefusal::Refuse), BudgetOnRefusalInput::parse)?,
            on_unreachable: self.on_unreachable.map(Into::into),
            parts,
        }))
    }
}

impl BudgetControl {
    /// How a budget is enforced; none if it is not decided on before calls are made.
    fn of(budget: &model::Budget) -> Option<Self> {
        let terms = budget.terms.as_ref()?;
        let control = terms.control.as_ref()?;
        let (measure, meter) = match control.measure {
            model::Measure::Money => (BudgetMeasure::Money, None),
            model::Measure::Calls => (BudgetMeasure::Calls, None),
            model::Measure::Meter(meter) => (BudgetMeasure::Meter, Some(meter.into())),
        };
        Some(Self {
            enforcement: control.enforcement.into(),
            measure,
            meter,
            conditions: conditions(&terms.scope.conditions()),
            period: control.period.into(),
            anchor: control.anchor.to_string(),
            carry_over: control.carry_over,
            on_refusal: (&control.on_refusal).into(),
            on_unreachable: control.enforcement.on_unreachable(control.on_unreachable).into(),
            parts: control.parts.get().into(),
            suspended: budget.suspended,
        })
    }
}

/// Key of how a budget is enforced, which is read from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ControlOf(BudgetId);

impl Loader<ControlOf> for Rows {
    /// Or why the budget cannot be decoded.
    type Value = Result<BudgetControl, Self::Error>;
    type Error = Arc<commands::Error<model::BudgetError>>;

    async fn load(&self, keys: &[ControlOf]) -> Result<HashMap<ControlOf, Self::Value>, Self::Error> {
        if self.access::<ReadBudgets>().is_none() {
            return Ok(HashMap::new());
        }
        let reader = &self.reader();
        let load = |keys: Vec<ControlOf>| async move {
            let ids: Vec<_> = keys.iter().map(|key| key.0.0).collect();
            let budgets = self.commands.load_all::<model::Budget>(reader, &ids).await?;
            let control = |(id, budget): (Uuid, Arc<commands::Loaded<model::Budget>>)| {
                Some((ControlOf(BudgetId(id)), BudgetControl::of(&budget.state)?))
            };
            Ok(budgets.into_iter().filter_map(control).collect())
        };
        loaders::decoded_apart(keys, load).await
    }
}

/// How a budget is enforced; none if it is not decided on before calls are made.
pub(super) async fn control(ctx: &Context<'_>, id: BudgetId) -> Result<Option<BudgetControl>> {
    let loaded = loaders::of::<ReadBudgets>(ctx)?.load_one(ControlOf(id)).await;
    loaded.and_then(Option::transpose).map_err(|error| errors::failed(&*error))
}
