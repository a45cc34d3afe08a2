"""Prints the events of the log as they are appended, over a WebSocket: follow.py http://127.0.0.1:8080 TOKEN [COUNT]

Browsers cannot set an Authorization header on a WebSocket, so the token is sent in the message that opens the
connection; `gql` calls it init_payload. After the connection broke, subscribe again after the last position received.
"""

import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

address, token, *count = sys.argv[1:]
EVENTS = gql('subscription { events(after: "0") { position type payload } }')


async def follow():
    transport = WebsocketsTransport(
        url=address.replace("http", "ws", 1) + "/graphql/ws",
        init_payload={"authorization": f"Bearer {token}"},
    )
    remaining = int(count[0]) if count else None
    async with Client(transport=transport) as session:
        async for answer in session.subscribe(EVENTS):
            print(json.dumps(answer["events"]), flush=True)
            remaining = remaining and remaining - 1
            if remaining == 0:
                break


asyncio.run(follow())
