// Webhooks in SNS's form (/sns) and in that of Standard Webhooks (/webhook), with Express.  node express_receiver.mjs
// Node 22.13 or later, for its own SQLite.

import { createVerify } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import express from "express";
import { Webhook } from "standardwebhooks";

const { HUB_URL = "http://127.0.0.1:4566", PORT = "9103", RECEIVER_DB = "express.db", WEBHOOK_SECRET } = process.env;
const db = new DatabaseSync(RECEIVER_DB);
db.exec("CREATE TABLE IF NOT EXISTS events(id TEXT PRIMARY KEY)");
db.exec("CREATE TABLE IF NOT EXISTS news(key TEXT PRIMARY KEY, sequence INTEGER, outcome TEXT, body TEXT)");

// True if the event changed something; false if it came before, or if news of the same key that are newer came before it.
function once(id, key, sequence, outcome, body) {
  db.exec("BEGIN IMMEDIATE");
  try {
    let isNew = db.prepare("INSERT OR IGNORE INTO events VALUES (?)").run(id).changes === 1;
    if (isNew) {
      // Your own change goes here, in the same transaction. This one keeps the latest news of each key.
      const keep = db.prepare(
        "INSERT INTO news VALUES (?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET sequence = excluded.sequence, " +
          "outcome = excluded.outcome, body = excluded.body WHERE excluded.sequence > news.sequence",
      );
      isNew = keep.run(key, Number(sequence), outcome, body).changes === 1;
    }
    db.exec("COMMIT");
    return isNew;
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

const certificates = new Map();
const nameOfCertificate = /^\/SimpleNotificationService-[0-9a-f]{32}\.pem$/;

// A message names the address of its certificate itself, so only that of the hub is believed.
async function certificateOf(url) {
  if (!url.startsWith(HUB_URL) || !nameOfCertificate.test(url.slice(HUB_URL.length))) {
    throw new Error(`a certificate that is not of ${HUB_URL}: ${url}`);
  }
  if (!certificates.has(url)) {
    const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
    certificates.set(url, await answer.text());
  }
  return certificates.get(url);
}

async function verify(message) {
  const names = message.Type === "Notification"
    ? ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    : ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
  const hash = { 1: "RSA-SHA1", 2: "RSA-SHA256" }[message.SignatureVersion];
  const verifier = createVerify(hash);
  for (const name of names) if (name in message) verifier.update(`${name}\n${message[name]}\n`);
  if (!verifier.verify(await certificateOf(message.SigningCertURL), message.Signature, "base64")) {
    throw new Error("the hub has not signed this");
  }
}

async function confirm({ SubscribeURL: link }) {
  if (!link.startsWith(`${HUB_URL}/?Action=ConfirmSubscription&`)) throw new Error(`a link that is not of ${HUB_URL}`);
  await fetch(link, { redirect: "error", signal: AbortSignal.timeout(5000) });
}

const app = express();
// As text, whatever its type: the request to confirm is text/plain, and a signature is of the bytes as they came.
app.use(express.text({ type: () => true, limit: "16mb" }));

app.post("/sns", async (request, response) => {
  const message = JSON.parse(request.body);
  try {
    await verify(message);
  } catch (error) {
    console.log("not verified:", error.message);
    return response.status(403).end();
  }
  if (message.Type === "SubscriptionConfirmation") {
    await confirm(message);
  } else if (message.Type === "Notification") {
    const attribute = (name) => message.MessageAttributes[name].Value;
    const [key, sequence, outcome] = ["key", "sequence", "outcome"].map((name) => attribute(`retrohook_${name}`));
    const isNew = once(message.MessageId, key, sequence, outcome, message.Message);
    console.log(message.MessageId, isNew ? "applied" : "known");
  }
  // An answer of 2xx says that the event is dealt with; after any other it comes again.
  response.status(204).end();
});

app.post("/webhook", (request, response) => {
  try {
    new Webhook(WEBHOOK_SECRET).verify(request.body, request.headers);
  } catch (error) {
    console.log("not verified:", error.message);
    return response.status(403).end();
  }
  const id = request.header("webhook-id");
  const [key = id, sequence, outcome] = ["key", "sequence", "outcome"].map((name) => request.header(`x-retrohook-${name}`));
  const isNew = once(id, key, sequence, outcome, request.body);
  console.log(id, isNew ? "applied" : "known");
  response.status(204).end();
});

app.listen(Number(PORT), "127.0.0.1", () => console.log(`listening on ${PORT}`));
