"""A worker of a queue, with boto3.  python worker.py"""

import json
import os
import signal

import boto3
from applied import Applied
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HUB = os.environ.get("HUB_URL", "http://127.0.0.1:4566")
sqs = boto3.client(
    "sqs",
    endpoint_url=HUB,
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    # Longer than a receive waits.
    config=Config(read_timeout=30),
)
applied = Applied(os.environ.get("RECEIVER_DB", "worker.db"))
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))


def work(queue):
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=int(os.environ.get("WAIT", "20")))
    for message in received.get("Messages", []):
        event = json.loads(message["Body"])
        attributes = {name: one["Value"] for name, one in event.get("MessageAttributes", {}).items()}
        new = applied.once(
            event["MessageId"],
            attributes["retrohook_key"],
            attributes["retrohook_sequence"],
            attributes["retrohook_outcome"],
            event["Message"],
        )
        print(event["MessageId"], "applied" if new else "known", flush=True)
        # Deleted when it is dealt with, and not before: a worker that dies in between gets it again.
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


queue = None
while not stopping:
    try:
        queue = queue or sqs.get_queue_url(QueueName=os.environ.get("QUEUE", "profile-worker"))["QueueUrl"]
        work(queue)
    except (BotoCoreError, ClientError) as error:
        # The gateway is away for a moment: boto3 has waited between its own tries.
        print(repr(error), flush=True)
