//! Logs to standard error, traces to an OpenTelemetry collector, and metrics for Prometheus.

mod json;

use crate::config::{Common, LogFormat};
use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, TracerProviderBuilder};
use std::io::IsTerminal as _;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Libraries that log the messages of WebSockets at the finest level. The first message has the credential of the client.
const LOG_MESSAGES: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// Whether a line has no message of a WebSocket. The others are not logged, whatever the filter of the settings says.
fn has_no_message(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::DEBUG || !LOG_MESSAGES.contains(&library)
}

/// Running telemetry, which must be stopped at exit to send the last traces.
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Starts logging and tracing.
///
/// Spans are always created, so that each event carries the trace that caused it; without a collector they record nothing, unless
/// a client says that its trace is recorded, which is passed on.
///
/// # Errors
/// If the log filter or the URL of the collector is invalid.
pub fn start(common: &Common) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&common.log).context("APEX_LOG is not a filter such as `info,sqlx=debug`")?;
    let mut provider =
        SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name("apex").build());
    provider = match &common.otlp_endpoint {
        Some(endpoint) => export_to(provider, endpoint)?,
        None => provider.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff))),
    };
    let provider = provider.build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("apex")).with_filter(LevelFilter::INFO);
    // A line that cannot be written is dropped: the library would report it on standard error, and panic if that is
    // closed.
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let logs = match common.log_format {
        LogFormat::Text => logs.with_target(false).with_ansi(use_colours()).boxed(),
        LogFormat::Json => {
            let fields = tracing_subscriber::fmt::format::JsonFields::new();
            logs.with_ansi(false).fmt_fields(fields).event_format(json::JsonLines).boxed()
        }
    };
    let filter = filter.and(filter_fn(has_no_message).with_max_level_hint(LevelFilter::TRACE));
    tracing_subscriber::registry().with(traces).with(logs.with_filter(filter)).init();
    Ok(Telemetry { provider })
}

#[cfg(feature = "otlp")]
fn export_to(provider: TracerProviderBuilder, endpoint: &str) -> anyhow::Result<TracerProviderBuilder> {
    use opentelemetry_otlp::WithExportConfig as _;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .context("APEX_OTLP_ENDPOINT is not the base URL of a collector")?;
    Ok(provider.with_batch_exporter(exporter))
}

#[cfg(not(feature = "otlp"))]
fn export_to(_: TracerProviderBuilder, _: &str) -> anyhow::Result<TracerProviderBuilder> {
    anyhow::bail!(
        "this apex was built without the export of traces, and APEX_OTLP_ENDPOINT is set: build it with `make build`, or \
         unset the variable"
    )
}

/// Colours are used on terminals only, unless `NO_COLOR` is set.
fn use_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Telemetry {
    /// Sends the remaining traces.
    pub fn stop(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last traces were not sent");
        }
    }
}

/// The histogram buckets of durations, in seconds: 1 ms to 5 min.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        // The library's counters hold integers. The cost has fractions, so that it is stored as a gauge; it only rises,
        // so that it is exposed as a counter.
        self.0.render().replace("# TYPE apex_cost_total gauge\n", "# TYPE apex_cost_total counter\n")
    }
}

/// Installs the recorder of metrics, and registers every counter whose labels are known, at zero.
///
/// # Errors
/// If this process already has a recorder.
pub fn metrics() -> anyhow::Result<Metrics> {
    let handle = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS)?.install_recorder()?;
    streams::register_metrics();
    commands::register_metrics();
    projections::register_metrics();
    policies::register_metrics(&policies::KINDS);
    gateway::register_metrics();
    api::register_metrics();
    describe_gauges();
    Ok(Metrics(handle))
}

/// Describes the gauges that the server reads from the database periodically. They are not registered: until the first
/// reading they have no value.
fn describe_gauges() {
    use metrics::describe_gauge;
    describe_gauge!("apex_active_agents", "Active agents.");
    describe_gauge!("apex_queue_depth", "Tasks that are submitted and not started.");
    describe_gauge!("apex_worker_utilization", "The share of active agents that have a running task, 0 to 1.");
    describe_gauge!("apex_log_partition_headroom", "Events that fit into the existing partitions of the log.");
    describe_gauge!("apex_log_partition_size", "Events per partition of the log.");
    describe_gauge!("apex_projection_lag_events", "Events by which a read model is behind the log.");
    describe_gauge!(
        "apex_projection_standstill_seconds",
        "Time since the checkpoint of a read model that is behind the log last advanced."
    );
}
