"""A webhook in SNS's form, with Flask.  flask --app flask_receiver run --port 9101"""

import os

import flask
from applied import Applied
from sns_signature import confirm, verify

app = flask.Flask(__name__)
applied = Applied(os.environ.get("RECEIVER_DB", "flask.db"))


@app.post("/sns")
def sns():
    # The request to confirm is text/plain whatever the subscription's content_type says, so the header is not asked.
    message = flask.request.get_json(force=True)
    try:
        verify(message)
    except Exception as error:
        app.logger.warning("not verified: %r", error)
        return "", 403
    if message["Type"] == "SubscriptionConfirmation":
        confirm(message)
        return "", 200
    if message["Type"] == "Notification":
        # Attributes are in the envelope. They are not signed, nor are headers: what is signed is the message, its id and its time.
        attributes = {name: one["Value"] for name, one in message.get("MessageAttributes", {}).items()}
        new = applied.once(
            message["MessageId"],
            attributes["retrohook_key"],
            attributes["retrohook_sequence"],
            attributes["retrohook_outcome"],
            message["Message"],
        )
        app.logger.warning("%s %s", message["MessageId"], "applied" if new else "known")
    # An answer of 2xx says that the event is dealt with; after any other it comes again.
    return "", 204
