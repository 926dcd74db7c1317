"""Verifies deliveries with `standardwebhooks`.

Input: {"secret": "whsec_...", "messages": [{"headers": {...}, "body": "..."}]}. Ends with status 1 at the first that does not verify.
"""
import json
import sys

from standardwebhooks import Webhook

document = json.load(sys.stdin)
webhook = Webhook(document["secret"])
for request in document["messages"]:
    payload = webhook.verify(request["body"], request["headers"])
    print("verified", request["headers"]["webhook-id"], payload["type"])
