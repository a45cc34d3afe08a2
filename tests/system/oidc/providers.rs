//! Providers of the tests, and the file that names them to the server.

use crate::users::Installation;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use testkit::{ReservedPort, Server};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The secret of the client at all providers.
pub(super) const CLIENT_SECRET: &str = "green tea is not a secret";

/// The folder with the packages and programs for Node.
pub(super) fn node_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/oidc");
    assert!(folder.join("node_modules").exists(), "run scripts/node-packages.sh oidc tests/oidc first");
    folder
}

/// A program for Node.
pub(super) fn node(program: &str) -> Command {
    let mut command = Command::new("node");
    command.args(["--preserve-symlinks", "--preserve-symlinks-main"]).arg(node_folder().join(program));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

/// A provider on a port of its own, killed when dropped.
pub(super) struct Provider {
    id: &'static str,
    program: &'static str,
    settings: Value,
    port: ReservedPort,
    child: Option<Child>,
    folder: tempfile::TempDir,
    /// Lines of the provider in the file of the server.
    pub(super) lines: String,
}

impl Provider {
    fn of(id: &'static str, program: &'static str, mut settings: Value) -> Self {
        let (port, folder) = (ReservedPort::of(20_000..28_000), tempfile::tempdir().unwrap());
        settings["port"] = json!(port.number());
        if settings.get("host").is_none() {
            settings["host"] = json!("127.0.0.1");
        }
        settings["accounts"] = json!(folder.path().join("accounts.json"));
        let provider = Self { id, program, settings, port, child: None, folder, lines: String::new() };
        provider.say(&json!({}));
        provider
    }

    /// A real provider that runs.
    pub(super) async fn genuine(id: &'static str, settings: Value) -> Self {
        let mut provider = Self::of(id, "provider.mjs", settings);
        provider.start().await;
        provider
    }

    /// A provider that signs whatever it is told to, with a discovery document that has other values.
    pub(super) async fn hostile(document: Value) -> Self {
        let settings = json!({ "clientId": "apex", "clientSecret": CLIENT_SECRET, "document": document });
        let mut provider = Self::of("evil", "hostile.mjs", settings);
        provider.start().await;
        provider
    }

    /// Adds lines to its entry in the file of the server.
    pub(super) fn with(mut self, lines: &str) -> Self {
        self.lines.push_str(lines);
        self.lines.push('\n');
        self
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://{}:{}", self.settings["host"].as_str().unwrap(), self.port.number())
    }

    /// Writes what the provider says of people, by the names that they sign in with.
    pub(super) fn say(&self, accounts: &Value) {
        std::fs::write(self.folder.path().join("accounts.json"), accounts.to_string()).unwrap();
    }

    /// Starts it, with new keys.
    pub(super) async fn start(&mut self) {
        let mut child = node(self.program).arg(self.settings.to_string()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Warnings come before: that its login accepts every name, and that it forgets everything at its end.
        while lines.next_line().await.unwrap().expect("the provider ended") != "ready" {}
        // It goes on writing, and ends if nobody reads that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
    }

    pub(super) async fn stop(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    fn entry(&self) -> String {
        format!(
            "[[provider]]\nid = '{}'\nissuer = '{}'\nclient_id = 'apex'\nclient_secret_file = 'client.secret'\n{}",
            self.id,
            self.issuer(),
            self.lines
        )
    }
}

/// Starts a server with some providers.
pub(super) async fn serve(
    installation: &Installation,
    folder: &tempfile::TempDir,
    providers: &[&Provider],
    arguments: &[&str],
) -> Server {
    let file = write(folder, providers);
    installation.serve(&[&["--oidc-providers", &file], arguments].concat()).await
}

/// Writes the file that names some providers to a server, and the secret of the client. Returns its path.
pub(super) fn write(folder: &tempfile::TempDir, providers: &[&Provider]) -> String {
    std::fs::write(folder.path().join("client.secret"), format!("{CLIENT_SECRET}\n")).unwrap();
    let file = folder.path().join("providers.toml");
    let entries: Vec<_> = providers.iter().map(|provider| provider.entry()).collect();
    std::fs::write(&file, entries.join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}
