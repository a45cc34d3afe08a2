//! The conditions of budgets that raise alerts, beside thresholds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition of a budget that raises an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatchKind {
    /// Nothing is left: what is charged and reserved is at least the limit.
    Exhausted,
    /// The limit is spent more than 14.4 times as fast as it lasts, over a short time.
    BurnRateFast,
    /// The limit is spent more than 6 times as fast as it lasts, over a longer time.
    BurnRateSlow,
    /// At the end of the period, more than the limit will be charged, as forecast.
    Forecast,
    /// The last whole hour cost more than the band in which its cost was expected.
    Anomaly,
    /// Calls that settled a reservation have no price.
    Unpriced,
    /// Expired reservations, or those of calls without a price, are charged in full, because what was used is not known.
    Assumed,
    /// Nothing was charged for a time.
    NoData,
}

impl WatchKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Exhausted,
        Self::BurnRateFast,
        Self::BurnRateSlow,
        Self::Forecast,
        Self::Anomaly,
        Self::Unpriced,
        Self::Assumed,
        Self::NoData,
    ];

    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::BurnRateFast => "burn_rate_fast",
            Self::BurnRateSlow => "burn_rate_slow",
            Self::Forecast => "forecast",
            Self::Anomaly => "anomaly",
            Self::Unpriced => "unpriced",
            Self::Assumed => "assumed",
            Self::NoData => "no_data",
        }
    }

    /// Whether the condition compares with an even pace over the period.
    #[must_use]
    pub const fn needs_end(self) -> bool {
        match self {
            Self::BurnRateFast | Self::BurnRateSlow | Self::Forecast => true,
            Self::Exhausted | Self::Anomaly | Self::Unpriced | Self::Assumed | Self::NoData => false,
        }
    }

    /// Whether the condition is computed from reports, which takes longer: it is looked at once an hour.
    #[must_use]
    pub const fn is_hourly(self) -> bool {
        match self {
            Self::Forecast | Self::Anomaly => true,
            Self::Exhausted
            | Self::BurnRateFast
            | Self::BurnRateSlow
            | Self::Unpriced
            | Self::Assumed
            | Self::NoData => false,
        }
    }
}
