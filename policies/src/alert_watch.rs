//! Looking at the conditions of budgets that are watched: a job that goes on as long as what is watched stays the same.
//!
//! What is watched begins two jobs of a tenant, one that runs every minute and one that runs every hour. A job proposes what it
//! observed, and the stream of the watches decides which alerts that raises ([`domain::alert_watch`]): jobs that run twice, or in
//! several processes, raise each alert once.

use crate::alert_conditions::Watched;
use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::policy::PolicyError;
use chrono::{DateTime, DurationRound as _, SubsecRound as _, TimeDelta, Utc};
use commands::{Commands, Component, Context, Principal};
use domain::alert_watch::{AlertWatches, AlertWatchesCommand, Observation, Watch, WatchKind, WatchSet, WatchTerms};
use domain::budget::Budget;
use domain::budget_balance::{BudgetBalance, Sums};
use domain::budget_catalogue::{BudgetCatalogue, CatalogueEntry};
use domain::{BudgetId, derived_id};
use futures::future::BoxFuture;
use metrics::counter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{RecordedEvent, TenantReads};

/// The kind of the jobs that look at the conditions of budgets, used for the actor of what they raise too.
pub const ALERT_WATCH: &str = "alert-watch";

/// How long a run may take: forecasts of all budgets of a tenant take turns with those of others.
const MAX_RUN: Duration = Duration::from_mins(10);
/// After which time a run looks at no further budget: those that are left come first in one of the next runs.
const MAX_LOOK: Duration = Duration::from_mins(5);
/// How long after the end of an hour it is looked at: what was reported in it is summed then.
const HOUR_DELAY: TimeDelta = TimeDelta::minutes(5);

/// How often a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rhythm {
    /// Every minute: for what is read from the streams of periods.
    Minute,
    /// Every hour: for what is computed from reports.
    Hour,
}

impl Rhythm {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    fn looks_at(self, kind: WatchKind) -> bool {
        kind.is_hourly() == (self == Self::Hour)
    }

    /// The time from a run to the next one, and how much later than a multiple of it they are.
    fn step_and_delay(self) -> (TimeDelta, TimeDelta) {
        match self {
            Self::Minute => (TimeDelta::minutes(1), TimeDelta::zero()),
            Self::Hour => (TimeDelta::hours(1), HOUR_DELAY),
        }
    }

    /// When the run after one at a time is.
    fn next(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let (step, delay) = self.step_and_delay();
        let start = (now - delay).duration_trunc(step).unwrap_or(now);
        start + step + delay
    }

    /// The budgets in the order in which the run of a time looks at them. Another one is the first in each run, so that all are looked
    /// at in turn if a run has no time for all.
    fn in_turn<T>(self, mut watched: Vec<T>, scheduled_at: DateTime<Utc>) -> Vec<T> {
        let run = scheduled_at.timestamp() / self.step_and_delay().0.num_seconds();
        let first = usize::try_from(run).unwrap_or(0).checked_rem(watched.len()).unwrap_or(0);
        watched.rotate_left(first);
        watched
    }
}

/// What the job says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Look {
    /// How often what is watched had been set when the job began. It ends when it is set again, which begins another one.
    generation: u64,
    rhythm: Rhythm,
}

/// The jobs that an event begins by which what is watched was set.
pub(crate) fn jobs(recorded: &RecordedEvent, watches: &AlertWatches) -> Result<Vec<NewJob>, serde_json::Error> {
    let tenant = &recorded.stream.tenant;
    let job = |rhythm: Rhythm| -> Result<NewJob, serde_json::Error> {
        Ok(NewJob {
            id: derived_id(&[ALERT_WATCH, &recorded.event_id.to_string(), rhythm.as_str()]),
            kind: ALERT_WATCH,
            // What takes long does not delay what is looked at every minute.
            destination: Some(format!("{tenant}/{}", rhythm.as_str())),
            tenant: Some(tenant.clone()),
            payload: serde_json::to_value(Look { generation: watches.generation(), rhythm })?,
            due_at: None,
        })
    };
    [Rhythm::Minute, Rhythm::Hour].into_iter().map(job).collect()
}

/// Looks at the conditions of the budgets of a tenant that are watched.
pub struct AlertWatchHandler {
    commands: Commands,
    reads: TenantReads,
}

impl AlertWatchHandler {
    /// Creates the handler. Reports are read by connections for reads on behalf of tenants.
    #[must_use]
    pub fn new(commands: Commands, reads: TenantReads) -> Self {
        Self { commands, reads }
    }

    async fn look(&self, job: &Job) -> Result<JobOutcome, PolicyError> {
        let Some(tenant) = job.tenant.clone() else {
            return Ok(JobOutcome::DeadLetter("the job has no tenant".into()));
        };
        let Look { generation, rhythm } = serde_json::from_value(job.payload.clone())?;
        let principal = Arc::new(Principal::component(tenant, Component::Policy(ALERT_WATCH)));
        let watches = self.commands.load::<AlertWatches>(&principal, AlertWatches::id()).await?;
        let is_looked_at = |watch: &Watch| watch.terms.kinds.iter().any(|kind| rhythm.looks_at(*kind));
        let watched: Vec<_> = watches.state.watched().filter(|watched| is_looked_at(watched.1)).collect();
        if watches.state.generation() != generation || watched.is_empty() {
            return Ok(JobOutcome::Done);
        }
        let (mut failed, mut is_any_observed, start) = (None, false, Instant::now());
        for (budget_id, watch) in rhythm.in_turn(watched, job.scheduled_at) {
            if start.elapsed() >= MAX_LOOK {
                counter!("apex_alert_watch_failures_total").increment(1);
                tracing::warn!(budget = %budget_id, "there is no time left to look at the conditions of a budget; a later run does");
                continue;
            }
            let kinds = watch.terms.kinds.iter().copied().filter(|kind| rhythm.looks_at(*kind)).collect();
            match self.observe(job, &principal, OfBudget { budget_id, watch, kinds }).await {
                Ok(()) => is_any_observed = true,
                Err(error) => {
                    counter!("apex_alert_watch_failures_total").increment(1);
                    let cause = &*error as &dyn std::error::Error;
                    tracing::warn!(error = cause, budget = %budget_id, "the conditions of a budget cannot be looked at");
                    failed = failed.or(Some(error));
                }
            }
        }
        Ok(match failed {
            // One that always fails does not end the job of the others.
            Some(error) if !is_any_observed => JobOutcome::Retry(error),
            Some(_) | None => JobOutcome::RepeatAt(rhythm.next(Utc::now())),
        })
    }

    /// What decisions need of a budget, which is nothing if it is closed, with the version of its terms. None if its terms change
    /// meanwhile: both are written by one append, so that terms that are the same before and after are those of the catalogue.
    async fn terms(
        &self,
        principal: &Principal,
        budget_id: BudgetId,
    ) -> Result<Option<(Option<CatalogueEntry>, u64)>, PolicyError> {
        let before = self.commands.load::<Budget>(principal, budget_id.0).await?.state.terms_version;
        let catalogue = self.commands.load::<BudgetCatalogue>(principal, BudgetCatalogue::id()).await?;
        let after = self.commands.load::<Budget>(principal, budget_id.0).await?.state.terms_version;
        Ok((before == after).then(|| (catalogue.state.entry(budget_id).cloned(), after)))
    }

    /// Ends the watch of a budget that is closed. Its alerts are resolved, and another budget may be watched instead.
    async fn end(&self, context: &Context, budget_id: BudgetId) -> Result<(), PolicyError> {
        let at = Utc::now().trunc_subsecs(6);
        let nothing = WatchSet { budget_id, terms: WatchTerms::default(), reason: None, at };
        let command = AlertWatchesCommand::Set(nothing);
        self.commands.execute::<AlertWatches>(context, AlertWatches::id(), command).await?;
        Ok(())
    }

    /// Looks at conditions of a budget, and proposes what was observed.
    async fn observe(
        &self,
        job: &Job,
        principal: &Arc<Principal>,
        OfBudget { budget_id, watch, kinds }: OfBudget<'_>,
    ) -> Result<(), PolicyError> {
        // A run that is made again after a part of it took effect does not take effect again.
        let run = job.scheduled_at.timestamp_micros().to_string();
        let command_id = derived_id(&[ALERT_WATCH, &job.id.to_string(), &run, &budget_id.to_string()]);
        let context = Context::new(principal.clone(), command_id);
        // The database has microseconds.
        let now = Utc::now().trunc_subsecs(6);
        let Some((entry, terms_version)) = self.terms(principal, budget_id).await? else { return Ok(()) };
        let Some(entry) = entry else { return self.end(&context, budget_id).await };
        let Some(period) = entry.period_at(budget_id, now) else { return Ok(()) };
        let streams: Vec<_> = period.streams(entry.parts).collect();
        let balances = self.commands.load_all::<BudgetBalance>(principal, &streams).await?;
        let watched = Watched {
            commands: &self.commands,
            reads: &self.reads,
            principal: principal.clone(),
            entry: &entry,
            period,
            kept: self.commands.kept_for_delegations(principal, &entry, &period, now).await?,
            sums: Sums::of_parts(period.span, balances.iter().map(|(_, balance)| balance.state.sums)),
            versions: balances.iter().map(|(id, balance)| (*id, balance.version)).collect(),
            no_data_minutes: watch.terms.no_data_minutes,
            now,
        };
        let mut findings = Vec::new();
        for kind in kinds {
            findings.extend(watched.find(kind).await?);
        }
        let observation = Observation {
            budget_id,
            balance_id: period.balance_id,
            span: period.span,
            terms_version,
            measure: entry.measure,
            findings,
            at: now,
        };
        let command = AlertWatchesCommand::Observe(observation);
        self.commands.execute::<AlertWatches>(&context, AlertWatches::id(), command).await?;
        Ok(())
    }
}

/// A budget, with the conditions that are looked at.
struct OfBudget<'a> {
    budget_id: BudgetId,
    watch: &'a Watch,
    kinds: Vec<WatchKind>,
}

impl JobHandler for AlertWatchHandler {
    fn kind(&self) -> &'static str {
        ALERT_WATCH
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn attempt_timeout(&self) -> Option<Duration> {
        Some(MAX_RUN)
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move { self.look(job).await.unwrap_or_else(JobOutcome::Retry) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_follows_at_the_next_minute_or_shortly_after_the_next_hour() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let next = |rhythm: Rhythm, text: &str| rhythm.next(at(text));
        assert_eq!(next(Rhythm::Minute, "2026-11-03T09:30:00Z"), at("2026-11-03T09:31:00Z"));
        assert_eq!(next(Rhythm::Minute, "2026-11-03T09:30:59Z"), at("2026-11-03T09:31:00Z"));
        assert_eq!(next(Rhythm::Hour, "2026-11-03T09:04:59Z"), at("2026-11-03T09:05:00Z"));
        assert_eq!(next(Rhythm::Hour, "2026-11-03T09:05:00Z"), at("2026-11-03T10:05:00Z"));
        let (every, looked_at) = (WatchKind::ALL, |rhythm: Rhythm| WatchKind::ALL.map(|kind| rhythm.looks_at(kind)));
        let both: Vec<_> = looked_at(Rhythm::Minute).into_iter().zip(looked_at(Rhythm::Hour)).collect();
        assert!(both.len() == every.len() && both.iter().all(|(minute, hour)| minute != hour), "each by one of them");
    }

    #[test]
    fn each_budget_is_the_first_one_of_a_run() {
        let start = "2026-11-03T09:05:00Z".parse::<DateTime<Utc>>().unwrap();
        for rhythm in [Rhythm::Minute, Rhythm::Hour] {
            let mut at = start;
            let runs = [(); 3].map(|()| {
                let run = rhythm.in_turn(vec![1, 2, 3], at);
                at = rhythm.next(at);
                run
            });
            assert!(runs.iter().all(|run| run.iter().sum::<i32>() == 6), "all of them: {runs:?}");
            let firsts: std::collections::BTreeSet<_> = runs.iter().map(|run| run[0]).collect();
            assert_eq!(firsts.len(), 3, "{runs:?}");
        }
        assert!(Rhythm::Hour.in_turn(Vec::<u8>::new(), start).is_empty());
    }
}
