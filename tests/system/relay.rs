//! The relay to Kafka, checked with an independent consumer, kcat.

use std::collections::{BTreeMap, HashMap};
use testkit::{TestDatabase, required_variable, sample};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use uuid::Uuid;

/// A message as kcat prints it.
struct Message {
    topic: String,
    key: String,
    headers: HashMap<String, String>,
    payload: String,
}

impl Message {
    fn number(&self, header: &str) -> u64 {
        self.headers[header].parse().unwrap()
    }
}

/// All messages in the topics of a prefix, in the order of each partition.
async fn consume(prefix: &str) -> Vec<Message> {
    let brokers = required_variable("APEX_TEST_KAFKA_BROKERS");
    let mut messages = Vec::new();
    for category in domain::Event::CATEGORIES {
        let topic = format!("{prefix}.{category}");
        // Byte 1 separates fields, byte 2 separates messages: neither occurs in JSON, UUIDs or headers.
        let output = Command::new("kcat")
            .args(["-b", &brokers, "-C", "-t", &topic, "-o", "beginning", "-e", "-q"])
            .args(["-f", "%t\u{1}%k\u{1}%h\u{1}%s\u{2}"])
            .output()
            .await
            .expect("kcat runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        for message in text.split_terminator('\u{2}') {
            let mut fields = message.split('\u{1}');
            let mut next = || fields.next().unwrap().to_owned();
            let (topic, key, headers, payload) = (next(), next(), next(), next());
            let headers = headers
                .split(',')
                .map(|header| header.split_once('=').unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            messages.push(Message { topic, key, headers, payload });
        }
    }
    messages
}

async fn relay(database: &TestDatabase, prefix: &str) -> testkit::ProgramOutput {
    let brokers = required_variable("APEX_TEST_KAFKA_BROKERS");
    let arguments = [
        "relay",
        "--until-caught-up",
        "--kafka-brokers",
        &brokers,
        "--kafka-topic-prefix",
        prefix,
        "--kafka-partitions",
        "3",
    ];
    database.run(&arguments).await
}

fn prefix() -> String {
    format!("test-{}", Uuid::new_v4().simple())
}

type LogRow = (i64, Uuid, i64, Uuid, String, String, String);

async fn log(database: &TestDatabase) -> Vec<LogRow> {
    sqlx::query_as(
        "select position, stream_id, version, event_id, type, category, payload::text from apex.events order by position",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap()
}

fn assert_messages_match_log(messages: &[Message], log: &[LogRow], prefix: &str) {
    let mut by_position: BTreeMap<u64, &Message> = BTreeMap::new();
    let mut last_by_key: HashMap<&str, u64> = HashMap::new();
    for message in messages {
        let position = message.number("ce_position");
        by_position.entry(position).or_insert(message);
        let last = last_by_key.entry(&message.key).or_default();
        assert!(*last <= position, "the positions of key {} decrease from {last} to {position}", message.key);
        *last = position;
    }
    assert_eq!(by_position.len(), log.len(), "each position of the log is published");
    for (position, stream, version, event_id, name, category, payload) in log {
        let message = by_position[&u64::try_from(*position).unwrap()];
        assert_eq!(message.key, stream.to_string());
        assert_eq!(message.topic, format!("{prefix}.{category}"));
        assert_eq!(message.number("ce_streamversion"), u64::try_from(*version).unwrap());
        assert_eq!(message.headers["ce_id"], event_id.to_string());
        assert_eq!(&message.headers["ce_type"], name);
        assert_eq!(message.headers["ce_specversion"], "1.0");
        assert_eq!(message.headers["content-type"], "application/json");
        assert_eq!(&message.payload, payload);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_receives_every_event_in_order_per_key() {
    let (database, prefix) = (TestDatabase::new().await, prefix());
    for (format, file) in [("autogpt", "autogpt.jsonl"), ("claude-code", "claude-code.jsonl")] {
        database.run(&["import", format, &sample(file)]).await.assert_success();
    }
    relay(&database, &prefix).await.assert_success();
    let messages = consume(&prefix).await;
    assert_eq!(messages.len(), log(&database).await.len(), "without failures no message is sent twice");
    assert_messages_match_log(&messages, &log(&database).await, &prefix);

    database.run(&["import", "otlp", &sample("otlp.json")]).await.assert_success();
    relay(&database, &prefix).await.assert_success();
    let messages = consume(&prefix).await;
    assert_eq!(messages.len(), log(&database).await.len(), "a restarted relay continues at its checkpoint");
    assert_messages_match_log(&messages, &log(&database).await, &prefix);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_with_an_older_checkpoint_republishes_and_loses_nothing() {
    let (database, prefix) = (TestDatabase::new().await, prefix());
    database.run(&["import", "claude-code", &sample("claude-code.jsonl")]).await.assert_success();
    relay(&database, &prefix).await.assert_success();
    // As after a crash between the broker's acknowledgement and the checkpoint.
    sqlx::query("update apex.checkpoints set position = position - 5 where name = 'relay:kafka'")
        .execute(&database.pool)
        .await
        .unwrap();
    relay(&database, &prefix).await.assert_success();
    let messages = consume(&prefix).await;
    let log = log(&database).await;
    assert_eq!(messages.len(), log.len() + 5);
    let mut seen = std::collections::HashSet::new();
    let fresh: Vec<_> = messages.into_iter().filter(|message| seen.insert(message.number("ce_position"))).collect();
    assert_messages_match_log(&fresh, &log, &prefix);
}

#[tokio::test]
async fn a_relay_without_brokers_names_the_missing_setting() {
    let database = TestDatabase::new().await;
    let output = database.run(&["relay"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("APEX_KAFKA_BROKERS"), "{}", output.stderr);
}

/// Neither an event of an unknown category nor one that cannot be decoded blocks the events after it.
#[tokio::test]
async fn the_relay_skips_events_of_unknown_categories() {
    let (database, _log) = crate::append_function::log_with_undecodable_events().await;
    let prefix = prefix();
    let output = tokio::time::timeout(testkit::TIMEOUT, relay(&database, &prefix))
        .await
        .expect("the relay continues")
        .assert_success();
    assert!(output.stderr.contains("does not know its category"), "{}", output.stderr);
    let mut positions: Vec<_> = consume(&prefix).await.iter().map(|message| message.number("ce_position")).collect();
    positions.sort_unstable();
    assert_eq!(positions, [1, 2, 3, 4, 6, 7], "all events except the one of an unknown category");
}

/// The user and the password that the broker of the tests knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_presents_a_credential_and_a_wrong_one_publishes_nothing() {
    let brokers = required_variable("APEX_TEST_KAFKA_SASL_BROKERS");
    let (database, prefix) = (TestDatabase::new().await, prefix());
    database.run(&["tenants", "create", "acme"]).await.assert_success();
    let start = async |password: &str, more: &[&str]| {
        let mut command = database.apex(&["relay", "--until-caught-up", "--kafka-brokers", &brokers]);
        command.args(["--kafka-topic-prefix", &prefix, "--kafka-security-protocol", "sasl_plaintext"]).args(more);
        command.env("APEX_KAFKA_USERNAME", "apex").env("APEX_KAFKA_PASSWORD", password).env("APEX_LOG", "info");
        command.spawn().unwrap()
    };
    let wrong = "a-wrong-password-of-a-test";
    let mut refused = start(wrong, &[]).await;
    let mut lines = BufReader::new(refused.stderr.take().unwrap()).lines();
    let mut log = String::new();
    let reported = async {
        while !log.contains("events are not published to Kafka") {
            let line = lines.next_line().await.unwrap();
            log.push_str(&line.unwrap_or_else(|| panic!("it has caught up: {log}")));
        }
    };
    let is_reported = tokio::time::timeout(testkit::TIMEOUT, reported).await.is_ok();
    assert!(is_reported && !log.contains(wrong), "{log}");
    assert!(refused.try_wait().unwrap().is_none(), "it has caught up");
    refused.kill().await.unwrap();
    // This build of the client library cannot compute the proof.
    if !cfg!(feature = "kafka-tls") {
        let scram = start(wrong, &["--kafka-sasl-mechanism", "SCRAM-SHA-256"]).await.wait_with_output().await.unwrap();
        let message = String::from_utf8(scram.stderr).unwrap();
        assert!(scram.status.code() == Some(1) && message.contains("--features kafka-tls"), "{message}");
    }
    let right = start(&required_variable("APEX_TEST_KAFKA_PASSWORD"), &[]).await.wait_with_output().await.unwrap();
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    let published = consume(&prefix).await;
    assert_eq!(published.len(), log_length(&database).await, "the events of the tenant");
}

async fn log_length(database: &TestDatabase) -> usize {
    log(database).await.len()
}
