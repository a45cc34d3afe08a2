"""Writes the topics to Parquet files and queries them with DuckDB: parquet.py localhost:9092 apex FOLDER

One file per topic and partition, overwritten by each run. A view deduplicates events by their position in the log.
"""

import sys
from pathlib import Path

import duckdb
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

brokers, prefix, folder = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "unused", "enable.partition.eof": True})
topics = consumer.list_topics(timeout=30).topics
ours = [name for name in topics if name.startswith(f"{prefix}.") and not name.startswith(f"{prefix}.state.")]
pending = {(topic, partition): [] for topic in ours for partition in topics[topic].partitions}
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in pending])

database = duckdb.connect()
while pending:
    message = consumer.poll(30)
    if message is None:
        sys.exit("the broker does not answer")
    partition = (message.topic(), message.partition())
    if not message.error():
        header = {name: value.decode() for name, value in message.headers()}
        pending[partition].append(
            (int(header["ce_position"]), header["ce_tenant"], header["ce_type"], header["ce_subject"],
             int(header["ce_streamversion"]), header["ce_time"], message.value().decode())
        )
        continue
    if message.error().code() != KafkaError._PARTITION_EOF:
        raise KafkaException(message.error())
    if rows := pending.pop(partition):
        path = Path(folder, partition[0], f"{partition[1]}.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        database.execute(
            "create or replace table batch (position bigint, tenant text, type text, stream uuid, version bigint, "
            "recorded_at timestamptz, payload json)"
        )
        database.executemany("insert into batch values (?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute(f"copy (from batch order by position) to '{path}' (format parquet, compression zstd)")
consumer.close()

database.execute(
    f"create view events as select distinct on (position) * from read_parquet('{folder}/*/*.parquet')"
)
per_type = "select type, count(*), count(distinct stream) from events group by type order by type"
for row in database.execute(per_type).fetchall():
    print(*row, sep="\t")
