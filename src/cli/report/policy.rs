//! Which cost of a call a report shows as its cost.

use domain::Sum;
use projections::{CostPolicy, Totals};

/// Which cost of a call counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Policy {
    /// What Apex charges by the price book
    Charged,
    /// What the source of the call reported
    Reported,
    /// What Apex charges, or else what the source reported
    PreferCharged,
    /// What the source reported, or else what Apex charges
    PreferReported,
}

impl From<Policy> for CostPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Charged => Self::Charged,
            Policy::Reported => Self::Reported,
            Policy::PreferCharged => Self::PreferCharged,
            Policy::PreferReported => Self::PreferReported,
        }
    }
}

/// The cost by a policy; none if no charge is known.
pub(super) fn cost(totals: &Totals, policy: CostPolicy) -> Option<Sum> {
    match policy {
        CostPolicy::Charged => totals.known_cost().cloned(),
        CostPolicy::Reported | CostPolicy::PreferCharged | CostPolicy::PreferReported => Some(totals.cost_by(policy)),
    }
}
