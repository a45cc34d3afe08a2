//! The dimensions of calls by whose values budgets select them.

use crate::call::{CallFacts, CallKind, Tags};
use crate::dimension::dimensions;
use crate::text::{Name, TextError};
use std::collections::BTreeMap;
use thiserror::Error;

dimensions! {
    /// A dimension of calls by whose values budgets select them. Its name is text, such as `team`; a tag is `tag:KEY`.
    BudgetDimension or BudgetDimensionError {
        /// The agent, by its id.
        Agent: "agent";
        /// The task, by its id.
        Task: "task";
        /// The task graph, by its id.
        Dag: "dag";
        /// The conversation.
        Conversation: "conversation";
        /// The user, by the id.
        User: "user";
        /// The team, by its id.
        Team: "team";
        /// The API key, by its id.
        Key: "key";
        /// The provider of the model.
        Provider: "provider";
        /// The model.
        Model: "model";
        /// The tool.
        Tool: "tool";
    }
}

/// Text that is not the name of a dimension of budgets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetDimensionError {
    /// There is no such dimension, or it is not known before a call is made.
    #[error("calls cannot be selected by {0:?}: use {names}, or tag:KEY", names = BudgetDimension::NAMES.join(", "))]
    Unknown(String),
    /// The key of the tag is not valid.
    #[error("the key of the tag is not valid")]
    TagKey(#[source] TextError),
}

/// What is known of a call by dimension, and which calls a budget selects.
pub type Attributes = BTreeMap<BudgetDimension, Name>;

impl BudgetDimension {
    /// Whether a call that states no value has none by its nature: one to a model calls no tool, one to a tool no model, and that of
    /// a user who signed in is made with no API key. `fixed` is what the credential says. Of any other dimension, a call that states
    /// no value may have one, and a hard budget that selects by it demands that it is stated.
    #[must_use]
    pub fn is_absent(&self, kind: CallKind, fixed: &Attributes) -> bool {
        match self {
            Self::Tool => kind == CallKind::Llm,
            Self::Provider | Self::Model => kind == CallKind::Tool,
            Self::Key => fixed.contains_key(&Self::User),
            Self::Agent | Self::Task | Self::Dag | Self::Conversation | Self::User | Self::Team | Self::Tag(_) => false,
        }
    }
}

impl BudgetDimension {
    /// Whether the value is the id of an aggregate that must exist.
    #[must_use]
    pub fn is_of_subject(&self) -> bool {
        match self {
            Self::Agent | Self::User | Self::Team | Self::Key => true,
            Self::Task | Self::Dag | Self::Conversation | Self::Provider | Self::Model | Self::Tool | Self::Tag(_) => {
                false
            }
        }
    }
}

/// What the facts of a call say by dimension.
#[must_use]
pub fn attributes_of(facts: &CallFacts) -> Attributes {
    let id = |id: Option<uuid::Uuid>| id.and_then(|id| Name::new(id.to_string()).ok());
    let known = [
        (BudgetDimension::Agent, id(facts.agent_id.map(Into::into))),
        (BudgetDimension::Task, id(facts.task_id.map(Into::into))),
        (BudgetDimension::Dag, id(facts.dag_id.map(Into::into))),
        (BudgetDimension::Conversation, facts.conversation.clone()),
        (BudgetDimension::User, facts.user.clone()),
        (BudgetDimension::Team, facts.team.clone()),
        (BudgetDimension::Key, facts.key.clone()),
        (BudgetDimension::Provider, facts.provider.clone()),
        (BudgetDimension::Model, facts.model.clone()),
        (BudgetDimension::Tool, facts.tool.clone()),
    ];
    let tags = facts.tags.iter().flat_map(Tags::iter);
    let tags = tags.map(|(key, value)| (BudgetDimension::Tag(key.clone()), value.clone()));
    known.into_iter().filter_map(|(dimension, value)| Some((dimension, value?))).chain(tags).collect()
}
