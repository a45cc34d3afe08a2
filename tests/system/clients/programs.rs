//! Programs that use the packages for clients: each scenario in Python and in JavaScript.

use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use testkit::TIMEOUT;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// The folder of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The languages of the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    JavaScript,
}

pub(super) const LANGUAGES: [Language; 2] = [Language::Python, Language::JavaScript];

/// The interpreter of Python with the package.
pub(super) fn python() -> Command {
    let python = root().join("target/tools/clients-python/bin/python");
    assert!(python.exists(), "{} does not exist: run scripts/python-environment.sh", python.display());
    let mut command = Command::new(python);
    command.env("PYTHONPATH", root().join("clients/python/src")).env("PYTHONDONTWRITEBYTECODE", "1");
    // LiteLLM uses the prices that it brings along, and fetches none.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    command
}

/// Node.
pub(super) fn node() -> Command {
    let node = root().join("target/tools/clients-node/node");
    assert!(node.exists(), "run scripts/node-packages.sh clients-node tests/clients first");
    Command::new(node)
}

/// A program that runs, and writes lines of JSON. It is killed when this is dropped.
pub(super) struct Program {
    what: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
}

impl Program {
    /// Starts a scenario against the server at a URL.
    pub(super) fn start(language: Language, url: &str, scenario: &str, arguments: &Value) -> Self {
        let command = match language {
            Language::Python => with_argument(python(), "scenarios.py"),
            Language::JavaScript => with_argument(node(), "scenarios.mjs"),
        };
        Self::of(command, url, scenario, arguments)
    }

    /// Starts a scenario of LiteLLM against the server at a URL.
    pub(super) fn start_litellm(url: &str, scenario: &str, arguments: &Value) -> Self {
        Self::of(with_argument(python(), "litellm_calls.py"), url, scenario, arguments)
    }

    fn of(mut command: Command, url: &str, scenario: &str, arguments: &Value) -> Self {
        let what = format!("{:?}", command.as_std().get_program());
        command.arg(scenario).arg(arguments.to_string()).env("APEX_URL", url);
        match arguments["token"].as_str() {
            Some(token) => command.env("APEX_TOKEN", token),
            None => command.env_remove("APEX_TOKEN"),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdin = child.stdin.take().unwrap();
        Self { what: format!("{what} {scenario}"), child, lines, stdin }
    }

    /// The next line that it writes.
    pub(super) async fn line(&mut self) -> Value {
        let line = timeout(TIMEOUT, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{} writes nothing", self.what)).unwrap();
        let line = line.unwrap_or_else(|| panic!("{} has ended", self.what));
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}: {line}", self.what))
    }

    /// Lets it go on that waits for a line.
    pub(super) async fn go_on(&mut self) {
        self.stdin.write_all(b"\n").await.unwrap();
        self.stdin.flush().await.unwrap();
    }

    /// Waits until it ends, with success.
    pub(super) async fn end(mut self) {
        let status = timeout(TIMEOUT, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("{} does not end", self.what)).unwrap();
        assert!(status.success(), "{}: {status}", self.what);
    }

    /// Kills it.
    pub(super) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

fn with_argument(mut command: Command, program: &str) -> Command {
    command.arg(root().join("tests/clients").join(program));
    command
}

/// Runs a scenario that waits for nothing, and returns what it saw.
pub(super) async fn run(language: Language, url: &str, scenario: &str, arguments: &Value) -> Value {
    let mut program = Program::start(language, url, scenario, arguments);
    let seen = program.line().await;
    program.end().await;
    seen
}
