//! Creates missing topics, and checks the settings of existing ones.

use super::error::RelayError;
use super::producer::{MAX_MESSAGE_BYTES, client};
use crate::relay::config::RelayConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use std::time::Duration;

/// How long the broker may take for an administrative request.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);
/// `max.message.bytes` of topics that the relay creates: Kafka's default, whatever this broker's default is.
const TOPIC_MAX_MESSAGE_BYTES: &str = "1048588";

/// Creates the topics of all categories that are missing, and checks that existing ones keep every event and accept the
/// largest. Returns the topics that were created.
pub(super) async fn prepare(config: &RelayConfig) -> Result<Vec<String>, RelayError> {
    let names: Vec<_> = domain::Event::CATEGORIES.iter().map(|category| config.topic(category)).collect();
    let admin: AdminClient<DefaultClientContext> = client(config).create().map_err(RelayError::Client)?;
    let created = create(&admin, config, &names, "delete").await?;
    for resource in describe(&admin, &names).await? {
        check_event_topic(&resource)?;
    }
    Ok(created)
}

/// Creates a compacted topic if it is missing, else checks that it is compacted. Returns whether it was created.
pub(super) async fn prepare_compacted(config: &RelayConfig, name: String) -> Result<bool, RelayError> {
    let admin: AdminClient<DefaultClientContext> = client(config).create().map_err(RelayError::Client)?;
    let names = [name];
    let created = create(&admin, config, &names, "compact").await?;
    for resource in describe(&admin, &names).await? {
        check(&resource, "cleanup.policy", "compact", |policy| policy == "compact")?;
    }
    Ok(!created.is_empty())
}

async fn create(
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
    let mut created = Vec::new();
    for result in admin.create_topics(&topics, &options()).await.map_err(RelayError::Broker)? {
        match result {
            Ok(name) => created.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(RelayError::Topic { topic, code }),
        }
    }
    Ok(created)
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

/// A compacted topic would lose events; a topic that rejects large events would stop the relay at the first one.
fn check_event_topic(topic: &ConfigResource) -> Result<(), RelayError> {
    check(topic, "cleanup.policy", "delete", |policy| policy == "delete" || policy.is_empty())?;
    let accepts_all = |bytes: &str| bytes.parse().is_ok_and(|bytes: usize| bytes > MAX_MESSAGE_BYTES);
    check(topic, "max.message.bytes", &format!("more than {MAX_MESSAGE_BYTES}"), accepts_all)
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

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::admin::{ConfigEntry, ConfigSource};

    fn topic(settings: &[(&str, &str)]) -> ConfigResource {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::DynamicTopic,
            is_read_only: false,
            is_default: false,
            is_sensitive: false,
        };
        let specifier = OwnedResourceSpecifier::Topic("apex.task".to_owned());
        ConfigResource { specifier, entries: settings.iter().map(entry).collect() }
    }

    fn check_settings(cleanup_policy: &str, max_message_bytes: &str) -> Result<(), String> {
        let topic = topic(&[("cleanup.policy", cleanup_policy), ("max.message.bytes", max_message_bytes)]);
        check_event_topic(&topic).map_err(|error| error.to_string())
    }

    #[test]
    fn an_event_topic_must_keep_events_and_accept_the_largest() {
        assert_eq!(check_settings("delete", TOPIC_MAX_MESSAGE_BYTES), Ok(()));
        assert_eq!(check_settings("", TOPIC_MAX_MESSAGE_BYTES), Ok(()), "no policy keeps everything");
        for policy in ["compact", "compact,delete"] {
            assert!(check_settings(policy, TOPIC_MAX_MESSAGE_BYTES).is_err());
        }
        assert!(check_settings("delete", &MAX_MESSAGE_BYTES.to_string()).is_err());
        assert!(check_settings("delete", "unknown").is_err());
    }

    #[test]
    fn a_refusal_names_the_topic_the_setting_and_the_remedy() {
        let refusal = check_settings("compact", TOPIC_MAX_MESSAGE_BYTES).unwrap_err();
        let expected = "topic apex.task has cleanup.policy=compact, but delete is required: change the topic, and the \
                        relay continues";
        assert_eq!(refusal, expected);
    }
}
