//! Putting the charging of a tenant off, because what it needs cannot be decoded.

use super::{Charging, ChargingEvent};

/// Decides that the events of a tenant from a position up to another one are put off: they are charged when what they need can be
/// decoded. The policy has read every event before the first one.
#[must_use]
pub fn hold(charging: &Charging, first: u64, last: u64) -> Vec<ChargingEvent> {
    if last <= charging.through || charging.held_through.is_some_and(|held| held >= last) {
        return Vec::new();
    }
    // What is put off before this is read again, too.
    let through = match charging.held_through {
        Some(_) => charging.through,
        None => charging.through.max(first.saturating_sub(1)),
    };
    vec![Charging { through, held_through: Some(last), ..charging.clone() }.advanced()]
}
