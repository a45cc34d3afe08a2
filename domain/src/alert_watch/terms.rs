//! What of a budget is watched, beside its thresholds.

use super::error::AlertWatchesError;
use super::kind::WatchKind;
use super::limits::{NO_DATA_MINUTES, RENOTIFY_HOURS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What of a budget is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchTerms {
    /// The conditions that raise alerts; nothing is watched if there are none.
    pub kinds: BTreeSet<WatchKind>,
    /// The hours, 1 to 720, after which an alert that is still firing, and not acknowledged, is sent again; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renotify_hours: Option<u16>,
    /// The minutes, 5 to 44,640, without a charge after which [`WatchKind::NoData`] holds; absent if that is not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data_minutes: Option<u32>,
}

impl WatchTerms {
    pub(super) fn check(&self) -> Result<(), AlertWatchesError> {
        if let Some(hours) = self.renotify_hours.filter(|hours| !RENOTIFY_HOURS.contains(hours)) {
            return Err(AlertWatchesError::RenotifyHours(hours));
        }
        if let Some(minutes) = self.no_data_minutes.filter(|minutes| !NO_DATA_MINUTES.contains(minutes)) {
            return Err(AlertWatchesError::NoDataMinutes(minutes));
        }
        if self.kinds.contains(&WatchKind::NoData) != self.no_data_minutes.is_some() {
            return Err(AlertWatchesError::NoDataIncomplete);
        }
        Ok(())
    }
}
