"""Publishes to topics and sends to queues with boto3, and checks every message that comes out, its digests among them.

Usage: publish_and_send.py HUB_URL WEBHOOK_URL. The webhook confirms by itself. Exit status 0 if all is as AWS's own would be.
"""

import hashlib
import struct
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

hub, webhook = sys.argv[1:]
CREDENTIALS = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
once = Config(retries={"total_max_attempts": 1})
sns = boto3.client("sns", endpoint_url=hub, config=once, **CREDENTIALS)
sqs = boto3.client("sqs", endpoint_url=hub, config=once, **CREDENTIALS)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{code} was expected")


def md5(data):
    return hashlib.md5(data).hexdigest()


def md5_of_attributes(attributes):
    digest = b""
    for name in sorted(attributes):
        one = attributes[name]
        binary = "BinaryValue" in one
        value = one["BinaryValue"] if binary else one["StringValue"].encode()
        for part in (name.encode(), one["DataType"].encode()):
            digest += struct.pack(">I", len(part)) + part
        digest += bytes([2 if binary else 1]) + struct.pack(">I", len(value)) + value
    return md5(digest)


def receive(queue, **arguments):
    """The next message, with all that it has, deleted."""
    messages = sqs.receive_message(
        QueueUrl=queue, WaitTimeSeconds=10, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"], **arguments
    )["Messages"]
    assert len(messages) == 1, messages
    message = messages[0]
    assert md5(message["Body"].encode()) == message["MD5OfBody"], message
    if "MessageAttributes" in message:
        assert md5_of_attributes(message["MessageAttributes"]) == message["MD5OfMessageAttributes"], message
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return message


topic = sns.create_topic(Name="orders")["TopicArn"]
raw, wrapped = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("raw", "wrapped"))
for queue, attributes in ((raw, {"RawMessageDelivery": "true"}), (wrapped, {})):
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=webhook)
deadline = time.monotonic() + 20
while any(
    one["SubscriptionArn"] == "PendingConfirmation"
    for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
):
    assert time.monotonic() < deadline, "the webhook did not confirm"

attributes = {
    "n": {"DataType": "Number", "StringValue": "42"},
    "s": {"DataType": "String.label", "StringValue": "größe"},
    "b": {"DataType": "Binary", "BinaryValue": b"\x00\xffdata"},
}
sent = sns.publish(
    TopicArn=topic,
    Subject="Hello",
    Message='{"default": "for all", "http": "for webhooks", "sqs": "für queues\\r\\n"}',
    MessageStructure="json",
    MessageAttributes=attributes,
    MessageGroupId="group-1",
)
message = receive(raw)
assert message["Body"] == "für queues\r\n", message
assert message["MessageAttributes"] == attributes, message
assert message["Attributes"]["MessageGroupId"] == "group-1", message
message = receive(wrapped)
assert sent["MessageId"] in message["Body"] and '"Subject"' in message["Body"], message
assert "MessageAttributes" not in message, message

answer = sns.publish_batch(
    TopicArn=topic, PublishBatchRequestEntries=[{"Id": str(n), "Message": f"text {n}"} for n in range(10)]
)
assert [one["Id"] for one in answer["Successful"]] == [str(n) for n in range(10)] and answer["Failed"] == [], answer
for n in range(10):
    assert receive(raw)["Body"] == f"text {n}"

refused("NotFound", sns.publish, TopicArn=topic + "x", Message="text")
refused("InvalidParameter", sns.publish, TopicArn=topic, Message="x" * (256 * 1024 + 1))
refused("InvalidParameter", sns.publish, TopicArn=topic, Message="text", Subject="")
refused("InvalidParameter", sns.publish, TopicArn=topic, Message="text", MessageStructure="json")
refused("InvalidParameter", sns.publish, TopicArn=topic, Message="text", MessageDeduplicationId="d")
bad = {"a": {"DataType": "Stringfoo", "StringValue": "v"}}
refused("ParameterValueInvalid", sns.publish, TopicArn=topic, Message="text", MessageAttributes=bad)
twice = [{"Id": "a", "Message": "text"}] * 2
refused("BatchEntryIdsNotDistinct", sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=twice)

queue = sqs.create_queue(QueueName="straight")["QueueUrl"]
trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}
text = "text ä 😀\r\n\t<&>"
sent = sqs.send_message(
    QueueUrl=queue, MessageBody=text, MessageAttributes=attributes, MessageSystemAttributes=trace, MessageGroupId="g"
)
assert sent["MD5OfMessageBody"] == md5(text.encode()), sent
assert sent["MD5OfMessageAttributes"] == md5_of_attributes(attributes), sent
assert sent["MD5OfMessageSystemAttributes"] == md5_of_attributes(trace), sent
message = receive(queue)
assert (message["MessageId"], message["Body"], message["MessageAttributes"]) == (sent["MessageId"], text, attributes), message
assert message["Attributes"]["AWSTraceHeader"] == "Root=1" and message["Attributes"]["MessageGroupId"] == "g", message

# A message that is kept back comes by itself to a receive that waits for it.
began = time.monotonic()
sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=1)
assert receive(queue)["Body"] == "later"
assert time.monotonic() - began >= 0.9

answer = sqs.send_message_batch(
    QueueUrl=queue,
    Entries=[{"Id": "good", "MessageBody": "text"}, {"Id": "bad", "MessageBody": "text\x01"}],
)
assert [one["Id"] for one in answer["Successful"]] == ["good"], answer
assert (answer["Failed"][0]["Code"], answer["Failed"][0]["SenderFault"]) == ("InvalidMessageContents", True), answer
assert receive(queue)["MessageId"] == answer["Successful"][0]["MessageId"]

refused("AWS.SimpleQueueService.NonExistentQueue", sqs.send_message, QueueUrl=queue + "x", MessageBody="text")
refused("InvalidMessageContents", sqs.send_message, QueueUrl=queue, MessageBody="text\x01")
refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="x" * (1024 * 1024 + 1))
refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="text", DelaySeconds=901)
refused("MissingParameter", sqs.send_message, QueueUrl=queue, MessageBody="")
twice = [{"Id": "a", "MessageBody": "text"}] * 2
refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", sqs.send_message_batch, QueueUrl=queue, Entries=twice)
