"""Makes, asks for, changes and ends topics, subscriptions and queues with boto3, and looks at every answer.

Usage: sns_and_sqs.py HUB_URL. Exit status 0 if all is as AWS's own would be, but for what docs/operations.md says.
"""

import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

CREDENTIALS = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
sns = boto3.client("sns", endpoint_url=sys.argv[1], **CREDENTIALS)
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], **CREDENTIALS)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{code} was expected")


topic = sns.create_topic(Name="orders", Tags=[{"Key": "team", "Value": "a"}], Attributes={"DisplayName": "Orders"})["TopicArn"]
assert topic == "arn:aws:sns:us-east-1:000000000000:orders"
assert sns.create_topic(Name="orders")["TopicArn"] == topic
queue = sqs.create_queue(QueueName="worker", Attributes={"VisibilityTimeout": "7"}, tags={"team": "a"})["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
raw = {"RawMessageDelivery": "true"}
subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)["SubscriptionArn"]
assert sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"] == subscription
pending = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:1/hook")["SubscriptionArn"]
assert pending == "pending confirmation"

listed = {one["SubscriptionArn"]: one for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]}
assert set(listed) == {subscription, "PendingConfirmation"}, listed
assert listed[subscription]["Endpoint"] == arn
attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
assert (attributes["DisplayName"], attributes["SubscriptionsConfirmed"], attributes["SubscriptionsPending"]) == ("Orders", "1", "1")

sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="New")
assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "New"
sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="false")
assert sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["RawMessageDelivery"] == "false"
sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "9", "MessageRetentionPeriod": "600"})
settings = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
assert (settings["VisibilityTimeout"], settings["MessageRetentionPeriod"]) == ("9", "600"), settings

policy = '{"Version":"2012-10-17","Statement":[]}'
sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
names = ["Policy", "CreatedTimestamp", "LastModifiedTimestamp"]
settings = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
assert settings["Policy"] == policy, settings
assert time.time() - 600 < int(settings["CreatedTimestamp"]) <= int(settings["LastModifiedTimestamp"]) <= time.time(), settings
sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
assert "Policy" not in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]

# A message that nobody deletes goes to the dead-letter queue with the receive that would be one too many.
dead = sqs.create_queue(QueueName="dead", Attributes={"RedriveAllowPolicy": '{"redrivePermission": "allowAll"}'})["QueueUrl"]
to = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": to, "maxReceiveCount": "2"})}
jobs = sqs.create_queue(QueueName="jobs", Attributes=redrive)["QueueUrl"]
assert sqs.create_queue(QueueName="jobs", Attributes=redrive)["QueueUrl"] == jobs
kept = sqs.get_queue_attributes(QueueUrl=jobs, AttributeNames=["All"])["Attributes"]
assert json.loads(kept["RedrivePolicy"]) == {"deadLetterTargetArn": to, "maxReceiveCount": 2}, kept
assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [jobs]
assert sqs.list_dead_letter_source_queues(QueueUrl=jobs)["queueUrls"] == []
pages = sqs.get_paginator("list_dead_letter_source_queues").paginate(QueueUrl=dead, PaginationConfig={"PageSize": 1})
assert [page["queueUrls"] for page in pages] == [[jobs]]
refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=jobs, Attributes={"RedrivePolicy": redrive["RedrivePolicy"].replace(to, to + "x")})
sent = sqs.send_message(QueueUrl=jobs, MessageBody="poison", MessageAttributes={"n": {"DataType": "Number", "StringValue": "7"}})
asked = {"VisibilityTimeout": 0, "AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
first = [sqs.receive_message(QueueUrl=jobs, **asked)["Messages"][0] for _ in range(2)][0]
assert "Messages" not in sqs.receive_message(QueueUrl=jobs, **asked)
(gone,) = sqs.receive_message(QueueUrl=dead, **asked)["Messages"]
assert (gone["MessageId"], gone["Body"]) == (sent["MessageId"], "poison"), gone
assert gone["MessageAttributes"] == first["MessageAttributes"], gone
assert gone["Attributes"]["SentTimestamp"] == first["Attributes"]["SentTimestamp"], gone
assert gone["Attributes"]["ApproximateReceiveCount"] == "3", gone
assert gone["Attributes"]["DeadLetterQueueSourceArn"] == kept["QueueArn"], gone
sqs.delete_message(QueueUrl=dead, ReceiptHandle=gone["ReceiptHandle"])
sqs.set_queue_attributes(QueueUrl=jobs, Attributes={"RedrivePolicy": ""})
assert "RedrivePolicy" not in sqs.get_queue_attributes(QueueUrl=jobs, AttributeNames=["All"])["Attributes"]
sqs.delete_queue(QueueUrl=jobs)
sqs.delete_queue(QueueUrl=dead)

# Pages: what is made and ended between them neither repeats an entry nor hides one.
many = [sns.create_topic(Name=f"page-{n:03}")["TopicArn"] for n in range(150)]
first = sns.list_topics()
seen = [one["TopicArn"] for one in first["Topics"]]
assert len(seen) == 100, seen
for one in many[:2]:
    sns.delete_topic(TopicArn=one)
sns.create_topic(Name="a-new-one")
rest = [one["TopicArn"] for one in sns.list_topics(NextToken=first["NextToken"])["Topics"]]
assert set(many) <= set(seen) | set(rest) and not set(seen) & set(rest), rest
refused("InvalidParameter", sns.list_subscriptions, NextToken="garbage")

refused("InvalidParameter", sns.create_topic, Name="a b")
refused("InvalidParameter", sns.create_topic, Name="orders", Attributes={"DisplayName": "other"})
refused("NotFound", sns.subscribe, TopicArn=topic + "x", Protocol="sqs", Endpoint=arn)
refused("QueueAlreadyExists", sqs.create_queue, QueueName="worker", Attributes={"VisibilityTimeout": "8"})
refused("AWS.SimpleQueueService.NonExistentQueue", sqs.delete_queue, QueueUrl=queue + "x")

sns.unsubscribe(SubscriptionArn=subscription)
sqs.purge_queue(QueueUrl=queue)
sqs.delete_queue(QueueUrl=queue)
sns.delete_topic(TopicArn=topic)
assert topic not in [one["TopicArn"] for one in sns.list_topics()["Topics"]]
assert "QueueUrls" not in sqs.list_queues()
