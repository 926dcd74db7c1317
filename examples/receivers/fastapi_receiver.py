"""A webhook in the form of Standard Webhooks, with FastAPI.  uvicorn fastapi_receiver:app --port 9102"""

import logging
import os

from applied import Applied
from fastapi import FastAPI, Request, Response
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

app = FastAPI()
applied = Applied(os.environ.get("RECEIVER_DB", "fastapi.db"))
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
log = logging.getLogger("uvicorn.error")


@app.post("/webhook")
async def receive(request: Request):
    # The bytes as they came: what JSON was read and written again has another signature.
    body = await request.body()
    try:
        webhook.verify(body, dict(request.headers))
    except WebhookVerificationError as error:
        log.warning("not verified: %r", error)
        return Response(status_code=403)
    headers = request.headers
    event_id = headers["webhook-id"]
    key = headers.get("x-retrohook-key", event_id)
    new = applied.once(event_id, key, headers["x-retrohook-sequence"], headers["x-retrohook-outcome"], body.decode())
    log.warning("%s %s", event_id, "applied" if new else "known")
    return Response(status_code=204)
