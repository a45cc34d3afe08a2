//! Charging budgets for calls that settle no reservation: a policy that follows the log.
//!
//! The checkpoint of the policy says from where it reads. What is charged is said by a stream of each tenant, which a batch advances
//! in the append that charges: a batch that is read again charges nothing again. What cannot be decoded is noted in that stream, and
//! a job charges it later: it stops no other tenant, and no charge is lost.

use crate::budget_count::count_job;
use crate::charge_events::{BUDGET_CHARGING, batch_of, component, is_read, logged};
use crate::charging_catch_up::catch_up_job;
use crate::policy::{Policy, PolicyError, Reaction};
use commands::{Commands, Context, Error};
use domain::TenantId;
use domain::budget_catalogue::BudgetCatalogue;
use domain::charging::LoggedEvent;
use futures::future::BoxFuture;
use metrics::counter;
use projections::Batch;
use std::collections::BTreeMap;
use std::sync::Arc;
use streams::RecordedEvent;
use uuid::Uuid;

/// Charges budgets for the calls of a batch that settled no reservation.
pub struct BudgetCharging {
    commands: Commands,
}

/// Why a tenant is not charged.
enum Failure {
    /// An event of its catalogue or of a period of its budgets cannot be decoded.
    Undecodable(PolicyError),
    Other(PolicyError),
}

impl<E: std::error::Error + Send + Sync + 'static> From<Error<E>> for Failure {
    fn from(error: Error<E>) -> Self {
        match error {
            error @ Error::Decode(_) => Self::Undecodable(error.into()),
            error => Self::Other(error.into()),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Other(error.into())
    }
}

impl Policy for BudgetCharging {
    fn name(&self) -> &'static str {
        BUDGET_CHARGING
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        Box::pin(self.charge(batch))
    }
}

impl BudgetCharging {
    /// Creates the policy.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands }
    }

    async fn charge(&self, batch: &Batch) -> Result<Reaction, PolicyError> {
        let mut reaction = Reaction::default();
        let mut tenants: BTreeMap<TenantId, Vec<Arc<RecordedEvent>>> = BTreeMap::new();
        for recorded in batch.events.iter().filter(|recorded| is_read(recorded)) {
            tenants.entry(recorded.stream.tenant.clone()).or_default().push(recorded.clone());
        }
        for (tenant, recorded) in tenants {
            match self.charge_tenant(&tenant, &recorded, &mut reaction).await {
                Ok(()) => {}
                Err(Failure::Undecodable(error)) => self.put_off(&tenant, &recorded, &error, &mut reaction).await?,
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        Ok(reaction)
    }

    async fn charge_tenant(
        &self,
        tenant: &TenantId,
        recorded: &[Arc<RecordedEvent>],
        reaction: &mut Reaction,
    ) -> Result<(), Failure> {
        let principal = Arc::new(component(tenant.clone()));
        let catalogue = self.commands.load::<BudgetCatalogue>(&principal, BudgetCatalogue::id()).await?;
        // Nothing is charged to budgets of a tenant that has none.
        if catalogue.state.is_empty() {
            return Ok(());
        }
        let events = recorded.iter().filter_map(|recorded| logged(recorded)).collect();
        let batch = batch_of::<Failure>(&self.commands, &principal, events).await?;
        // The id is not derived: what a batch charges is decided by the stream that it advances.
        let charging = loop {
            let context = Context::new(principal.clone(), Uuid::now_v7());
            let charged = self.commands.charge_calls(&context, &batch).await?;
            if !charged.has_more {
                break charged.charging;
            }
        };
        if charging.is_behind() {
            reaction.jobs.push(catch_up_job(tenant, &charging));
        }
        for event in &batch.events {
            if let LoggedEvent::BudgetSet { budget_id, .. } = event
                && catalogue.state.entry(*budget_id).is_some_and(|entry| entry.counted_through.is_none())
            {
                reaction.jobs.push(count_job(tenant, *budget_id)?);
            }
        }
        Ok(())
    }

    /// Notes that events of a tenant are to be charged later, and writes the job that does.
    async fn put_off(
        &self,
        tenant: &TenantId,
        recorded: &[Arc<RecordedEvent>],
        error: &PolicyError,
        reaction: &mut Reaction,
    ) -> Result<(), PolicyError> {
        let (Some(first), Some(last)) = (recorded.first(), recorded.last()) else { return Ok(()) };
        let (first, last) = (first.position.get(), last.position.get());
        tracing::error!(
            %tenant,
            first,
            last,
            error = &**error as &dyn std::error::Error,
            "budgets of a tenant cannot be decoded: its calls are charged later"
        );
        counter!("apex_charging_undecodable_total").increment(1);
        let context = Context::new(component(tenant.clone()), Uuid::now_v7());
        let held = self.commands.hold_charging(&context, first, last).await?;
        reaction.jobs.push(catch_up_job(tenant, &held.aggregate.state));
        // A budget that was defined meanwhile is counted once the charging has caught up.
        for event in recorded.iter().filter_map(|recorded| logged(recorded)) {
            if let LoggedEvent::BudgetSet { budget_id, .. } = event {
                reaction.jobs.push(count_job(tenant, budget_id)?);
            }
        }
        Ok(())
    }
}
