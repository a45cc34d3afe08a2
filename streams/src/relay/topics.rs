//! The topics: made where they are missing, and looked at where they are not.

use super::window::MAX_MESSAGE_BYTES;
use super::{RelayConfig, RelayError};
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use std::time::Duration;

/// How long the broker may take to make topics.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);
/// What a topic that the relay makes takes in one batch, in bytes: Kafka's own default, whatever this broker's is.
const TOPIC_MAX_MESSAGE_BYTES: &str = "1048588";

pub(crate) fn client(config: &RelayConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "apex")
        // The client would make a topic that is gone anew, with the broker's settings, and nobody would notice.
        .set("allow.auto.create.topics", "false")
        // A broker that comes back is to be noticed soon.
        .set("reconnect.backoff.max.ms", "1000");
    client
}

/// Makes the topics of all categories where they are missing, and checks that those that are there can hold the log.
/// Returns the ones that it made.
pub(super) async fn prepare(config: &RelayConfig) -> Result<Vec<String>, RelayError> {
    let names: Vec<_> = domain::Event::CATEGORIES.iter().map(|category| config.topic(category)).collect();
    let admin: AdminClient<DefaultClientContext> = client(config).create().map_err(RelayError::Client)?;
    let made = make(&admin, config, &names, "delete").await?;
    for resource in describe(&admin, &names).await? {
        check_event_topic(&resource)?;
    }
    Ok(made)
}

/// Makes a compacted topic where it is missing, and checks that it is one. Returns whether it made it.
pub(super) async fn prepare_compacted(config: &RelayConfig, name: String) -> Result<bool, RelayError> {
    let admin: AdminClient<DefaultClientContext> = client(config).create().map_err(RelayError::Client)?;
    let names = [name];
    let made = make(&admin, config, &names, "compact").await?;
    for resource in describe(&admin, &names).await? {
        check(&resource, "cleanup.policy", "compact", |policy| policy == "compact")?;
    }
    Ok(!made.is_empty())
}

async fn make(
    admin: &AdminClient<DefaultClientContext>,
    config: &RelayConfig,
    names: &[String],
    cleanup_policy: &str,
) -> Result<Vec<String>, RelayError> {
    let topics: Vec<_> = names
        .iter()
        .map(|name| {
            NewTopic::new(name, config.partitions, TopicReplication::Fixed(config.replication))
                .set("cleanup.policy", cleanup_policy)
                .set("max.message.bytes", TOPIC_MAX_MESSAGE_BYTES)
        })
        .collect();
    let mut names = Vec::new();
    for made in admin.create_topics(&topics, &options()).await.map_err(RelayError::Broker)? {
        match made {
            Ok(name) => names.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(RelayError::Topic { topic, code }),
        }
    }
    Ok(names)
}

async fn describe(
    admin: &AdminClient<DefaultClientContext>,
    names: &[String],
) -> Result<Vec<ConfigResource>, RelayError> {
    let topics: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let described = admin.describe_configs(&topics, &options()).await.map_err(RelayError::Broker)?;
    let named = described.into_iter().zip(names);
    named.map(|(found, topic)| found.map_err(|code| RelayError::Topic { topic: topic.clone(), code })).collect()
}

/// A topic that is compacted would lose events; one that takes less than a large event would stop the relay there.
fn check_event_topic(topic: &ConfigResource) -> Result<(), RelayError> {
    check(topic, "cleanup.policy", "delete", |policy| policy == "delete" || policy.is_empty())?;
    let takes_all = |bytes: &str| bytes.parse().is_ok_and(|bytes: usize| bytes > MAX_MESSAGE_BYTES);
    check(topic, "max.message.bytes", &format!("more than {MAX_MESSAGE_BYTES}"), takes_all)
}

fn check(
    topic: &ConfigResource,
    setting: &'static str,
    needed: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<(), RelayError> {
    let found = topic.get(setting).and_then(|entry| entry.value.as_deref()).unwrap_or_default();
    if fits(found) {
        return Ok(());
    }
    let topic = match &topic.specifier {
        OwnedResourceSpecifier::Topic(name) | OwnedResourceSpecifier::Group(name) => name.clone(),
        OwnedResourceSpecifier::Broker(id) => id.to_string(),
    };
    Err(RelayError::Misconfigured { topic, setting, found: found.to_owned(), needed: needed.to_owned() })
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT)).request_timeout(Some(ADMIN_TIMEOUT))
}
