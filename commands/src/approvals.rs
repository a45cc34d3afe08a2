//! Commands to requests for approval.

use crate::budgets::append_budget;
use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::outcome::Outcome;
use crate::states::{States, Undecided};
use chrono::{DateTime, Utc};
use domain::approval::{Approval, ApprovalAnswer, ApprovalAnswered, ApprovalCommand, ApprovalError, ApprovalRejection};
use domain::approval_queue::ApprovalQueue;
use domain::budget::Budget;
use domain::permissions::SendCommand;
use domain::{Aggregate, ApprovalId, Body};

impl Commands {
    /// Answers a request for approval. One that is granted raises the limit of its budget, in the same append. Takes the permission to
    /// change budgets, whatever the answer. `now` is the time of the server.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn answer_approval(
        &self,
        context: &Context,
        id: ApprovalId,
        answer: ApprovalAnswer,
        reason: Body,
        now: DateTime<Utc>,
    ) -> Result<Outcome<Approval>, Error<ApprovalRejection>> {
        // An agent may open a request with its reservation, and must not answer it.
        context.principal.authorise_on::<SendCommand>(Budget::CATEGORY, id.0)?;
        let answered = ApprovalAnswered { reason, at: now };
        self.decide::<Approval, ApprovalRejection>(context, id.0, |states: &mut States| {
            let approval = states.get::<Approval>(id.0)?;
            let decided = approval.decide(ApprovalCommand::Answer(answer, answered.clone()));
            let events = decided.map_err(|error| Undecided::Rejected(ApprovalRejection::from(error)))?;
            let Some(request) = approval.request.as_ref().filter(|_| !events.is_empty()) else { return Ok(()) };
            states.append::<Approval, ApprovalRejection>(id.0, events)?;
            let queue = ApprovalQueue::id(request.budget_id);
            states.append::<ApprovalQueue, ApprovalRejection>(queue, vec![request.left()])?;
            match answer {
                ApprovalAnswer::Approve => {
                    append_budget(states, request.budget_id, request.raise(answered.reason.clone(), now), now)
                }
                ApprovalAnswer::Deny => Ok(()),
            }
        })
        .await
    }

    /// Denies a request for approval that was not answered before its deadline.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn expire_approval(
        &self,
        context: &Context,
        id: ApprovalId,
        at: DateTime<Utc>,
    ) -> Result<Outcome<Approval>, Error<ApprovalError>> {
        self.execute::<Approval>(context, id.0, ApprovalCommand::Expire { at }).await
    }
}
