//! The limits of reservations.

use chrono::TimeDelta;

/// The shortest time that a reservation is held, if it is not settled or released.
pub const MIN_HOLD: TimeDelta = TimeDelta::minutes(1);
/// The longest time that a reservation is held.
pub const MAX_HOLD: TimeDelta = TimeDelta::days(1);
/// The most calls that a settlement ties together, with the reservations of the calls that it replaces.
pub const MAX_SETTLEMENT_CALLS: usize = 28;
