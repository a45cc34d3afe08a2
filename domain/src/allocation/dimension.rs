//! The dimensions of calls by whose values usage is assigned to cost centres.

use crate::dimension::dimensions;
use crate::text::{Name, TagKey, TextError};
use thiserror::Error;
use uuid::Uuid;

dimensions! {
    /// A dimension of calls by whose values usage is assigned. Its name is text, such as `team`; a tag is `tag:KEY`.
    ///
    /// Sums of usage are kept by all of them together but tags, and by each declared tag alone.
    AllocationDimension or AllocationDimensionError {
        /// The agent, by its id.
        Agent: "agent";
        /// The user that the call was made for, by an id that the source gives.
        User: "user";
        /// The team that the call was made for.
        Team: "team";
        /// The name or id of the API key that the call was made with.
        Key: "key";
        /// The provider of the model.
        Provider: "provider";
        /// The model that answered.
        Model: "model";
        /// The tool that was called.
        Tool: "tool";
        /// How the call ended.
        Outcome: "outcome";
        /// The source of the first record of the call.
        Source: "source";
    }
}

/// Text that is not the name of a dimension by which usage can be assigned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllocationDimensionError {
    /// There is no such dimension, or no sums are kept by it together with others.
    #[error("usage cannot be assigned by {0:?}: use {names}, or tag:KEY", names = AllocationDimension::NAMES.join(", "))]
    Unknown(String),
    /// The key of the tag is not valid.
    #[error("the key of the tag is not valid")]
    TagKey(#[source] TextError),
}

impl AllocationDimension {
    /// The key of the tag, if it is one.
    #[must_use]
    pub fn tag_key(&self) -> Option<&TagKey> {
        match self {
            Self::Tag(key) => Some(key),
            Self::Agent
            | Self::User
            | Self::Team
            | Self::Key
            | Self::Provider
            | Self::Model
            | Self::Tool
            | Self::Outcome
            | Self::Source => None,
        }
    }

    /// Whether calls can have a value: those of agents are ids in the form that reports have.
    pub(super) fn accepts(&self, value: &Name) -> bool {
        *self != Self::Agent
            || Uuid::try_parse(value.as_str()).is_ok_and(|id| id.as_hyphenated().to_string() == value.as_str())
    }
}
