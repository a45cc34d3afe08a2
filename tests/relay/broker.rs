//! A private Kafka broker, which tests may stop, pause and wipe.

use crate::fixture::consumer;
use rdkafka::consumer::Consumer;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::{ReservedPort, TIMEOUT, send_signal};

/// A private broker, killed and removed when dropped.
pub(crate) struct Broker {
    folder: TempDir,
    port: ReservedPort,
    _controller: ReservedPort,
    server: Option<Child>,
}

static BROKER: Mutex<Option<Broker>> = Mutex::new(None);

/// Locks the broker for one test, and makes sure that it runs.
pub(crate) fn lock() -> MutexGuard<'static, Option<Broker>> {
    let mut broker = BROKER.lock().unwrap_or_else(PoisonError::into_inner);
    let broker_or_new = broker.get_or_insert_with(Broker::prepare);
    broker_or_new.signal(Signal::CONT);
    broker_or_new.start();
    broker
}

/// Removes the broker. Called before the process exits, which drops no statics.
pub(crate) fn remove() {
    drop(BROKER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl Broker {
    fn prepare() -> Self {
        let folder = tempfile::Builder::new().prefix("apex-kafka-").tempdir().unwrap();
        let [reserved, reserved_controller] = [(); 2].map(|()| ReservedPort::of(16_000..19_900));
        let (port, controller) = (reserved.number(), reserved_controller.number());
        let data = folder.path().join("data");
        let settings = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
",
            data.display()
        );
        std::fs::write(folder.path().join("server.properties"), settings).unwrap();
        let broker = Self { folder, port: reserved, _controller: reserved_controller, server: None };
        let formatted = broker
            .java()
            .args(["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"])
            .arg(broker.file("server.properties"))
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        copy(&data, &broker.file("empty"));
        broker
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn java(&self) -> Command {
        let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka-jars/*");
        let mut java = Command::new("java");
        java.args(["-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars).stdin(Stdio::null());
        java
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Starts the broker if it does not run, and waits until it responds.
    pub(crate) fn start(&mut self) {
        if self.server.is_none() {
            let log = std::fs::File::options().create(true).append(true).open(self.file("kafka.log")).unwrap();
            let mut java = self.java();
            java.arg("kafka.Kafka").arg(self.file("server.properties"));
            self.server = Some(java.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        }
        let deadline = Instant::now() + TIMEOUT;
        let client = consumer(&self.address());
        while client.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            let log = std::fs::read_to_string(self.file("kafka.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the broker does not respond: {log}");
        }
    }

    /// Kills the broker, if it runs.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Deletes all data of a stopped broker.
    pub(crate) fn wipe(&mut self) {
        assert!(self.server.is_none());
        std::fs::remove_dir_all(self.file("data")).unwrap();
        copy(&self.file("empty"), &self.file("data"));
    }

    /// Sends a signal to the broker, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            send_signal(server.id(), signal);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
