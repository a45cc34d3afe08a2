"""What schemathesis does not know by itself: lines of JSON, and protobuf, which are sent as they are generated."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_ctx, value):
    items = value if isinstance(value, list) else [value]
    return b"".join(as_line(item) + b"\n" for item in items)


def as_line(item):
    if isinstance(item, bytes):
        return item
    return item.encode("utf-8", "surrogatepass") if isinstance(item, str) else json.dumps(item).encode()


@schemathesis.serializer("application/x-protobuf")
def protobuf(_ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.deserializer("application/x-ndjson")
def answers(_ctx, response):
    """Each line is an answer; the schema of the document is that of one."""
    found = [json.loads(line) for line in response.content.decode().splitlines() if line]
    return found[0] if found else None
