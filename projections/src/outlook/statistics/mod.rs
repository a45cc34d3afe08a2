//! The statistics of forecasts and anomalies: pure functions over costs as floats.
//!
//! They know no money. What they return is an estimate, which [`estimate`](super::estimate) rounds to a decimal number; what was
//! spent never passes through here. Deliberately absent: logarithms and powers, whose last digit depends on the machine.

mod backtest;
mod bands;
mod detection;
mod methods;
mod robust;
mod short;

pub use backtest::{Candidate, Forecast, MAX_SPANS, MIN_INDEPENDENT_SPANS, MIN_TRAINING_HOURS, forecast};
pub use bands::{Band, Steps};
pub use detection::{BandScore, Detection, MIN_TESTED_DAYS, Outlier, TRAINING_DAYS, detect, detect_by};
pub use methods::{Hours, Method, WEEK_HOURS};
pub use short::TooShort;
