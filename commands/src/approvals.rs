//! Commands to requests for approval.

use crate::budgets::append_budget;
use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::loaded::Loaded;
use crate::outcome::Outcome;
use crate::principal::Principal;
use crate::states::{States, Undecided};
use chrono::{DateTime, Utc};
use domain::approval::{Approval, ApprovalAnswer, ApprovalAnswered, ApprovalCommand, ApprovalError, ApprovalRejection};
use domain::approval_queue::ApprovalQueue;
use domain::budget::Budget;
use domain::permissions::{ReadSpending, SendCommand};
use domain::{Aggregate, ApprovalId, Body};
use std::sync::Arc;
use streams::{Position, TenantFilter, TenantLog};

/// The type of the events that open requests.
const REQUESTED: &str = "approval.requested";

/// A request for approval that was found in the log.
#[derive(Debug, Clone)]
pub struct ListedApproval {
    /// The position of the event that opened it.
    pub opened_at: Position,
    /// Its id.
    pub id: ApprovalId,
    /// The request, as it is now.
    pub approval: Arc<Loaded<Approval>>,
}

impl Commands {
    /// The last requests for approval, the last one first, as they are now: up to `limit` of those that were opened before a position,
    /// or of all. Takes the permission to read what is charged.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Load`] or [`Error::Decode`].
    pub async fn approvals(
        &self,
        principal: &Principal,
        log: &TenantLog,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<ListedApproval>, Error<ApprovalError>> {
        let access = principal.authorise::<ReadSpending>()?;
        let filter = TenantFilter::new(&access, Some(Approval::CATEGORY.to_owned()), vec![REQUESTED.to_owned()], None);
        let before = before.unwrap_or(Position::from(i64::MAX.unsigned_abs()));
        let opened = log.find_before(before, &filter, limit).await?;
        let ids: Vec<_> = opened.iter().map(|event| event.stream.id).collect();
        // Who may read what is charged need not be able to read every aggregate.
        let loaded = self.load_all::<Approval>(&principal.charging(), &ids).await?;
        // In the order of the ids that were asked for.
        let listed = opened.iter().zip(loaded);
        Ok(listed
            .map(|(event, (id, approval))| ListedApproval { opened_at: event.position, id: ApprovalId(id), approval })
            .collect())
    }

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
