"""Runs one task of the driver with the eventsourcing library on PostgreSQL. Prints the result as JSON."""

import json
import os
import sys
import threading
import time
import uuid
from urllib.parse import urlsplit

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore


def payload(n):
    """The same payload as in benches/log.rs: about 400 bytes, the size of a recorded call."""
    call = {
        "kind": "llm",
        "agent_id": str(uuid.UUID(int=n)),
        "model": "gpt-4o",
        "usage": {"input": n % 10_000, "output": 59, "cache_read": 0},
        "note": "x" * 250,
    }
    return json.dumps(call, separators=(",", ":")).encode()


def datastore(connections):
    url = urlsplit(os.environ["PEERS_DATABASE_URL"])
    return PostgresDatastore(
        dbname=url.path[1:],
        host=url.hostname,
        port=url.port,
        user=url.username,
        password=url.password,
        pool_size=connections,
        # How long a thread may wait for a connection, in seconds.
        connect_timeout=60.0,
        enable_db_functions="PEERS_DB_FUNCTIONS" in os.environ,
    )


def load(recorder, task):
    print("ready", flush=True)
    sys.stdin.readline()
    warm = time.monotonic() + task["warm_up_ms"] / 1000
    deadline = warm + task["measured_ms"] / 1000
    counts, failures = [], []

    def work(worker):
        acknowledged = measured = 0
        try:
            while time.monotonic() < deadline:
                event = StoredEvent(uuid.uuid4(), 1, "call.recorded", payload(acknowledged * 64 + worker))
                recorder.insert_events([event])
                acknowledged += 1
                measured += time.monotonic() >= warm
        except BaseException as failure:  # noqa: BLE001 - reported to the driver below
            failures.append(repr(failure))
        counts.append((acknowledged, measured))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(task["in_flight"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(failures[0])
    seconds = time.monotonic() - warm
    acknowledged, measured = map(sum, zip(*counts))
    return {"acknowledged": acknowledged, "rate": measured / seconds, "retries": 0}


def follow(recorder):
    """Reads pages after a checkpoint until stopped and nothing new arrives. Counts distinct positions."""
    seen, checkpoint, empty_reads = set(), 0, 0
    stopped = threading.Event()
    print("ready", flush=True)
    threading.Thread(target=lambda: (sys.stdin.readline(), stopped.set()), daemon=True).start()
    while empty_reads < 40:
        last = stopped.is_set()
        page = recorder.select_notifications(start=checkpoint, limit=1000, inclusive_of_start=False)
        empty_reads = empty_reads + 1 if last and not page else 0
        for notification in page:
            seen.add(notification.id)
            checkpoint = notification.id
        time.sleep(0.05 if last else 0.001)
    return {"seen": len(seen)}


def main():
    task = json.loads(sys.argv[1])
    with datastore(task["connections"]) as store:
        recorder = PostgresApplicationRecorder(store)
        answer = {}
        if task["do"] == "create":
            recorder.create_table()
        if task["do"] == "load":
            answer = load(recorder, task)
        if task["do"] == "follow":
            answer = follow(recorder)
    print(json.dumps(answer), flush=True)


main()
