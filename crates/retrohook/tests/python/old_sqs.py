"""A worker on the last botocore that speaks SQS in the Query protocol, with the SNS of the same age beside it.

Usage: old_sqs.py HUB_URL. Exit status 0 if all is as AWS's own would be. The SDK checks each digest itself.
"""

import sys

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

hub = sys.argv[1]
assert botocore.__version__ == "1.31.80", botocore.__version__
KEYS = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
once = Config(retries={"total_max_attempts": 1})
sqs = boto3.client("sqs", endpoint_url=hub, config=once, **KEYS)
sns = boto3.client("sns", endpoint_url=hub, config=once, **KEYS)
forms = []
sqs.meta.events.register("before-send.sqs", lambda request, **_: forms.append(str(request.body)))


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{code} was expected")


queue = sqs.create_queue(QueueName="old", Attributes={"VisibilityTimeout": "7"}, tags={"team": "a"})["QueueUrl"]
assert sqs.get_queue_url(QueueName="old")["QueueUrl"] == queue
assert queue in sqs.list_queues(QueueNamePrefix="ol")["QueueUrls"]
attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
assert attributes["VisibilityTimeout"] == "7", attributes
sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})

topic = sns.create_topic(Name="old")["TopicArn"]
sns.subscribe(
    TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"], Attributes={"RawMessageDelivery": "true"}
)
typed = {
    "text": {"DataType": "String", "StringValue": "ä <&>\r\n"},
    "number": {"DataType": "Number", "StringValue": "-7.5"},
    "bytes": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
}
body = "two lines\r\nä <&> \U0001f600"
sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=typed)
sns.publish(TopicArn=topic, Message=body, MessageAttributes=typed)
batch = [{"Id": str(n), "MessageBody": f"{n}"} for n in range(3)] + [{"Id": "bad", "MessageBody": "\x01"}]
sent = sqs.send_message_batch(QueueUrl=queue, Entries=batch)
assert [one["Id"] for one in sent["Successful"]] == ["0", "1", "2"], sent
assert [(one["Id"], one["Code"]) for one in sent["Failed"]] == [("bad", "InvalidMessageContents")], sent

received = sqs.receive_message(
    QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"], WaitTimeSeconds=5
)["Messages"]
assert [one["Body"] for one in received] == [body, body, "0", "1", "2"], received
assert all(one["MessageAttributes"] == typed for one in received[:2]), received
assert all(one["Attributes"]["ApproximateReceiveCount"] == "1" for one in received), received
sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=received[0]["ReceiptHandle"], VisibilityTimeout=9)
sqs.delete_message(QueueUrl=queue, ReceiptHandle=received[0]["ReceiptHandle"])
entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(received[1:])]
assert len(sqs.delete_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 4
assert "Messages" not in sqs.receive_message(QueueUrl=queue)

policy = '{"deadLetterTargetArn":"%s","maxReceiveCount":1}' % attributes["QueueArn"]
source = sqs.create_queue(QueueName="source", Attributes={"RedrivePolicy": policy})["QueueUrl"]
assert sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"] == policy
assert sqs.list_dead_letter_source_queues(QueueUrl=queue)["queueUrls"] == [source]
assert not sqs.list_dead_letter_source_queues(QueueUrl=source).get("queueUrls")
sqs.send_message(QueueUrl=source, MessageBody="poison")
assert sqs.receive_message(QueueUrl=source, VisibilityTimeout=0)["Messages"][0]["Body"] == "poison"
assert "Messages" not in sqs.receive_message(QueueUrl=source)
(gone,) = sqs.receive_message(QueueUrl=queue, AttributeNames=["All"])["Messages"]
assert (gone["Body"], gone["Attributes"]["ApproximateReceiveCount"]) == ("poison", "2"), gone
assert gone["Attributes"]["DeadLetterQueueSourceArn"].endswith(":source"), gone
refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=source, Attributes={"RedrivePolicy": "{}"})
sqs.delete_queue(QueueUrl=source)

missing = {"QueueUrl": queue + "-none"}
refused("AWS.SimpleQueueService.NonExistentQueue", sqs.receive_message, **missing)
refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=queue, ReceiptHandle="garbage")
refused("InvalidMessageContents", sqs.send_message, QueueUrl=queue, MessageBody="\x01")
refused("InvalidParameter", sns.publish, TopicArn=topic, Message="a\x01")
sqs.purge_queue(QueueUrl=queue)
sqs.delete_queue(QueueUrl=queue)
refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName="old")
assert forms and all("Action=" in form and "Version=2012-11-05" in form for form in forms), forms
