//! The rules of an allocation: the cost centres, which usage is assigned to which, and how the rest is shared.

use super::dimension::AllocationDimension;
use super::error::AllocationError;
use super::limits::{MAX_ALLOCATION_BYTES, MAX_ALLOCATION_RULES, MAX_ALLOCATION_VALUES, MAX_COST_CENTRES, MAX_WEIGHT};
use crate::meter::Meter;
use crate::text::{CostCentreCode, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A unit of an organisation to which costs are allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostCentre {
    /// The code, by which it is named in rules and statements.
    pub code: CostCentreCode,
    /// The display name.
    pub name: Name,
}

/// A rule that assigns usage to cost centres by the values that calls have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AllocationRule {
    /// Usage that has all of some values is assigned to one cost centre.
    Match {
        /// The value of each dimension, at least one.
        when: BTreeMap<AllocationDimension, Name>,
        /// The code of the cost centre.
        cost_centre: CostCentreCode,
    },
    /// Usage is assigned to the cost centre of its value of one dimension.
    Values {
        /// The dimension.
        dimension: AllocationDimension,
        /// The code of the cost centre of each value, at least one.
        cost_centres: BTreeMap<Name, CostCentreCode>,
    },
    /// Usage is assigned to the cost centre whose code its value of one dimension is.
    Codes {
        /// The dimension.
        dimension: AllocationDimension,
    },
}

/// How the cost of usage that no rule assigns is shared by the cost centres.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SharedCost {
    /// In equal parts, by all cost centres.
    InEqualParts,
    /// In proportion to fixed weights.
    ByWeights {
        /// The weight of each cost centre that has a part, from 1 to 1,000,000.
        weights: BTreeMap<CostCentreCode, u32>,
    },
    /// In proportion to the direct cost of the cost centres; in equal parts if none has any.
    ByDirectCost,
    /// In proportion to what the direct usage of the cost centres has of a meter; in equal parts if none has any.
    ByMeter {
        /// The meter.
        meter: Meter,
    },
    /// It is not shared: one cost centre, such as one for what is not allocated, has all of it.
    To {
        /// The code of the cost centre.
        cost_centre: CostCentreCode,
    },
}

/// The rules by which the costs of a tenant are allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllocationRuleSet {
    /// The cost centres: 1 to 500, each with a code of its own.
    pub cost_centres: Vec<CostCentre>,
    /// The rules, at most 500. The first one that assigns usage decides.
    pub rules: Vec<AllocationRule>,
    /// How the cost of usage that no rule assigns is shared.
    pub shared_cost: SharedCost,
}

impl AllocationRule {
    /// The dimensions whose values the rule looks at.
    pub fn dimensions(&self) -> impl Iterator<Item = &AllocationDimension> {
        let (several, one) = match self {
            Self::Match { when, .. } => (Some(when.keys()), None),
            Self::Values { dimension, .. } | Self::Codes { dimension } => (None, Some(dimension)),
        };
        several.into_iter().flatten().chain(one)
    }

    /// The values that the rule names, each with its dimension.
    fn values(&self) -> Vec<(&AllocationDimension, &Name)> {
        match self {
            Self::Match { when, .. } => when.iter().collect(),
            Self::Values { dimension, cost_centres } => cost_centres.keys().map(|value| (dimension, value)).collect(),
            Self::Codes { .. } => Vec::new(),
        }
    }

    /// The cost centres that the rule names.
    fn cost_centres(&self) -> Vec<&CostCentreCode> {
        match self {
            Self::Match { cost_centre, .. } => vec![cost_centre],
            Self::Values { cost_centres, .. } => cost_centres.values().collect(),
            Self::Codes { .. } => Vec::new(),
        }
    }
}

impl AllocationRuleSet {
    /// The dimensions whose values the rules look at: sums are kept by all of them together.
    #[must_use]
    pub fn dimensions(&self) -> BTreeSet<&AllocationDimension> {
        self.rules.iter().flat_map(AllocationRule::dimensions).collect()
    }

    /// Checks that the rules are within the limits and name only their own cost centres, and dimensions that belong together.
    ///
    /// # Errors
    /// [`AllocationError`] if they do not.
    pub fn check(&self) -> Result<(), AllocationError> {
        let found = self.cost_centres.len();
        if !(1..=MAX_COST_CENTRES).contains(&found) {
            return Err(AllocationError::NumberOfCostCentres { found });
        }
        let mut codes = BTreeSet::new();
        if let Some(twice) = self.cost_centres.iter().find(|centre| !codes.insert(&centre.code)) {
            return Err(AllocationError::DuplicateCode(twice.code.clone()));
        }
        if self.rules.len() > MAX_ALLOCATION_RULES {
            return Err(AllocationError::TooManyRules { found: self.rules.len() });
        }
        let values = self.rules.iter().map(|rule| rule.values().len()).sum();
        if values > MAX_ALLOCATION_VALUES {
            return Err(AllocationError::TooManyValues { found: values });
        }
        let mut by_code = BTreeSet::new();
        for (rule, number) in self.rules.iter().zip(1..) {
            check_rule(rule, number, &codes)?;
            if let AllocationRule::Codes { dimension } = rule
                && !by_code.insert(dimension)
            {
                return Err(AllocationError::CodesTwice { rule: number, dimension: dimension.clone() });
            }
        }
        self.check_dimensions()?;
        check_shared_cost(&self.shared_cost, &codes)?;
        self.check_bytes()
    }

    /// Checks that the rules fit into one event, with what JSON escapes.
    fn check_bytes(&self) -> Result<(), AllocationError> {
        // The rules are always JSON; if they were not, they would be no event either.
        let bytes = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_ALLOCATION_BYTES { Err(AllocationError::TooLarge { bytes }) } else { Ok(()) }
    }

    /// Checks that sums are kept by all dimensions together: by those that are no tags, or by one tag alone.
    fn check_dimensions(&self) -> Result<(), AllocationError> {
        let dimensions = self.dimensions();
        let Some(tag) = dimensions.iter().find(|dimension| dimension.tag_key().is_some()) else { return Ok(()) };
        match dimensions.iter().find(|dimension| *dimension != tag) {
            Some(other) => Err(AllocationError::MixedDimensions { tag: (*tag).clone(), other: (*other).clone() }),
            None => Ok(()),
        }
    }
}

fn check_rule(rule: &AllocationRule, number: usize, codes: &BTreeSet<&CostCentreCode>) -> Result<(), AllocationError> {
    let values = rule.values();
    if values.is_empty() && !matches!(rule, AllocationRule::Codes { .. }) {
        return Err(AllocationError::EmptyRule { rule: number });
    }
    if let Some((dimension, value)) = values.into_iter().find(|(dimension, value)| !dimension.accepts(value)) {
        return Err(AllocationError::NotAnId { rule: number, dimension: dimension.clone(), value: value.clone() });
    }
    match rule.cost_centres().into_iter().find(|code| !codes.contains(code)) {
        Some(code) => Err(AllocationError::UnknownCostCentre { rule: Some(number), code: code.clone() }),
        None => Ok(()),
    }
}

fn check_shared_cost(shared_cost: &SharedCost, codes: &BTreeSet<&CostCentreCode>) -> Result<(), AllocationError> {
    let named: Vec<_> = match shared_cost {
        SharedCost::InEqualParts | SharedCost::ByDirectCost | SharedCost::ByMeter { .. } => return Ok(()),
        SharedCost::ByWeights { weights } if weights.is_empty() => return Err(AllocationError::NoWeights),
        SharedCost::ByWeights { weights } => weights.keys().collect(),
        SharedCost::To { cost_centre } => vec![cost_centre],
    };
    if let Some(code) = named.into_iter().find(|code| !codes.contains(code)) {
        return Err(AllocationError::UnknownCostCentre { rule: None, code: code.clone() });
    }
    let SharedCost::ByWeights { weights } = shared_cost else { return Ok(()) };
    match weights.iter().find(|(_, weight)| !(1..=MAX_WEIGHT).contains(*weight)) {
        Some((code, weight)) => Err(AllocationError::InvalidWeight { code: code.clone(), weight: *weight }),
        None => Ok(()),
    }
}
