"""Train the base model: `python -m mindspore_port.train [--config_path FILE] [--name value …]`.

Every key of default_config.yaml is a flag. Writes checkpoints, `base.ckpt` (the last epoch's
weights), loss.log and, on the validation period, auc.log. Goes on from the newest checkpoint.
"""

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindspore_port.checkpoints import Checkpoints
from mindspore_port.config import Config, parse
from mindspore_port.data import Batches, PreparedDataset
from mindspore_port.logs import Log, check_logs, command
from mindspore_port.models.checkpoint_file import save_model
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.model_weights import weights
from mindspore_port.models.row_sparse_step import RowSparseStep
from mindspore_port.models.train_step import TrainStep, adam
from mindspore_port.tensors import assign
from mindspore_port.workers import Workers
from reloop2_keras.core.command_line import check_out_folder
from reloop2_keras.core.description import sealed
from reloop2_keras.core.metrics import evaluate
from reloop2_keras.core.run_identity import run_identity

_OF_THE_STEP = ("batch_size", "learning_rate", "epsilon", "compute_dtype", "device_target")


def make_step(
    config: Config, dataset: PreparedDataset, workers: Workers
) -> tuple[DeepFM, TrainStep | RowSparseStep]:
    """Return the base model and the step that trains it."""
    half = config.compute_dtype == "float16" or (
        config.compute_dtype == "auto" and config.device_target != "CPU"
    )
    base = DeepFM(
        dataset.fields,
        config.embedding_dim,
        config.hidden_units,
        config.dropout,
        config.embedding_l2,
        config.initializer_stddev,
        seed=config.seed,
        compute_dtype="float16" if half else "float32",
        hashed=config.hashed_bits or None,
    )
    if config.row_sparse:
        if half or workers.size > 1:
            raise ValueError(
                "--row_sparse true: expected one worker and --compute_dtype float32, found "
                f"{workers.size} workers and {base.compute_dtype}"
            )
        return base, RowSparseStep(base, config.learning_rate, config.epsilon)
    optimizer = adam(base, config.learning_rate, config.epsilon)
    return base, TrainStep(
        base,
        optimizer,
        workers.reducer(optimizer.parameters),
        config.loss_scale if half else None,
        workers.mean(),
    )


def train_epoch(
    step: TrainStep | RowSparseStep, batches: Batches, epoch: int, log_steps: int, log: Log
) -> float:
    """Train on every row once; returns the mean loss."""
    step.set_train(True)
    losses, start = [], time.perf_counter()
    for index, columns in enumerate(batches.iterate(epoch)):
        losses.append(float(step(*step.prepare(*columns)).asnumpy()))
        if index == 0:  # the first step compiles
            first, start = time.perf_counter() - start, time.perf_counter()
        if (index + 1) % log_steps == 0 or index + 1 == len(batches):
            each = (time.perf_counter() - start) / max(index, 1) if index else first
            log(
                f"epoch: {epoch + 1} step: {index + 1}/{len(batches)}, loss: {losses[-1]:.6f}, "
                f"per step time: {1000 * each:.1f} ms"
            )
    return float(np.mean(losses))


def validate(
    base: DeepFM, dataset: PreparedDataset, workers: Workers, batch_size: int
) -> dict[str, Any]:
    """Predict the validation period, each worker its own rows; returns metrics of all of them.

    Raises:
        RuntimeError: if a row was not covered exactly once.
    """
    batches = dataset.validation(
        batch_size, rank=workers.rank, num_workers=workers.size, hashes=base.takes_hashes
    )
    base.set_train(False)
    # columns: prediction, label, how often the row was covered
    found = np.zeros((batches.num_rows, 3), "float32")
    for index, (ids, values, label, weight, *hashes) in enumerate(batches.iterate()):
        start, stop = batches.rows_of(index)
        real = weight.asnumpy() > 0
        found[start:stop, 0] = base.unchecked(ids, values, *hashes).asnumpy()[real, 0]
        found[start:stop, 1] = label.asnumpy()[real]
        found[start:stop, 2] += 1
    found = workers.total(found)
    if not (found[:, 2] == 1).all():
        raise RuntimeError(f"{(found[:, 2] != 1).sum()} validation rows not covered once")
    return evaluate(found[:, 1], found[:, 0])


def fingerprint(base: DeepFM) -> str:
    """SHA-256 of all weights of a model, hexadecimal."""
    total = hashlib.sha256()
    for array in weights(base).values():
        total.update(array.tobytes())
    return total.hexdigest()


def train(config: Config) -> DeepFM:
    """Train as the settings say; returns the base model."""
    workers = Workers(config.device_target, config.device_id, config.mode, config.run_distribute)
    quiet = workers.rank > 0
    check_out_folder(config.ckpt_path, "--ckpt_path")  # told before an epoch, not after it
    check_logs(config, "loss_file_name", "eval_file_name")
    if workers.distributed:  # scripts/common.sh finds a dead worker's log by it
        Log()(f"worker {workers.rank} of {workers.size}: process {os.getpid()}")
    loss_log = Log(config.loss_file_name, quiet)
    auc_log = Log(config.eval_file_name, quiet)
    dataset = PreparedDataset(config.dataset_path)
    base, step = make_step(config, dataset, workers)
    batches = dataset.train(
        config.batch_size,
        seed=config.seed,
        rank=workers.rank,
        num_workers=workers.size,
        hashes=base.takes_hashes,
    )
    about = run_identity(
        checksum=sealed(dataset.meta)["sha256"],
        workers=workers.size,
        row_sparse=config.row_sparse,
        **{name: getattr(config, name) for name in ("seed", *_OF_THE_STEP)},
    )
    checkpoints = Checkpoints(config.ckpt_path, config.keep_checkpoints, about)
    done = checkpoints.resume(base, step) if config.resume else 0
    # masks of its own for each worker; the checkpoint holds the first one's count
    assign(base.dropout_step, base.dropout_step.asnumpy() + (workers.rank << 24))
    loss_log(
        f"worker {workers.rank} of {workers.size} on {config.device_target}: "
        f"{batches.num_rows:,} rows, {len(batches)} steps an epoch, epochs {done + 1} to "
        f"{config.epochs}"
    )
    for epoch in range(done, config.epochs):
        loss = train_epoch(step, batches, epoch, config.log_steps, loss_log)
        loss_log(f"epoch: {epoch + 1}, mean loss: {loss:.6f}")
        if config.do_eval:
            m = validate(base, dataset, workers, config.eval_batch_size)
            auc_log(
                f"epoch: {epoch + 1}, validation rows: {m['rows']}, AUC: {m['auc']:.6f}, "
                f"log loss: {m['logloss']:.6f}"
            )
        if not quiet:
            checkpoints.save(base, step, epoch + 1)
    if workers.distributed:  # in each worker's own log: equal weights, equal sums
        Log()(f"worker {workers.rank}: weights sha256 {fingerprint(base)}")
    if not quiet:
        path = Path(config.ckpt_path) / "base.ckpt"
        save_model(base, path)
        loss_log(f"saved: {path}")
    return base


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    return command("train", __doc__, lambda words: train(parse(words)), argv)


if __name__ == "__main__":
    sys.exit(main())
