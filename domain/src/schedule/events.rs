//! The events of schedules.

use super::calendar::CoveredPeriod;
use super::definition::{ScheduleDefinition, ScheduleOwner};
use crate::codec::events;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The payload of `schedule.defined` and `schedule.changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleDefined {
    /// The definition, which replaces an earlier one.
    pub definition: ScheduleDefinition,
    /// With whose permissions it runs.
    pub owner: ScheduleOwner,
    /// Why it was defined or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When it was defined or changed.
    pub at: DateTime<Utc>,
}

/// The payload of `schedule.paused`, `schedule.resumed` and `schedule.deleted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleMoved {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The payload of `schedule.run_requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRequested {
    /// The number of the request, from 1.
    pub number: u64,
    /// The period that the run covers.
    pub period: CoveredPeriod,
    /// When the run was requested.
    pub at: DateTime<Utc>,
}

/// Which run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScheduleRun {
    /// The run at a time of the schedule.
    Due {
        /// The time, without the delay.
        at: DateTime<Utc>,
    },
    /// A run that was requested.
    Requested {
        /// The number of the request.
        number: u64,
    },
}

/// The payload of `schedule.ran`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleRan {
    /// The run.
    pub run: ScheduleRun,
    /// The period that it covers.
    pub period: CoveredPeriod,
    /// The name of the file.
    #[schemars(length(min = 1, max = 255))]
    pub file: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file in hexadecimal.
    #[schemars(length(equal = 64))]
    pub sha256: String,
    /// The number of rows or statements in the file.
    pub rows: u64,
    /// The position of the log up to which the file has every event of calls.
    pub position: u64,
    /// When the file was complete.
    pub at: DateTime<Utc>,
}

/// The payload of `schedule.failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleFailed {
    /// The run.
    pub run: ScheduleRun,
    /// The period that it would have covered.
    pub period: CoveredPeriod,
    /// Why it failed.
    pub reason: Body,
    /// Whether the schedule has ended: who defined it may not read what it exports any more.
    pub is_final: bool,
    /// When it failed.
    pub at: DateTime<Utc>,
}

impl ScheduleFailed {
    /// Whether the same run failed for the same reason.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.run, &self.reason, self.is_final) == (other.run, &other.reason, other.is_final)
    }
}

/// The payload of `schedule.skipped`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleSkipped {
    /// The time of the first run that is not made up for.
    pub first: DateTime<Utc>,
    /// The time of the last run that is not made up for.
    pub last: DateTime<Utc>,
    /// The number of these runs.
    pub runs: u64,
    /// When they were skipped.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a schedule.
    pub enum ScheduleEvent {
        /// The schedule was defined.
        "schedule.defined" v 1 => Defined(ScheduleDefined),
        /// The definition was replaced.
        "schedule.changed" v 1 => Changed(ScheduleDefined),
        /// The schedule does not run until it is resumed.
        "schedule.paused" v 1 => Paused(ScheduleMoved),
        /// The schedule runs again.
        "schedule.resumed" v 1 => Resumed(ScheduleMoved),
        /// The schedule was deleted for good.
        "schedule.deleted" v 1 => Deleted(ScheduleMoved),
        /// A run was requested.
        "schedule.run_requested" v 1 => RunRequested(RunRequested),
        /// The file of a run is complete.
        "schedule.ran" v 1 => Ran(ScheduleRan),
        /// A run failed. It may be tried again.
        "schedule.failed" v 1 => Failed(ScheduleFailed),
        /// Missed runs are not made up for.
        "schedule.skipped" v 1 => Skipped(ScheduleSkipped),
    }
}
