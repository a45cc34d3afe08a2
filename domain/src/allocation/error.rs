//! Why rules of an allocation are rejected, and why none are in force for a time range.

use super::dimension::AllocationDimension;
use super::limits::{
    MAX_ALLOCATION_BYTES, MAX_ALLOCATION_PERIODS, MAX_ALLOCATION_RULES, MAX_ALLOCATION_VALUES, MAX_COST_CENTRES,
    MAX_WEIGHT,
};
use crate::text::{CostCentreCode, Name};
use chrono::{DateTime, Utc};
use thiserror::Error;

/// Why a command to the allocation rules of a tenant is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllocationError {
    /// There are no cost centres, or too many.
    #[error("there are {found} cost centres; a set of rules has 1 to {MAX_COST_CENTRES}")]
    NumberOfCostCentres {
        /// The number of cost centres.
        found: usize,
    },
    /// Two cost centres have the same code.
    #[error("two cost centres have the code {0}: each has a code of its own")]
    DuplicateCode(CostCentreCode),
    /// There are too many rules.
    #[error("there are {found} rules, at most {MAX_ALLOCATION_RULES} are allowed: use a rule with several values")]
    TooManyRules {
        /// The number of rules.
        found: usize,
    },
    /// The rules name too many values.
    #[error(
        "the rules name {found} values, at most {MAX_ALLOCATION_VALUES} are allowed: use a dimension whose values are the codes"
    )]
    TooManyValues {
        /// The number of values.
        found: usize,
    },
    /// The rules are too large for one event.
    #[error(
        "the rules have {bytes} bytes as JSON, at most {MAX_ALLOCATION_BYTES} are allowed: use shorter names and codes, or a \
         dimension whose values are the codes"
    )]
    TooLarge {
        /// The size of the rules as JSON, in bytes.
        bytes: usize,
    },
    /// A rule names no value.
    #[error("rule {rule} names no value, so that it would assign nothing")]
    EmptyRule {
        /// The number of the rule, from 1.
        rule: usize,
    },
    /// Two rules assign usage to the cost centres whose codes the values of one dimension are.
    #[error("rule {rule} assigns nothing: an earlier rule has the values of {dimension} as codes")]
    CodesTwice {
        /// The number of the second rule, from 1.
        rule: usize,
        /// The dimension.
        dimension: AllocationDimension,
    },
    /// A value is not an id in the form that reports have.
    #[error("rule {rule}: no {dimension} has the value {value}: write a UUID in lower case, with hyphens")]
    NotAnId {
        /// The number of the rule, from 1.
        rule: usize,
        /// The dimension.
        dimension: AllocationDimension,
        /// The value.
        value: Name,
    },
    /// A rule, or the sharing of costs, names a cost centre that the set does not have.
    #[error("{place} names the cost centre {code}, which is not among the cost centres", place = place(*.rule))]
    UnknownCostCentre {
        /// The number of the rule, from 1; none for the sharing of costs.
        rule: Option<usize>,
        /// The code.
        code: CostCentreCode,
    },
    /// No sums are kept by the dimensions of the rules together.
    #[error(
        "the rules look at {tag} and at {other}: sums of usage are kept by each tag alone, so that rules look at one tag, or at \
         dimensions that are no tags"
    )]
    MixedDimensions {
        /// A tag.
        tag: AllocationDimension,
        /// Another dimension.
        other: AllocationDimension,
    },
    /// Costs are shared by weights, and there are none.
    #[error("the shared cost is split by weights, and no cost centre has one")]
    NoWeights,
    /// A weight is zero or too large.
    #[error("the weight of the cost centre {code} is {weight}; a weight is a number from 1 to {MAX_WEIGHT}")]
    InvalidWeight {
        /// The code of the cost centre.
        code: CostCentreCode,
        /// The weight.
        weight: u32,
    },
    /// The limit of consecutive versions is reached.
    #[error(
        "the limit of {MAX_ALLOCATION_PERIODS} consecutive versions of the allocation rules is reached: set rules from an \
         earlier date, which replace those from later ones"
    )]
    TooManyPeriods,
}

fn place(rule: Option<usize>) -> String {
    rule.map_or_else(|| "the sharing of costs".to_owned(), |rule| format!("rule {rule}"))
}

/// Why no rules are in force for a time range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotInForce {
    /// No rules were ever set.
    #[error("no allocation rules are set: set cost centres and rules first")]
    NoRules,
    /// The first rules take effect later.
    #[error("no allocation rules are in force at {from}: the first ones take effect at {first}")]
    Later {
        /// The start of the time range.
        from: DateTime<Utc>,
        /// When the first rules take effect.
        first: DateTime<Utc>,
    },
    /// Other rules take effect within the time range.
    #[error(
        "version {version} of the allocation rules takes effect at {at}, within the period: ask for the parts before and after \
         it, or name the version that is used"
    )]
    Changed {
        /// The version that takes effect.
        version: u64,
        /// When it does.
        at: DateTime<Utc>,
    },
    /// There is no such version.
    #[error("there is no version {requested} of the allocation rules: they have {versions}")]
    NoVersion {
        /// The version that was asked for.
        requested: u64,
        /// The number of versions.
        versions: u64,
    },
}
