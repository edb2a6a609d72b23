"""The events that change an `OnlineModel`, and its state as arrays; the same live and replayed."""

import collections
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.online.online import Online
from reloop2_keras.core.serving.alarms import Alarms
from reloop2_keras.core.serving.files_learnt import FilesLearnt
from reloop2_keras.core.serving.late_labels import Learner
from reloop2_keras.core.serving.learnt_labels import LearntLabels
from reloop2_keras.core.serving.releasing import Releasing
from reloop2_keras.core.serving.requests import Arrays, Requests
from reloop2_keras.core.serving.seen_values import SeenValues
from reloop2_keras.core.serving.state_kinds import STATE, check_kinds
from reloop2_keras.core.serving.trial import Trial, untried


class ModelState(Releasing):
    """Part of `OnlineModel`: does events, and is saved and loaded."""

    requests: Requests
    seen: SeenValues
    learnt: LearntLabels
    alarms: Alarms
    files: FilesLearnt
    log: Callable[[Mapping[str, Any], Arrays], None] | None
    _unseen: np.ndarray
    _rewound: Mapping[tuple[str, str], float] = {}

    def _do(self, head: Mapping[str, Any], arrays: Arrays) -> dict[str, int]:
        """Write an event down, then do it."""
        with self.lock:
            if self.log is not None:
                self.log(head, arrays)  # or an OSError, and nothing is changed
            work = self._begun(head, arrays)
        # `writing` is held here, so that learning is in the log's order; `lock` is not, so that
        # requests are served meanwhile
        return work() if work is not None else {}

    def replay(self, head: Mapping[str, Any], arrays: Arrays) -> None:
        """Do an event that a log holds."""
        with self.writing:
            work = self._begun(head, arrays)
            if work is not None:
                work()

    def _begun(self, head, arrays):
        """What takes moments; returns what is left to do, which `lock` need not be held for."""
        kind = head["kind"]
        if kind == "served":
            self.requests.put(head["id"], head["time"], self._filled(arrays))
            self.counts["requests"] += 1
            self.counts["rows"] += len(arrays["corrected"])
            return None
        if kind == "release":
            self._released(head)
            return None
        if kind == "rows":
            served = {name: array for name, array in arrays.items() if name != "truth"}
            every = np.arange(len(arrays["truth"]))
            return lambda: self._learn([("", every, served)], [arrays["truth"]], keep=False)
        if kind in ("expired", "negatives"):
            sizes = {name: self.requests.size(name) for name in head["ids"]}
            labels = [[0] * size for size in sizes.values()]
            parts, truth, _ = self._taken(head["ids"], labels)
            rows = sum(map(len, truth))
            self.counts[kind] += rows
            if kind == "expired":
                return lambda: {"expired": rows}
            self._note_learnt(parts, truth, sizes)
            return lambda: self._learn(parts, truth)
        if kind == "labels":
            parts, truth, clicks = self._taken(head["ids"], head["labels"])
            sizes = {
                n: len(of_rows) for n, of_rows in zip(head["ids"], head["labels"], strict=True)
            }
            self._note_learnt(parts, truth, sizes)
            return lambda: {**self._learn(parts, truth), "retracted": self._click(clicks)}
        raise ValueError(f"expected an event of a known kind, found {kind!r}")

    def _taken(self, names, labels):
        """(parts that wait, their labels, clicks of rows that were learnt already)."""
        parts, truth, clicks = [], [], []
        for name, given in zip(names, labels, strict=True):
            known = np.array([label is not None for label in given], bool)
            of_rows = np.array([label or 0 for label in given], "float64")
            waiting = np.empty(0, "int64")
            if name in self.requests:
                waiting = self.requests.waiting(name)
                waiting = waiting[known[waiting]]
            clicked = of_rows > 0
            clicked[waiting] = False
            late = np.flatnonzero(clicked)
            if len(waiting):
                parts.append((name, waiting, self.requests.take(name, waiting)))
                truth.append(of_rows[waiting])
            if len(late):
                clicks.append((name, late))
        return parts, truth, clicks

    def _note_learnt(self, parts, truth, sizes):
        for (name, rows, _), labels in zip(parts, truth, strict=True):
            self.learnt.put(name, sizes[name], rows.tolist(), labels.tolist())

    def _learn(self, parts, truth, keep=True):
        learner = self.learner
        if not keep and learner.receipts is not None:
            # rows without a request: no label comes again
            learner = Learner(learner.online, 0, learner.give_way, learner.taught)
        with self.lock:
            self._tried(parts, truth)
        learner.learn(parts, truth)
        rows = sum(map(len, truth))
        with self.lock:
            if parts:
                shown = [served["corrected"] for _, _, served in parts]
                self.alarms.add(np.concatenate(shown), np.concatenate(truth))
            self.counts["learnt"] += rows
        return {"learnt": rows}

    def _click(self, clicks):
        rows = 0
        for name, late in clicks:
            taken = self.learner.click(name, late)
            rows += len(taken)
            with self.lock:
                if name in self.learnt:
                    self.learnt.put(name, 0, taken.tolist(), [1] * len(taken))
        with self.lock:
            self.counts["retracted"] += rows
        return rows

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return all that events have made, as (plain values, arrays); copies."""
        with self.writing, self.lock:
            online = self.learner.online
            pending, waiting = self.requests.state()
            receipts, kept = self.learner.state()
            head: dict[str, Any] = {
                "config": online.get_config(),
                "base": self.base_name,
                "previous": self.previous,
                "trial": None,
                "counts": dict(self.counts),
                "alarms": self.alarms.state(),
                "requests": pending,
                "receipts": receipts,
            }
            arrays = {f"online/{name}": array for name, array in online.state().items()}
            # `Online` numbers rows that wait as the last ones, which retraction may have changed
            arrays["numbers"] = online.waiting.numbers.copy()
            arrays["unseen"] = self._unseen.copy()
            head["learnt"], given = self.learnt.state()
            arrays |= {f"learnt/{name}": array for name, array in given.items()}
            if self.trial is not None:
                head["trial"], scores = self.trial.state()
                arrays |= {f"trial/{name}": array for name, array in scores.items()}
            arrays |= {f"requests/{name}": array for name, array in waiting.items()}
            arrays |= {f"receipts/{name}": array for name, array in kept.items()}
            head["files"], learnt = self.files.state()
            arrays |= {f"files/{name}": array for name, array in learnt.items()}
        return head, arrays

    def load_state(
        self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray], requests: bool = True
    ) -> None:
        """Take what `state` returned.

        Args:
            head, arrays: see `state`.
            requests: bool; False keeps what waits for labels now, and the base with its trial.

        Raises:
            ValueError: if it is another model's, or a value is of another kind (`state_kinds`).
                Nothing is changed then.
        """
        check_kinds(head, STATE)
        with self.writing, self.lock:
            before = None if self.log is None else self.totals()
            online = self.learner.online
            mine, config = online.get_config(), dict(head["config"])
            if (config["width"], config["bases"]) != (mine["width"], mine["bases"]):
                raise ValueError(
                    f"expected a state of {mine['width']} columns and bases {mine['bases']}, "
                    f"found {config['width']}, {config['bases']}"
                )
            fresh = Online(**config)
            fresh.load_state(_below("online/", arrays))
            fresh.waiting.numbers[...] = arrays["numbers"]
            limit = 0 if self.learner.receipts is None else self.learner.receipts.limit
            learner = Learner(fresh, limit, self.learner.give_way, self.learner.taught)
            learner.load(head["receipts"], _below("receipts/", arrays))
            self.learner = learner
            self.counts = collections.Counter(head["counts"])
            self.alarms.load(head["alarms"])
            self.learnt.load(head.get("learnt", []), _below("learnt/", arrays))
            self._unseen[...] = arrays["unseen"]
            self.files.load(head.get("files", []), _below("files/", arrays))
            if before is not None:
                now = self._totals()
                self._rewound = {key: total - now.get(key, 0) for key, total in before.items()}
            if requests:
                self.base_name, self.previous = head["base"], head.get("previous", "")
                trial = head.get("trial")
                self.trial = trial and Trial.of_state(trial, _below("trial/", arrays))
                kept = _below("requests/", arrays)
                self.requests.load(head["requests"], self._filled(kept))

    def totals(self) -> dict[tuple[str, str], float]:
        """Return what a counter shows: (of what, name) -> how many; a rollback takes none back.

        "events" by kind, "unseen" rows by field, "alarms" by watch.
        """
        own = self._totals()
        return {k: own.get(k, 0) + self._rewound.get(k, 0) for k in own | dict(self._rewound)}

    def _totals(self):
        out = {("events", kind): count for kind, count in self.counts.items()}
        names = (field["name"] for field in self.encoder.fields)
        pairs = zip(names, self._unseen.tolist(), strict=True)
        out |= {("unseen", name): count for name, count in pairs}
        return out | {("alarms", n): watch.alarms for n, watch in self.alarms.watches.items()}

    def memory(self) -> tuple[dict[str, Any], Arrays]:
        """Return what snapshots hold beside the state, as no event brings it back: raw texts.

        What was seen after the last snapshot is seen anew when it comes again.
        """
        head, arrays = self.seen.state()
        return {"seen": head}, {f"seen/{name}": array for name, array in arrays.items()}

    def load_memory(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `memory` returned, if it is there."""
        if head.get("seen") is not None:
            self.seen.load(head["seen"], _below("seen/", arrays))

    def _filled(self, arrays):
        """Served rows, with the columns that were not written before there were trials."""
        if not self.learner.online.bases or "trial" in arrays or not arrays:
            return arrays
        return {**arrays, **untried(len(arrays["corrected"]))}


def _below(prefix, arrays):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
