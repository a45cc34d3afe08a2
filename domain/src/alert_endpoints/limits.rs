//! The limits of endpoints for alerts.

/// The maximum number of endpoints of a tenant.
pub const MAX_ENDPOINTS: usize = 50;
/// The maximum number of budgets that an endpoint is limited to.
pub const MAX_ENDPOINT_BUDGETS: usize = 50;
/// The longest time for which alerts to an endpoint wait, in days.
pub const MAX_SILENCE_DAYS: i64 = 30;
/// The longest time for which alerts wait in quiet hours, in minutes: three days.
pub const MAX_QUIET_MINUTES: u16 = 4320;
/// The longest time for which the secret before the last one is used too, in seconds: 7 days.
pub const MAX_OVERLAP_SECONDS: u32 = 7 * 86_400;
