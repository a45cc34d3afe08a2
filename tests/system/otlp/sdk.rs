//! The SDK of OpenTelemetry for Python, with instrumentations of two providers: each call appears once, over each protocol.

use super::drawn::trace;
use super::{of_agent, report};
use std::path::PathBuf;
use std::process::Stdio;
use testkit::{ReservedPort, Server, TestDatabase};
use tokio::process::Command;

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Each protocol brings the same tree: the agent, and inside of it the spans of its calls, of which three are charged.
async fn assert_drawn_alike(database: &TestDatabase, server: &Server, exporters: [&str; 4]) {
    let of_service = "select distinct trace_id::text from apex.spans where service = $1";
    let mut shapes = Vec::new();
    for exporter in exporters {
        let service = format!("agent-{exporter}");
        let found: Vec<String> = sqlx::query_scalar(of_service).bind(&service).fetch_all(&database.pool).await.unwrap();
        assert_eq!(found.len(), 1, "{exporter}");
        let drawn = trace(database, server, &found[0].replace('-', ""), 500).await;
        let spans = drawn["spans"].as_array().unwrap();
        let charged = spans.iter().filter(|span| span["call"].is_object()).count();
        assert_eq!((charged, drawn["totals"]["calls"].as_i64()), (3, Some(3)), "{drawn}");
        assert_eq!((&spans[0]["name"], &spans[0]["depth"]), (&"invoke_agent".into(), &0.into()));
        for span in spans {
            assert_eq!(span["agent"]["name"], format!("weather-{exporter}"), "{span}");
            assert!(span["durationUs"].is_number() && span["kind"].is_string() && span["scope"].is_string(), "{span}");
        }
        shapes.push(spans.iter().map(|span| (span["name"].clone(), span["depth"].clone())).collect::<Vec<_>>());
    }
    assert!(shapes[0].len() >= 4 && shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_real_agent_appear_once_over_every_protocol() {
    let python = root().join("target/tools/otlp-python/bin/python");
    assert!(python.exists(), "{} does not exist: run scripts/python-environment.sh", python.display());
    let database = TestDatabase::new().await;
    let port = ReservedPort::of(20_000..32_000);
    let own_port = format!("127.0.0.1:{}", port.number());
    let server = database.serve(&["--otlp-listen", &own_port]).await;
    let exporters = ["http", "gzip", "json", "grpc"];
    for exporter in exporters {
        // The ports of exporters serve the same as the main one.
        let endpoint = if exporter == "grpc" { format!("http://{own_port}") } else { server.address.clone() };
        let mut agent = Command::new(&python);
        agent.arg(root().join("tests/otlp/agent.py")).args([exporter, &endpoint]).stdin(Stdio::null());
        let output = agent.output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !errors.contains("Failed to export"), "{exporter}: {errors}");
    }
    let report = report(&database, &server, &["AGENT"]).await;
    for exporter in exporters {
        // Two chats of OpenAI, and a message of Anthropic, which its SDK and an instrumentation both write.
        let (calls, input, output, read, written, _) =
            of_agent(&report, &format!("weather-{exporter}")).unwrap_or_else(|| panic!("{exporter}: {report}"));
        assert_eq!((calls, input, output, read, written), (3, 528, 1020, 3072, 512), "{exporter}");
    }
    assert_drawn_alike(&database, &server, exporters).await;
    let url = format!("http://{own_port}/graphql");
    let elsewhere = testkit::http_client().post(url).body("{}").send().await.unwrap();
    assert_eq!(elsewhere.status(), reqwest::StatusCode::NOT_FOUND, "the port of exporters serves nothing else");
    server.kill().await;
}
