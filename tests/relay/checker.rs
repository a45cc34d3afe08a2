//! Compares the messages of the topics with the log.

use chrono::Utc;
use std::collections::{BTreeMap, HashMap};
use streams::{Position, RecordedEvent, StreamKey, Version};
use testkit::{append, event, tenant, trials};
use uuid::Uuid;

pub(crate) const TRIALS: testkit::Trials = trials![the_checker_finds_every_planted_bug];

/// A message. Those of a partition are in its order.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) key: Option<String>,
    pub(crate) event: RecordedEvent,
}

/// Returns the violated guarantees: without duplicates, the topics have exactly the events of the log, in order for each
/// key.
pub(crate) fn violations(messages: &[Message], log: &[RecordedEvent], prefix: &str) -> Vec<String> {
    let log: BTreeMap<_, _> = log.iter().map(|event| (event.position, event)).collect();
    let mut seen = BTreeMap::new();
    let mut last: HashMap<(&str, i32), Position> = HashMap::new();
    let mut partitions: HashMap<(&str, &str), i32> = HashMap::new();
    let mut found = Vec::new();
    for message in messages {
        let (event, position) = (&message.event, message.event.position);
        if log.get(&position) != Some(&event) {
            found.push(format!("the event at position {position} differs from that of the log"));
        }
        if message.topic != format!("{prefix}.{}", event.stream.category) {
            found.push(format!("position {position} is in topic {}", message.topic));
        }
        let key = message.key.as_deref().unwrap_or_default();
        if key != event.stream.id.to_string() {
            found.push(format!("position {position} has the key {key:?}"));
        }
        if *partitions.entry((&message.topic, key)).or_insert(message.partition) != message.partition {
            found.push(format!("the key {key} is in several partitions"));
        }
        if seen.insert(position, ()).is_none() {
            let last = last.entry((&message.topic, message.partition)).or_default();
            if position < *last {
                found.push(format!("position {position} first appears after {last}"));
            }
            *last = position;
        }
    }
    let missing = log.keys().filter(|position| !seen.contains_key(position));
    found.extend(missing.map(|position| format!("position {position} is missing")));
    found
}

/// Ten events of two streams, each with a partition that repeats its last two events.
fn correct_topics() -> (Vec<RecordedEvent>, Vec<Message>) {
    let streams = [Uuid::new_v4(), Uuid::new_v4()];
    let metadata = serde_json::to_string(&append(vec![]).metadata).unwrap();
    let log: Vec<_> = (1..=10_u64)
        .map(|position| RecordedEvent {
            position: position.into(),
            stream: StreamKey {
                tenant: tenant(),
                category: "task".into(),
                id: streams[usize::from(position % 2 == 0)],
            },
            version: Version::from(position.div_ceil(2)),
            event_id: Uuid::new_v4(),
            name: "task.started".to_owned(),
            schema_version: 1,
            payload: event("x").payload,
            metadata: metadata.clone(),
            recorded_at: Utc::now(),
            content_hash: Vec::new(),
        })
        .collect();
    let mut messages = Vec::new();
    for (id, partition) in streams.into_iter().zip(0..) {
        let own: Vec<_> = log.iter().filter(|event| event.stream.id == id).collect();
        let repeated = own.iter().chain(&own[3..]);
        messages.extend(repeated.map(|event| Message {
            topic: "p.task".to_owned(),
            partition,
            key: Some(id.to_string()),
            event: (*event).clone(),
        }));
    }
    (log, messages)
}

fn the_checker_finds_every_planted_bug() {
    let (log, messages) = correct_topics();
    assert_eq!(violations(&messages, &log, "p"), Vec::<String>::new());
    let plant = |name: &str, bug: fn(&mut Vec<Message>, &mut Vec<RecordedEvent>)| {
        let (mut messages, mut log) = (messages.clone(), log.clone());
        bug(&mut messages, &mut log);
        assert!(!violations(&messages, &log, "p").is_empty(), "not found: {name}");
    };
    plant("a missing event", |messages, _| drop(messages.remove(1)));
    plant("an event that is not in the log", |_, log| drop(log.pop()));
    plant("two events in the wrong order", |messages, _| messages.swap(0, 1));
    plant("a duplicate before the original", |messages, _| messages.swap(2, 6));
    plant("a changed payload", |messages, _| messages[2].event.payload.push(' '));
    plant("a wrong key", |messages, _| messages[2].key = Some(Uuid::nil().to_string()));
    plant("no key", |messages, _| messages[2].key = None);
    plant("a wrong topic", |messages, _| messages[2].topic.push('x'));
    plant("a wrong partition", |messages, _| messages[4].partition = 2);
}
