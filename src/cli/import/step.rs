//! A step of taking an import back, wherever it is done.

use commands::{NotTakenBack, Position, TakenBack};
use domain::CallId;
use serde::Serialize;
use uuid::Uuid;

/// A call, or spans of a trace, that refused to be taken back.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    /// The call; absent if it is spans of a trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) call: Option<Uuid>,
    pub(super) reason: String,
}

impl From<NotTakenBack> for Failed {
    fn from(NotTakenBack { call_id, error }: NotTakenBack) -> Self {
        Self { call: call_id.map(Uuid::from), reason: error.to_string() }
    }
}

/// What a step did, and how far it searched the log.
pub(super) struct Step {
    pub(super) reversed: u64,
    pub(super) kept: Vec<Uuid>,
    pub(super) agents: Vec<Uuid>,
    pub(super) tasks: Vec<Uuid>,
    pub(super) failed: Vec<Failed>,
    pub(super) is_written: bool,
    pub(super) searched_to: Position,
    pub(super) is_complete: bool,
}

impl From<TakenBack> for Step {
    fn from(taken: TakenBack) -> Self {
        let TakenBack { reversed, kept, agents, tasks, searched_to, position, is_complete, failed } = taken;
        Self {
            reversed: reversed.len() as u64,
            kept: kept.into_iter().map(|CallId(id)| id).collect(),
            agents: agents.into_iter().map(Uuid::from).collect(),
            tasks: tasks.into_iter().map(Uuid::from).collect(),
            failed: failed.into_iter().map(Failed::from).collect(),
            is_written: position > Position::ZERO,
            searched_to,
            is_complete,
        }
    }
}
