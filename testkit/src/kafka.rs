//! The process of a private Kafka broker, in a folder of its own.

use crate::{TIMEOUT, repository};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// The id of the cluster: any one will do.
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
const SETTINGS: &str = "server.properties";
const LOG: &str = "kafka.log";

/// A private broker with its folder. It is killed and removed when dropped.
pub struct KafkaServer {
    folder: TempDir,
    server: Option<Child>,
}

impl KafkaServer {
    /// Prepares the folder of a broker with settings, which are given the folder, and further arguments for its format.
    ///
    /// # Panics
    /// If it cannot be prepared, as every other function of this type does.
    pub fn format(settings: impl FnOnce(&Path) -> String, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("apex-kafka-").tempdir().unwrap();
        let broker = Self { folder, server: None };
        std::fs::write(broker.file(SETTINGS), settings(broker.folder.path())).unwrap();
        let mut format = java();
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(broker.file(SETTINGS));
        let formatted = format.args(arguments).output().unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        broker
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The id of the process, if it runs.
    pub fn id(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Starts the broker if it does not run, and waits until it is ready. Each question whether it is may take a moment.
    pub fn start(&mut self, is_ready: impl Fn() -> bool) {
        if self.server.is_none() {
            let log = std::fs::File::options().create(true).append(true).open(self.file(LOG)).unwrap();
            let mut server = java();
            server.arg("kafka.Kafka").arg(self.file(SETTINGS));
            self.server = Some(server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        }
        let deadline = Instant::now() + TIMEOUT;
        while !is_ready() {
            let log = std::fs::read_to_string(self.file(LOG)).unwrap_or_default();
            assert!(Instant::now() < deadline, "the broker does not respond: {log}");
        }
    }

    /// Kills the broker, if it runs.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn java() -> Command {
    let mut java = Command::new("java");
    let jars = repository().join("target/kafka-jars/*");
    java.args(["-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars).stdin(Stdio::null());
    java
}
