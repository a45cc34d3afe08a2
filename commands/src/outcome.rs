//! The result of a command that was not rejected.

use crate::context::Context;
use crate::error::Error;
use crate::kind::AnyLoaded;
use crate::loaded::Loaded;
use std::sync::Arc;
use streams::{Position, Receipt};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Events were appended.
    Done,
    /// The aggregate already had the requested state. Nothing was appended.
    AlreadyDone,
    /// The same command was executed before, under the same id. Nothing was appended.
    Duplicate,
}

/// The result of a command that was not rejected.
#[derive(Debug, Clone)]
pub struct Outcome<A> {
    /// How the command ended.
    pub kind: OutcomeKind,
    /// The position of the command's last event; for [`OutcomeKind::AlreadyDone`] of the last event of the
    /// aggregates that the decision rests on. A query that waits for this position sees the result.
    pub position: Position,
    /// The aggregate after the command.
    pub aggregate: Arc<Loaded<A>>,
}

/// As [`Outcome`], for a target of any type.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) kind: OutcomeKind,
    pub(crate) position: Position,
    pub(crate) target: AnyLoaded,
}

impl Executed {
    /// The result of a command that appends nothing. With a receipt it is a duplicate, and has the position of the first
    /// execution. Without one it is rejected, or, if there is no rejection, the aggregate already has the requested state.
    ///
    /// # Errors
    /// [`Error::CommandIdReused`] if the receipt is for a different request, else `rejection` if there is no receipt.
    pub(crate) fn without_append<E: std::error::Error + 'static>(
        context: &Context,
        target: AnyLoaded,
        position: Position,
        receipt: Option<&Receipt>,
        rejection: Option<Error<E>>,
    ) -> Result<Self, Error<E>> {
        match (receipt, rejection) {
            (Some(receipt), _) if receipt.is_for_different_request(context.request.as_ref()) => {
                Err(Error::CommandIdReused)
            }
            (Some(receipt), _) => Ok(Self { kind: OutcomeKind::Duplicate, position: receipt.last, target }),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Self { kind: OutcomeKind::AlreadyDone, position, target }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Principal;
    use domain::agent::{Agent, AgentError};
    use uuid::Uuid;

    fn without_receipt(rejection: Option<Error<AgentError>>) -> Result<Executed, Error<AgentError>> {
        let context = Context::new(Principal::command_line("default".parse().unwrap()), Uuid::nil());
        let target = Loaded::<Agent> { position: Position::from(7), ..Loaded::default() };
        Executed::without_append(&context, target.into(), Position::from(7), None, rejection)
    }

    #[test]
    fn a_command_without_receipt_is_rejected_or_already_done_at_the_position_of_the_aggregate() {
        let outcome = without_receipt(None).unwrap();
        assert_eq!((outcome.kind, outcome.position), (OutcomeKind::AlreadyDone, Position::from(7)));
        let rejected = without_receipt(Some(Error::Rejected(AgentError::NotRegistered)));
        assert!(matches!(rejected, Err(Error::Rejected(AgentError::NotRegistered))));
    }
}
