//! What request handlers share.

use super::computing::CpuPermits;
use super::export::Exports;
use super::gateway_calls::GatewayPermits;
use super::ingest::IngestPermits;
use crate::config::{ApiConfig, Limits};
use crate::deps::Deps;
use crate::document::SchemaTypes;
use crate::graphql::{ApexSchema, schema, sdl};
use crate::rate_limits::RateLimiter;
use ingest::Receiver;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What request handlers share.
pub(crate) struct State {
    pub(crate) schema: ApexSchema,
    pub(crate) config: ApiConfig,
    pub(crate) deps: Deps,
    /// Cancelled when the server shuts down.
    pub(crate) shutdown: CancellationToken,
    /// Connections that outlive their request.
    pub(crate) connections: TaskTracker,
    /// Permits for WebSockets and event streams.
    pub(crate) subscriber_permits: Arc<Semaphore>,
    /// Permits for CPU-bound work that takes long.
    pub(crate) cpu_permits: CpuPermits,
    /// Records what is sent over the network, in whatever form.
    pub(crate) receiver: Receiver,
    /// Permits for what is received at the same time.
    pub(crate) ingest_permits: IngestPermits,
    /// Permits for calls through the gateway, if there is one.
    pub(crate) gateway_permits: Option<GatewayPermits>,
    /// The connections and the permits of exports.
    pub(crate) exports: Exports,
    /// The rate limits and quotas.
    pub(crate) rate_limiter: Arc<RateLimiter>,
    /// The types of the schema.
    pub(crate) types: Arc<SchemaTypes>,
}

impl State {
    pub(crate) fn new(config: ApiConfig, deps: Deps, shutdown: CancellationToken) -> Arc<Self> {
        let rate_limiter = Arc::new(RateLimiter::new(config.rate_limits, deps.identities.clone()));
        let schema = schema(&deps, &config.limits, rate_limiter.clone(), shutdown.clone());
        let subscriber_permits = Arc::new(Semaphore::new(config.limits.max_connections));
        let types =
            SchemaTypes::of_sdl(&sdl(&schema)).unwrap_or_else(|error| unreachable!("the schema is valid: {error}"));
        let (connections, cpu_permits) = (TaskTracker::new(), CpuPermits::new());
        let exports = Exports::new(&deps.pool);
        let receiver = Receiver::new(deps.commands.clone());
        let gateway_permits = deps.gateway.as_ref().map(|gateway| GatewayPermits::new(gateway.limits()));
        Arc::new(Self {
            schema,
            config,
            deps,
            shutdown,
            connections,
            subscriber_permits,
            cpu_permits,
            receiver,
            ingest_permits: IngestPermits::new(),
            gateway_permits,
            exports,
            rate_limiter,
            types: Arc::new(types),
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }
}
