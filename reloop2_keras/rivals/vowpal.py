"""Vowpal Wabbit as an arm: an online linear model over hashed raw values (J. Langford et al.).

Through the package `vowpalwabbit` (9.11 is what it was run on), by files and not row by row: its
Python calls cost ten times what VW itself takes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer, sequence
from reloop2_keras.core.beside import scratch
from reloop2_keras.rivals.served import COLUMNS, SlotNotes, checked_numeric, features, needed
from reloop2_keras.rivals.vowpal_text import lines


class VowpalWabbit:
    """Slow part of an arm: VW predicts a slot, and learns it when the labels are there.

    Each field is a namespace, each raw value a feature (its hash), a numeric field one feature
    with its value; VW adds its constant. On a base the base's logit of serving time is the row's
    offset (`initial`), so that VW learns what the base leaves over.

    Args:
        options: VW's own, such as `("-l", "0.5")`, `("--ftrl", "--ftrl_alpha", "0.1")`,
            `("--coin",)`, `("--interactions", "::")` for all pairs of fields.
        bits: int in [8, 28]; 2^bits places for the weights of all features together. Only weights
            of features that were seen take memory and time (VW's `--sparse_weights`), so many
            bits cost nothing; on MovieTweetings 20 lose .001 AUC by collisions.
        numeric: columns of numeric fields.
        base: slow part whose `probability` is the offset; None for VW alone. It must not learn,
            or learn through an arm of its own: `observe` is not handed on to it. Share it by
            `ServedOnce` where other arms ask it too.

    Attributes:
        state: bytes, VW's model with all it needs to go on; None before the first row. A part is
            copied by `copy.deepcopy` and pickled.

    Raises:
        ValueError: if an argument is out of range, or VW refuses an option.
        ImportError: when it is first used where vowpalwabbit is not installed.

    Example:
        >>> part = VowpalWabbit(("-l", "1"), bits=12)  # doctest: +SKIP
        >>> slot = {
        ...     "label": np.uint8([1, 0]),
        ...     "feature_hashes": np.int32([[7], [8]]),
        ...     "feature_values": np.float32([[1], [1]]),
        ... }
        >>> part.observe(slot)  # doctest: +SKIP
        >>> part.serve(slot)["probability"].round(2)  # doctest: +SKIP
        array([0.64, 0.25], dtype=float32)
    """

    learns_from = COLUMNS

    def __init__(
        self,
        options: Sequence[str] = ("-l", "0.5"),
        bits: int = 24,
        numeric: Sequence[int] = (),
        base: Any = None,
    ) -> None:
        options = sequence("options", options, "words")
        self.options, self.bits = tuple(str(word) for word in options), integer("bits", bits, 8, 28)
        self.numeric, self.base = checked_numeric(numeric), base
        self.state: bytes | None = None
        self._offsets = SlotNotes()

    def serve(self, arrays: dict) -> dict:
        """Return `probability`, float32 (rows,), of a slot's arrays."""
        offsets = None
        if self.base is not None:
            offsets = logits_of(self.base.serve(arrays))
            self._offsets.keep(arrays, offsets)
        text = lines(*features(arrays, self.numeric), self.numeric, None, offsets)
        return {"probability": self.run(text)}

    def observe(self, arrays: dict) -> None:
        """Learn a slot's rows one by one, in their order.

        Raises:
            ValueError: if there is a base and the slot was never served.
        """
        offsets = None
        if self.base is not None:
            offsets = self._offsets.of(arrays)
            if offsets is None:
                raise ValueError("`arrays` must be a slot that was served before it is observed")
        labels = np.asarray(arrays["label"])
        text = lines(*features(arrays, self.numeric), self.numeric, labels, offsets)
        self.run(text, learn=True)

    def run(self, text: bytes, learn: bool = False) -> np.ndarray:
        """Give VW lines, in their order.

        Args:
            text: lines of VW's text format.
            learn: bool, whether to keep what VW learnt. A line without a label is predicted only.

        Returns:
            float32, a probability a line, predicted before that line was learnt.
        """
        with scratch("reloop2-vw") as folder:
            data = folder / "data"
            data.write_bytes(text)
            return self.run_file(data, learn)

    def run_file(self, data: Path, learn: bool = False, cache: bool = False) -> np.ndarray:
        """Do as `run` does with a file.

        Args:
            data: path of lines of text.
            learn: bool, see `run`.
            cache: bool, whether to leave VW's own binary form beside the file, or take it from
                there: several times faster when a file is read again with the same `bits`.
        """
        pyvw = needed("vowpalwabbit", "VowpalWabbit")
        with scratch("reloop2-vw") as folder:
            before, after, found = (folder / name for name in ("before", "after", "found"))
            words = ["--quiet", "--no_stdin", "-d", str(data), "-p", str(found)]
            words += [*self.options, "--loss_function", "logistic", "--sparse_weights"]
            if cache:
                words += ["--cache_file", f"{data}.{self.bits}"]
            if self.state is None:
                words += ["-b", str(self.bits)]
            else:
                before.write_bytes(self.state)
                words += ["-i", str(before)]
            if learn:
                # Without -f nothing is kept. VW's `-t` is not used: it would ignore the offsets.
                words += ["-f", str(after)]
            try:
                with pyvw.Workspace(arg_list=words):
                    pass  # it has read the file by now; leaving closes its own files
            except RuntimeError as error:
                raise ValueError(f"Vowpal Wabbit refused {words}: {error}") from error
            if learn:
                self.state = after.read_bytes()
            logits = np.array(found.read_bytes().split(), "float64")
        return (1 / (1 + np.exp(-logits))).astype("float32")


def logits_of(served: dict, clip: float = 1e-6) -> np.ndarray:
    """Return the logits of what a base served: float64 (rows,); probabilities are clipped.

    Example:
        >>> logits_of({"probability": np.float32([0.5, 1.0])}).round(3).tolist()
        [0.0, 13.816]
    """
    p = np.clip(np.asarray(served["probability"], "float64").reshape(-1), clip, 1 - clip)
    return np.log(p) - np.log1p(-p)
