"""What a long fuzz leaves behind at once: each finding, what is being tried, how often, how slow.

A process that dies or is cut loses nothing that it found: findings are appended as they come, and
`now.json` holds what is being tried, so that a crash or a hang names its reader and seed, too.
"""

import contextlib
import json
import os
import time
import traceback
from pathlib import Path


class FuzzRecord:
    """Files in one folder: findings.txt, now.json and counts.json.

    Args:
        folder: where they go; `RELOOP2_FUZZ_FOLDER` goes before it.
        kept: how many exceptions are kept in memory; all are counted and written.
    """

    def __init__(self, folder, kept=20):
        self.folder = Path(os.environ.get("RELOOP2_FUZZ_FOLDER") or folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kept, self.found, self.findings = kept, [], 0
        self.readers = {}
        self._written = 0.0
        self._now = os.open(self.folder / "now.json", os.O_WRONLY | os.O_CREAT, 0o644)

    def executions(self):
        return {name: about["executions"] for name, about in self.readers.items()}

    @contextlib.contextmanager
    def trying(self, name, seed):
        """Count one execution of a reader; what it raises is written, and not raised."""
        text = json.dumps({"reader": name, "seed": seed})
        os.pwrite(self._now, text.ljust(200).encode(), 0)  # in place: a file a time would be slow
        about = self.readers.setdefault(
            name, {"executions": 0, "findings": 0, "seconds": 0.0, "slowest": 0.0, "its seed": seed}
        )
        start = time.perf_counter()
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, or a panic in Rust: no reader may raise it
            about["findings"] += 1
            self._add(name, seed, error)
        took = time.perf_counter() - start
        about["executions"] += 1
        about["seconds"] += took
        if took > about["slowest"]:
            about["slowest"], about["its seed"] = took, seed
        if time.monotonic() - self._written > 5:
            self.write()

    def _add(self, name, seed, error):
        self.findings += 1
        end = "".join(traceback.format_exception(error))[-3000:]
        with open(self.folder / "findings.txt", "a", encoding="utf-8", errors="replace") as file:
            file.write(f"== {name}, seed {seed}\n{end}\n")
            file.flush()
            os.fsync(file.fileno())
        if len(self.found) < self.kept:
            error.add_note(f"{name}, seed {seed}")
            self.found.append(error)
        self.write()

    def write(self):
        """Write how often each reader was tried, and how slow it was at most."""
        self._written = time.monotonic()
        (self.folder / "counts.json").write_text(json.dumps(self.readers, indent=1))

    def end(self):
        """Raise all that is kept, if anything was found."""
        self.write()
        os.close(self._now)
        if self.found:
            counts = self.executions()
            raise BaseExceptionGroup(f"{self.findings} findings in {counts}", self.found)
