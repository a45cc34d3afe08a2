//! A private broker whose listeners for clients speak TLS.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::path::Path;
use std::time::Duration;
use testkit::{Authority, KafkaServer, ReservedPort, TIMEOUT};

/// The user that the broker knows.
pub(crate) const USER: &str = "apex";
/// The password of the user.
pub(crate) const PASSWORD: &str = "the-password-of-a-test";

/// A private broker, killed and removed when dropped.
pub(crate) struct Broker {
    server: KafkaServer,
    /// Plain text, controller, SASL over TLS, and certificates of clients.
    ports: [ReservedPort; 4],
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
        let ports = [(); 4].map(|()| ReservedPort::of(16_000..19_900));
        let numbers = [0, 1, 2, 3].map(|index| ports[index].number());
        let certificate = authority.issue(&["localhost"]);
        let user = |mechanism: &str| format!("{mechanism}=[name={USER},password={PASSWORD}]");
        let users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(user);
        let server = KafkaServer::format(
            |folder| {
                let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
                write("server.pem", &format!("{}{}", certificate.key, certificate.certificate));
                write("clients.pem", &clients.pem());
                settings(folder, numbers)
            },
            &["--add-scram", &users[0], "--add-scram", &users[1]],
        );
        let mut broker = Self { server, ports };
        let client = broker.client();
        broker.server.start(|| client.fetch_metadata(None, Duration::from_secs(1)).is_ok());
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
