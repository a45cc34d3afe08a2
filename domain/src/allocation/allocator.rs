//! Allocates usage to cost centres by rules.

use super::dimension::AllocationDimension;
use super::rules::{AllocationRule, AllocationRuleSet, SharedCost};
use super::statement::{AllocatedUsage, Allocation, CostStatement, DirectLine, SharedPart, SharedPool};
use crate::split::{MONEY_DIGITS, SplitError, split};
use crate::sum::Sum;
use crate::text::CostCentreCode;
use bigdecimal::BigDecimal;
use std::collections::{BTreeMap, HashMap};

/// The values of a rule, with the index of its dimensions among the keys of rows.
#[derive(Debug)]
enum Lookup<'r> {
    /// All of these values, and the cost centre.
    All(Vec<(usize, &'r str)>, &'r CostCentreCode),
    /// The cost centre of each value.
    Values(usize, HashMap<&'r str, &'r CostCentreCode>),
}

/// Adds up rows of usage by the rules that assign them. Its memory does not depend on the number of rows.
#[derive(Debug)]
pub struct Allocator<'r> {
    rules: &'r AllocationRuleSet,
    lookups: Vec<Lookup<'r>>,
    /// By cost centre, and then by the index of the rule and the value.
    direct: BTreeMap<&'r CostCentreCode, BTreeMap<(usize, Option<&'r str>), AllocatedUsage>>,
    shared: AllocatedUsage,
    total: AllocatedUsage,
}

impl<'r> Allocator<'r> {
    /// An allocation without usage. The dimensions are those of the keys of rows, in their order; they contain those of the
    /// rules. A rule by another dimension assigns nothing.
    #[must_use]
    pub fn new(rules: &'r AllocationRuleSet, dimensions: &[AllocationDimension]) -> Self {
        let codes: HashMap<_, _> =
            rules.cost_centres.iter().map(|centre| (centre.code.as_str(), &centre.code)).collect();
        // An index that no row has: its value is none, which is no value of a rule.
        let index =
            |of: &AllocationDimension| dimensions.iter().position(|dimension| dimension == of).unwrap_or(usize::MAX);
        let lookup = |rule: &'r AllocationRule| match rule {
            AllocationRule::Match { when, cost_centre } => {
                Lookup::All(when.iter().map(|(of, value)| (index(of), value.as_str())).collect(), cost_centre)
            }
            AllocationRule::Values { dimension, cost_centres } => {
                let values = cost_centres.iter().map(|(value, code)| (value.as_str(), code));
                Lookup::Values(index(dimension), values.collect())
            }
            AllocationRule::Codes { dimension } => Lookup::Values(index(dimension), codes.clone()),
        };
        Self {
            rules,
            lookups: rules.rules.iter().map(lookup).collect(),
            direct: BTreeMap::new(),
            shared: AllocatedUsage::default(),
            total: AllocatedUsage::default(),
        }
    }

    /// Adds a row: usage with a value of each dimension, or with none.
    pub fn add(&mut self, keys: &[Option<String>], usage: &AllocatedUsage) {
        self.total.add(usage);
        let found = self.lookups.iter().enumerate().find_map(|(rule, lookup)| {
            let (value, code) = lookup.find(keys)?;
            Some((code, (rule, value)))
        });
        match found {
            Some((code, line)) => self.direct.entry(code).or_default().entry(line).or_default().add(usage),
            None => self.shared.add(usage),
        }
    }

    /// The statements of all cost centres.
    ///
    /// # Errors
    /// [`SplitError`] if the shared cost has more decimal places than charges have, or if the rules were not checked.
    pub fn finish(self) -> Result<Allocation, SplitError> {
        let Self { rules, mut direct, shared, total, .. } = self;
        let mut lines = BTreeMap::new();
        for centre in &rules.cost_centres {
            let line = |((rule, value), usage): ((usize, Option<&str>), AllocatedUsage)| DirectLine {
                rule: rule + 1,
                value: value.map(str::to_owned),
                usage,
            };
            let found = direct.remove(&centre.code).unwrap_or_default();
            lines.insert(&centre.code, (centre, found.into_iter().map(line).collect::<Vec<_>>()));
        }
        let sums = lines.iter().map(|(code, (_, lines))| ((*code).clone(), sum(lines))).collect();
        let (bases, is_in_equal_parts_instead) = bases(&rules.shared_cost, &sums);
        let mut parts = split(&shared.cost, MONEY_DIGITS, &bases)?;
        let base = bases.values().fold(Sum::default(), |mut total, base| {
            total += base;
            total
        });
        let shared = SharedPool { usage: shared, by: rules.shared_cost.clone(), is_in_equal_parts_instead, base };
        let statements = lines.into_iter().map(|(code, (centre, lines))| {
            let base = bases.get(code).cloned().unwrap_or_default();
            let part = SharedPart { base, cost: parts.remove(code).unwrap_or_default() };
            let direct = sums.get(code).cloned().unwrap_or_default();
            CostStatement::new(centre.clone(), lines, direct, part, &shared)
        });
        Ok(Allocation { statements: statements.collect(), shared, total })
    }
}

fn sum(lines: &[DirectLine]) -> AllocatedUsage {
    lines.iter().fold(AllocatedUsage::default(), |mut sum, line| {
        sum.add(&line.usage);
        sum
    })
}

/// What the part of each cost centre in the shared cost is in proportion to, and whether the parts are equal because none
/// has any of what they should be in proportion to. What is below zero counts as zero.
fn bases(
    shared_cost: &SharedCost,
    direct: &BTreeMap<CostCentreCode, AllocatedUsage>,
) -> (BTreeMap<CostCentreCode, Sum>, bool) {
    let number = |number: i128| Sum::from(BigDecimal::from(number));
    let base = |code: &CostCentreCode, direct: &AllocatedUsage| match shared_cost {
        SharedCost::InEqualParts => number(1),
        SharedCost::ByWeights { weights } => number(weights.get(code).copied().unwrap_or_default().into()),
        SharedCost::To { cost_centre } => number((code == cost_centre).into()),
        SharedCost::ByDirectCost => direct.cost.clone(),
        SharedCost::ByMeter { meter } => number(direct.quantity(*meter)),
    };
    let bases: BTreeMap<_, _> =
        direct.iter().map(|(code, direct)| (code.clone(), base(code, direct).max(Sum::default()))).collect();
    let is_proportional = matches!(shared_cost, SharedCost::ByDirectCost | SharedCost::ByMeter { .. });
    if is_proportional && bases.values().all(Sum::is_zero) {
        return (bases.into_keys().map(|code| (code, number(1))).collect(), true);
    }
    (bases, false)
}

impl<'r> Lookup<'r> {
    /// The cost centre of usage with these keys, and the value by which it was found if the rule has several.
    fn find(&self, keys: &[Option<String>]) -> Option<(Option<&'r str>, &'r CostCentreCode)> {
        let key = |index: usize| keys.get(index).and_then(Option::as_deref);
        match self {
            Self::All(values, code) => {
                let is_all = values.iter().all(|(index, value)| key(*index) == Some(*value));
                is_all.then_some((None, *code))
            }
            Self::Values(index, values) => {
                let (value, code) = values.get_key_value(key(*index)?)?;
                Some((Some(*value), *code))
            }
        }
    }
}
