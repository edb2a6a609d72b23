"""Labels go from a queue to the service, and each is learnt once, whatever is killed.

    python examples/consumer.py labels.jsonl --url http://127.0.0.1:8000

A shop asks `predict` when it shows something, keeps the id, and writes an event when the label is
known: {"id": "…", "label": 1}. This loop takes events in their order, has the service learn them,
and writes down how far it came only after the answer:

- killed before the answer or before the commit: the events are sent again, and what the service has
  learnt of them counts as nothing (it answers that the id is unknown);
- the service killed: the client tries again until it is back; an answered label is in its log;
- an event that the service refuses is put aside (twice, if killed just then) and holds up no other;
  what is wrong with all of them (a token, an address, a full disk) ends the loop instead.

`FileQueue` stands for a topic of one partition. With Kafka its `poll` and `commit` are the
consumer's, with enable.auto.commit=false.
"""

import argparse
import fcntl
import json
import os
import sys
import time
import urllib.parse
from pathlib import Path

from client import Client


class FileQueue:
    """A file of JSON lines, and beside it how many bytes of it a group of consumers has done."""

    def __init__(self, path, group="learner"):
        self.path, self.done = Path(path), Path(f"{path}.{group}")
        text = self.done.read_text() if self.done.exists() else "0"
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{self.done}: expected a number of bytes, found {text[:40]!r}")
        self.at = int(text)

    def send(self, event):
        """Append an event, in one write: two producers do not mix."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, json.dumps(event).encode() + b"\n")
        finally:
            os.close(file)

    def poll(self, most):
        """Return the next lines, `most` at most; one that is half written waits for its end."""
        if not self.path.exists():
            return []
        with open(self.path, "rb") as file:
            file.seek(self.at)
            lines = [line for _, line in zip(range(most), file, strict=False)]
        lines = [line for line in lines if line.endswith(b"\n")]
        self.at += sum(map(len, lines))
        return lines

    def commit(self):
        """Write down that all that was polled is done; a kill leaves the old number or the new."""
        beside = Path(f"{self.done}.part")
        with open(beside, "w") as file:
            file.write(str(self.at))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.done)


def learn(client, lines, refused):
    """Have the service learn a batch; the events that it refuses are written to a file."""
    try:
        events = [json.loads(line) for line in lines]
        # one label an id, the last one: a click that came after all
        labels = {event["id"]: event["label"] for event in events}
        client.learn(list(labels), list(labels.values()))
    except (ValueError, KeyError, TypeError) as error:
        if len(lines) > 1:  # none was learnt: one by one tells which it is
            for line in lines:
                learn(client, [line], refused)
            return
        event = {"event": lines[0].decode(errors="replace"), "error": repr(error)}
        with open(refused, "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def consume(queue, client, batch=100, pause=0.5, once=False):
    """Learn what comes, for ever, or with `once` what is there."""
    while True:
        lines = queue.poll(batch)
        if lines:
            learn(client, lines, f"{queue.path}.refused")
            queue.commit()  # after the answer
        elif once:
            return
        else:
            time.sleep(pause)


def checked(queue, url, batch):
    """Raise ValueError for what would end in a loop without end, or put every event aside."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"--url: expected an address such as http://host:8000, found {url!r}")
    if batch < 1:
        raise ValueError(f"--batch: expected an integer >= 1, found {batch}")
    if Path(queue).is_dir():
        raise ValueError(f"{queue}: expected a file of JSON lines, found a folder")


def main(words=None):
    """Command line; returns the exit status: 2 for what cannot begin."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("queue", help="file of JSON lines")
    made.add_argument("--url", default="http://127.0.0.1:8000")
    made.add_argument("--batch", type=int, default=100, help="events of one request at most")
    made.add_argument("--once", action="store_true", help="end where the queue ends")
    args = made.parse_args(words)
    try:
        checked(args.queue, args.url, args.batch)
        client = Client(args.url, os.environ.get("RELOOP2_TOKEN"))
        with open(f"{args.queue}.lock", "w") as lock:
            # a second consumer waits here until the first has ended
            fcntl.flock(lock, fcntl.LOCK_EX)
            consume(FileQueue(args.queue), client, args.batch, once=args.once)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"consumer.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
