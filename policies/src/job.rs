//! Jobs: what is to be done, for which destination, and from when.

use chrono::{DateTime, Utc};
use domain::TenantId;
use serde_json::Value;
use uuid::Uuid;

/// The maximum size of a job's payload as JSON, in bytes. The database refuses a larger one.
pub const MAX_PAYLOAD_BYTES: usize = 65_536;

/// A job to be inserted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// The id, derived from what the job is for: a job whose id exists is not inserted again. It is also the
    /// idempotency key of the job's effect, such as the id of the command that it gives.
    pub id: Uuid,
    /// The kind, which selects the handler.
    pub kind: &'static str,
    /// What the effect acts on, such as an endpoint or a stream. Jobs of different destinations do not delay each other.
    /// Without it, all jobs of the kind are in one queue.
    pub destination: Option<String>,
    /// The tenant on whose behalf the job runs; none for a job of the installation.
    pub tenant: Option<TenantId>,
    /// What the handler needs, as JSON of at most [`MAX_PAYLOAD_BYTES`].
    pub payload: Value,
    /// When the job is to run; none runs it as soon as it is committed.
    pub due_at: Option<DateTime<Utc>>,
}

impl NewJob {
    /// The name of the queue: `KIND` or `KIND:DESTINATION`.
    #[must_use]
    pub fn queue(&self) -> String {
        match &self.destination {
            Some(destination) => format!("{}:{destination}", self.kind),
            None => self.kind.to_owned(),
        }
    }
}

/// A job as its handler sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The id, which is the idempotency key of the effect: every attempt of the job has the same. Of a recurring job it
    /// is the same for every run; the runs differ by `scheduled_at`.
    pub id: Uuid,
    /// The kind, which selects the handler.
    pub kind: String,
    /// The queue: `KIND` or `KIND:DESTINATION`.
    pub queue: String,
    /// The tenant on whose behalf the job runs; none for a job of the installation.
    pub tenant: Option<TenantId>,
    /// What the handler needs.
    pub payload: Value,
    /// When the job was to run first.
    pub scheduled_at: DateTime<Utc>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It runs when it is due.
    Waiting,
    /// A runner is running it. When the lease expires, another one may take it.
    Leased,
    /// It succeeded.
    Done,
    /// It failed, and is not retried unless an operator decides so.
    DeadLetter,
    /// An operator dropped it.
    Dropped,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Leased, Self::Done, Self::DeadLetter, Self::Dropped];

    /// Returns the name on the command line and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::DeadLetter => "dead-letter",
            Self::Dropped => "dropped",
        }
    }

    /// Returns the name in the database.
    pub(crate) fn stored(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead",
            Self::Waiting | Self::Leased | Self::Done | Self::Dropped => self.as_str(),
        }
    }
}

impl TryFrom<String> for JobState {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = Self::ALL.into_iter().find(|known| known.stored() == text);
        known.ok_or_else(|| format!("unknown state {text:?} of a job"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_a_queue_of_its_own() {
        let job = |destination: Option<&str>| NewJob {
            id: Uuid::nil(),
            kind: "webhook",
            destination: destination.map(str::to_owned),
            tenant: None,
            payload: Value::Null,
            due_at: None,
        };
        assert_eq!(job(None).queue(), "webhook");
        assert_eq!(job(Some("a")).queue(), "webhook:a");
    }

    #[test]
    fn every_state_is_read_as_it_is_written() {
        for state in JobState::ALL {
            assert_eq!(JobState::try_from(state.stored().to_owned()), Ok(state));
        }
        assert!(JobState::try_from("running".to_owned()).is_err());
    }
}
