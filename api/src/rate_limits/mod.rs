//! Rate limits and quotas: how much one tenant, credential or address may ask of this process.
//!
//! A rate is a token bucket (crate `governor`) that holds what is allowed in a minute and is refilled evenly. The amounts
//! are those of the directory, else the defaults of the settings. Each process counts for itself. What is counted when is
//! decided by the transports, see [`crate::http`].

mod bucket;
mod defaults;
mod limited;
mod limiter;
mod open;

pub use defaults::{DefaultLimits, DefaultLimitsError};
pub(crate) use limited::{LIMITED, Limited, Scope, seconds};
pub(crate) use limiter::{LimitUsage, RateLimiter, register_metrics};
pub(crate) use open::OpenSubscription;
