//! Counts the events in Kafka by type: `cargo run --example count_events -- localhost:9092 apex`.
//!
//! Kafka may have an event twice. Both copies have the same position in the log, which a set of positions detects.
#![allow(clippy::print_stdout, reason = "the counts are the output")]

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let prefix = arguments.next().unwrap_or_else(|| "apex".to_owned());
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("count-events-{}", std::process::id()))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    // The topics of all categories. The names of state topics have a second dot and do not match.
    consumer.subscribe(&[&format!("^{prefix}\\.[a-z_]+$")])?;

    let (mut seen, mut counts, mut ended) = (HashSet::new(), BTreeMap::<String, u64>::new(), 0);
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(message)) => {
                let header = |name: &str| {
                    let value = message.headers()?.iter().find(|header| header.key == name)?.value?;
                    std::str::from_utf8(value).ok()
                };
                let position: u64 = header("ce_position").ok_or("not an event of Apex")?.parse()?;
                if seen.insert(position) {
                    *counts.entry(header("ce_type").unwrap_or_default().to_owned()).or_default() += 1;
                }
            }
        }
        if ended > 0 && ended == consumer.assignment()?.count() {
            break;
        }
    }
    for (name, count) in counts {
        println!("{name}\t{count}");
    }
    Ok(())
}
