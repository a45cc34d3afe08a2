"""The log as it grows, over a WebSocket: follow.py http://127.0.0.1:8080 TOKEN [COUNT]

A WebSocket has no place for an Authorization header in a browser, so the token goes into the message that opens the
connection; `gql` calls it init_payload. After a broken connection, subscribe again after the last position seen.
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
    left = int(count[0]) if count else None
    async with Client(transport=transport) as session:
        async for answer in session.subscribe(EVENTS):
            print(json.dumps(answer["events"]), flush=True)
            left = left and left - 1
            if left == 0:
                break


asyncio.run(follow())
