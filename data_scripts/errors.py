"""Bad input, said clearly."""


class InputError(ValueError):
    """A raw log that cannot be read as described; the message names file, line, and value."""


class Errors:
    """Counts bad rows: the first one fails, or (`on_error="skip"`) all are counted and listed.

    Args:
        on_error: "fail" or "skip".
    """

    LISTED = 20

    def __init__(self, on_error="fail"):
        if on_error not in ("fail", "skip"):
            raise ValueError(f'`on_error` must be "fail" or "skip". Received: {on_error!r}')
        self.on_error = on_error
        self.total, self.first = 0, []

    def add(self, path, line, reason, value):
        """Note a bad row; raises InputError unless bad rows are skipped."""
        value = str(value)[:120]
        if self.on_error == "fail":
            raise InputError(f"{path}:{line}: {reason}, found {value!r}")
        self.total += 1
        if len(self.first) < self.LISTED:
            # the name alone: the same input elsewhere must give the same dataset.json
            entry = {"file": path.name, "line": int(line), "reason": reason, "value": value}
            self.first.append(entry)
