//! Deliveries of alerts: a policy that writes a job for each endpoint that is to be told of an alert.
//!
//! The id of a job is derived from the alert and the endpoint, and is the id of the message: every attempt has the same, so that a
//! receiver takes a message once. Which endpoints are told is decided from the log at the position of the alert, so that it is
//! the same however often the policy runs. What sends the messages is not here: it needs addresses and secrets.

use crate::alert_payload::{
    Alert, AlertDeliveryJob, ApprovalAlert, BudgetAlert, ConditionAlert, unit_of, unit_of_condition,
};
use crate::alert_queue::{ALERT_DELIVERIES, ALERT_DELIVERY, catch_up_job, delivery_component, destination};
use crate::job::NewJob;
use crate::jobs::Jobs;
use crate::policy::{Policy, PolicyError, Reaction};
use chrono::{DateTime, SecondsFormat, Utc};
use commands::{AsOf, Commands, Error};
use domain::alert_endpoints::{AlertEndpoints, AlertEndpointsEvent};
use domain::alert_watch::{AlertWatches, AlertWatchesEvent, SignalRaised};
use domain::approval::{ApprovalEvent, ApprovalRequested};
use domain::budget::{Budget, BudgetPeriodEvent, Measure, Span, ThresholdCrossed};
use domain::budget_balance::{BalanceThresholdCrossed, BudgetBalanceEvent};
use domain::budget_catalogue::{BudgetCatalogue, CatalogueEntry};
use domain::{Aggregate, AlertEndpointId, ApprovalId, BudgetId, Event, derived_id};
use futures::future::BoxFuture;
use metrics::counter;
use projections::Batch;
use std::sync::Arc;
use streams::RecordedEvent;
use uuid::Uuid;

/// The number of jobs from which the policy writes them before it looks for more.
const MAX_JOBS: usize = 1000;

/// The events that are delivered, or change deliveries. Others are not decoded.
const EVENTS: [&str; 9] = [
    "approval.requested",
    "budget.threshold_crossed",
    "budget_balance.threshold_crossed",
    "alert_watch.raised",
    "alert_watch.set",
    "alert_endpoint.test_requested",
    "alert_endpoint.redelivery_requested",
    "alert_endpoint.silenced",
    "alert_endpoint.quiet_hours_set",
];

/// An endpoint that is told of an alert, and when, if not at once.
type Told = (AlertEndpointId, Option<DateTime<Utc>>);

/// Writes a job for each endpoint that is to be told of an alert, and for each test.
pub struct AlertDelivery {
    commands: Commands,
    jobs: Jobs,
}

impl Policy for AlertDelivery {
    fn name(&self) -> &'static str {
        ALERT_DELIVERIES
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        Box::pin(self.react(batch))
    }
}

impl AlertDelivery {
    /// Creates the policy.
    #[must_use]
    pub fn new(commands: Commands, jobs: Jobs) -> Self {
        Self { commands, jobs }
    }

    async fn react(&self, batch: &Batch) -> Result<Reaction, PolicyError> {
        let mut reaction = Reaction::default();
        for recorded in &batch.events {
            if !EVENTS.contains(&recorded.name.as_str()) {
                continue;
            }
            let jobs = match self.jobs_of(recorded).await? {
                Some(jobs) => jobs,
                None => {
                    counter!("apex_alerts_undecodable_total").increment(1);
                    vec![catch_up_job(recorded)?]
                }
            };
            let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
            let existing = if ids.is_empty() { Default::default() } else { self.jobs.existing(&ids).await? };
            reaction.jobs.extend(jobs.into_iter().filter(|job| !existing.contains(&job.id)));
            if reaction.jobs.len() >= MAX_JOBS {
                return Ok(Reaction { has_more: true, ..reaction });
            }
        }
        Ok(reaction)
    }

    /// The jobs that follow from an event. None if it, or what says who is told of it, cannot be decoded: nothing of it is delivered
    /// then.
    pub(crate) async fn jobs_of(&self, recorded: &RecordedEvent) -> Result<Option<Vec<NewJob>>, PolicyError> {
        let jobs = match recorded.decode() {
            Ok(event) => self.jobs_of_event(recorded, event).await,
            Err(error) => Err(Stopped::Undecodable(error.into())),
        };
        match jobs {
            Ok(jobs) => Ok(Some(jobs)),
            Err(Stopped::Undecodable(error)) => {
                let error = &*error as &dyn std::error::Error;
                tracing::warn!(error, position = %recorded.position, "an alert cannot be decoded; its delivery is tried again later");
                Ok(None)
            }
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    async fn jobs_of_event(&self, recorded: &RecordedEvent, event: Event) -> Result<Vec<NewJob>, Stopped> {
        Ok(match event {
            Event::BudgetPeriod(BudgetPeriodEvent::ThresholdCrossed(crossed)) => {
                let told = self.told(recorded, crossed.budget_id).await?;
                let alert = |budget| Alert::ThresholdCrossed(BudgetAlert { budget, ..of_month(recorded, &crossed) });
                self.raised(recorded, crossed.budget_id, told, alert).await?
            }
            Event::BudgetBalance(BudgetBalanceEvent::ThresholdCrossed(crossed)) => {
                let told = self.told(recorded, crossed.budget_id).await?;
                if told.is_empty() {
                    return Ok(Vec::new());
                }
                let Some(of_period) = self.of_period(recorded, &crossed).await? else { return Ok(Vec::new()) };
                let alert = |budget| Alert::ThresholdCrossed(BudgetAlert { budget, ..of_period });
                self.raised(recorded, crossed.budget_id, told, alert).await?
            }
            Event::AlertWatches(AlertWatchesEvent::Raised(raised)) => {
                let told = self.told(recorded, raised.budget_id).await?;
                let alert =
                    |budget| Alert::ConditionRaised(ConditionAlert { budget, ..of_condition(recorded, &raised) });
                self.raised(recorded, raised.budget_id, told, alert).await?
            }
            Event::Approval(ApprovalEvent::Requested(requested)) => self.requested(recorded, &requested).await?,
            Event::AlertWatches(AlertWatchesEvent::Set(_)) => {
                let watches = self.as_of::<AlertWatches>(recorded, AlertWatches::id()).await?;
                crate::alert_watch::jobs(recorded, &watches).map_err(PolicyError::from)?
            }
            Event::AlertEndpoints(AlertEndpointsEvent::TestRequested(test)) => {
                vec![delivery(recorded, test.endpoint_id, Alert::Test { at: test.at }, None)?]
            }
            Event::AlertEndpoints(AlertEndpointsEvent::RedeliveryRequested(request)) => {
                vec![crate::alert_redelivery::job(recorded, request)?]
            }
            Event::AlertEndpoints(AlertEndpointsEvent::Silenced(silenced)) => {
                vec![crate::alert_silence::job(recorded, silenced.endpoint_id)?]
            }
            Event::AlertEndpoints(AlertEndpointsEvent::QuietHoursSet(set)) => {
                vec![crate::alert_silence::job(recorded, set.endpoint_id)?]
            }
            _ => Vec::new(),
        })
    }

    /// The jobs of a request for approval.
    async fn requested(&self, recorded: &RecordedEvent, of: &ApprovalRequested) -> Result<Vec<NewJob>, Stopped> {
        let told = self.told(recorded, of.budget_id).await?;
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let catalogue = self.as_of::<BudgetCatalogue>(recorded, BudgetCatalogue::id()).await?;
        let Some(entry) = catalogue.entry(of.budget_id) else { return Ok(Vec::new()) };
        let of_request = of_approval(recorded, of, entry.measure);
        let alert = |budget| Alert::ApprovalRequested(ApprovalAlert { budget, ..of_request });
        self.raised(recorded, of.budget_id, told, alert).await
    }

    /// The alert of a period of a budget that is decided on before calls are made; none of one that is long over, such as when old
    /// calls are counted.
    async fn of_period(
        &self,
        recorded: &RecordedEvent,
        crossed: &BalanceThresholdCrossed,
    ) -> Result<Option<BudgetAlert>, Stopped> {
        let catalogue = self.as_of::<BudgetCatalogue>(recorded, BudgetCatalogue::id()).await?;
        let Some(entry) = catalogue.entry(crossed.budget_id) else { return Ok(None) };
        if !is_current_or_last(entry, crossed.budget_id, crossed.after.span, recorded.recorded_at) {
            return Ok(None);
        }
        Ok(Some(BudgetAlert {
            at: recorded.recorded_at,
            budget_id: crossed.budget_id,
            budget: String::new(),
            period: text_of(crossed.after.span),
            threshold_percent: crossed.threshold_percent.percent(),
            used: crossed.after.spent_with_delegations().to_string(),
            limit: crossed.limit.to_string(),
            unit: unit_of(entry.measure).to_owned(),
            terms_version: None,
            position: recorded.position.get(),
        }))
    }

    /// The endpoints that are told of an alert of a budget, and when, if not at once.
    async fn told(&self, recorded: &RecordedEvent, budget_id: BudgetId) -> Result<Vec<Told>, Stopped> {
        let endpoints = self.as_of::<AlertEndpoints>(recorded, AlertEndpoints::id()).await?;
        let told = endpoints.iter().filter(|(_, endpoint)| endpoint.is_told_of(budget_id));
        // What is raised within a silence, or in quiet hours, is delivered when they end.
        Ok(told.map(|(id, endpoint)| (id, endpoint.waits_until(recorded.recorded_at))).collect())
    }

    /// The jobs of an alert, which is made with the name of the budget: one for each endpoint that is told of it.
    async fn raised(
        &self,
        recorded: &RecordedEvent,
        budget_id: BudgetId,
        told: Vec<Told>,
        alert: impl FnOnce(String) -> Alert + Send,
    ) -> Result<Vec<NewJob>, Stopped> {
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let budget = self.as_of::<Budget>(recorded, budget_id.0).await?;
        let name = budget.terms.as_ref().map(|terms| terms.name.to_string());
        let alert = alert(name.unwrap_or_else(|| budget_id.to_string()));
        let jobs = told.into_iter().map(|(id, due_at)| delivery(recorded, id, alert.clone(), due_at));
        Ok(jobs.collect::<Result<_, _>>()?)
    }

    /// An aggregate of the tenant at the position of an event. If its stream has nothing after it, as usual, that is the state that is
    /// cached: it is not folded anew for each event.
    async fn as_of<A: Aggregate>(&self, recorded: &RecordedEvent, id: Uuid) -> Result<Arc<A>, Stopped> {
        let principal = delivery_component(&recorded.stream.tenant);
        let now = self.commands.load::<A>(&principal, id).await;
        if let Some(now) = now.as_ref().ok().filter(|now| now.position <= recorded.position) {
            return Ok(now.state.clone());
        }
        // Also if an event after it cannot be decoded.
        match self.commands.load_as_of::<A>(&principal, id, AsOf::Position(recorded.position)).await {
            Ok(loaded) => Ok(loaded.state),
            Err(error @ Error::Decode(_)) => Err(Stopped::Undecodable(error.into())),
            Err(error) => Err(Stopped::Failed(error.into())),
        }
    }
}

/// Why there are no jobs for an event.
enum Stopped {
    /// An event cannot be decoded, perhaps because a newer version wrote it.
    Undecodable(PolicyError),
    /// The same may succeed later.
    Failed(PolicyError),
}

impl From<PolicyError> for Stopped {
    fn from(error: PolicyError) -> Self {
        Self::Failed(error)
    }
}

/// The alert of a condition. The name of the budget is added.
fn of_condition(recorded: &RecordedEvent, raised: &SignalRaised) -> ConditionAlert {
    ConditionAlert {
        at: recorded.recorded_at,
        budget_id: raised.budget_id,
        budget: String::new(),
        period: text_of(raised.span),
        condition: raised.key.kind,
        number: raised.number,
        observed: raised.observed.to_string(),
        reference: raised.reference.to_string(),
        unit: unit_of_condition(raised.key.kind, raised.measure).to_owned(),
        terms_version: raised.key.terms_version,
        position: recorded.position.get(),
    }
}

/// The alert of a request for approval. The name of the budget is added.
fn of_approval(recorded: &RecordedEvent, requested: &ApprovalRequested, measure: Measure) -> ApprovalAlert {
    ApprovalAlert {
        at: recorded.recorded_at,
        approval_id: ApprovalId(recorded.stream.id),
        budget_id: requested.budget_id,
        budget: String::new(),
        agent_id: requested.agent_id,
        model: requested.model.clone(),
        amount: requested.amount.to_string(),
        unit: unit_of(measure).to_owned(),
        expires_at: requested.expires_at,
        position: recorded.position.get(),
    }
}

fn text_of(span: Span) -> String {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{}/{}", time(span.starts_at), time(span.ends_at))
}

/// The alert of a calendar month.
fn of_month(recorded: &RecordedEvent, crossed: &ThresholdCrossed) -> BudgetAlert {
    BudgetAlert {
        at: recorded.recorded_at,
        budget_id: crossed.budget_id,
        budget: String::new(),
        period: crossed.month.to_string(),
        threshold_percent: crossed.threshold_percent.percent(),
        used: crossed.spent.to_string(),
        limit: crossed.limit.to_string(),
        unit: "USD".to_owned(),
        terms_version: Some(crossed.terms_version),
        position: recorded.position.get(),
    }
}

/// Whether a period is the one that runs at a time, or the one before it, or one that begins later.
fn is_current_or_last(entry: &CatalogueEntry, budget_id: BudgetId, span: Span, at: DateTime<Utc>) -> bool {
    // The period that follows it has not ended.
    at < span.ends_at || entry.period_at(budget_id, span.ends_at).is_some_and(|next| at < next.span.ends_at)
}

/// The job that delivers an alert to an endpoint. Its id is that of the message.
fn delivery(
    recorded: &RecordedEvent,
    endpoint_id: AlertEndpointId,
    alert: Alert,
    due_at: Option<DateTime<Utc>>,
) -> Result<NewJob, PolicyError> {
    let tenant = recorded.stream.tenant.clone();
    Ok(NewJob {
        id: derived_id(&[ALERT_DELIVERIES, &recorded.event_id.to_string(), &endpoint_id.to_string()]),
        kind: ALERT_DELIVERY,
        destination: Some(destination(&tenant, endpoint_id)),
        tenant: Some(tenant),
        payload: serde_json::to_value(AlertDeliveryJob { endpoint_id, alert })?,
        due_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn alerts_of_the_current_period_and_the_one_before_are_delivered() {
        let entry: CatalogueEntry = serde_json::from_value(json!({
            "enforcement": "hard", "measure": "calls", "limit": "10", "since": "2020-01-01T00:00:00Z",
            "segments": [{ "unit": "month", "time_zone": "UTC", "anchor": "2024-01-01" }],
        }))
        .unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (budget, now) = (BudgetId(Uuid::from_u128(1)), at("2026-03-30T12:00:00Z"));
        let is_delivered = |day: &str| {
            let span = entry.period_at(budget, at(day)).unwrap().span;
            is_current_or_last(&entry, budget, span, now)
        };
        // February has fewer days than March.
        assert!(is_delivered("2026-03-02T00:00:00Z") && is_delivered("2026-02-02T00:00:00Z"));
        assert!(!is_delivered("2026-01-31T00:00:00Z"));
        assert!(is_delivered("2026-05-01T00:00:00Z"), "a call that is dated in the future");
    }
}
