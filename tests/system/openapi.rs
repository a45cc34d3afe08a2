//! Requests that are generated from the OpenAPI document, by schemathesis: no answer is an error of the server, and each is
//! one that the document has.
//!
//! `APEX_TEST_FUZZ_SEED` repeats the random choices of a run.

use std::path::PathBuf;
use std::process::Stdio;
use testkit::TestDatabase;
use tokio::process::Command;

/// The bearer token of the server, which may do everything.
const TOKEN: &str = "a-token-of-thirty-two-characters";
/// The number of requests that are generated for each operation, beside those of the document's edges.
const EXAMPLES: &str = "20";
/// What is checked of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// Paths whose answer has no end.
const STREAMS: [&str; 2] = ["/events", "/graphql/ws"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_requests_get_the_answers_of_the_document() {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/openapi-python/bin");
    let program = tools.join("st");
    assert!(program.exists(), "{} does not exist: run scripts/python-environment.sh", program.display());
    let database = TestDatabase::new().await;
    let mut server = database.serve(&["--token", TOKEN]).await;
    let seed = std::env::var("APEX_TEST_FUZZ_SEED").ok().filter(|seed| !seed.is_empty());
    let seed = seed.unwrap_or_else(|| rand::random::<u32>().to_string());
    let mut requests = Command::new(program);
    requests.arg("run").arg(format!("{}/v1/openapi.json", server.address));
    requests.args([
        "--header",
        &format!("Authorization: Bearer {TOKEN}"),
        "--checks",
        CHECKS,
        "--max-examples",
        EXAMPLES,
    ]);
    for path in STREAMS {
        requests.args(["--exclude-path", path]);
    }
    requests.args(["--phases", "examples,coverage,fuzzing", "--seed", &seed, "--max-redirects", "0"]);
    requests.args([
        "--request-timeout",
        "60",
        "--suppress-health-check",
        "all",
        "--continue-on-failure",
        "--no-shrink",
    ]);
    requests.args(["--no-color", "--warnings", "off"]);
    let hooks = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/openapi");
    requests.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", hooks).env("PYTHONDONTWRITEBYTECODE", "1");
    // It keeps what it found in its working directory.
    let folder = tempfile::tempdir().unwrap();
    let output = requests.current_dir(folder.path()).stdin(Stdio::null()).output().await.unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "seed {seed}: {report}\n{}", String::from_utf8_lossy(&output.stderr));
    // A run that reached nothing would succeed too.
    let generated = report.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse::<u64>().ok());
    assert!(generated.is_some_and(|count| count > 500), "{report}");
    assert_eq!(server.child.try_wait().unwrap(), None, "the server ended");
    let response = testkit::http_get(format!("{}/healthz", server.address)).await.unwrap();
    assert_eq!(response.status(), reqwest::StatusCode::OK);
    server.kill().await;
}
