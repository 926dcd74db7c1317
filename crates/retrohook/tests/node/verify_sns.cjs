// Verifies SNS messages with npm's `sns-validator`: as it is, and told which host has the certificate.
//
// Input: {"host": "localhost:4567", "messages": ["..."]}. Output: for each message what it said with its own pattern of hosts and with one for this
// host, `null` if it took the message.
"use strict";

const MessageValidator = require("sns-validator");

const input = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const pattern = new RegExp(`^${input.host.replace(/\./g, "\\.")}$`);

const validate = (validator, message) =>
  new Promise((done) => validator.validate(message, (error) => done(error ? error.message : null)));

async function main() {
  const [asItIs, told] = [new MessageValidator(), new MessageValidator(pattern)];
  const said = [];
  for (const message of input.messages) {
    said.push({ as_it_is: await validate(asItIs, message), told: await validate(told, message) });
  }
  // Of an answer that is no certificate the validator leaves the rest unread: the process would stay for it.
  process.stdout.write(JSON.stringify(said), () => process.exit(0));
}

main();
