//! The results of imported records.

use crate::unpriced::UnpricedModel;
use commands::{Error, Position};
use domain::CallId;
use domain::agent::AgentError;
use domain::call::CallError;
use domain::tag_keys::TagKeysError;
use domain::task::TaskError;
use domain::trace::TraceError;
use thiserror::Error as ThisError;

/// The effect of an imported record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The call was new.
    Imported,
    /// The call was known, and the record added to it, or showed that two calls are one.
    Amended,
    /// The record added nothing.
    Duplicate,
}

/// Why a record was not imported.
#[derive(Debug, ThisError)]
pub enum ImportError {
    /// The call refuses the record. Other records may be imported.
    #[error("the call is refused: {0}")]
    Refused(CallError),
    /// The call could not be recorded, so that no other record can be either.
    #[error("the call cannot be recorded")]
    Call(#[source] Error<CallError>),
    /// The spans of a trace could not be recorded.
    #[error("the spans cannot be recorded")]
    Trace(#[source] Error<TraceError>),
    /// The agent of the record could not be registered.
    #[error("the agent cannot be registered")]
    Agent(#[source] Error<AgentError>),
    /// The task of the record could not be submitted.
    #[error("the task cannot be submitted")]
    Task(#[source] Error<TaskError>),
    /// The declared tag keys could not be read.
    #[error("the declared tag keys cannot be read")]
    TagKeys(#[source] Error<TagKeysError>),
}

/// The result of an imported record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The effect of the record.
    pub outcome: ImportOutcome,
    /// The position of the call's last event.
    pub position: Position,
    /// The id of the call.
    pub call_id: CallId,
    /// The ids of other calls that the record showed to be this one.
    pub voided: Vec<CallId>,
    /// The model of the call, if no price is known for it.
    pub unpriced: Option<UnpricedModel>,
}
