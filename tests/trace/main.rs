//! One mutation is one trace: request, command, append, projection.
//!
//! A separate test binary, since a process has one `tracing` subscriber.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]

use futures::future::BoxFuture;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporterBuilder, SdkTracerProvider};
use std::sync::Arc;
use streams::{Position, ReadFilter};
use testkit::{TIMEOUT, TestDatabase, tenant};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

struct AlwaysReady;

impl api::ReadyChecks for AlwaysReady {
    fn check(&self) -> BoxFuture<'_, Vec<api::ReadyCheck>> {
        Box::pin(async { Vec::new() })
    }
}

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_mutation_is_one_trace() {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing_subscriber::registry().with(tracing_subscriber::filter::LevelFilter::INFO).with(layer).init();

    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let identities =
        identity::Identities::open(rooms.pool.clone(), rooms.commands.clone(), "identity.keys".into()).await;
    let identities = identities.unwrap();
    let tokens = apex::tokens::Tokens::none(tenant());
    let deps = api::Deps {
        commands: rooms.commands.clone(),
        authenticator: Arc::new(apex::credentials::Credentials { tokens, identities: identities.clone() }),
        identities,
        pool: rooms.pool.clone(),
        reads: rooms.reads.clone(),
        span_store: None,
        gateway: None,
        metrics: Arc::new(String::new),
        ready: Arc::new(AlwaysReady),
    };
    let stop = rooms.stop_signal();
    let config = api::ApiConfig::default();
    rooms.spawn("api", async move { Ok(api::serve(listener, config, deps, stop).await?) });

    let caller = "00f067aa0ba902b7";
    let answer = reqwest::Client::new()
        .post(format!("http://{address}/graphql"))
        .header("traceparent", format!("00-{TRACE_ID}-{caller}-01"))
        .json(&serde_json::json!({ "query": "mutation { registerAgent(input: {name: \"ada\"}) { position } }" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();

    let event = rooms.log.read_after(Position::ZERO, &ReadFilter::default(), 1).await.unwrap().remove(0);
    let traceparent = event.metadata().unwrap().traceparent.unwrap();
    assert_eq!(traceparent.split('-').nth(1), Some(TRACE_ID), "the event has another trace id");
    rooms.close().await.unwrap();

    let spans = exporter.get_finished_spans().unwrap();
    let trace: Vec<_> = spans.iter().filter(|span| span.span_context.trace_id().to_string() == TRACE_ID).collect();
    let names: Vec<_> = trace.iter().map(|span| span.name.as_ref()).collect();
    for name in ["POST /graphql", "command", "log_append", "projection"] {
        assert!(names.contains(&name), "{name} is not in the trace: {names:?}");
    }
    // The parent of every span is in the trace, or is the caller's span.
    for span in &trace {
        let parent = span.parent_span_id.to_string();
        let known = parent == caller || trace.iter().any(|other| other.span_context.span_id().to_string() == parent);
        assert!(known, "{} has a parent that is not in the trace", span.name);
    }
}
