"""What Prometheus is told of a running model."""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from reloop2_keras.service.running import Running

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)


class ModelCollector:
    """Reads the model's counts when it is asked.

    Args:
        running: `Running`.
    """

    def __init__(self, running: Running) -> None:
        self._running = running

    def collect(self) -> Iterator[Any]:
        """Yield metric families."""
        model, store = self._running.model, self._running.store
        counts = CounterMetricFamily("reloop2_events", "what the model did", labels=["kind"])
        totals: dict[str, dict[str, float]] = {"events": {}, "unseen": {}, "alarms": {}}
        for (what, name), total in model.totals().items():  # which a rollback does not rewind
            totals[what][name] = total
        told = {"unknown": model.unknown, "conflicts": model.conflicts}
        for name, value in [*totals["events"].items(), *told.items()]:
            counts.add_metric([name], value)
        yield counts
        unseen = CounterMetricFamily("reloop2_unseen", "rows of unseen values", labels=["field"])
        for name, value in totals["unseen"].items():
            unseen.add_metric([name], value)
        yield unseen
        lacking = CounterMetricFamily("reloop2_lacking", "rows without a field", labels=["field"])
        for name, value in model.whole.lacking.items():
            lacking.add_metric([name], value)
        yield lacking
        # whoever sends rows makes up the names of unknown fields: they are no labels
        ignored = sum(model.encoder.ignored.values())
        yield CounterMetricFamily("reloop2_ignored", "values of unknown fields", value=ignored)
        alarms = CounterMetricFamily("reloop2_drift_alarms", "alarms", labels=["watch"])
        for name, value in totals["alarms"].items():
            alarms.add_metric([name], value)
        yield alarms
        last = GaugeMetricFamily("reloop2_last_block", "of 512 labelled rows", labels=["figure"])
        for name, figure in model.alarms.last.items():
            last.add_metric([name], figure)
        yield last
        yield from self._release()
        for name, text, value in (
            ("reloop2_waiting_rows", "rows that wait for labels", model.requests.rows),
            ("reloop2_dropped_rows", "rows let go of: too many waited", model.requests.dropped),
            ("reloop2_log_position", "events written down", store.position),
            ("reloop2_failures", "failures of the keeper", self._running.failures),
        ):
            yield GaugeMetricFamily(name, text, value=value)

    def _release(self) -> Iterator[Any]:
        """What the last release's trial knows; nothing before the first one."""
        trial = self._running.model.trial
        if trial is None:
            return
        said = trial.summary()
        yield GaugeMetricFamily(
            "reloop2_release_rows", "labelled rows that both bases have scored", value=said["rows"]
        )
        for figure, text in (("log_loss", "of these rows"), ("auc", "of these rows")):
            family = GaugeMetricFamily(f"reloop2_release_{figure}", text, labels=["base", "score"])
            gain = GaugeMetricFamily(
                f"reloop2_release_{figure}_gain",
                "of the new base over the old one, more is better; 95 % interval",
                labels=["score", "bound"],
            )
            for score in ("base", "served"):
                for base, value in (said[score][figure] or {}).items():
                    if value is not None:
                        family.add_metric([base, score], value)
                bounds = said[score][f"{figure}_gain"] or []
                for bound, value in zip(("mean", "low", "high"), bounds, strict=False):
                    if value is not None:
                        gain.add_metric([score, bound], value)
            yield family
            yield gain


def made_registry(running: Running) -> tuple[CollectorRegistry, Histogram]:
    """Return a registry of a model, and the histogram of requests' seconds by route and status."""
    registry = CollectorRegistry()
    registry.register(running.collector())
    names = ["route", "status"]
    seconds = Histogram(
        "reloop2_request_seconds", "time of a request", names, buckets=SECONDS, registry=registry
    )
    return registry, seconds
