//! The expiry of reservations and of requests for approval: a policy that writes timers, and the handler that expires what is still
//! held, or not answered.
//!
//! Timers are coarse: one for all reservations of a tenant that expire within a minute and were read in one batch, and one for all
//! requests. A reservation that was settled, released or extended before its timer is due stays as it is, and so does a request that
//! was answered.

use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::policy::{Policy, PolicyError, Reaction};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use commands::{Commands, Component, Context, Principal};
use domain::approval::{Approval, ApprovalEvent};
use domain::reservation::{Reservation, ReservationEvent};
use domain::{Aggregate, ApprovalId, Event, ReservationId, TenantId, derived_id};
use futures::future::BoxFuture;
use projections::Batch;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The name of the [`ReservationExpiry`] policy, used for its actor and its checkpoint.
pub const RESERVATION_EXPIRY: &str = "reservation-expiry";

/// The most reservations or requests of a timer, so that it stays below [`crate::MAX_PAYLOAD_BYTES`].
const MAX_RESERVATIONS: usize = 1000;

/// Writes timers for the reservations that are granted or extended, and for requests for approval.
pub struct ReservationExpiry;

/// What a timer says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Expiry {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    reservations: BTreeSet<ReservationId>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    approvals: BTreeSet<ApprovalId>,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Expiring {
    Reservation(ReservationId),
    Approval(ApprovalId),
}

impl Expiring {
    fn is_reservation(self) -> bool {
        matches!(self, Self::Reservation(_))
    }

    fn id(self) -> Uuid {
        match self {
            Self::Reservation(id) => id.0,
            Self::Approval(id) => id.0,
        }
    }
}

impl FromIterator<Expiring> for Expiry {
    fn from_iter<I: IntoIterator<Item = Expiring>>(all: I) -> Self {
        let mut expiry = Self::default();
        for one in all {
            match one {
                Expiring::Reservation(id) => _ = expiry.reservations.insert(id),
                Expiring::Approval(id) => _ = expiry.approvals.insert(id),
            }
        }
        expiry
    }
}

impl Policy for ReservationExpiry {
    fn name(&self) -> &'static str {
        RESERVATION_EXPIRY
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        Box::pin(std::future::ready(timers(batch)))
    }
}

/// The end of the minute in which a reservation or a request expires.
fn due_at(expires_at: DateTime<Utc>) -> DateTime<Utc> {
    let minute = TimeDelta::minutes(1);
    expires_at.duration_trunc(minute).unwrap_or(expires_at) + minute
}

fn timers(batch: &Batch) -> Result<Reaction, PolicyError> {
    let mut timers: BTreeMap<(TenantId, DateTime<Utc>, bool), BTreeSet<Expiring>> = BTreeMap::new();
    let of_category = |category: &str| category == Reservation::CATEGORY || category == Approval::CATEGORY;
    for recorded in batch.events.iter().filter(|recorded| of_category(&recorded.stream.category)) {
        let reservation = Expiring::Reservation(ReservationId(recorded.stream.id));
        let approval = Expiring::Approval(ApprovalId(recorded.stream.id));
        let (expiring, expires_at) = match recorded.decode() {
            Ok(Event::Reservation(ReservationEvent::Granted(granted))) => (reservation, granted.expires_at),
            Ok(Event::Reservation(ReservationEvent::Extended(extended))) => (reservation, extended.expires_at),
            Ok(Event::Approval(ApprovalEvent::Requested(requested))) => (approval, requested.expires_at),
            Ok(_) => continue,
            Err(error) => {
                let position = recorded.position.get();
                tracing::error!(%position, error = &error as &dyn std::error::Error, "a reservation or approval has no timer");
                continue;
            }
        };
        let key = (recorded.stream.tenant.clone(), due_at(expires_at), expiring.is_reservation());
        timers.entry(key).or_default().insert(expiring);
    }
    let mut reaction = Reaction::default();
    for ((tenant, due_at, _), expiring) in timers {
        let expiring: Vec<_> = expiring.into_iter().collect();
        for part in expiring.chunks(MAX_RESERVATIONS) {
            reaction.jobs.push(timer(&tenant, due_at, part)?);
        }
    }
    Ok(reaction)
}

fn timer(tenant: &TenantId, due_at: DateTime<Utc>, part: &[Expiring]) -> Result<NewJob, PolicyError> {
    // By what it holds: the same batch gives the same timers, and another one others.
    let content: Vec<_> = part.iter().map(|one| one.id().to_string()).collect();
    Ok(NewJob {
        id: derived_id(&[RESERVATION_EXPIRY, tenant.as_str(), &due_at.to_rfc3339(), &content.concat()]),
        kind: RESERVATION_EXPIRY,
        destination: Some(tenant.to_string()),
        tenant: Some(tenant.clone()),
        payload: serde_json::to_value(part.iter().copied().collect::<Expiry>())?,
        due_at: Some(due_at),
    })
}

/// Expires the reservations of a timer that are still held, and the requests for approval that were not answered.
pub struct ReservationExpiryHandler {
    commands: Commands,
}

impl ReservationExpiryHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands }
    }

    async fn expire(&self, job: &Job) -> Result<JobOutcome, PolicyError> {
        let Some(tenant) = job.tenant.clone() else {
            return Ok(JobOutcome::DeadLetter("the job has no tenant".into()));
        };
        let Expiry { reservations, approvals } = serde_json::from_value(job.payload.clone())?;
        let principal = Arc::new(Principal::component(tenant, Component::Policy(RESERVATION_EXPIRY)));
        let context = |id: Uuid| {
            // By the timer: one that was extended has another one.
            let command_id = derived_id(&[RESERVATION_EXPIRY, &job.id.to_string(), &id.to_string()]);
            Context::new(principal.clone(), command_id)
        };
        let mut failed: Option<PolicyError> = None;
        // One that fails holds no other one up.
        for id in reservations {
            if let Err(error) = self.commands.expire_reservation(&context(id.0), id, job.scheduled_at).await {
                failed = failed.or(Some(error.into()));
            }
        }
        for id in approvals {
            if let Err(error) = self.commands.expire_approval(&context(id.0), id, job.scheduled_at).await {
                failed = failed.or(Some(error.into()));
            }
        }
        Ok(failed.map_or(JobOutcome::Done, JobOutcome::Retry))
    }
}

impl JobHandler for ReservationExpiryHandler {
    fn kind(&self) -> &'static str {
        RESERVATION_EXPIRY
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move { self.expire(job).await.unwrap_or_else(JobOutcome::Retry) })
    }
}
