//! The SDKs of OpenAI and Anthropic, through the gateway: what they get is what they would get from the provider.

use super::{Upstream, assert_equals_stub, budgets, set_prices, settled};
use crate::identities::Installation;
use crate::reservations::define;
use std::path::PathBuf;
use std::process::Stdio;
use testkit::{Server, wait_until};
use tokio::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A server that takes clients without a credential, too, with a gateway; and an API key.
async fn serve(installation: &Installation, upstream: &Upstream) -> (Server, String) {
    let config = upstream.config();
    let server = installation.serve_open(&["--gateway-config", config.to_str().unwrap()]).await;
    set_prices(&server).await;
    let key = installation.key(&testkit::tenant().to_string(), "agent", &[]).await;
    (server, key)
}

async fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sdks_for_python_work_through_the_gateway() {
    // It has both SDKs.
    let python = root().join("target/tools/otlp-python/bin/python");
    assert!(python.exists(), "{} does not exist: run scripts/python-environment.sh", python.display());
    let (installation, upstream) = (Installation::new().await, Upstream::new().await);
    let (server, key) = serve(&installation, &upstream).await;
    define(&server, budgets::terms("1")).await;
    let agent = async |what: &str| {
        let mut command = Command::new(&python);
        run(command.arg(root().join("tests/gateway/agent.py")).args([what, &server.address, &key])).await;
    };
    agent("calls").await;
    assert_eq!(upstream.stub.usage().calls, 9);
    let all = settled(&installation.database, &server, 11).await;
    let charged: Vec<_> = all.into_iter().filter(|call| call["outcome"] == "OK").collect();
    assert_equals_stub(&charged, &upstream.stub);
    let before = upstream.stub.requests().len();
    let mut spent = budgets::terms("0.0001");
    spent["name"] = "spent".into();
    define(&server, spent).await;
    agent("refused").await;
    assert_eq!(upstream.stub.requests().len(), before, "what is refused is not passed on");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sdks_for_javascript_work_through_the_gateway() {
    let folder = root().join("target/tools/otlp-node");
    assert!(folder.join("node").exists(), "run scripts/node-packages.sh otlp-node tests/otlp first");
    let (installation, upstream) = (Installation::new().await, Upstream::new().await);
    let (server, key) = serve(&installation, &upstream).await;
    define(&server, budgets::terms("1")).await;
    let program = std::fs::read_to_string(root().join("tests/gateway/agent.mjs")).unwrap();
    let agent = async |what: &str| {
        let mut node = Command::new(folder.join("node"));
        // Packages are found from the working directory.
        node.env_clear().current_dir(&folder).args(["--input-type=module", "--eval", &program]);
        run(node.args([what, &server.address, &key])).await;
    };
    agent("calls").await;
    let all = settled(&installation.database, &server, 9).await;
    let of = |outcome: &str| all.iter().filter(|call| call["outcome"] == outcome).cloned().collect::<Vec<_>>();
    assert_equals_stub(&of("OK"), &upstream.stub);
    assert_eq!((of("OK").len(), of("ERROR").len(), of("CANCELLED").len()), (5, 2, 2), "{all:?}");
    wait_until("both streams end at the provider", async || upstream.stub.abandoned() == 2).await;
    let before = upstream.stub.requests().len();
    let mut spent = budgets::terms("0.0001");
    spent["name"] = "spent".into();
    define(&server, spent).await;
    agent("refused").await;
    assert_eq!(upstream.stub.requests().len(), before, "what is refused is not passed on");
    server.kill().await;
}
