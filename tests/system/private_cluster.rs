//! `apex` on its private cluster: restarts after a crash, shutdown, connection limits, and errors in database URLs.

use crate::migrations::{plant_squashed_migrations, schema_fingerprint};
use apex::embedded::Embedded;
use sqlx::{Connection as _, PgConnection};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use testkit::{TIMEOUT, wait_until};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

/// A temporary home folder, accessible to the user that runs the server.
struct TestHome(TempDir);

impl TestHome {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        Self(folder)
    }

    fn apex(&self, arguments: &[&str]) -> Command {
        // Children of a background process inherit that SIGINT is ignored; in a terminal it is not.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(env!("CARGO_BIN_EXE_apex")).args(arguments);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("APEX_HOME", self.0.path().join("home")).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The last position of the log, or `None` while the database is not available.
    async fn head(&self) -> Option<i64> {
        let home = self.0.path().join("home");
        let password = std::fs::read_to_string(home.join("password")).ok()?;
        let file = std::fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
        let url = format!("postgres://apex:{}@127.0.0.1:{}/apex", password.trim(), file.lines().nth(3)?.trim());
        let mut connection = PgConnection::connect(&url).await.ok()?;
        sqlx::query_scalar("select position from apex.head").fetch_one(&mut connection).await.ok()
    }

    /// The process id of the postmaster, or `None` if no server runs.
    fn postmaster(&self) -> Option<String> {
        let file: PathBuf = self.0.path().join("home/data/postmaster.pid");
        let text = std::fs::read_to_string(file).ok()?;
        text.lines().next().map(str::to_owned)
    }
}

fn signal(name: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([name, pid]).status().unwrap().success());
}

/// Whether a process runs; a zombie does not.
fn is_alive(pid: &str) -> bool {
    let output = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// Waits until the server listens and returns its address.
async fn listening_address(server: &mut Child) -> String {
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("the server exited");
        if let Some(address) = line.strip_prefix("Apex listens on ") {
            break address.to_owned();
        }
    };
    // Later output is read and dropped, so that the server never blocks on it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restarts_its_private_cluster_when_it_dies() {
    let home = TestHome::new();
    let mut server = home.apex(&["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let address = listening_address(&mut server).await;
    let register = async |name: &str| {
        let query = format!("mutation {{ registerAgent(input: {{name: \"{name}\"}}) {{ position }} }}");
        let body = serde_json::json!({ "query": query });
        let asked = testkit::http_client().post(format!("{address}/graphql")).json(&body).send().await;
        let answer: serde_json::Value = asked.unwrap().json().await.unwrap();
        answer["data"]["registerAgent"]["position"].is_string()
    };
    assert!(register("ada").await);
    for name in ["grace", "barbara"] {
        let killed = home.postmaster().unwrap();
        signal("-KILL", &killed);
        wait_until("another postmaster runs", async || home.postmaster().is_some_and(|pid| pid != killed)).await;
        wait_until("the same process appends again", async || register(name).await).await;
        wait_until("it is ready", async || {
            testkit::http_get(format!("{address}/readyz")).await.unwrap().status() == reqwest::StatusCode::OK
        })
        .await;
    }
    let last = home.postmaster().unwrap();
    signal("-TERM", &server.id().unwrap().to_string());
    let status = tokio::time::timeout(TIMEOUT, server.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    wait_until("the cluster is stopped", async || !is_alive(&last)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_import_leaves_no_cluster_running() {
    for name in ["-INT", "-TERM"] {
        let home = TestHome::new();
        let mut import = home.apex(&["import", "autogpt", "-"]).spawn().unwrap();
        // The import has started and waits for more input.
        let mut input = import.stdin.take().unwrap();
        let line = r#"{"run":"a","challenge":"c","id":"1","created":1695554458,"model":"gpt-4","usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        wait_until("the import has written an event", async || home.head().await > Some(0)).await;
        let postmaster = home.postmaster().unwrap();
        signal(name, &import.id().unwrap().to_string());
        let status = tokio::time::timeout(TIMEOUT, import.wait()).await.unwrap().unwrap();
        let mut stderr = String::new();
        import.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
        assert_eq!(status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("interrupted") && !stderr.contains("panicked"), "{stderr}");
        assert!(home.postmaster().is_none(), "a cluster was left running: {stderr}");
        // The postmaster has released all resources, but may still be exiting.
        wait_until("the postmaster is gone", async || !is_alive(&postmaster)).await;
        drop(input);
    }
}

#[tokio::test]
async fn a_private_cluster_has_connections_for_several_processes() {
    /// The connections of one process by default, with those of the log, its tail and the relay.
    const OF_A_PROCESS: u32 = 20 + 8;
    let home = TestHome::new();
    let cluster = Embedded::start(&home.0.path().join("home")).await.unwrap();
    let mut connection = PgConnection::connect(cluster.url()).await.unwrap();
    let most: String = sqlx::query_scalar("show max_connections").fetch_one(&mut connection).await.unwrap();
    assert!(most.parse::<u32>().unwrap() >= 8 * OF_A_PROCESS, "{most}");
    cluster.stop().await.unwrap();
}

/// The message names the directory to move away. After that, `apex` starts with an empty database, and the moved cluster
/// still works.
#[tokio::test]
async fn a_private_cluster_from_before_the_migrations_were_squashed_is_refused() {
    let home = TestHome::new();
    let path = home.0.path().join("home");
    let run = async |arguments: &[&str]| {
        let output = tokio::time::timeout(TIMEOUT, home.apex(arguments).stdin(Stdio::null()).output()).await;
        let output = output.unwrap().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let fingerprint = async |path: &Path| {
        let cluster = Embedded::start(path).await.unwrap();
        let fingerprint = schema_fingerprint(&mut PgConnection::connect(cluster.url()).await.unwrap()).await;
        cluster.stop().await.unwrap();
        fingerprint
    };
    assert_eq!(run(&["migrate"]).await.0, Some(0));
    let cluster = Embedded::start(&path).await.unwrap();
    plant_squashed_migrations(&mut PgConnection::connect(cluster.url()).await.unwrap()).await;
    cluster.stop().await.unwrap();
    let before = fingerprint(&path).await;

    let remedy = format!("move the directory {} away", path.canonicalize().unwrap().display());
    for arguments in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"], &["report", "cost"], &["demo"]] {
        let (code, stderr) = run(arguments).await;
        assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("from before its migrations were squashed"), "{arguments:?}: {stderr}");
        assert!(stderr.contains(&remedy), "{arguments:?}: {stderr}");
        assert!(home.postmaster().is_none(), "{arguments:?} left the cluster running: {stderr}");
    }
    assert_eq!(fingerprint(&path).await, before);

    let moved = home.0.path().join("moved");
    std::fs::rename(&path, &moved).unwrap();
    let (code, stderr) = run(&["migrate"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(fingerprint(&moved).await, before);
}

/// Runs `apex`, asserts that it fails, and returns its standard error.
async fn stderr_of_failure(database_url: &str, arguments: &[&str]) -> String {
    let mut command = TestHome::new().apex(arguments);
    let command = command.env("APEX_DATABASE_URL", database_url).stdin(Stdio::null());
    let output = tokio::time::timeout(TIMEOUT, command.output()).await.unwrap().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn an_invalid_database_url_error_has_a_remedy_and_no_password() {
    let stderr = stderr_of_failure("mysql://root:geheim@localhost/apex", &["report", "cost"]).await;
    assert!(
        stderr.contains("begins with mysql://") && stderr.contains("postgres://user:password@host/database"),
        "{stderr}"
    );
    assert!(!stderr.contains("geheim"), "{stderr}");
    let stderr = stderr_of_failure("postgres://apex:geheim@localhost:1/apex", &["report", "cost"]).await;
    assert!(stderr.contains("PostgreSQL at localhost:1") && stderr.contains("APEX_DATABASE_URL"), "{stderr}");
    assert!(!stderr.contains("geheim"), "{stderr}");
    // The output has no colours, since stderr is not a terminal.
    let stderr =
        stderr_of_failure("postgres://localhost:1/apex", &["serve", "--log", "debug", "--listen", "localhost:0"]).await;
    assert!(stderr.contains("PostgreSQL at localhost:1") && !stderr.contains('\u{1b}'), "{stderr}");
}
