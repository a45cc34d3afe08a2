//! Statements of cost centres: what an allocation consists of.

use super::rules::{CostCentre, SharedCost};
use crate::meter::Meter;
use crate::split::round_together;
use crate::sum::Sum;
use crate::text::CostCentreCode;
use bigdecimal::RoundingMode;
use std::collections::BTreeMap;

/// Sums of usage that is assigned together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllocatedUsage {
    /// LLM calls.
    pub calls: i128,
    /// Tool calls.
    pub tool_calls: i128,
    /// LLM calls without a known price, which are not part of the cost.
    pub unpriced_calls: i128,
    /// The charged cost in US dollars; see [`AllocatedUsage::known_cost`].
    pub cost: Sum,
    /// The sum of each meter, in the order of [`Meter::ALL`].
    pub quantities: [i128; Meter::COUNT],
}

impl AllocatedUsage {
    /// The cost; none if there are LLM calls and none of them has a price: then the cost is unknown, not 0.
    #[must_use]
    pub fn known_cost(&self) -> Option<&Sum> {
        (self.calls == 0 || self.unpriced_calls < self.calls).then_some(&self.cost)
    }

    /// The sum of a meter.
    #[must_use]
    pub fn quantity(&self, meter: Meter) -> i128 {
        self.quantities[meter as usize]
    }

    /// Adds other usage.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.tool_calls += other.tool_calls;
        self.unpriced_calls += other.unpriced_calls;
        self.cost += &other.cost;
        self.quantities.iter_mut().zip(other.quantities).for_each(|(sum, quantity)| *sum += quantity);
    }
}

/// Usage that one rule assigned to a cost centre, by one value if the rule names several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectLine {
    /// The number of the rule, from 1.
    pub rule: usize,
    /// The value of the dimension of the rule; none for a rule with one cost centre.
    pub value: Option<String>,
    /// What was assigned.
    pub usage: AllocatedUsage,
}

/// The part of the shared cost that a cost centre has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPart {
    /// What the part is in proportion to; the part is the shared cost times this, divided by [`SharedPool::base`].
    pub base: Sum,
    /// The cost, of which all parts add up to the shared cost; see [`SharedPart::known_cost`].
    pub cost: Sum,
}

impl SharedPart {
    /// The cost; none if it is a part of the cost of LLM calls of which none has a price: then it is unknown, not 0.
    #[must_use]
    pub fn known_cost(&self, pool: &SharedPool) -> Option<&Sum> {
        (self.base.is_zero() || pool.usage.known_cost().is_some()).then_some(&self.cost)
    }
}

/// Usage that no rule assigned, whose cost is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPool {
    /// The usage. Its unpriced calls are unpriced for each cost centre that has a part.
    pub usage: AllocatedUsage,
    /// How the cost was shared.
    pub by: SharedCost,
    /// Whether the cost was shared in equal parts, because no cost centre has any of what it is shared by.
    pub is_in_equal_parts_instead: bool,
    /// The sum of what the parts are in proportion to.
    pub base: Sum,
}

/// The costs of a cost centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostStatement {
    /// The cost centre.
    pub cost_centre: CostCentre,
    /// The usage that rules assigned, in the order of the rules and then of the values.
    pub lines: Vec<DirectLine>,
    /// The sum of the lines.
    pub direct: AllocatedUsage,
    /// The part of the shared cost.
    pub shared: SharedPart,
    /// The direct cost and the part of the shared cost; see [`CostStatement::known_total`].
    pub total: Sum,
    /// Whether the total is unknown: there are LLM calls, and none of them has a price.
    is_unpriced: bool,
}

impl CostStatement {
    pub(super) fn new(
        cost_centre: CostCentre,
        lines: Vec<DirectLine>,
        direct: AllocatedUsage,
        shared: SharedPart,
        pool: &SharedPool,
    ) -> Self {
        let mut total = direct.cost.clone();
        total += &shared.cost;
        // The calls of the shared usage count if the cost centre has a part of their cost.
        let of_pool = Some(&pool.usage).filter(|_| !shared.base.is_zero());
        let calls = direct.calls + of_pool.map_or(0, |usage| usage.calls);
        let unpriced = direct.unpriced_calls + of_pool.map_or(0, |usage| usage.unpriced_calls);
        let is_unpriced = calls != 0 && unpriced >= calls;
        Self { cost_centre, lines, direct, shared, total, is_unpriced }
    }

    /// The total; none if there are LLM calls, of the cost centre or of the usage that it has a part of, and none of them has a
    /// price: then it is unknown, not 0.
    #[must_use]
    pub fn known_total(&self) -> Option<&Sum> {
        (!self.is_unpriced).then_some(&self.total)
    }
}

/// Statements of all cost centres, which add up to the total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// The statements, in the order of the codes.
    pub statements: Vec<CostStatement>,
    /// What was shared.
    pub shared: SharedPool,
    /// All usage.
    pub total: AllocatedUsage,
}

impl Allocation {
    /// The total of each statement, rounded to a number of decimal places so that they add up to the rounded total.
    #[must_use]
    pub fn rounded(&self, digits: u32) -> BTreeMap<CostCentreCode, Sum> {
        let totals =
            self.statements.iter().map(|statement| (statement.cost_centre.code.clone(), statement.total.clone()));
        round_together(&totals.collect(), digits)
    }

    /// The cost of all usage, rounded half to even, to which the rounded totals add up; none if it is unknown, not 0.
    #[must_use]
    pub fn rounded_total(&self, digits: u32) -> Option<Sum> {
        let cost = self.total.known_cost()?;
        Some(Sum::from(cost.as_number().with_scale_round(digits.into(), RoundingMode::HalfEven)))
    }
}
