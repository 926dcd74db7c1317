"""Verifies messages in SNS's form, with the certificate of one hub: the one that you trust."""

import base64
import functools
import os
import re
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

# The gateway's --hub-url. A message names the address of its certificate itself, so only this one is believed.
HUB = os.environ.get("HUB_URL", "http://127.0.0.1:4566").rstrip("/")
CERTIFICATE = re.compile(re.escape(HUB) + r"/SimpleNotificationService-[0-9a-f]{32}\.pem")
NOTIFICATION = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
CONFIRMATION = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]


@functools.lru_cache(maxsize=4)
def public_key(url):
    # A new key has a new name, so a certificate never changes.
    with urllib.request.urlopen(url, timeout=5) as answer:
        return x509.load_pem_x509_certificate(answer.read(65536)).public_key()


def verify(message):
    """Raises an exception unless the hub has signed the message."""
    url = message["SigningCertURL"]
    if not CERTIFICATE.fullmatch(url):
        raise ValueError(f"a certificate that is not of {HUB}: {url}")
    digest = {"1": SHA1, "2": SHA256}[message["SignatureVersion"]]
    names = NOTIFICATION if message["Type"] == "Notification" else CONFIRMATION
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    signature = base64.b64decode(message["Signature"], validate=True)
    public_key(url).verify(signature, text.encode(), PKCS1v15(), digest())


def confirm(message):
    """Visits the link of a request to confirm, which has to be verified first."""
    if not message["SubscribeURL"].startswith(HUB + "/?Action=ConfirmSubscription&"):
        raise ValueError(f"a link that is not of {HUB}")
    with urllib.request.urlopen(message["SubscribeURL"], timeout=5) as answer:
        answer.read(65536)
