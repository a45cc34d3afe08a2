//! What costs will be, and where they are not what they should be.

mod anomalies;
mod forecast;
mod series;

pub(crate) use anomalies::{AnomalyQuery, CostAnomalyPage};
pub(crate) use forecast::ForecastQuery;
