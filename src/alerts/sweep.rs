//! Deletes addresses that no endpoint has: of endpoints that were removed or revised, and of commands that were rejected.

use commands::Commands;
use domain::TenantId;
use domain::alert_endpoints::AlertEndpoints;
use futures::future::BoxFuture;
use identity::Identities;
use policies::{ALERT_ADDRESS_SWEEP, Job, JobError, JobHandler, JobOutcome, delivery_component};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// How often addresses are looked at.
const INTERVAL: Duration = Duration::from_hours(1);
/// How long a sweep may take, whatever an endpoint may take to answer: it looks at all addresses of the installation.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Deletes addresses that no endpoint has.
pub struct AddressSweep {
    /// Reads endpoints.
    pub commands: Commands,
    /// Has the addresses.
    pub identities: Identities,
}

impl AddressSweep {
    async fn sweep(&self) -> Result<(), JobError> {
        let mut after = Uuid::nil();
        loop {
            let rows = self.identities.stored_alert_targets(after).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = *last;
            let mut of_tenants = BTreeMap::<String, Vec<Uuid>>::new();
            for (id, tenant) in rows {
                of_tenants.entry(tenant).or_default().push(id);
            }
            for (tenant, mut ids) in of_tenants {
                let tenant: TenantId = tenant.parse()?;
                let component = delivery_component(&tenant);
                let endpoints = self.commands.load::<AlertEndpoints>(&component, AlertEndpoints::id()).await?;
                ids.retain(|id| !endpoints.state.has_destination(*id));
                if !ids.is_empty() {
                    self.identities.delete_alert_targets(&ids).await?;
                }
            }
        }
    }
}

impl JobHandler for AddressSweep {
    fn kind(&self) -> &'static str {
        ALERT_ADDRESS_SWEEP
    }

    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }

    fn attempt_timeout(&self) -> Option<Duration> {
        Some(TIMEOUT)
    }

    fn run<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async { self.sweep().await.map_or_else(JobOutcome::Retry, |()| JobOutcome::Done) })
    }
}
