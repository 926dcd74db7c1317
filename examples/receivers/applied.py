"""Applies each event once, and no older news after newer: what a receiver of at-least-once deliveries has to do itself."""

import sqlite3


class Applied:
    """What was applied already, in the database that the events change. Both change in one transaction, or neither does."""

    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("CREATE TABLE IF NOT EXISTS events(id TEXT PRIMARY KEY)")
        self.db.execute("CREATE TABLE IF NOT EXISTS news(key TEXT PRIMARY KEY, sequence INTEGER, outcome TEXT, body TEXT)")

    def once(self, event_id, key, sequence, outcome, body):
        """True if the event changed something; False if it came before, or if news of the same key that are newer came before it."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            new = self.db.execute("INSERT OR IGNORE INTO events VALUES (?)", (event_id,)).rowcount == 1
            if new:
                # Your own change goes here, in the same transaction. This one keeps the latest news of each key.
                new = self.db.execute(
                    "INSERT INTO news VALUES (?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET sequence = excluded.sequence, "
                    "outcome = excluded.outcome, body = excluded.body WHERE excluded.sequence > news.sequence",
                    (key, int(sequence), outcome, body),
                ).rowcount == 1
            self.db.execute("COMMIT")
            return new
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
