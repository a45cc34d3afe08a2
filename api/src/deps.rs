//! What the API needs from the process that runs it.

use crate::authenticator::Authenticator;
use crate::ready::ReadyChecks;
use commands::Commands;
use gateway::Gateway;
use identity::Identities;
use projections::Pool;
use projections::spans::SpanStore;
use std::sync::Arc;
use streams::TenantReads;

/// The dependencies of the API.
#[derive(Clone)]
pub struct Deps {
    /// Executes commands, and gives access to the event log.
    pub commands: Commands,
    /// Makes the principals of requests.
    pub authenticator: Arc<dyn Authenticator>,
    /// The service accounts and API keys of the installation.
    pub identities: Identities,
    /// The connection pool of what is of no tenant: the progress and the versions of read models.
    pub pool: Pool,
    /// The connections that read what belongs to a tenant.
    pub reads: TenantReads,
    /// Keeps the spans that exporters send; none if they are not kept.
    pub span_store: Option<SpanStore>,
    /// The gateway to providers of models; none if no upstream is known.
    pub gateway: Option<Gateway>,
    /// Renders the metrics of the process in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The readiness checks of the process.
    pub ready: Arc<dyn ReadyChecks>,
}
