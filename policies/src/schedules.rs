//! Runs of schedules: a policy that writes a job for each schedule that begins to run, and for each run that is requested.
//!
//! The job of a schedule goes on from one run to the next ([`crate::JobOutcome::RepeatAt`]). A change of the schedule begins
//! another one; the job of the earlier definition ends when it sees that. What makes the files is not here: it needs the
//! permissions of who defined the schedule.

use crate::job::NewJob;
use crate::policy::{Policy, PolicyError, Reaction};
use chrono::{DateTime, Utc};
use domain::schedule::{Schedule, ScheduleEvent};
use domain::{Aggregate as _, Event, ScheduleId, derived_id};
use futures::future::BoxFuture;
use projections::Batch;
use serde::{Deserialize, Serialize};
use streams::RecordedEvent;

/// The name of the [`Schedules`] policy, used for its checkpoint and for the actor of the events of runs.
pub const SCHEDULES: &str = "schedules";

/// The kind of the jobs that make the files of schedules.
pub const SCHEDULE_RUN: &str = "schedule-run";

/// What the job of a schedule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledJob {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// Which runs the job makes.
    pub runs: ScheduledRuns,
}

/// Which runs a job makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScheduledRuns {
    /// Those at the times of the schedule.
    Due {
        /// The version of the schedule with which they begin. While the schedule has another generation, the job has nothing to do.
        generation: u64,
        /// The time after which they begin: when the event was recorded.
        since: DateTime<Utc>,
    },
    /// One that was requested.
    Requested {
        /// The number of the request.
        number: u64,
        /// The period that it covers.
        period: domain::schedule::CoveredPeriod,
    },
}

/// Writes a job for each schedule that begins to run, and for each run that is requested.
#[derive(Debug, Default)]
pub struct Schedules;

impl Policy for Schedules {
    fn name(&self) -> &'static str {
        SCHEDULES
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        Box::pin(async move {
            let of_schedules = batch.events.iter().filter(|event| &*event.stream.category == Schedule::CATEGORY);
            let mut reaction = Reaction::default();
            for event in of_schedules {
                match job(event) {
                    Ok(job) => reaction.jobs.extend(job),
                    Err(error) => {
                        let error = &*error as &dyn std::error::Error;
                        tracing::warn!(error, position = %event.position, "an event of a schedule cannot be decoded; it starts no run");
                    }
                }
            }
            Ok(reaction)
        })
    }
}

/// The job that an event begins; none for most.
fn job(recorded: &RecordedEvent) -> Result<Option<NewJob>, PolicyError> {
    let Event::Schedule(event) = recorded.decode()? else { return Ok(None) };
    let schedule_id = ScheduleId(recorded.stream.id);
    let due = || ScheduledRuns::Due { generation: recorded.version.get(), since: recorded.recorded_at };
    let runs = match event {
        ScheduleEvent::Defined(_) | ScheduleEvent::Changed(_) | ScheduleEvent::Resumed(_) => due(),
        ScheduleEvent::RunRequested(requested) => {
            ScheduledRuns::Requested { number: requested.number, period: requested.period }
        }
        ScheduleEvent::Paused(_)
        | ScheduleEvent::Deleted(_)
        | ScheduleEvent::Ran(_)
        | ScheduleEvent::Failed(_)
        | ScheduleEvent::Skipped(_) => return Ok(None),
    };
    let tenant = recorded.stream.tenant.clone();
    Ok(Some(NewJob {
        id: derived_id(&[SCHEDULES, &recorded.event_id.to_string()]),
        kind: SCHEDULE_RUN,
        // The runs of a schedule are made one after the other, and do not delay those of others.
        destination: Some(format!("{tenant}/{schedule_id}")),
        tenant: Some(tenant),
        payload: serde_json::to_value(ScheduledJob { schedule_id, runs })?,
        due_at: None,
    }))
}
