"""Sums the cost of the calls in Kafka by model: cost_by_model.py localhost:9092 apex

A call that is priced later is amended, and a corrected one is corrected: the event has the call before and after, so the
sum subtracts the first and adds the second. A call that is found to be another one is absorbed by it, and subtracted too.
Amounts are decimal strings, and Decimal keeps them exact. Kafka may have an event twice; both copies have the same position
in the log.
"""

import json
import sys
from collections import defaultdict
from decimal import Decimal

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

brokers, prefix = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "unused", "enable.partition.eof": True})
topic = f"{prefix}.call"
partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])


def amount(call):
    return Decimal(call["charge"]["amount"]) if "charge" in call else Decimal(0)


seen, costs = set(), defaultdict(Decimal)
while partitions:
    message = consumer.poll(30)
    if message is None:
        sys.exit("the broker does not answer")
    if message.error():
        if message.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(message.error())
        del partitions[message.partition()]
        continue
    headers = dict(message.headers())
    if headers["ce_position"] in seen:
        continue
    seen.add(headers["ce_position"])
    event = json.loads(message.value())
    if headers["ce_type"] == b"call.recorded":
        event = {"after": event, "absorbed": event.get("absorbed", [])}
    befores = [absorbed["before"] for absorbed in event.get("absorbed", [])]
    befores += [event["before"]] if "before" in event else []
    for before in befores:
        costs[before.get("model", "")] -= amount(before)
    if "after" in event:
        costs[event["after"].get("model", "")] += amount(event["after"])
consumer.close()

for model, cost in sorted(costs.items()):
    if model:
        print(f"{model}\t{cost.normalize():f}")
