//! Allocation rules as the schema has them.

use crate::graphql::price::Meter;
use crate::graphql::scalars::{Long, Position, Timestamp};
use async_graphql::{Enum, SimpleObject};
use domain::allocation::{self as model, AllocationRulesSet, RulesInForce};
use projections::RulesVersion;

/// A unit of an organisation to which costs are allocated.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostCentre {
    /// Code, by which it is named in rules and statements.
    code: String,
    /// Display name.
    name: String,
}

impl From<&model::CostCentre> for CostCentre {
    fn from(centre: &model::CostCentre) -> Self {
        Self { code: centre.code.to_string(), name: centre.name.to_string() }
    }
}

/// How a rule assigns usage to cost centres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum AllocationRuleKind {
    /// Usage that has all values of `when` is assigned to `costCentre`.
    Match,
    /// Usage is assigned to the cost centre that `costCentres` has for its value of `dimension`.
    Values,
    /// Usage is assigned to the cost centre whose code its value of `dimension` is.
    Codes,
}

/// A value that usage must have of a dimension.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AllocationValue {
    /// The dimension, such as `team`; a tag is `tag:KEY`.
    dimension: String,
    /// The value.
    value: String,
}

/// The cost centre of a value.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ValueCostCentre {
    /// The value.
    value: String,
    /// Code of the cost centre.
    cost_centre: String,
}

/// A rule that assigns usage to cost centres.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AllocationRule {
    /// How it does.
    kind: AllocationRuleKind,
    /// Values that usage must have, all of them. Empty unless `kind` is `MATCH`.
    when: Vec<AllocationValue>,
    /// Code of the cost centre. Null unless `kind` is `MATCH`.
    cost_centre: Option<String>,
    /// The dimension, such as `team`; a tag is `tag:KEY`. Null if `kind` is `MATCH`.
    dimension: Option<String>,
    /// Cost centre of each value. Empty unless `kind` is `VALUES`.
    cost_centres: Vec<ValueCostCentre>,
}

impl From<&model::AllocationRule> for AllocationRule {
    fn from(rule: &model::AllocationRule) -> Self {
        let of = |kind| Self { kind, when: Vec::new(), cost_centre: None, dimension: None, cost_centres: Vec::new() };
        match rule {
            model::AllocationRule::Match { when, cost_centre } => {
                let value = |(dimension, value): (&model::AllocationDimension, &domain::Name)| AllocationValue {
                    dimension: dimension.to_string(),
                    value: value.to_string(),
                };
                let when = when.iter().map(value).collect();
                Self { when, cost_centre: Some(cost_centre.to_string()), ..of(AllocationRuleKind::Match) }
            }
            model::AllocationRule::Values { dimension, cost_centres } => {
                let value = |(value, code): (&domain::Name, &domain::CostCentreCode)| ValueCostCentre {
                    value: value.to_string(),
                    cost_centre: code.to_string(),
                };
                let cost_centres = cost_centres.iter().map(value).collect();
                Self { dimension: Some(dimension.to_string()), cost_centres, ..of(AllocationRuleKind::Values) }
            }
            model::AllocationRule::Codes { dimension } => {
                Self { dimension: Some(dimension.to_string()), ..of(AllocationRuleKind::Codes) }
            }
        }
    }
}

/// How the cost of usage that no rule assigns is shared by the cost centres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum SharedCostKind {
    /// In equal parts, by all cost centres.
    InEqualParts,
    /// In proportion to `weights`.
    ByWeights,
    /// In proportion to the direct cost of the cost centres; in equal parts if none has any.
    ByDirectCost,
    /// In proportion to what the direct usage of the cost centres has of `meter`; in equal parts if none has any.
    ByMeter,
    /// It is not shared: `costCentre` has all of it.
    To,
}

/// The weight of a cost centre.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostCentreWeight {
    /// Code of the cost centre.
    cost_centre: String,
    /// The weight.
    weight: i32,
}

/// How the cost of usage that no rule assigns is shared.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct SharedCost {
    /// How it is shared.
    kind: SharedCostKind,
    /// Weight of each cost centre that has a part. Empty unless `kind` is `BY_WEIGHTS`.
    weights: Vec<CostCentreWeight>,
    /// The meter. Null unless `kind` is `BY_METER`.
    meter: Option<Meter>,
    /// Code of the cost centre that has all of it. Null unless `kind` is `TO`.
    cost_centre: Option<String>,
}

impl From<&model::SharedCost> for SharedCost {
    fn from(shared: &model::SharedCost) -> Self {
        let of = |kind| Self { kind, weights: Vec::new(), meter: None, cost_centre: None };
        match shared {
            model::SharedCost::InEqualParts => of(SharedCostKind::InEqualParts),
            model::SharedCost::ByWeights { weights } => {
                let weight = |(code, weight): (&domain::CostCentreCode, &u32)| CostCentreWeight {
                    cost_centre: code.to_string(),
                    // At most a million.
                    weight: i32::try_from(*weight).unwrap_or(i32::MAX),
                };
                Self { weights: weights.iter().map(weight).collect(), ..of(SharedCostKind::ByWeights) }
            }
            model::SharedCost::ByDirectCost => of(SharedCostKind::ByDirectCost),
            model::SharedCost::ByMeter { meter } => {
                Self { meter: Some((*meter).into()), ..of(SharedCostKind::ByMeter) }
            }
            model::SharedCost::To { cost_centre } => {
                Self { cost_centre: Some(cost_centre.to_string()), ..of(SharedCostKind::To) }
            }
        }
    }
}

/// From when on a version of the rules is in force.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AllocationRulesPeriod {
    /// The version.
    version: Long,
    /// Time from which on costs are allocated by it, until the next version takes effect. Null if it always was.
    effective_from: Option<Timestamp>,
}

impl From<&RulesInForce> for AllocationRulesPeriod {
    fn from(rules: &RulesInForce) -> Self {
        Self { version: Long::from_unsigned(rules.version), effective_from: rules.effective_from.map(Into::into) }
    }
}

/// A version of the rules by which costs are allocated to cost centres.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AllocationRules {
    /// The version. Statements name it, and can be asked for with it again.
    version: Long,
    /// Cost centres, in the order in which they were given.
    cost_centres: Vec<CostCentre>,
    /// Rules. The first one that assigns usage decides.
    rules: Vec<AllocationRule>,
    /// How the cost of usage that no rule assigns is shared.
    shared_cost: SharedCost,
    /// Time from which on costs are allocated by the rules. Null if they always are.
    effective_from: Option<Timestamp>,
    /// Why they were set. Null if nobody said.
    reason: Option<String>,
    /// Time at which they were set.
    set_at: Timestamp,
    /// Position of the event that set them.
    position: Position,
    /// The versions that are in force now, in the order in which they take effect.
    in_force: Vec<AllocationRulesPeriod>,
}

impl AllocationRules {
    pub(super) fn new(found: RulesVersion, in_force: &[RulesInForce]) -> Self {
        let RulesVersion { version, set, position } = found;
        let AllocationRulesSet { rules, effective_from, reason, at } = set;
        Self {
            version: Long::from_unsigned(version),
            cost_centres: rules.cost_centres.iter().map(Into::into).collect(),
            rules: rules.rules.iter().map(Into::into).collect(),
            shared_cost: (&rules.shared_cost).into(),
            effective_from: effective_from.map(Into::into),
            reason: reason.map(Into::into),
            set_at: at.into(),
            position: position.into(),
            in_force: in_force.iter().map(Into::into).collect(),
        }
    }
}
