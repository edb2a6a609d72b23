"""Evaluate ReLoop2 on the stream: python -m mindspore_port.eval --checkpoint_path FILE [--name …].

Streams the slots in their order: each is predicted, scored, and only then written to the memory.
Prints AUC of base and compensated predictions a slot, writes auc.log and, beside it, metrics.json.
The checkpoint is a base model (the memory is made by the settings; lambda and gamma are chosen on
the validation slots where `tune` is true) or a ReLoop2 with a memory of its own.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mindspore_port.config import Config, parse
from mindspore_port.data import PreparedDataset
from mindspore_port.layers import (
    ErrorMemory,
    ExactErrorMemory,
    FeatureErrorMemory,
    SketchErrorMemory,
)
from mindspore_port.logs import Log, check_logs, command
from mindspore_port.models.checkpoint_file import load_model
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.models.serving import HASHES
from mindspore_port.models.training_residuals import warm_start
from mindspore_port.streaming.arms import Arm, FrozenBase, Gated, Memory
from mindspore_port.streaming.prequential_loop import backend
from mindspore_port.streaming.tune import best_setting, training_keys, tune_memory
from mindspore_port.workers import Workers
from reloop2_keras.core.arms import Corrected
from reloop2_keras.core.metrics import auc
from reloop2_keras.core.prequential import iter_prequential, report_of
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.slots import Slot


def make_memory(config: Config) -> ErrorMemory:
    """Return the empty memory that the settings describe."""
    if config.memory == "feature":
        return FeatureErrorMemory(
            config.feature_bits, config.prior, residual=config.residual, seed=config.seed
        )
    common = {
        "temperature": config.temperature,
        "key_normalization": config.key_normalization,
        "seed": config.seed,
    }
    if config.memory == "exact":
        return ExactErrorMemory(config.capacity, config.num_neighbors, **common)
    return SketchErrorMemory(config.num_arrays, config.num_bits, **common)


def make_fast(
    config: Config, base: DeepFM, dataset: PreparedDataset, warmup: list[Slot], log: Log
) -> Corrected:
    """Return the fast part for a base model, its choices made on training and validation."""
    memory = make_memory(config)
    if config.memory == "feature":
        if config.warm_start:
            batches = dataset.train(config.eval_batch_size, seed=config.seed, hashes=True)
            warm_start(base, batches, [memory])
        log(f"memory: feature, residual {config.residual}, gate learnt online")
        return Gated([(memory, HASHES)])
    size, hashes = config.eval_batch_size, base.takes_hashes
    batches = dataset.train(size, seed=config.seed, hashes=hashes)
    memory.adapt(training_keys(base, batches, (config.key,))[config.key])
    strength, weight = config.compensation, config.label_weight
    if config.tune:
        grid = tune_memory(base, warmup, {"memory": (memory, config.key)}, delay=config.delay)
        best = best_setting(grid)
        strength, weight = best["compensation"], best["label_weight"]
    log(
        f"memory: {config.memory}, key {config.key}, lambda {strength}, gamma {weight}"
        + (" (chosen on validation)" if config.tune else "")
    )
    return Memory(memory, config.key, strength, weight)


def make_arms(
    config: Config, model: DeepFM | ReLoop2, dataset: PreparedDataset, log: Log
) -> tuple[list[Arm], list[Slot]]:
    """Return the arms "base" and "compensated", and the slots that fill the memory first."""
    warmup = dataset.validation_slots(config.validation_slots)
    if not isinstance(model, ReLoop2):
        frozen = FrozenBase(model)
        fast = make_fast(config, model, dataset, warmup, log)
        return [Arm("base", frozen), Arm("compensated", frozen, fast)], warmup
    log("memory: of the checkpoint, as it is")
    if model.gate is None:
        fast = Memory(model.memory, model.keys[0], model.compensation, model.label_weight)
    else:
        fast = Gated(list(zip(model.memories, model.keys, strict=True)), model.gate)
    # one that was written already has seen what came before the slots
    written = any(memory.num_writes for memory in model.memories)
    frozen = FrozenBase(model.base)
    return [Arm("base", frozen), Arm("compensated", frozen, fast)], [] if written else warmup


def _logged(events: Iterable[dict[str, Any]], log: Log) -> Iterator[dict[str, Any]]:
    """Pass events on; a line for each."""
    for event in events:
        labels, p = event["arrays"]["label"], event["predictions"]
        log(
            f"slot: {event['slot']}, rows: {len(labels)}, base AUC: {auc(labels, p['base']):.6f}, "
            f"compensated AUC: {auc(labels, p['compensated']):.6f}"
        )
        yield event
        del event, labels, p  # not to be held while the next slot is loaded


def evaluate_stream(config: Config) -> PrequentialReport:
    """Stream the slots as the settings say; returns the `PrequentialReport`."""
    Workers(config.device_target, config.device_id, config.mode)
    check_logs(config, "eval_file_name")
    log = Log(config.eval_file_name)
    dataset = PreparedDataset(config.dataset_path)
    model = load_model(config.checkpoint_path)
    base = model.base if isinstance(model, ReLoop2) else model
    if base.num_ids != dataset.num_ids or len(base.fields) != len(dataset.fields):
        raise ValueError(
            f"{config.checkpoint_path}: expected a model of {len(dataset.fields)} fields and "
            f"{dataset.num_ids} ids, as {config.dataset_path} has, found {len(base.fields)} "
            f"and {base.num_ids}"
        )
    arms, warmup = make_arms(config, model, dataset, log)
    events = iter_prequential(dataset.slots(), arms, config.delay, warmup, progress=False)
    info = {"backend": backend(), "dataset": dataset.name}
    report = report_of(_logged(events, log), arms, config.delay, config.seed, info)
    rows = report.overall()
    log(
        f"all slots, rows: {len(report.labels)}, base AUC: {rows['base']['auc']:.6f}, "
        f"compensated AUC: {rows['compensated']['auc']:.6f}, base log loss: "
        f"{rows['base']['logloss']:.6f}, compensated log loss: {rows['compensated']['logloss']:.6f}"
    )
    report.save(Path(config.eval_file_name).parent)
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    return command("eval", __doc__, lambda words: evaluate_stream(parse(words)), argv)


if __name__ == "__main__":
    sys.exit(main())
