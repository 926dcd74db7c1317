"""A worker's SQS client, boto3, driven line by line.

Arguments: where the hub is. Input: a line of JSON for each call, {"call": "receive_message", "with": {...}}; {"connect": "http://..."} goes
on with another address. Output: {"sending": true} when a request is about to leave, then {"ok": ...} or {"error": {...}}.
"""
import hashlib
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def say(document):
    print(json.dumps(document, default=str), flush=True)


def connect(url):
    client = boto3.client(
        "sqs",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30),
    )
    client.meta.events.register("before-send.sqs", lambda **_: say({"sending": True}))
    return client


def typed(client, error):
    """The modelled exception that the SDK made of the error."""
    names = ["QueueDoesNotExist", "ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidAddress"]
    known = [name for name in names if isinstance(error, getattr(client.exceptions, name, ()))]
    return known[0] if known else type(error).__name__


client = connect(sys.argv[1])
for line in sys.stdin:
    command = json.loads(line)
    if "connect" in command:
        client = connect(command["connect"])
        continue
    try:
        output = getattr(client, command["call"])(**command["with"])
    except ClientError as error:
        words = error.response["Error"]
        say({"error": {"type": typed(client, error), "code": words["Code"], "message": words["Message"]}})
        continue
    for message in output.get("Messages", []):
        assert hashlib.md5(message["Body"].encode()).hexdigest() == message["MD5OfBody"], message
    output.pop("ResponseMetadata")
    say({"ok": output})
