"""Verifies webhooks with the official library of the Standard Webhooks specification.

Reads a JSON object a line from standard input: the secret, the headers and the body of a request. Writes a line for each: `verified`,
or why it is not.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    request = json.loads(line)
    try:
        Webhook(request["secret"]).verify(request["body"], request["headers"])
        print("verified")
    except WebhookVerificationError as error:
        print(f"refused: {error}")
