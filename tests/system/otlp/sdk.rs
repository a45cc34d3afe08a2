//! The SDK of OpenTelemetry for Python, with instrumentations of two providers: each call appears once, over each protocol.

use super::{of_agent, report};
use std::path::PathBuf;
use std::process::Stdio;
use testkit::{ReservedPort, TestDatabase};
use tokio::process::Command;

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
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
    let url = format!("http://{own_port}/graphql");
    let elsewhere = reqwest::Client::new().post(url).body("{}").send().await.unwrap();
    assert_eq!(elsewhere.status(), reqwest::StatusCode::NOT_FOUND, "the port of exporters serves nothing else");
    server.kill().await;
}
