"""Amazon SNS and SQS as moto's server has them: a topic with a queue that gets its messages raw.

Arguments: the port (0: any), and the topic's name. What it has is gone when it ends, so the topic and the queue are made before it listens.
Output: {"port": ...}. Input: {"receive": true} for each look; output: {"messages": [...]}, which it deletes.
"""
import json
import sys

import boto3
from moto import mock_aws
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
KEYS = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}


def say(document):
    print(json.dumps(document), flush=True)


port, name = int(sys.argv[1]), sys.argv[2]
fifo = name.endswith(".fifo")
mock = mock_aws()
mock.start()
sns, sqs = boto3.client("sns", **KEYS), boto3.client("sqs", **KEYS)
attributes = {"FifoTopic": "true"} if fifo else {}
topic = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
attributes = {"FifoQueue": "true"} if fifo else {}
queue = sqs.create_queue(QueueName="worker.fifo" if fifo else "worker", Attributes=attributes)["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
server.start()
say({"port": server.get_host_and_port()[1], "topic": topic})

for _ in sys.stdin:
    received = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
    ).get("Messages", [])
    for message in received:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    say({"messages": received})
