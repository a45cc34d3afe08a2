//! A private Kafka broker, which tests may stop, pause and wipe.

use crate::fixture::consumer;
use rdkafka::consumer::Consumer;
use rustix::process::Signal;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use testkit::{KafkaServer, ReservedPort, send_signal};

/// A private broker, killed and removed when dropped.
pub(crate) struct Broker {
    server: KafkaServer,
    port: ReservedPort,
    _controller: ReservedPort,
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

/// Removes the shared broker. Called before the process exits, which drops no statics.
pub(crate) fn remove() {
    drop(BROKER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl Broker {
    /// A broker that runs, for one test.
    pub(crate) fn start_new() -> Self {
        let mut broker = Self::prepare();
        broker.start();
        broker
    }

    fn prepare() -> Self {
        let [reserved, reserved_controller] = [(); 2].map(|()| ReservedPort::of(16_000..19_900));
        let (port, controller) = (reserved.number(), reserved_controller.number());
        let settings = |folder: &Path| {
            format!(
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
                folder.join("data").display()
            )
        };
        let server = KafkaServer::format(settings, &[]);
        copy(&server.file("data"), &server.file("empty"));
        Self { server, port: reserved, _controller: reserved_controller }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Starts the broker if it does not run, and waits until it responds.
    pub(crate) fn start(&mut self) {
        let client = consumer(&self.address());
        self.server.start(|| client.fetch_metadata(None, Duration::from_secs(1)).is_ok());
    }

    /// Kills the broker, if it runs.
    pub(crate) fn stop(&mut self) {
        self.server.stop();
    }

    /// Deletes all data of a stopped broker.
    pub(crate) fn wipe(&mut self) {
        assert!(self.server.id().is_none());
        std::fs::remove_dir_all(self.server.file("data")).unwrap();
        copy(&self.server.file("empty"), &self.server.file("data"));
    }

    /// Sends a signal to the broker, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(id) = self.server.id() {
            send_signal(id, signal);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
