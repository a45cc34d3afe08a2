//! Memory items: what agents store, share, recall and forget.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::AgentId;
use crate::text::{Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// Who may see a memory item. Each realm includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Realm {
    /// Only the agent that stored it.
    Private,
    /// Every agent of the tenant.
    Village,
    /// Agents of other tenants too, where a bridge to them exists.
    Bridge,
}

impl Realm {
    /// All realms, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Private, Self::Village, Self::Bridge];

    /// The realm as it is written in JSON, SQL and GraphQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Village => "village",
            Self::Bridge => "bridge",
        }
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A command to a memory item.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryCommand {
    /// Stores an item, visible to its owner only.
    Store {
        /// The agent that stores and owns the item.
        agent_id: AgentId,
        /// The content of the item.
        content: Body,
        /// Tags to find the item by; at most 32.
        tags: Vec<Name>,
        /// When the item was stored.
        at: DateTime<Utc>,
    },
    /// Shares the item with a wider realm.
    Share {
        /// The wider realm.
        realm: Realm,
        /// When the item was shared.
        at: DateTime<Utc>,
    },
    /// Records that an agent used the item.
    Recall {
        /// The agent that recalls the item.
        agent_id: AgentId,
        /// When the item was recalled.
        at: DateTime<Utc>,
    },
    /// Forgets the item: it can no longer be recalled or shared.
    Forget {
        /// Why the item is forgotten.
        reason: Option<Body>,
        /// When the item was forgotten.
        at: DateTime<Utc>,
    },
}

/// The payload of `memory.stored`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryStored {
    /// The agent that stored and owns the item.
    pub agent_id: AgentId,
    /// The content of the item.
    pub content: Body,
    /// Tags to find the item by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Name>,
    /// When the item was stored.
    pub at: DateTime<Utc>,
}

/// The payload of `memory.shared`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryShared {
    /// Who may see the item from now on.
    pub realm: Realm,
    /// When the item was shared.
    pub at: DateTime<Utc>,
}

/// The payload of `memory.recalled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryRecalled {
    /// The agent that recalled the item.
    pub agent_id: AgentId,
    /// When the item was recalled.
    pub at: DateTime<Utc>,
}

/// The payload of `memory.forgotten`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryForgotten {
    /// Why the item was forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the item was forgotten.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a memory item.
    pub enum MemoryEvent {
        /// The item was stored.
        "memory.stored" v 1 => Stored(MemoryStored),
        /// The item was shared with a wider realm.
        "memory.shared" v 1 => Shared(MemoryShared),
        /// The item was recalled.
        "memory.recalled" v 1 => Recalled(MemoryRecalled),
        /// The item was forgotten.
        "memory.forgotten" v 1 => Forgotten(MemoryForgotten),
    }
}

/// Why a command to a memory item is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// No memory item has this id.
    #[error("no memory is stored under this id")]
    NotStored,
    /// An item with a different owner, content or tags has this id.
    #[error("a different memory is stored under this id")]
    AlreadyStored,
    /// The item was forgotten.
    #[error("the memory was forgotten")]
    Forgotten,
    /// The item was already forgotten, for a different reason, which is kept.
    #[error("the memory was already forgotten, for a different reason, which is kept")]
    AlreadyForgotten,
    /// The item is already shared with a wider realm.
    #[error("a memory shared with the {from} cannot be narrowed to {to}")]
    CannotNarrow {
        /// The realm that the item is shared with.
        from: Realm,
        /// The requested realm.
        to: Realm,
    },
    /// The item is private to another agent.
    #[error("the memory is private to another agent")]
    NotVisible,
    /// The item has more than 32 tags.
    #[error("the memory has {0} tags; the limit is {limit}", limit = MAX_TAGS)]
    TooManyTags(usize),
}

/// The maximum number of tags of an item.
const MAX_TAGS: usize = 32;

/// A stored memory item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryItem {
    /// The agent that stored the item.
    pub owner: AgentId,
    /// The content of the item.
    pub content: Body,
    /// Tags to find the item by.
    pub tags: Vec<Name>,
    /// Who may see the item.
    pub realm: Realm,
    /// How many times the item was recalled.
    pub recalls: u64,
    /// Whether the item was forgotten.
    pub forgotten: bool,
    /// Why the item was forgotten, if it was and a reason was given.
    pub reason: Option<Body>,
}

/// The state of a memory item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The item; none before it is stored.
    pub item: Option<MemoryItem>,
}

impl Memory {
    /// The item, if it is stored and not forgotten.
    fn active_item(&self) -> Result<&MemoryItem, MemoryError> {
        match &self.item {
            None => Err(MemoryError::NotStored),
            Some(item) if item.forgotten => Err(MemoryError::Forgotten),
            Some(item) => Ok(item),
        }
    }

    fn store(&self, stored: MemoryStored) -> Result<Vec<MemoryEvent>, MemoryError> {
        if stored.tags.len() > MAX_TAGS {
            return Err(MemoryError::TooManyTags(stored.tags.len()));
        }
        match &self.item {
            None => Ok(vec![MemoryEvent::Stored(stored)]),
            Some(item) if item.forgotten => Err(MemoryError::Forgotten),
            Some(item)
                if item.owner == stored.agent_id && item.content == stored.content && item.tags == stored.tags =>
            {
                Ok(Vec::new())
            }
            Some(_) => Err(MemoryError::AlreadyStored),
        }
    }
}

impl Aggregate for Memory {
    const CATEGORY: &'static str = "memory";
    type Command = MemoryCommand;
    type Event = MemoryEvent;
    type Error = MemoryError;

    fn decide(&self, command: MemoryCommand) -> Result<Vec<MemoryEvent>, MemoryError> {
        match command {
            MemoryCommand::Store { agent_id, content, tags, at } => {
                self.store(MemoryStored { agent_id, content, tags, at })
            }
            MemoryCommand::Share { realm, at } => {
                let item = self.active_item()?;
                match realm.cmp(&item.realm) {
                    std::cmp::Ordering::Less => Err(MemoryError::CannotNarrow { from: item.realm, to: realm }),
                    std::cmp::Ordering::Equal => Ok(Vec::new()),
                    std::cmp::Ordering::Greater => Ok(vec![MemoryEvent::Shared(MemoryShared { realm, at })]),
                }
            }
            MemoryCommand::Recall { agent_id, at } => {
                let item = self.active_item()?;
                if item.realm == Realm::Private && item.owner != agent_id {
                    return Err(MemoryError::NotVisible);
                }
                Ok(vec![MemoryEvent::Recalled(MemoryRecalled { agent_id, at })])
            }
            MemoryCommand::Forget { reason, at } => match &self.item {
                None => Err(MemoryError::NotStored),
                Some(item) if item.forgotten && reason.is_some() && reason != item.reason => {
                    Err(MemoryError::AlreadyForgotten)
                }
                Some(item) if item.forgotten => Ok(Vec::new()),
                Some(_) => Ok(vec![MemoryEvent::Forgotten(MemoryForgotten { reason, at })]),
            },
        }
    }

    fn owner(&self, _: Uuid) -> Option<AgentId> {
        self.item.as_ref().filter(|item| item.realm == Realm::Private).map(|item| item.owner)
    }

    fn agent(&self, _: Uuid, event: &MemoryEvent) -> Option<AgentId> {
        match event {
            // Any agent that may see a memory recalls it.
            MemoryEvent::Recalled(recalled) => Some(recalled.agent_id),
            MemoryEvent::Stored(_) | MemoryEvent::Shared(_) | MemoryEvent::Forgotten(_) => {
                self.item.as_ref().map(|item| item.owner)
            }
        }
    }

    fn evolve(mut self, event: &MemoryEvent) -> Self {
        match (event, &mut self.item) {
            (MemoryEvent::Stored(stored), item) => {
                *item = Some(MemoryItem {
                    owner: stored.agent_id,
                    content: stored.content.clone(),
                    tags: stored.tags.clone(),
                    realm: Realm::Private,
                    recalls: 0,
                    forgotten: false,
                    reason: None,
                });
            }
            (MemoryEvent::Shared(shared), Some(item)) => item.realm = shared.realm,
            (MemoryEvent::Recalled(_), Some(item)) => item.recalls += 1,
            (MemoryEvent::Forgotten(forgotten), Some(item)) => {
                item.forgotten = true;
                item.reason.clone_from(&forgotten.reason);
            }
            (MemoryEvent::Shared(_) | MemoryEvent::Recalled(_) | MemoryEvent::Forgotten(_), None) => {}
        }
        self
    }
}

#[cfg(test)]
mod tests;
