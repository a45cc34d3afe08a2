//! Counting what was charged before a budget was defined.

use crate::charge_events::{Reservations, component, logged};
use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::policy::PolicyError;
use chrono::{TimeDelta, Utc};
use commands::{Commands, Context, Error, Principal};
use domain::budget_catalogue::{BudgetCatalogue, CatalogueEntry};
use domain::call::Call;
use domain::charging::{Charging, LoggedEvent, Opening};
use domain::{Aggregate, BudgetId, ReservationId, TenantId, derived_id};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streams::{Position, ReadFilter};
use uuid::Uuid;

/// The kind of the jobs that count what was charged before a budget was defined.
pub const BUDGET_COUNT: &str = "budget-count";

/// The number of events that are read at a time to count what was charged before.
const PAGE_EVENTS: usize = 1000;
/// How long a run counts, which is shorter than the timeout of an attempt. The next one goes on from there: a run that came further
/// is no failed attempt, so that a log of any length is counted.
const MAX_COUNT: Duration = Duration::from_secs(5);
/// The pause until it is looked again whether the charging of a tenant goes on that was put off.
const HELD_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// What the job that counts says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Count {
    budget_id: BudgetId,
}

pub(crate) fn count_job(tenant: &TenantId, budget_id: BudgetId) -> Result<NewJob, serde_json::Error> {
    Ok(NewJob {
        id: derived_id(&[BUDGET_COUNT, tenant.as_str(), &budget_id.to_string()]),
        kind: BUDGET_COUNT,
        destination: Some(tenant.to_string()),
        tenant: Some(tenant.clone()),
        payload: serde_json::to_value(Count { budget_id })?,
        due_at: None,
    })
}

/// How far what was charged before a budget was defined is counted.
#[derive(Debug, Clone, Default)]
struct Progress {
    counted: Opening,
    through: Position,
}

/// Counts what was charged before a budget was defined, from the log.
pub struct BudgetCountHandler {
    commands: Commands,
    /// What attempts of this process have counted. Another process begins anew.
    progress: Mutex<HashMap<Uuid, Progress>>,
}

impl BudgetCountHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands, progress: Mutex::default() }
    }

    async fn count(&self, job: &Job) -> Result<JobOutcome, PolicyError> {
        let Some(tenant) = job.tenant.clone() else {
            return Ok(JobOutcome::DeadLetter("the job has no tenant".into()));
        };
        let Count { budget_id } = serde_json::from_value(job.payload.clone())?;
        let principal = Arc::new(component(tenant.clone()));
        let catalogue = self.commands.load::<BudgetCatalogue>(&principal, BudgetCatalogue::id()).await?;
        let Some(entry) = catalogue.state.entry(budget_id).filter(|entry| entry.counted_through.is_none()) else {
            return Ok(JobOutcome::Done);
        };
        let Some(from) = entry.counting_from.map(Position::from) else {
            let charging = self.commands.load::<Charging>(&principal, Charging::id()).await?;
            // However long that takes, the budget is counted afterwards.
            return Ok(match charging.state.held_through {
                Some(_) => JobOutcome::RepeatAt(Utc::now() + HELD_PAUSE),
                None => JobOutcome::Retry("the charging has not reached the definition of the budget".into()),
            });
        };
        let mut progress = self.progress().remove(&job.id).unwrap_or_default();
        let result = self.count_through(&principal, budget_id, entry, &mut progress, from).await;
        if result.is_err() || progress.through < from {
            // Also after a failure. Runs that began anew would never fail as often as makes a dead letter: those in between come
            // further, and are no failures.
            self.progress().insert(job.id, progress);
            return result.map(|()| JobOutcome::RepeatAt(Utc::now()));
        }
        let context = Context::new(principal, job.id);
        match self.commands.count_budget(&context, budget_id, &progress.counted, Utc::now()).await {
            Ok(_) => Ok(JobOutcome::Done),
            Err(error @ (Error::Contended | Error::Load(_) | Error::Append(_))) => Ok(JobOutcome::Retry(error.into())),
            Err(error) => Ok(JobOutcome::DeadLetter(error.into())),
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the calls up to a position, for a limited time. After an error, the progress is what was counted until then.
    async fn count_through(
        &self,
        principal: &Principal,
        budget_id: BudgetId,
        entry: &CatalogueEntry,
        progress: &mut Progress,
        until: Position,
    ) -> Result<(), PolicyError> {
        let start = Instant::now();
        let tenant = Some(principal.tenant().clone());
        let filter = ReadFilter { tenant, category: Some(Call::CATEGORY.to_owned()), ..ReadFilter::default() };
        let mut reservations = Reservations::new(&self.commands, principal);
        while start.elapsed() < MAX_COUNT {
            let page = self.commands.log().read_after(progress.through, &filter, PAGE_EVENTS).await?;
            for recorded in page.iter().filter(|recorded| recorded.position <= until) {
                match logged(recorded) {
                    Some(LoggedEvent::Call { event, .. }) if Opening::concerns(entry, &event) => {
                        reservations.load(&event).await?;
                        if let Some(id) = reservations.undecodable.first() {
                            return Err(format!("the reservation {id} cannot be decoded").into());
                        }
                        let found = |id: ReservationId| reservations.found.get(&id).map(|found| &**found);
                        progress.counted.add(budget_id, entry, &event, found);
                    }
                    // What it costs would never be counted, and a hard budget would grant it once more.
                    Some(LoggedEvent::Undecodable { position }) => {
                        return Err(format!("the event of a call at {position} cannot be decoded").into());
                    }
                    Some(LoggedEvent::Call { .. } | LoggedEvent::BudgetSet { .. }) | None => {}
                }
                progress.through = recorded.position;
            }
            match page.last() {
                Some(last) if last.position < until => progress.through = last.position,
                Some(_) | None => {
                    progress.through = until;
                    break;
                }
            }
        }
        Ok(())
    }
}

impl JobHandler for BudgetCountHandler {
    fn kind(&self) -> &'static str {
        BUDGET_COUNT
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move { self.count(job).await.unwrap_or_else(JobOutcome::Retry) })
    }
}
