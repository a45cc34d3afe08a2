//! Settings of the relay.

use super::security::KafkaSecurity;
use std::time::Duration;

/// Settings of the relay.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// The brokers as `host:port`, separated by commas.
    pub brokers: String,
    /// The prefix of topic names.
    pub topic_prefix: String,
    /// The number of partitions of topics that the relay creates.
    pub partitions: i32,
    /// The number of replicas of topics that the relay creates.
    pub replication: i32,
    /// How connections to the brokers are encrypted and authenticated.
    pub security: KafkaSecurity,
    /// How long the broker may acknowledge nothing. After that the relay discards what is in flight and starts again from
    /// its checkpoint.
    pub delivery_timeout: Duration,
}

impl RelayConfig {
    /// The defaults of the command line for the given brokers, which are `host:port`, separated by commas.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topic_prefix: "apex".to_owned(),
            partitions: 6,
            replication: 1,
            security: KafkaSecurity::default(),
            delivery_timeout: Duration::from_secs(30),
        }
    }

    /// The topic of a category: `PREFIX.CATEGORY`.
    #[must_use]
    pub fn topic(&self, category: &str) -> String {
        format!("{}.{category}", self.topic_prefix)
    }

    /// The compacted topic of a read model: `PREFIX.state.READ_MODEL`.
    #[must_use]
    pub fn state_topic(&self, read_model: &str) -> String {
        format!("{}.state.{read_model}", self.topic_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_after_prefix_and_category() {
        let config = RelayConfig { topic_prefix: "test".to_owned(), ..RelayConfig::new("localhost:9092") };
        assert_eq!(config.topic("call"), "test.call");
        assert_eq!(config.state_topic("agents"), "test.state.agents");
    }
}
