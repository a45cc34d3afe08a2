//! The limits of a set of rules.

/// The most cost centres of a set of rules.
pub const MAX_COST_CENTRES: usize = 500;
/// The most rules of a set.
pub const MAX_ALLOCATION_RULES: usize = 500;
/// The most values that the rules of a set name together.
pub const MAX_ALLOCATION_VALUES: usize = 2_000;
/// The largest size of a set of rules as JSON, in bytes. With the longest reason and the metadata, its event stays below the
/// limit of the log.
pub const MAX_ALLOCATION_BYTES: usize = 500_000;
/// The largest weight of a cost centre.
pub const MAX_WEIGHT: u32 = 1_000_000;
/// The most versions of the rules that are in force one after the other.
pub const MAX_ALLOCATION_PERIODS: usize = 1_000;
