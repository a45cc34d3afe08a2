//! Memory: what agents keep, share, recall and forget.

use crate::codec::events;
use crate::{AgentId, Aggregate, Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Who may see a remembered item. Each realm holds the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Realm {
    /// Its owner alone.
    Private,
    /// Every agent of the tenant.
    Village,
    /// Other tenants too, where a bridge to them exists.
    Bridge,
}

impl Realm {
    /// The name used on every wire.
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

/// What may be asked of a memory.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryCommand {
    /// Remember something, privately.
    Store {
        /// Who remembers.
        agent_id: AgentId,
        /// What.
        content: Body,
        /// Words to find it by; at most 32.
        tags: Vec<Name>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Let more see it.
    Share {
        /// The wider realm.
        realm: Realm,
        /// When.
        at: DateTime<Utc>,
    },
    /// Use it.
    Recall {
        /// Who recalls.
        agent_id: AgentId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Let it go.
    Forget {
        /// Why.
        reason: Option<Body>,
        /// When.
        at: DateTime<Utc>,
    },
}

/// `memory.stored`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryStored {
    /// Who remembers.
    pub agent_id: AgentId,
    /// What.
    pub content: Body,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Name>,
    /// When.
    pub at: DateTime<Utc>,
}

/// `memory.shared`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryShared {
    /// Who may see it now.
    pub realm: Realm,
    /// When.
    pub at: DateTime<Utc>,
}

/// `memory.recalled`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryRecalled {
    /// Who recalled it.
    pub agent_id: AgentId,
    /// When.
    pub at: DateTime<Utc>,
}

/// `memory.forgotten`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryForgotten {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

events! {
    /// What may have happened to a memory.
    pub enum MemoryEvent {
        /// It was remembered.
        "memory.stored" v 1 => Stored(MemoryStored),
        /// More may see it.
        "memory.shared" v 1 => Shared(MemoryShared),
        /// It was used.
        "memory.recalled" v 1 => Recalled(MemoryRecalled),
        /// It was let go.
        "memory.forgotten" v 1 => Forgotten(MemoryForgotten),
    }
}

/// Why a command to a memory is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// No memory has this id.
    #[error("nothing is stored under this id")]
    NotStored,
    /// The id belongs to something else.
    #[error("something else is stored under this id")]
    AlreadyStored,
    /// It was let go.
    #[error("the memory was forgotten")]
    Forgotten,
    /// It was let go, but somebody gave another reason.
    #[error("the memory was forgotten for another reason, which stays")]
    ForgottenOtherwise,
    /// What others saw cannot be unseen.
    #[error("a memory shared with the {from} cannot be narrowed to {to}")]
    CannotNarrow {
        /// Where it is.
        from: Realm,
        /// What was asked.
        to: Realm,
    },
    /// It is private to another agent.
    #[error("the memory is private to another agent")]
    NotVisible,
    /// More than 32 tags.
    #[error("{0} tags, 32 are allowed")]
    TooManyTags(usize),
}

/// The most tags a memory may have.
const MAX_TAGS: usize = 32;

/// What is known of a memory that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Who remembers.
    pub owner: AgentId,
    /// What.
    pub content: Body,
    /// Words to find it by.
    pub tags: Vec<Name>,
    /// Who may see it.
    pub realm: Realm,
    /// How often it was recalled.
    pub recalls: u64,
    /// Whether it was let go.
    pub forgotten: bool,
    /// Why it was let go, if a reason was given.
    pub reason: Option<Body>,
}

/// A memory's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What is known of it, once stored.
    pub item: Option<Remembered>,
}

impl Memory {
    fn alive(&self) -> Result<&Remembered, MemoryError> {
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
                let item = self.alive()?;
                match realm.cmp(&item.realm) {
                    std::cmp::Ordering::Less => Err(MemoryError::CannotNarrow { from: item.realm, to: realm }),
                    std::cmp::Ordering::Equal => Ok(Vec::new()),
                    std::cmp::Ordering::Greater => Ok(vec![MemoryEvent::Shared(MemoryShared { realm, at })]),
                }
            }
            MemoryCommand::Recall { agent_id, at } => {
                let item = self.alive()?;
                if item.realm == Realm::Private && item.owner != agent_id {
                    return Err(MemoryError::NotVisible);
                }
                Ok(vec![MemoryEvent::Recalled(MemoryRecalled { agent_id, at })])
            }
            MemoryCommand::Forget { reason, at } => match &self.item {
                None => Err(MemoryError::NotStored),
                Some(item) if item.forgotten && reason.is_some() && reason != item.reason => {
                    Err(MemoryError::ForgottenOtherwise)
                }
                Some(item) if item.forgotten => Ok(Vec::new()),
                Some(_) => Ok(vec![MemoryEvent::Forgotten(MemoryForgotten { reason, at })]),
            },
        }
    }

    fn evolve(mut self, event: &MemoryEvent) -> Self {
        match (event, &mut self.item) {
            (MemoryEvent::Stored(stored), item) => {
                *item = Some(Remembered {
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
mod tests {
    use super::*;
    use crate::testing::{at, body, given, uuid};
    use proptest::prelude::*;

    const fn ada() -> AgentId {
        AgentId(uuid(1))
    }
    const fn bob() -> AgentId {
        AgentId(uuid(2))
    }
    fn stored() -> MemoryEvent {
        MemoryEvent::Stored(MemoryStored { agent_id: ada(), content: body("tea"), tags: vec![], at: at(0) })
    }
    fn shared(realm: Realm) -> MemoryEvent {
        MemoryEvent::Shared(MemoryShared { realm, at: at(1) })
    }
    fn forgotten() -> MemoryEvent {
        MemoryEvent::Forgotten(MemoryForgotten { reason: None, at: at(2) })
    }
    fn store() -> MemoryCommand {
        MemoryCommand::Store { agent_id: ada(), content: body("tea"), tags: vec![], at: at(0) }
    }

    #[test]
    fn a_memory_that_is_forgotten_again_for_another_reason_is_refused() {
        let forget = |reason: Option<&str>| MemoryCommand::Forget { reason: reason.map(body), at: at(3) };
        let forgotten = MemoryEvent::Forgotten(MemoryForgotten { reason: Some(body("wrong")), at: at(2) });
        for same in [forget(Some("wrong")), forget(None)] {
            given::<Memory>([stored(), forgotten.clone()]).when(same).then([]);
        }
        given::<Memory>([stored(), forgotten])
            .when(forget(Some("private")))
            .then_refused(MemoryError::ForgottenOtherwise);
    }

    #[test]
    fn something_is_stored_once() {
        given::<Memory>([]).when(store()).then([stored()]);
        given::<Memory>([stored()]).when(store()).then([]);
        given::<Memory>([stored()])
            .when(MemoryCommand::Store { agent_id: bob(), content: body("tea"), tags: vec![], at: at(0) })
            .then_refused(MemoryError::AlreadyStored);
    }

    #[test]
    fn sharing_only_widens() {
        given::<Memory>([stored()])
            .when(MemoryCommand::Share { realm: Realm::Village, at: at(1) })
            .then([shared(Realm::Village)]);
        given::<Memory>([stored(), shared(Realm::Bridge)])
            .when(MemoryCommand::Share { realm: Realm::Village, at: at(2) })
            .then_refused(MemoryError::CannotNarrow { from: Realm::Bridge, to: Realm::Village });
    }

    #[test]
    fn a_private_memory_is_recalled_by_its_owner_alone() {
        let recall = |agent_id| MemoryCommand::Recall { agent_id, at: at(3) };
        let recalled = |agent_id| MemoryEvent::Recalled(MemoryRecalled { agent_id, at: at(3) });
        given::<Memory>([stored()]).when(recall(ada())).then([recalled(ada())]);
        given::<Memory>([stored()]).when(recall(bob())).then_refused(MemoryError::NotVisible);
        given::<Memory>([stored(), shared(Realm::Village)]).when(recall(bob())).then([recalled(bob())]);
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        given::<Memory>([stored()]).when(MemoryCommand::Forget { reason: None, at: at(2) }).then([forgotten()]);
        given::<Memory>([stored(), forgotten()])
            .when(MemoryCommand::Recall { agent_id: ada(), at: at(3) })
            .then_refused(MemoryError::Forgotten);
        given::<Memory>([stored(), forgotten()]).when(store()).then_refused(MemoryError::Forgotten);
        given::<Memory>([])
            .when(MemoryCommand::Forget { reason: None, at: at(2) })
            .then_refused(MemoryError::NotStored);
    }

    proptest! {
        #[test]
        fn realms_never_narrow(realms in proptest::collection::vec(
            prop_oneof![Just(Realm::Private), Just(Realm::Village), Just(Realm::Bridge)], 0..12)) {
            let mut memory = Memory::default().evolve(&stored());
            let mut widest = Realm::Private;
            for realm in realms {
                if let Ok(events) = memory.decide(MemoryCommand::Share { realm, at: at(1) }) {
                    memory = events.iter().fold(memory, |memory, event| memory.evolve(event));
                    widest = widest.max(realm);
                }
                prop_assert_eq!(memory.item.as_ref().map(|item| item.realm), Some(widest));
            }
        }
    }
}
