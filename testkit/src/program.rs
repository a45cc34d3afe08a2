//! The `apex` program: runs that end, and running servers.

use crate::{TIMEOUT, TestDatabase, send_until_checked};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Instant;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// The path of the `apex` program under test.
///
/// Cargo names it to the tests and benchmarks of the root package that it runs. A test binary that is started by hand
/// finds it above its own folder, `target/PROFILE/deps`.
///
/// # Panics
/// If there is no program at that path.
pub fn apex_binary() -> PathBuf {
    // For the HTTP clients of tests, which talk to it.
    apex::cli::install_crypto_provider();
    let beside = || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("apex");
    let path = std::env::var_os("CARGO_BIN_EXE_apex").map_or_else(beside, PathBuf::from);
    assert!(path.exists(), "{} does not exist: build it with `cargo build --bin apex`", path.display());
    path
}

/// The HTTP client of a test binary: to make one takes as long as several requests. It keeps no connections open, since each test
/// has a runtime of its own, with which they would end.
///
/// # Panics
/// If there can be none.
pub fn http_client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        apex::cli::install_crypto_provider();
        reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap()
    });
    &CLIENT
}

/// Gets a URL with the HTTP client of the test binary.
///
/// # Errors
/// If there is no response.
pub async fn http_get(url: impl reqwest::IntoUrl) -> reqwest::Result<reqwest::Response> {
    http_client().get(url).send().await
}

/// What a run of the program that has ended left behind.
pub struct ProgramOutput {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl ProgramOutput {
    /// Returns the output of a run that succeeded.
    ///
    /// # Panics
    /// If the exit code is not 0.
    #[track_caller]
    pub fn assert_success(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The standard output, parsed as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl TestDatabase {
    /// The program on this database, not started yet.
    pub fn apex(&self, arguments: &[&str]) -> Command {
        self.program(apex_binary().as_os_str(), arguments)
    }

    fn program(&self, binary: &OsStr, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("APEX_DATABASE_URL", &self.url)
            .env("APEX_DATABASE_CONNECTIONS", "10")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the program and waits for its exit.
    pub async fn run(&self, arguments: &[&str]) -> ProgramOutput {
        let output = self.apex(arguments).output().await.unwrap();
        ProgramOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The total of the cost report, as `apex report cost` prints it.
    pub async fn total(&self) -> Value {
        self.run(&["report", "cost", "--format", "json"]).await.assert_success().json()["total"].clone()
    }

    /// Asserts that `apex log verify` finds nothing wrong.
    pub async fn verify_log(&self) {
        self.run(&["log", "verify"]).await.assert_success();
    }

    /// Starts `apex serve` on a free port.
    pub async fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(apex_binary().as_os_str(), arguments).await
    }

    /// Starts `serve` of another binary on a free port.
    pub async fn serve_with(&self, binary: &OsStr, arguments: &[&str]) -> Server {
        self.start(binary, "serve", arguments).await
    }

    /// Starts `apex gateway` on a free port.
    pub async fn gateway(&self, arguments: &[&str]) -> Server {
        self.start(apex_binary().as_os_str(), "gateway", arguments).await
    }

    async fn start(&self, binary: &OsStr, subcommand: &str, arguments: &[&str]) -> Server {
        use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
        let mut command = self.program(binary, &[subcommand, "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut before = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).await.unwrap() > 0, "the server ended: {before}");
            if let Some(address) = line.trim().strip_prefix("Apex listens on ") {
                break address.to_owned();
            }
            before.push_str(&line);
        };
        let stderr = tokio::spawn(async move {
            let mut written = before;
            drop(stderr.read_to_string(&mut written).await);
            written
        });
        Server { address, child, stderr }
    }
}

/// A running server, killed when dropped.
pub struct Server {
    /// The URL at which it listens, such as `http://127.0.0.1:8080`.
    pub address: String,
    /// Its process.
    pub child: Child,
    /// What it writes to standard error, without the line with its address.
    stderr: JoinHandle<String>,
}

impl Server {
    /// Sends a GraphQL request and returns the `data` of the response. It is sent again while the read models have not reached the
    /// position that it asks for, which the server waits for as long as clients do, and not as long as a busy machine takes.
    ///
    /// # Panics
    /// If there is no response, or it has errors.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let mut response = self.graphql_response(query, variables.clone()).await;
            if response["errors"][0]["extensions"]["code"] == "LATE" && Instant::now() < deadline {
                continue;
            }
            assert!(response.get("errors").is_none(), "{query}: {response}");
            return response["data"].take();
        }
    }

    /// Sends a GraphQL request and returns the whole response, with its errors.
    pub async fn graphql_response(&self, query: &str, variables: Value) -> Value {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let request = http_client().post(format!("{}/graphql", self.address)).json(&body);
        send_until_checked(request).await.json()
    }

    /// Sends SIGTERM, as an operator would, and waits. Returns the exit code and what the server wrote to standard error.
    ///
    /// # Panics
    /// If it does not exit within [`TIMEOUT`].
    pub async fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = tokio::time::timeout(TIMEOUT, self.child.wait()).await.unwrap().unwrap();
        (status.code(), self.stderr.await.unwrap())
    }

    /// Sends SIGKILL, and waits until the process has exited.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
