//! Records what one line states.

use super::error::LineError;
use crate::connection::Connection;
use crate::importer::Importer;
use crate::outcome::{ImportError, ImportOutcome, Imported};
use crate::receiver::ReceiveError;
use crate::record::{AgentRef, Record};
use chrono::{DateTime, Utc};
use commands::{Error, Outcome, OutcomeKind, Position};
use domain::{AgentId, Aggregate};
use uuid::Uuid;

/// Records lines, in the name of one principal.
pub(super) struct Recorder {
    importer: Importer,
}

/// What the commands of a line did.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) id: Uuid,
    pub(super) is_new: bool,
    pub(super) is_changed: bool,
    pub(super) position: Position,
}

/// Why a line is not recorded.
#[derive(Debug)]
pub(super) enum NotRecorded {
    /// The line is refused. Others may be recorded.
    Refused(LineError),
    /// The log failed. The line may be recorded, and is not acknowledged.
    Failed(ReceiveError),
}

impl Applied {
    pub(super) fn of(id: Uuid) -> Self {
        Self { id, is_new: false, is_changed: false, position: Position::ZERO }
    }

    /// Adds the result of the command that creates the object.
    pub(super) fn create<A>(&mut self, outcome: Option<Outcome<A>>) {
        self.is_new |= outcome.as_ref().is_some_and(|outcome| outcome.kind == OutcomeKind::Done);
        self.change(outcome);
    }

    /// Adds the result of a command that changes the object; none if there was nothing to change.
    pub(super) fn change<A>(&mut self, outcome: Option<Outcome<A>>) {
        if let Some(outcome) = outcome {
            self.is_changed |= outcome.kind == OutcomeKind::Done;
            self.position = self.position.max(outcome.position);
        }
    }
}

impl NotRecorded {
    /// What an error of a command means for its line.
    pub(super) fn of<E>(error: Error<E>, rejected: impl FnOnce(E) -> LineError) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        match error {
            Error::Rejected(reason) => Self::Refused(rejected(reason)),
            Error::Forbidden(forbidden) => Self::Refused(LineError::Forbidden(forbidden)),
            error if error.is_invalid() => Self::Refused(LineError::Rejected(error.to_string())),
            error => Self::Failed(ReceiveError::of(error)),
        }
    }

    fn of_import(error: ImportError) -> Self {
        match error {
            ImportError::Refused(reason) => Self::Refused(LineError::Rejected(reason.to_string())),
            ImportError::Call(error) => Self::of(error, |reason| LineError::Rejected(reason.to_string())),
            ImportError::Agent(error) => Self::of(error, |reason| LineError::Rejected(reason.to_string())),
            error => Self::Failed(ReceiveError::of_import(error)),
        }
    }
}

impl Recorder {
    pub(super) fn new(importer: Importer) -> Self {
        Self { importer }
    }

    pub(super) fn connection(&self) -> &Connection {
        self.importer.connection()
    }

    /// The agent of the credential, in whose name everything is recorded; none if it is bound to none.
    pub(super) fn bound_agent(&self) -> Option<AgentId> {
        self.connection().principal.agent()
    }

    /// Creates an agent that a line names, unless it exists.
    pub(super) async fn create_agent(&self, agent: Option<&AgentRef>, at: DateTime<Utc>) -> Result<(), NotRecorded> {
        self.importer.create_owners(agent, None, at).await.map_err(NotRecorded::of_import)
    }

    pub(super) async fn record_call(&self, record: Record) -> Result<Applied, NotRecorded> {
        let prepared = self.importer.prepare(record).await.map_err(NotRecorded::of_import)?;
        let Imported { outcome, position, call_id, .. } = prepared.send().await.map_err(NotRecorded::of_import)?;
        let (is_new, is_changed) = match outcome {
            ImportOutcome::Imported => (true, true),
            ImportOutcome::Amended => (false, true),
            ImportOutcome::Duplicate => (false, false),
        };
        Ok(Applied { id: call_id.0, is_new, is_changed, position })
    }
}

/// Executes a command to an object, which is most likely new if it creates it. What makes it safe to repeat is the state of
/// the object: a command that asks for what is so already does nothing.
pub(super) async fn execute<A: Aggregate>(
    connection: &Connection,
    id: Uuid,
    creates: bool,
    command: A::Command,
) -> Result<Option<Outcome<A>>, Error<A::Error>> {
    let context = connection.context(Uuid::now_v7());
    let attempt = || async {
        if creates {
            connection.commands.execute_on_new::<A>(&context, id, command.clone()).await
        } else {
            connection.commands.execute::<A>(&context, id, command.clone()).await
        }
    };
    connection.retry.run(attempt).await.map(Some)
}
