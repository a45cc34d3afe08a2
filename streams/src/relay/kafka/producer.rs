//! The Kafka clients that the relay sends with.

use super::error::RelayError;
use crate::relay::config::RelayConfig;
use rdkafka::ClientConfig;
use rdkafka::producer::FutureProducer;

/// The client's queue: the events in flight, one page more, and headers.
const QUEUE_MESSAGES: &str = "20000";
const QUEUE_KBYTES: &str = "131072";

/// The largest message that the client sends: [`crate::limits::MAX_EVENT_BYTES`] and headers.
pub(super) const MAX_MESSAGE_BYTES: usize = 1_000_000;
// The headers repeat the metadata, which is counted already; 16 KiB are for everything else.
const _: () = assert!(crate::limits::MAX_EVENT_BYTES + 16 * 1024 < MAX_MESSAGE_BYTES);

/// The settings that all clients share.
pub(super) fn client(config: &RelayConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "apex")
        // Otherwise the client would silently recreate a deleted topic, with the broker's default settings.
        .set("allow.auto.create.topics", "false")
        // Reconnect soon after a broker is back.
        .set("reconnect.backoff.max.ms", "1000");
    for (name, value) in config.security.settings() {
        client.set(name, value);
    }
    client
}

/// A client that sends nothing after a message that failed. Each partition gets a contiguous prefix of the messages for
/// it, however the client ends; the order of first occurrences depends on that.
pub(super) fn ordered_producer(config: &RelayConfig) -> Result<FutureProducer, RelayError> {
    client(config)
        .set("enable.idempotence", "true")
        // A message that the broker rejects permanently fails those behind it.
        .set("enable.gapless.guarantee", "true")
        .set("acks", "all")
        // The broker accepts any batch as the first one of a producer that a partition does not know. If the first of two
        // batches in flight were rejected, the second would be accepted in its place.
        .set("max.in.flight.requests.per.connection", "1")
        // The partitioner of Kafka's own clients.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
        .set("queue.buffering.max.messages", QUEUE_MESSAGES)
        .set("queue.buffering.max.kbytes", QUEUE_KBYTES)
        // Unlimited: the client would send the messages behind one that timed out. The relay has its own delivery timeout,
        // and then drops the whole client.
        .set("message.timeout.ms", "0")
        .create()
        .map_err(RelayError::Client)
}

/// A transactional client. The broker rejects its messages once another client has started under the same transactional
/// id, and consumers do not see messages that it did not commit.
pub(super) fn fenced_producer(config: &RelayConfig, transactional_id: &str) -> Result<FutureProducer, RelayError> {
    let mut client = client(config);
    client.set("partitioner", "murmur2_random").set("compression.type", "lz4").set("linger.ms", "5");
    // A planted bug for the tests.
    fail::fail_point!("state_relay_is_not_fenced", |_| {
        let random_id = uuid::Uuid::new_v4().to_string();
        client.clone().set("transactional.id", random_id).create().map_err(RelayError::Client)
    });
    client.set("transactional.id", transactional_id).create().map_err(RelayError::Client)
}
