//! The tag keys of a tenant by whose values usage is summed up.
//!
//! A call may have any tags. Sums are kept by the values of few of them only, because each key costs a row for each of its
//! values and hour: the tenant declares which. There is one set of keys per tenant. An event of a call names the keys of
//! its own tags that were declared when it was decided, so that the sums are a function of the events of calls alone; a
//! declaration changes no call that was reported before.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::derived_id;
use crate::text::TagKey;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;
use uuid::Uuid;

/// A command to the tag keys of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum TagKeysCommand {
    /// Declares a key. One that is declared already changes nothing.
    Declare {
        /// The key.
        key: TagKey,
        /// When the key was declared.
        at: DateTime<Utc>,
    },
    /// Withdraws a key. It may be declared again.
    Withdraw {
        /// The key.
        key: TagKey,
        /// When the key was withdrawn.
        at: DateTime<Utc>,
    },
}

/// The payload of `tag_key.declared`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TagKeyDeclared {
    /// The key.
    pub key: TagKey,
    /// When the key was declared.
    pub at: DateTime<Utc>,
}

/// The payload of `tag_key.withdrawn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TagKeyWithdrawn {
    /// The key.
    pub key: TagKey,
    /// When the key was withdrawn.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of the tag keys of a tenant.
    pub enum TagKeysEvent {
        /// Calls that are reported from now on are summed up by the values of the tag.
        "tag_key.declared" v 1 => Declared(TagKeyDeclared),
        /// No more calls are summed up by the values of the tag from now on.
        "tag_key.withdrawn" v 1 => Withdrawn(TagKeyWithdrawn),
    }
}

/// Why a command to the tag keys of a tenant is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagKeysError {
    /// As many keys are declared as may be.
    #[error("{limit} tag keys are declared, and no more may be: withdraw one first", limit = TagKeys::MAX)]
    TooMany,
    /// The key to withdraw is not declared.
    #[error("the tag key {0} is not declared")]
    NotDeclared(TagKey),
}

/// The state of the tag keys of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TagKeys {
    /// The declared keys, each with the time of its declaration.
    declared: BTreeMap<TagKey, DateTime<Utc>>,
}

impl TagKeys {
    /// The maximum number of keys that are declared at the same time.
    pub const MAX: usize = 8;

    /// The stream id of the tag keys. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["tag_keys"])
    }

    /// Whether a key is declared.
    #[must_use]
    pub fn is_declared(&self, key: &TagKey) -> bool {
        self.declared_at(key).is_some()
    }

    /// When a key was declared; none if it is not declared now.
    #[must_use]
    pub fn declared_at(&self, key: &TagKey) -> Option<DateTime<Utc>> {
        self.declared.get(key).copied()
    }

    /// The declared keys in their order, each with the time of its last declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&TagKey, DateTime<Utc>)> {
        self.declared.iter().map(|(key, at)| (key, *at))
    }
}

impl Aggregate for TagKeys {
    const CATEGORY: &'static str = "tag_keys";
    type Command = TagKeysCommand;
    type Event = TagKeysEvent;
    type Error = TagKeysError;

    fn decide(&self, command: TagKeysCommand) -> Result<Vec<TagKeysEvent>, TagKeysError> {
        match command {
            TagKeysCommand::Declare { key, .. } if self.is_declared(&key) => Ok(Vec::new()),
            TagKeysCommand::Declare { .. } if self.declared.len() >= Self::MAX => Err(TagKeysError::TooMany),
            TagKeysCommand::Declare { key, at } => Ok(vec![TagKeysEvent::Declared(TagKeyDeclared { key, at })]),
            TagKeysCommand::Withdraw { key, at } if self.is_declared(&key) => {
                Ok(vec![TagKeysEvent::Withdrawn(TagKeyWithdrawn { key, at })])
            }
            TagKeysCommand::Withdraw { key, .. } => Err(TagKeysError::NotDeclared(key)),
        }
    }

    fn evolve(mut self, event: &TagKeysEvent) -> Self {
        match event {
            TagKeysEvent::Declared(TagKeyDeclared { key, at }) => _ = self.declared.insert(key.clone(), *at),
            TagKeysEvent::Withdrawn(TagKeyWithdrawn { key, .. }) => _ = self.declared.remove(key),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, given};

    fn key(text: &str) -> TagKey {
        TagKey::new(text).unwrap()
    }
    fn declare(text: &str, second: i64) -> TagKeysCommand {
        TagKeysCommand::Declare { key: key(text), at: at(second) }
    }
    fn withdraw(text: &str, second: i64) -> TagKeysCommand {
        TagKeysCommand::Withdraw { key: key(text), at: at(second) }
    }
    fn declared(text: &str, second: i64) -> TagKeysEvent {
        TagKeysEvent::Declared(TagKeyDeclared { key: key(text), at: at(second) })
    }
    fn withdrawn(text: &str, second: i64) -> TagKeysEvent {
        TagKeysEvent::Withdrawn(TagKeyWithdrawn { key: key(text), at: at(second) })
    }

    #[test]
    fn a_key_is_declared_once_and_keeps_its_time() {
        let keys = given::<TagKeys>([]).when(declare("team", 1)).then([declared("team", 1)]);
        assert_eq!(keys.iter().collect::<Vec<_>>(), [(&key("team"), at(1))]);
        assert_eq!(keys.decide(declare("team", 2)), Ok(vec![]));
        assert!(keys.is_declared(&key("team")) && !keys.is_declared(&key("Team")));
    }

    #[test]
    fn at_most_eight_keys_are_declared_and_a_withdrawn_one_makes_room() {
        let eight: Vec<_> = (0..8).map(|n| declared(&format!("k{n}"), n)).collect();
        given::<TagKeys>(eight[..7].to_vec()).when(declare("k7", 7)).then([declared("k7", 7)]);
        given::<TagKeys>(eight.clone()).when(declare("k8", 9)).then_rejected(TagKeysError::TooMany);
        given::<TagKeys>(eight.clone()).when(declare("k0", 9)).then([]);
        let room = eight.into_iter().chain([withdrawn("k3", 9)]);
        given::<TagKeys>(room).when(declare("k8", 10)).then([declared("k8", 10)]);
    }

    #[test]
    fn only_a_declared_key_is_withdrawn_and_it_may_be_declared_again() {
        let not_declared = || TagKeysError::NotDeclared(key("team"));
        given::<TagKeys>([declared("env", 0)]).when(withdraw("team", 1)).then_rejected(not_declared());
        let keys = given::<TagKeys>([declared("team", 0)]).when(withdraw("team", 1)).then([withdrawn("team", 1)]);
        assert_eq!(keys, TagKeys::default());
        given::<TagKeys>([declared("team", 0), withdrawn("team", 1)])
            .when(withdraw("team", 2))
            .then_rejected(not_declared());
        let again = given::<TagKeys>([declared("team", 0), withdrawn("team", 1)]).when(declare("team", 2));
        assert_eq!(again.then([declared("team", 2)]).iter().collect::<Vec<_>>(), [(&key("team"), at(2))]);
    }
}
