"""Lands the topics as Parquet and asks DuckDB: parquet.py localhost:9092 apex FOLDER

One file a topic and partition, written anew by each run. A view drops what Kafka has twice, by the position in the log.
"""

import sys
from pathlib import Path

import duckdb
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

brokers, prefix, folder = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "unused", "enable.partition.eof": True})
topics = consumer.list_topics(timeout=30).topics
ours = [name for name in topics if name.startswith(f"{prefix}.") and not name.startswith(f"{prefix}.state.")]
left = {(topic, partition): [] for topic in ours for partition in topics[topic].partitions}
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in left])

database = duckdb.connect()
while left:
    message = consumer.poll(30)
    if message is None:
        sys.exit("the broker does not answer")
    place = (message.topic(), message.partition())
    if not message.error():
        header = {name: value.decode() for name, value in message.headers()}
        left[place].append(
            (int(header["ce_position"]), header["ce_tenant"], header["ce_type"], header["ce_subject"],
             int(header["ce_streamversion"]), header["ce_time"], message.value().decode())
        )
        continue
    if message.error().code() != KafkaError._PARTITION_EOF:
        raise KafkaException(message.error())
    if rows := left.pop(place):
        path = Path(folder, *place[:1], f"{place[1]}.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        database.execute(
            "create or replace table landed (position bigint, tenant text, type text, stream uuid, version bigint, "
            "recorded_at timestamptz, payload json)"
        )
        database.executemany("insert into landed values (?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute(f"copy (from landed order by position) to '{path}' (format parquet, compression zstd)")
consumer.close()

database.execute(
    f"create view events as select distinct on (position) * from read_parquet('{folder}/*/*.parquet')"
)
per_type = "select type, count(*), count(distinct stream) from events group by type order by type"
for row in database.execute(per_type).fetchall():
    print(*row, sep="\t")
