//! The relay to a broker over TLS, with certificates that the test makes: SASL with PLAIN and SCRAM, and certificates of
//! clients.
//!
//! It needs a build with the feature `kafka-tls`, which links OpenSSL, and is run by `make kafka-tls`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]

mod broker;

use broker::{Broker, PASSWORD, USER};
use std::path::PathBuf;
use std::time::Duration;
use testkit::{Authority, TestDatabase};
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

/// How long a relay that is refused is watched. One that is not has published everything in less.
const REFUSED: Duration = Duration::from_secs(20);

/// Files in PEM, by which relays connect.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// How a relay connects.
struct Connection {
    what: &'static str,
    address: String,
    arguments: Vec<String>,
    password: Option<&'static str>,
}

fn prefix() -> String {
    format!("test-{}", Uuid::new_v4().simple())
}

fn arguments(text: &[&str]) -> Vec<String> {
    text.iter().map(|text| (*text).to_owned()).collect()
}

fn start(database: &TestDatabase, connection: &Connection, prefix: &str) -> tokio::process::Child {
    let mut relay = database.apex(&["relay", "--until-caught-up", "--kafka-brokers", &connection.address]);
    relay.args(["--kafka-topic-prefix", prefix]).args(&connection.arguments).env("APEX_LOG", "info");
    if let Some(password) = connection.password {
        relay.env("APEX_KAFKA_USERNAME", USER).env("APEX_KAFKA_PASSWORD", password);
    }
    relay.spawn().unwrap()
}

/// A database with a log of its own: one relay at a time publishes a log.
async fn database() -> TestDatabase {
    let database = TestDatabase::new().await.unverified();
    database.run(&["tenants", "create", "acme"]).await.assert_success();
    database
}

async fn assert_published(broker: &Broker, connection: &Connection) {
    let (database, prefix) = (database().await, prefix());
    let relay = start(&database, connection, &prefix).wait_with_output();
    let output = tokio::time::timeout(testkit::TIMEOUT, relay).await.expect(connection.what).unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {log}", connection.what);
    assert_eq!(broker.published(&prefix), database.head().await, "{}", connection.what);
    assert!(!log.contains(PASSWORD), "{}: the password is logged", connection.what);
}

/// The relay goes on trying, says so, and nothing is published.
async fn assert_refused(broker: &Broker, connection: &Connection) {
    let (database, prefix) = (database().await, prefix());
    let mut relay = start(&database, connection, &prefix);
    let ended = tokio::time::timeout(REFUSED, relay.wait()).await;
    relay.kill().await.unwrap();
    let mut log = String::new();
    relay.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(ended.is_err(), "{} is not refused: {log}", connection.what);
    assert!(log.contains("events are not published to Kafka"), "{}: {log}", connection.what);
    assert!(connection.password.is_none_or(|password| !log.contains(password)), "{}: {log}", connection.what);
    assert_eq!(broker.published(&prefix), 0, "{}", connection.what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_publishes_over_tls_with_a_credential_or_a_certificate() {
    let (authority, clients, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let broker = Broker::start(&authority, &clients);
    let files = Files { folder: tempfile::tempdir().unwrap() };
    let (ca, other_ca) = (files.write("ca.pem", &authority.pem()), files.write("other.pem", &stranger.pem()));
    let with_sasl = |what, address: String, mechanism: &str, ca: &str, password| Connection {
        what,
        address,
        arguments: arguments(&[
            "--kafka-security-protocol",
            "sasl_ssl",
            "--kafka-sasl-mechanism",
            mechanism,
            "--kafka-ca",
            ca,
        ]),
        password: Some(password),
    };
    let with_certificate = |what, client: Option<&testkit::Certificate>| {
        let mut given = arguments(&["--kafka-security-protocol", "ssl", "--kafka-ca", &ca]);
        if let Some(client) = client {
            let certificate = files.write(&format!("{what}.pem"), &client.certificate);
            let key = files.write(&format!("{what}.key"), &client.key);
            given.extend(arguments(&["--kafka-certificate", &certificate, "--kafka-key", &key]));
        }
        Connection { what, address: broker.ssl("localhost"), arguments: given, password: None }
    };
    let sasl = || broker.sasl("localhost");
    let published = [
        with_sasl("PLAIN", sasl(), "PLAIN", &ca, PASSWORD),
        with_sasl("SCRAM-SHA-256", sasl(), "SCRAM-SHA-256", &ca, PASSWORD),
        with_sasl("SCRAM-SHA-512", sasl(), "SCRAM-SHA-512", &ca, PASSWORD),
        with_certificate("a certificate of a client", Some(&clients.issue_named("apex"))),
    ];
    for connection in &published {
        assert_published(&broker, connection).await;
    }
    let wrong = "a-wrong-password-of-a-test";
    let refused = [
        with_sasl("PLAIN with a wrong password", sasl(), "PLAIN", &ca, wrong),
        with_sasl("SCRAM with a wrong password", sasl(), "SCRAM-SHA-512", &ca, wrong),
        with_sasl("a broker of another authority", sasl(), "SCRAM-SHA-512", &other_ca, PASSWORD),
        with_sasl("a broker under another name", broker.sasl("127.0.0.1"), "PLAIN", &ca, PASSWORD),
        with_certificate("no certificate of a client", None),
        with_certificate("a certificate of another authority", Some(&stranger.issue_named("apex"))),
    ];
    futures::future::join_all(refused.iter().map(|connection| assert_refused(&broker, connection))).await;
}
