"""Verifies SNS messages twice: by hand with `cryptography` as AWS documents it, and with `aws-sns-message-validator`.

Input: {"messages": [{"headers": {...}, "body": "..."}]}. Ends with status 1 at the first message that does not verify.
"""
import base64
import json
import sys
import urllib.request

import sns_message_validator
import sns_message_validator.sns_message_validator as validator_module
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

NOTIFICATION = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
CONFIRMATION = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
CERTIFICATE_URL = r"^http://127\.0\.0\.1:\d+/SimpleNotificationService-[0-9a-f]{32}\.pem$"


def by_hand(message):
    digest = {"1": SHA1, "2": SHA256}[message["SignatureVersion"]]
    with urllib.request.urlopen(message["SigningCertURL"], timeout=10) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    names = NOTIFICATION if message["Type"] == "Notification" else CONFIRMATION
    signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    signature = base64.b64decode(message["Signature"], validate=True)
    certificate.public_key().verify(signature, signed.encode(), PKCS1v15(), digest())


def by_validator(message):
    # The package takes the version and the certificate's place as arguments, but knows the digest of version 1 only: messages of that version it
    # checks as it is.
    version = message["SignatureVersion"]
    validator_module.SHA1 = {"1": SHA1, "2": SHA256}[version]
    validator = sns_message_validator.SNSMessageValidator(cert_url_regex=CERTIFICATE_URL, signature_version=version)
    validator.validate_message(message)


for request in json.load(sys.stdin)["messages"]:
    message = json.loads(request["body"])
    assert request["headers"]["x-amz-sns-message-type"] == message["Type"]
    assert request["headers"]["x-amz-sns-message-id"] == message["MessageId"]
    assert request["headers"]["x-amz-sns-topic-arn"] == message["TopicArn"]
    by_hand(message)
    by_validator(message)
    print("verified", message["Type"], message["MessageId"])
