//! What an outer span, or another source that is found later, says of whose a call is.

use super::fields::{CallFacts, DataClass, Field};
use crate::ids::AgentId;
use crate::text::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose a call is, as far as it is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallNames {
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Name>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-apex-data" = DataClass::Personal.as_str()))]
    pub user: Option<Name>,
}

impl CallNames {
    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These names, and those of another source for what they lack.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            agent_id: self.agent_id.or(other.agent_id),
            conversation: self.conversation.or_else(|| other.conversation.clone()),
            user: self.user.or_else(|| other.user.clone()),
        }
    }

    /// The names that two exports of one span have: of two different ones, the lower one, in any order.
    #[must_use]
    pub(crate) fn joined(&self, other: &Self) -> Self {
        fn lower<T: Ord + Clone>(one: &Option<T>, other: &Option<T>) -> Option<T> {
            one.iter().chain(other).min().cloned()
        }
        Self {
            agent_id: lower(&self.agent_id, &other.agent_id),
            conversation: lower(&self.conversation, &other.conversation),
            user: lower(&self.user, &other.user),
        }
    }

    /// Sets what is named.
    pub fn write(&self, facts: &mut CallFacts) {
        let Self { agent_id, conversation, user } = self;
        facts.agent_id = agent_id.or(facts.agent_id);
        facts.conversation = conversation.clone().or(facts.conversation.take());
        facts.user = user.clone().or(facts.user.take());
    }

    /// The fields that are named.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> {
        let named = [
            (Field::AgentId, self.agent_id.is_some()),
            (Field::Conversation, self.conversation.is_some()),
            (Field::User, self.user.is_some()),
        ];
        named.into_iter().filter_map(|(field, is_named)| is_named.then_some(field))
    }
}
