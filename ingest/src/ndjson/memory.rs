//! Lines that state a memory: its content, and with whom it is shared.

use super::error::LineError;
use super::fields::{LineFields, Named};
use super::recorder::{Applied, NotRecorded, Recorder, execute};
use crate::call_id::client_memory_id;
use crate::record::AgentRef;
use chrono::{DateTime, Utc};
use commands::{Error, Outcome};
use domain::memory::{Memory, MemoryCommand, MemoryError, Realm};
use domain::{AgentId, Body, Name};
use uuid::Uuid;

/// The fields of a memory.
pub(super) const FIELDS: [&str; 7] = ["type", "id", "agent", "content", "tags", "realm", "stored_at"];

/// A memory as a line states it.
#[derive(Debug)]
pub struct MemoryLine {
    pub(super) id: Uuid,
    agent_id: AgentId,
    agent: Option<AgentRef>,
    content: Body,
    tags: Vec<Name>,
    realm: Realm,
    stored_at: DateTime<Utc>,
}

pub(super) fn parse(fields: &LineFields<'_>) -> Result<MemoryLine, LineError> {
    fields.allow("memory", &FIELDS)?;
    let id = match fields.named("id")?.ok_or(LineError::Missing("id"))? {
        Named::Id(id) => id,
        Named::Key(key) => client_memory_id(&key),
    };
    let (agent_id, agent) = fields.agent()?;
    Ok(MemoryLine {
        id,
        agent_id: agent_id.ok_or(LineError::Missing("agent"))?,
        agent,
        content: fields.body("content")?.ok_or(LineError::Missing("content"))?,
        tags: fields.names("tags")?,
        realm: fields.word("realm", &Realm::ALL, Realm::as_str)?.unwrap_or(Realm::Private),
        stored_at: fields.time("stored_at")?.unwrap_or(fields.now),
    })
}

impl MemoryLine {
    pub(super) async fn record(self, recorder: &Recorder) -> Result<Applied, NotRecorded> {
        let Self { id, mut agent_id, mut agent, content, tags, realm, stored_at: at } = self;
        if let Some(bound) = recorder.bound_agent() {
            (agent_id, agent) = (bound, None);
        }
        recorder.create_agent(agent.as_ref(), at).await?;
        let (connection, mut applied) = (recorder.connection(), Applied::of(id));
        let store = MemoryCommand::Store { agent_id, content, tags, at };
        applied.create(execute::<Memory>(connection, id, true, store).await.map_err(not_recorded)?);
        // A memory is private when it is stored. One that was shared since stays so.
        if realm != Realm::Private {
            let share = MemoryCommand::Share { realm, at };
            applied.change(shared(execute::<Memory>(connection, id, false, share).await)?);
        }
        Ok(applied)
    }
}

/// The result of sharing. A memory that is shared more widely by now was shared as the line says before.
fn shared(
    executed: Result<Option<Outcome<Memory>>, Error<MemoryError>>,
) -> Result<Option<Outcome<Memory>>, NotRecorded> {
    match executed {
        Err(Error::Rejected(MemoryError::CannotNarrow { .. })) => Ok(None),
        executed => executed.map_err(not_recorded),
    }
}

fn not_recorded(error: Error<MemoryError>) -> NotRecorded {
    NotRecorded::of(error, |rejected| match rejected {
        MemoryError::AlreadyStored => LineError::Conflict(rejected.to_string()),
        rejected => LineError::Rejected(rejected.to_string()),
    })
}
