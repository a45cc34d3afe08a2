//! Schedules: reports, statements and exports that are made at times of the calendar, each of which becomes a file.
//!
//! A schedule runs with the permissions of who defined it. The log has every run with the hash of its file, so that a run that
//! is made again after a crash is recognised. Deliberately absent: clocks, files and jobs. Times arrive in commands.

mod calendar;
mod content;
mod definition;
mod error;
mod events;
mod file_name;
mod limits;

pub use calendar::{Cadence, CoveredPeriod, DayOfWeek, PeriodUnit, TimeOfDay, Timing};
pub use content::{ContentKind, FileFormat, FocusEdition, ScheduledContent, ScheduledFilter};
pub use definition::{ScheduleDefinition, ScheduleOwner};
pub use error::ScheduleError;
pub use events::{
    RunRequested, ScheduleDefined, ScheduleEvent, ScheduleFailed, ScheduleMoved, ScheduleRan, ScheduleRun,
    ScheduleSkipped,
};
pub use file_name::FilePattern;
pub use limits::{
    MAX_CATCH_UP_RUNS, MAX_DAY_OF_MONTH, MAX_DELAY_MINUTES, MAX_DIMENSIONS, MAX_FILE_NAME_BYTES, MAX_PATTERN_BYTES,
    MAX_REMEMBERED_RUNS, MAX_SCHEDULED_FILTERS, MAX_WAITING_REQUESTS,
};

use crate::aggregate::Aggregate;
use crate::text::Body;
use crate::timestamp::ACCEPTED_YEARS;
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A command to a schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum ScheduleCommand {
    /// Defines the schedule. The same definition again changes nothing.
    Define(ScheduleDefined),
    /// Replaces the definition. It runs with the permissions of who changes it from then on.
    Change(ScheduleDefined),
    /// Stops the runs until the schedule is resumed.
    Pause(ScheduleMoved),
    /// Lets a paused or ended schedule run again, at times that are still to come.
    Resume(ScheduleMoved),
    /// Deletes the schedule for good. Its files and its history stay.
    Delete(ScheduleMoved),
    /// Requests a run at once.
    RequestRun {
        /// A day of the period; the last period that is over if none.
        day: Option<NaiveDate>,
        /// When it was requested.
        at: DateTime<Utc>,
    },
    /// Records that the file of a run is complete.
    RecordRun {
        /// The run.
        ran: ScheduleRan,
        /// The generation that the run belongs to.
        generation: u64,
    },
    /// Records that a run failed. The same failure again changes nothing, nor does one of a run that was made since.
    RecordFailure {
        /// The failure.
        failed: ScheduleFailed,
        /// The generation that the run belongs to.
        generation: u64,
    },
    /// Records that the file of a run that was recorded is lost, and cannot be made again.
    RecordLoss {
        /// The failure.
        failed: ScheduleFailed,
    },
    /// Records that missed runs are not made up for.
    RecordSkipped {
        /// The runs.
        skipped: ScheduleSkipped,
        /// The generation that the runs belong to.
        generation: u64,
    },
}

/// The status of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleStatus {
    /// It runs.
    Active,
    /// It does not run until it is resumed.
    Paused,
    /// It does not run, because who defined it may not read what it exports any more.
    Ended,
    /// It was deleted.
    Deleted,
}

impl ScheduleStatus {
    /// All statuses.
    pub const ALL: [Self; 4] = [Self::Active, Self::Paused, Self::Ended, Self::Deleted];

    /// The name in read models and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Deleted => "deleted",
        }
    }
}

/// A schedule that was defined.
#[derive(Debug, Clone, PartialEq)]
struct Defined {
    definition: Arc<ScheduleDefinition>,
    owner: ScheduleOwner,
    status: ScheduleStatus,
}

/// The state of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    #[serde(with = "stored")]
    defined: Option<Defined>,
    /// The number of events.
    version: u64,
    /// The version with which the runs began that are made now.
    generation: u64,
    /// The number of runs that were requested.
    requests: u64,
    /// The numbers of the requested runs that have no outcome yet, since the runs began that are made now.
    waiting: BTreeSet<u64>,
    /// The last runs, in the order in which they were made.
    runs: VecDeque<ScheduleRan>,
    /// The last failure, if no run succeeded since.
    failure: Option<ScheduleFailed>,
    /// The last run that was skipped.
    skipped: Option<ScheduleSkipped>,
}

/// A definition as a part of a snapshot, in which it is not shared.
mod stored {
    use super::{Defined, ScheduleDefinition, ScheduleOwner, ScheduleStatus};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(defined: &Option<Defined>, serializer: S) -> Result<S::Ok, S::Error> {
        defined.as_ref().map(|of| (&*of.definition, of.owner, of.status)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Defined>, D::Error> {
        let found: Option<(ScheduleDefinition, ScheduleOwner, ScheduleStatus)> = Option::deserialize(deserializer)?;
        Ok(found.map(|(definition, owner, status)| Defined { definition: Arc::new(definition), owner, status }))
    }
}

impl Schedule {
    /// The status; none if the schedule was not defined.
    #[must_use]
    pub fn status(&self) -> Option<ScheduleStatus> {
        self.defined.as_ref().map(|defined| defined.status)
    }

    /// The definition; none if the schedule was not defined.
    #[must_use]
    pub fn definition(&self) -> Option<&ScheduleDefinition> {
        self.defined.as_ref().map(|defined| &*defined.definition)
    }

    /// With whose permissions it runs; none if the schedule was not defined.
    #[must_use]
    pub fn owner(&self) -> Option<ScheduleOwner> {
        self.defined.as_ref().map(|defined| defined.owner)
    }

    /// The version with which the runs began that are made now. A run of an earlier one is not made any more.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A run that was made, if it is among the last [`MAX_REMEMBERED_RUNS`].
    #[must_use]
    pub fn run(&self, run: ScheduleRun) -> Option<&ScheduleRan> {
        self.runs.iter().find(|made| made.run == run)
    }

    /// The last runs that were made, at most [`MAX_REMEMBERED_RUNS`], in the order in which they were.
    pub fn runs(&self) -> impl Iterator<Item = &ScheduleRan> {
        self.runs.iter()
    }

    fn existing(&self) -> Result<&Defined, ScheduleError> {
        match &self.defined {
            None => Err(ScheduleError::NotDefined),
            Some(defined) if defined.status == ScheduleStatus::Deleted => Err(ScheduleError::Deleted),
            Some(defined) => Ok(defined),
        }
    }

    fn define(&self, given: ScheduleDefined) -> Result<Vec<ScheduleEvent>, ScheduleError> {
        given.definition.check()?;
        match &self.defined {
            None => Ok(vec![ScheduleEvent::Defined(given)]),
            Some(defined) if defined.status == ScheduleStatus::Deleted => Err(ScheduleError::Deleted),
            Some(defined) if *defined.definition == given.definition && defined.owner.is_same(given.owner) => {
                Ok(Vec::new())
            }
            Some(_) => Err(ScheduleError::AlreadyDefined),
        }
    }

    fn change(&self, given: ScheduleDefined) -> Result<Vec<ScheduleEvent>, ScheduleError> {
        given.definition.check()?;
        let defined = self.existing()?;
        let is_same = *defined.definition == given.definition && defined.owner.is_same(given.owner);
        if is_same && defined.status != ScheduleStatus::Ended {
            return Ok(Vec::new());
        }
        Ok(vec![ScheduleEvent::Changed(given)])
    }

    fn request(&self, day: Option<NaiveDate>, at: DateTime<Utc>) -> Result<Vec<ScheduleEvent>, ScheduleError> {
        let defined = self.existing()?;
        if defined.status == ScheduleStatus::Ended {
            return Err(ScheduleError::Ended);
        }
        if self.waiting.len() >= MAX_WAITING_REQUESTS {
            return Err(ScheduleError::TooManyRequests);
        }
        let timing = &defined.definition.timing;
        let is_accepted = |year: i32| ACCEPTED_YEARS.contains(&year);
        let (period, day) = match day {
            Some(day) if !is_accepted(day.year()) => (None, day),
            Some(day) => (timing.period_with(day), day),
            None => (timing.period_over_at(at), at.date_naive()),
        };
        let period = period.filter(|period| is_accepted(period.from.year())).ok_or(ScheduleError::NoPeriod(day))?;
        if period.to > at {
            return Err(ScheduleError::PeriodNotOver(period.to));
        }
        Ok(vec![ScheduleEvent::RunRequested(RunRequested { number: self.requests + 1, period, at })])
    }

    /// Checks that what is recorded of a run is of the present definition, and that the schedule runs.
    fn check_current(&self, run: ScheduleRun, generation: u64) -> Result<(), ScheduleError> {
        let defined = self.existing()?;
        let is_current = match run {
            ScheduleRun::Due { .. } => generation == self.generation && defined.status == ScheduleStatus::Active,
            ScheduleRun::Requested { .. } => defined.status != ScheduleStatus::Ended,
        };
        if is_current { Ok(()) } else { Err(ScheduleError::Superseded) }
    }

    /// Records a failure, unless the same one is known or the run was made since.
    fn fail(&self, failed: ScheduleFailed, generation: u64) -> Result<Vec<ScheduleEvent>, ScheduleError> {
        if self.is_known(&failed) || self.run(failed.run).is_some() {
            return Ok(Vec::new());
        }
        self.check_current(failed.run, generation)?;
        // Who owned the schedule before does not end it for who owns it now.
        if failed.is_final && generation != self.generation {
            return Err(ScheduleError::Superseded);
        }
        Ok(vec![ScheduleEvent::Failed(failed)])
    }

    fn is_known(&self, failed: &ScheduleFailed) -> bool {
        self.failure.as_ref().is_some_and(|last| last.is_same(failed))
    }

    fn has_outcome(&mut self, run: ScheduleRun) {
        if let ScheduleRun::Requested { number } = run {
            self.waiting.remove(&number);
        }
    }

    fn begin(&mut self, given: &ScheduleDefined) {
        let status = match self.status() {
            Some(ScheduleStatus::Paused) => ScheduleStatus::Paused,
            _ => ScheduleStatus::Active,
        };
        self.defined = Some(Defined { definition: Arc::new(given.definition.clone()), owner: given.owner, status });
        self.begin_runs();
    }

    fn begin_runs(&mut self) {
        self.generation = self.version;
        self.failure = None;
        self.waiting.clear();
    }

    fn set_status(&mut self, status: ScheduleStatus) {
        if let Some(defined) = &mut self.defined {
            defined.status = status;
        }
    }
}

impl Aggregate for Schedule {
    const CATEGORY: &'static str = "schedule";
    type Command = ScheduleCommand;
    type Event = ScheduleEvent;
    type Error = ScheduleError;

    fn decide(&self, command: ScheduleCommand) -> Result<Vec<ScheduleEvent>, ScheduleError> {
        match command {
            ScheduleCommand::Define(given) => self.define(given),
            ScheduleCommand::Change(given) => self.change(given),
            ScheduleCommand::Pause(moved) => match self.existing()?.status {
                ScheduleStatus::Active => Ok(vec![ScheduleEvent::Paused(moved)]),
                ScheduleStatus::Paused | ScheduleStatus::Deleted => Ok(Vec::new()),
                ScheduleStatus::Ended => Err(ScheduleError::Ended),
            },
            ScheduleCommand::Resume(moved) => match self.existing()?.status {
                ScheduleStatus::Paused | ScheduleStatus::Ended => Ok(vec![ScheduleEvent::Resumed(moved)]),
                ScheduleStatus::Active | ScheduleStatus::Deleted => Ok(Vec::new()),
            },
            ScheduleCommand::Delete(moved) => match self.existing() {
                Ok(_) => Ok(vec![ScheduleEvent::Deleted(moved)]),
                Err(ScheduleError::Deleted) => Ok(Vec::new()),
                Err(error) => Err(error),
            },
            ScheduleCommand::RequestRun { day, at } => self.request(day, at),
            ScheduleCommand::RecordRun { ran, .. } if self.run(ran.run).is_some() => Ok(Vec::new()),
            ScheduleCommand::RecordRun { ran, generation } => {
                self.check_current(ran.run, generation)?;
                Ok(vec![ScheduleEvent::Ran(ran)])
            }
            ScheduleCommand::RecordFailure { failed, generation } => self.fail(failed, generation),
            ScheduleCommand::RecordLoss { failed } => {
                self.existing()?;
                Ok(if self.is_known(&failed) { Vec::new() } else { vec![ScheduleEvent::Failed(failed)] })
            }
            ScheduleCommand::RecordSkipped { skipped, generation } => {
                if self.skipped.as_ref().is_some_and(|last| last.last >= skipped.last) {
                    return Ok(Vec::new());
                }
                self.check_current(ScheduleRun::Due { at: skipped.last }, generation)?;
                Ok(vec![ScheduleEvent::Skipped(skipped)])
            }
        }
    }

    fn evolve(mut self, event: &ScheduleEvent) -> Self {
        self.version += 1;
        match event {
            ScheduleEvent::Defined(given) | ScheduleEvent::Changed(given) => self.begin(given),
            ScheduleEvent::Paused(_) => self.set_status(ScheduleStatus::Paused),
            ScheduleEvent::Resumed(_) => {
                self.set_status(ScheduleStatus::Active);
                self.begin_runs();
            }
            ScheduleEvent::Deleted(_) => self.set_status(ScheduleStatus::Deleted),
            ScheduleEvent::RunRequested(requested) => {
                self.requests = requested.number;
                self.waiting.insert(requested.number);
            }
            ScheduleEvent::Ran(ran) => {
                self.has_outcome(ran.run);
                if self.runs.len() >= MAX_REMEMBERED_RUNS {
                    self.runs.pop_front();
                }
                self.runs.push_back(ran.clone());
                self.failure = None;
            }
            ScheduleEvent::Failed(failed) => {
                self.has_outcome(failed.run);
                if failed.is_final {
                    self.set_status(ScheduleStatus::Ended);
                }
                self.failure = Some(failed.clone());
            }
            ScheduleEvent::Skipped(skipped) => self.skipped = Some(skipped.clone()),
        }
        self
    }
}

/// The reason of a failure, in at most as many bytes as a text may have.
#[must_use]
pub fn failure_reason(text: &str) -> Body {
    const MAX_REASON_BYTES: usize = 4_096;
    let mut text: String = text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect();
    text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
    // Only an empty text is refused now.
    Body::new(text).or_else(|_| Body::new("unknown")).unwrap_or_else(|_| unreachable!("a word is a text"))
}

#[cfg(test)]
mod tests;
