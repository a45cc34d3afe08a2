//! Charging what the charging policy could not decode, once it can be decoded: by a newer version of the program, usually.
//!
//! A job of a tenant is retried and becomes a dead letter in the end. What is to be charged stays in the stream of the charging: when
//! an operator sets the job waiting again, or another event is parked, all of it is charged.

use crate::charge_events::{batch_of, component, is_read, logged};
use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::policy::PolicyError;
use chrono::Utc;
use commands::{Commands, Context, Principal};
use domain::charging::{ChargeBatch, Charging, ParkedCharge};
use domain::{TenantId, derived_id};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{Position, ReadFilter};
use uuid::Uuid;

/// The kind of the jobs that charge what could not be decoded.
pub const CHARGING_CATCH_UP: &str = "charging-catch-up";

/// The number of events that are read at a time.
const PAGE_EVENTS: usize = 1000;
/// How long a run charges, which is shorter than the timeout of an attempt. The next one goes on from there.
const MAX_RUN: Duration = Duration::from_secs(5);

/// The job that charges what a tenant is behind. What is added to it later has another job, in the same queue.
pub(crate) fn catch_up_job(tenant: &TenantId, charging: &Charging) -> NewJob {
    let parked = charging.parked.last().map_or(0, |parked| parked.position);
    let held_from = charging.held_through.map_or(0, |_| charging.through);
    NewJob {
        id: derived_id(&[CHARGING_CATCH_UP, tenant.as_str(), &parked.to_string(), &held_from.to_string()]),
        kind: CHARGING_CATCH_UP,
        destination: Some(tenant.to_string()),
        tenant: Some(tenant.clone()),
        payload: serde_json::Value::Null,
        due_at: None,
    }
}

/// Charges what could not be decoded.
pub struct ChargingCatchUpHandler {
    commands: Commands,
}

impl ChargingCatchUpHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands }
    }

    async fn catch_up(&self, job: &Job) -> Result<JobOutcome, PolicyError> {
        let Some(tenant) = job.tenant.clone() else {
            return Ok(JobOutcome::DeadLetter("the job has no tenant".into()));
        };
        let principal = Arc::new(component(tenant));
        let start = Instant::now();
        // First what is parked, so that there is room for what is put off and cannot be decoded.
        let mut undecodable = self.charge_all_parked(&principal).await?;
        loop {
            let charging = self.commands.load::<Charging>(&principal, Charging::id()).await?.state.clone();
            let Some(held) = charging.held_through else { break };
            if start.elapsed() >= MAX_RUN {
                return Ok(JobOutcome::RepeatAt(Utc::now()));
            }
            let reached = self.charge_page(&principal, charging.through, held).await?;
            undecodable = reached.parked.iter().map(|parked| parked.position.to_string()).collect();
            if reached.held_through.is_some() && reached.through <= charging.through {
                let parked = undecodable.len();
                return Ok(JobOutcome::Retry(format!("{parked} events cannot be decoded: no more are parked").into()));
            }
        }
        if undecodable.is_empty() {
            return Ok(JobOutcome::Done);
        }
        let positions = undecodable.join(", ");
        Ok(JobOutcome::Retry(
            format!("no budget is charged for the events at {positions}: they cannot be decoded").into(),
        ))
    }

    /// Charges the events that are parked, and returns the positions of those that cannot be decoded yet.
    async fn charge_all_parked(&self, principal: &Arc<Principal>) -> Result<Vec<String>, PolicyError> {
        let charging = self.commands.load::<Charging>(principal, Charging::id()).await?.state.clone();
        let mut undecodable = Vec::new();
        for parked in &charging.parked {
            if !self.charge_parked(principal, parked).await? {
                undecodable.push(parked.position.to_string());
            }
        }
        Ok(undecodable)
    }

    /// Charges a page of the events that were put off, and returns how far the charging is then.
    async fn charge_page(
        &self,
        principal: &Arc<Principal>,
        after: u64,
        held_through: u64,
    ) -> Result<Arc<Charging>, PolicyError> {
        let filter = ReadFilter { tenant: Some(principal.tenant().clone()), ..ReadFilter::default() };
        let page = self.commands.log().read_after(Position::from(after), &filter, PAGE_EVENTS).await?;
        let through = page.last().map_or(held_through, |last| last.position.get().min(held_through));
        let of_page = page.iter().filter(|recorded| recorded.position.get() <= through && is_read(recorded));
        let batch = batch_of::<PolicyError>(&self.commands, principal, of_page.filter_map(logged).collect()).await?;
        let batch = ChargeBatch { catches_up_through: Some(through), ..batch };
        loop {
            let context = Context::new(principal.clone(), Uuid::now_v7());
            let charged = self.commands.charge_calls(&context, &batch).await?;
            if !charged.has_more {
                return Ok(charged.charging);
            }
        }
    }

    /// Charges an event that is parked. Returns whether it could be decoded.
    async fn charge_parked(&self, principal: &Arc<Principal>, parked: &ParkedCharge) -> Result<bool, PolicyError> {
        let found = self.commands.log().event_at(principal.tenant(), Position::from(parked.position)).await?;
        let events = found.iter().filter_map(logged).collect();
        let batch = batch_of::<PolicyError>(&self.commands, principal, events).await?;
        loop {
            let context = Context::new(principal.clone(), Uuid::now_v7());
            let charged = self.commands.charge_parked(&context, &batch).await?;
            if !charged.has_more {
                return Ok(charged.charging.parked.iter().all(|left| left.position != parked.position));
            }
        }
    }
}

impl JobHandler for ChargingCatchUpHandler {
    fn kind(&self) -> &'static str {
        CHARGING_CATCH_UP
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move { self.catch_up(job).await.unwrap_or_else(JobOutcome::Retry) })
    }
}
