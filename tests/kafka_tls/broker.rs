//! A private broker whose listeners for clients speak TLS.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::{Authority, ReservedPort, TIMEOUT};

/// The user that the broker knows.
pub(crate) const USER: &str = "apex";
/// The password of the user.
pub(crate) const PASSWORD: &str = "the-password-of-a-test";

/// A private broker, killed and removed when dropped.
pub(crate) struct Broker {
    folder: TempDir,
    /// Plain text, controller, SASL over TLS, and certificates of clients.
    ports: [ReservedPort; 4],
    server: Child,
}

/// The settings. The name in the certificate is `localhost`.
fn settings(folder: &Path, [plain, controller, sasl, ssl]: [u16; 4]) -> String {
    let (data, server, clients) = (folder.join("data"), folder.join("server.pem"), folder.join("clients.pem"));
    let (data, server, clients) = (data.display(), server.display(), clients.display());
    let modules = "org.apache.kafka.common.security";
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://localhost:{sasl},SSL://localhost:{ssl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={clients}
listener.name.ssl.ssl.client.auth=required
listener.name.sasl_ssl.ssl.client.auth=none
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
"
    )
}

impl Broker {
    /// Starts a broker with a certificate of an authority, and waits until it responds. It accepts certificates of clients
    /// that another authority issued.
    pub(crate) fn start(authority: &Authority, clients: &Authority) -> Self {
        let folder = tempfile::Builder::new().prefix("apex-kafka-").tempdir().unwrap();
        let ports = [(); 4].map(|()| ReservedPort::of(16_000..19_900));
        let numbers = [0, 1, 2, 3].map(|index| ports[index].number());
        let certificate = authority.issue(&["localhost"]);
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("server.pem", &format!("{}{}", certificate.key, certificate.certificate));
        write("clients.pem", &clients.pem());
        write("server.properties", &settings(folder.path(), numbers));
        let user = |mechanism: &str| format!("{mechanism}=[name={USER},password={PASSWORD}]");
        let formatted = java()
            .args(["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"])
            .arg(folder.path().join("server.properties"))
            .args(["--add-scram", &user("SCRAM-SHA-256"), "--add-scram", &user("SCRAM-SHA-512")])
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        let log = std::fs::File::create(folder.path().join("kafka.log")).unwrap();
        let mut server = java();
        server.arg("kafka.Kafka").arg(folder.path().join("server.properties"));
        let server = server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let broker = Self { folder, ports, server };
        let (client, deadline) = (broker.client(), Instant::now() + TIMEOUT);
        while client.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            let log = std::fs::read_to_string(broker.folder.path().join("kafka.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the broker does not respond: {log}");
        }
        broker
    }

    /// Where clients present a credential.
    pub(crate) fn sasl(&self, host: &str) -> String {
        format!("{host}:{}", self.ports[2].number())
    }

    /// Where clients present a certificate.
    pub(crate) fn ssl(&self, host: &str) -> String {
        format!("{host}:{}", self.ports[3].number())
    }

    fn client(&self) -> BaseConsumer {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", format!("127.0.0.1:{}", self.ports[0].number())).set("group.id", "unused");
        client.create().unwrap()
    }

    /// The number of messages in the topics of a prefix, read by a client without TLS.
    pub(crate) fn published(&self, prefix: &str) -> i64 {
        let client = self.client();
        let metadata = client.fetch_metadata(None, TIMEOUT).unwrap();
        let topics = metadata.topics().iter().filter(|topic| topic.name().starts_with(prefix));
        let partitions =
            topics.flat_map(|topic| topic.partitions().iter().map(|partition| (topic.name(), partition.id())));
        let messages = partitions.map(|(topic, partition)| {
            let (low, high) = client.fetch_watermarks(topic, partition, TIMEOUT).unwrap();
            high - low
        });
        messages.sum()
    }
}

fn java() -> Command {
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka-jars/*");
    let mut java = Command::new("java");
    java.args(["-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars).stdin(Stdio::null());
    java
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
