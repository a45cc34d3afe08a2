//! Logs to standard error, traces to an OpenTelemetry collector, metrics to whoever scrapes them.

use crate::config::{Common, LogFormat};
use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
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
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match common.log_format {
        LogFormat::Text => logs.with_target(false).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(traces).with(logs.with_filter(filter)).init();
    Ok(Telemetry { provider })
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

/// Starts counting; the handle renders the counts in Prometheus' text format.
///
/// # Errors
/// Where something else counts already in this process.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!("apex_tasks_total", "Tasks that this process moved to a status.");
    counter!("apex_tokens_total", "Tokens of calls that this process recorded, by model and kind.");
    gauge!("apex_cost_total", "US dollars charged for calls that this process recorded, by model.");
    gauge!("apex_active_agents", "Agents that may take work.");
    gauge!("apex_queue_depth", "Tasks that wait to be started.");
    gauge!("apex_worker_utilization", "The share of active agents that have a running task, 0 to 1.");
    histogram!("apex_task_duration_seconds", "From the start of a task to its end.");
    histogram!("apex_llm_latency_seconds", "How long LLM calls took, by model.");
    gauge!("apex_log_position", "The last position of the log that this process has seen.");
    counter!("apex_log_events_total", "Events that this process appended.");
    counter!("apex_log_batches_total", "Batches that this process committed.");
    histogram!("apex_log_append_seconds", "How long a batch took to commit.");
    gauge!("apex_projection_lag_events", "How far a projection is behind the log.");
    gauge!("apex_projection_standstill_seconds", "How long a projection that is behind has not moved.");
    gauge!("apex_relay_lag_events", "How far Kafka is behind the log.");
}
