//! What costs will be, and where they are not what they should be: a forecast of the cost of a month, and anomalies with their causes.
//!
//! Both are computed on demand from the sums that reports read; nothing of them is stored. The method, or the band, is chosen by how
//! well it does on the history of the tenant itself, beside two naive ones ([`statistics`]). What was spent is exact; what is expected
//! is an estimate. `docs/forecast.md` has the methods.

mod anomalies;
mod anomaly_query;
mod causes;
mod error;
mod estimate;
mod forecast;
mod series;

pub mod statistics;

pub use anomalies::{AnomalyPage, BandError, CostAnomalies, CostAnomaly, cost_anomalies};
pub use anomaly_query::{AnomalyQuery, AnomalyStep};
pub use causes::{Cause, CauseList, REFERENCE_DAYS};
pub use error::{
    MAX_CAUSES, MAX_DAILY_DAYS, MAX_FORECAST_DAYS, MAX_HOURLY_DAYS, MAX_OUTLOOK_FILTERS, OutlookError, PERCENTS,
};
pub use estimate::{ERROR_PLACES, ESTIMATE_PLACES};
pub use forecast::{CostForecast, ForecastQuery, HISTORY_DAYS, MethodError, cost_forecast};
pub use series::{MAX_OUTLOOKS, SeriesQuery};
