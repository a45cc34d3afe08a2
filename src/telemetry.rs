//! Logs to standard error, traces to an OpenTelemetry collector, metrics to whoever scrapes them.

mod json;

use crate::config::{Common, LogFormat};
use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What must be flushed at the end.
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Starts logs and traces.
///
/// Spans are always made, so that each event carries the trace that it was caused in; without a collector they are
/// sent nowhere.
///
/// # Errors
/// Where the filter or the collector's address is not one.
pub fn start(common: &Common) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&common.log).context("APEX_LOG is not a filter such as `info,sqlx=debug`")?;
    let mut provider =
        SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name("apex").build());
    if let Some(endpoint) = &common.otlp_endpoint {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .context("APEX_OTLP_ENDPOINT is not the base URL of a collector")?;
        provider = provider.with_batch_exporter(exporter);
    }
    let provider = provider.build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("apex")).with_filter(LevelFilter::INFO);
    // A line that cannot be written is left out: telling so on standard error panics where that is closed.
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let logs = match common.log_format {
        LogFormat::Text => logs.with_target(false).with_ansi(has_colours()).boxed(),
        LogFormat::Json => {
            let fields = tracing_subscriber::fmt::format::JsonFields::new();
            logs.with_ansi(false).fmt_fields(fields).event_format(json::JsonLines).boxed()
        }
    };
    tracing_subscriber::registry().with(traces).with(logs.with_filter(filter)).init();
    Ok(Telemetry { provider })
}

/// Colours are for people at a terminal: in files and pipes they are noise. `NO_COLOR` turns them off everywhere.
fn has_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Telemetry {
    /// Sends what was not sent yet.
    pub fn stop(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last traces were not sent");
        }
    }
}

/// Buckets for everything that is measured in seconds: 1 ms to 5 min.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        // The library's counters hold integers. What is spent has fractions and only rises, so it is kept as a gauge;
        // to those who read it, it is the counter that its name says.
        self.0.render().replace("# TYPE apex_cost_total gauge\n", "# TYPE apex_cost_total counter\n")
    }
}

/// Starts counting, with every counter whose labels are known at zero.
///
/// # Errors
/// Where something else counts already in this process.
pub fn metrics() -> anyhow::Result<Metrics> {
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    streams::register_metrics();
    commands::register_metrics();
    projections::register_metrics();
    api::register_metrics();
    describe_gauges();
    Ok(Metrics(handle))
}

/// Those that the server reads from the database now and then. They are not registered: until they are read, there is
/// nothing to say.
fn describe_gauges() {
    use metrics::describe_gauge;
    describe_gauge!("apex_active_agents", "Agents that may take work.");
    describe_gauge!("apex_queue_depth", "Tasks that wait to be started.");
    describe_gauge!("apex_worker_utilization", "The share of active agents that have a running task, 0 to 1.");
    describe_gauge!("apex_log_partition_headroom", "Events that the log has room for before partitions must be made.");
    describe_gauge!("apex_log_partition_size", "Events that a partition of the log has room for.");
    describe_gauge!("apex_projection_lag_events", "Events that a read model is behind the log.");
    describe_gauge!("apex_projection_standstill_seconds", "How long a read model that is behind has not moved.");
}
