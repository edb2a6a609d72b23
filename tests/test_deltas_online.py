"""Gates, Hedge and `Online` as a whole: what workers learnt side by side adds up."""

import dataclasses

import numpy as np
import pytest

from reloop2_keras.core.deltas import Delta, merge_deltas
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.newton import newton_step, sigmoid
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.hedge import Hedge, shifted_losses
from reloop2_keras.core.online.logistic_gate import LogisticGate
from reloop2_keras.core.online.rule_deltas import (
    added,
    block_sums,
    gate_growth,
    gate_solved_together,
    grown_gate,
    grown_hedge,
    hedge_growth,
    losses_of,
    solved_together,
)


def block(seed, rows=120, width=4, rare=False):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(rows, width))
    design[:, 0] = 1.0
    labels = (rng.random(rows) < sigmoid(design @ np.array([-0.5, 1.0, -2.0, 0.3]))).astype(float)
    return (design, np.ones(rows)) if rare else (design, labels)


def asked(design, labels, workers):
    """Sums of workers, and how often they were asked."""
    parts, count = [(design[n::workers], labels[n::workers]) for n in range(workers)], [0]

    def ask(at):
        count[0] += 1
        return added([block_sums(*part, at) for part in parts])

    return ask, count


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("forget", [1.0, 0.5])
@pytest.mark.parametrize("rare", [True, False])
def test_a_gate_s_block_on_several_workers_is_the_block(workers, once, forget, rare):
    gate = LogisticGate([0.0, 0.3, 0.1, 0.0], 2.0, forget=forget, once=once)
    twin = gate.copy()
    for seed in range(3):
        design, labels = block(seed, rare=rare)
        ask, count = asked(design, labels, workers)
        gate.store(gate.solved(design, labels))
        twin.store(solved_together(twin, ask))
        np.testing.assert_allclose(twin.coefficients, gate.coefficients, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(twin.precision, gate.precision, rtol=1e-9, atol=1e-9)
        assert count[0] <= 12


def test_a_step_that_is_halved_is_halved_alike():
    """The first step from far off goes too far: the loss on all workers says so."""
    gate = LogisticGate([6.0, 0.0, 0.0, 0.0], 1e-3, iterations=1)
    design, labels = block(0)
    full = np.linalg.solve(
        np.diag([1e-3] * 4) + block_sums(design, labels, gate.coefficients).hessian,
        block_sums(design, labels, gate.coefficients).gradient,
    )
    after, _, _ = newton_step(design, labels, gate.coefficients, gate.coefficients, gate.precision)
    assert np.abs(after - gate.coefficients).max() < 0.6 * np.abs(full).max()
    together = solved_together(gate, asked(design, labels, 3)[0])
    np.testing.assert_allclose(together[0], after, rtol=1e-9)


@pytest.mark.parametrize("forgetting", [0.0, 0.2])
def test_the_correction_s_gate_on_three_workers(forgetting):
    gate, rng = Gate(num_offsets=2, forgetting=forgetting), np.random.default_rng(3)
    twin = gate.copy()
    for _ in range(3):
        p, offsets = rng.random(90), rng.normal(size=(90, 2))
        labels = (rng.random(90) < p).astype(float)
        ask, _ = asked(gate._design(p, offsets), labels, 3)
        gate.update(labels, p, offsets)
        twin.store(gate_solved_together(twin, ask))
    np.testing.assert_allclose(twin.coefficients, gate.coefficients, rtol=1e-9)
    np.testing.assert_allclose(twin.precision, gate.precision, rtol=1e-9)


@pytest.mark.parametrize("forget", [1.0, 0.3])
def test_growths_of_one_full_step_each_add_up_to_the_step_on_all_rows(forget):
    start = LogisticGate([0.0, 0.1, 0.0, 0.0], 3.0, iterations=1, forget=forget)
    design, labels = block(1)
    total = 0.0
    for n in range(4):
        worker = start.copy()
        part, rows = slice(n, None, 4), len(labels[n::4])
        sums = block_sums(design[part], labels[part], start.coefficients)
        precision = start.precision + sums.hessian  # a step, before anything fades
        step = np.linalg.solve(precision, sums.gradient)
        worker.store((start.coefficients + step, precision))
        total = total + gate_growth(worker, start.coefficients, start.precision, 0)
        assert rows == 30
    grown_gate(start, total, 0)
    whole = block_sums(design, labels, np.array([0.0, 0.1, 0.0, 0.0]))
    want = np.linalg.solve(np.eye(4) * 3.0 + whole.hessian, whole.gradient)
    np.testing.assert_allclose(start.coefficients - [0.0, 0.1, 0.0, 0.0], want, rtol=1e-9)
    np.testing.assert_allclose(start.precision, np.eye(4) * 3.0 + whole.hessian, rtol=1e-12)


def test_a_hedge_s_weights_by_summed_losses():
    start, rng = Hedge(3, share=0.0), np.random.default_rng(0)
    total, losses = np.zeros(4), np.zeros(3)
    for _ in range(4):
        logits, labels = rng.normal(size=(200, 3)), (rng.random(200) < 0.4).astype(float)
        worker = start.copy()
        worker.update(logits, labels)
        total += hedge_growth(worker, losses_of(start))
        losses += shifted_losses(logits, labels)
    grown_hedge(start, total)
    want = np.exp(-0.02 * (losses - losses.min()))
    np.testing.assert_allclose(start.weights, want / want.sum(), rtol=1e-9)


def test_a_hedge_s_single_block_is_learnt_exactly_and_its_share_once():
    one, rng = Hedge(3, share=0.1, prior=[1.0, 2.0, 3.0]), np.random.default_rng(0)
    other, then = one.copy(), losses_of(one)
    one.update(rng.normal(size=(200, 3)), (rng.random(200) < 0.4).astype(float))
    grown_hedge(other, hedge_growth(one, then))
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-12)
    grown_hedge(other, np.zeros(4))
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-12)


def some(seed, rows):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(1, 30, (rows, 3)).astype("int32")
    labels = rng.random(rows) < 0.1 + 0.6 * (hashes[:, 0] % 2)
    return hashes, labels.astype(float), {"base": np.full(rows, 0.3)}


def started(**kwargs):
    online = Online(3, ["base"], crosses=[[0, 1]], bits=12, block_rows=64, **kwargs)
    teach(online, 0, 500)
    return online


def teach(online, seed, rows):
    hashes, labels, base = some(seed, rows)
    for first in range(0, rows, 50):
        part = slice(first, first + 50)
        p = {"base": base["base"][part]}
        online.learn(online.predict(hashes[part], p), labels[part])


def predicted(online):
    hashes, _, base = some(99, 200)
    return online.predict(hashes, base, variances=True)


@pytest.mark.parametrize("values", [True, False])
def test_a_reader_of_online_is_what_the_writer_is(values):
    writer = started()
    reader, mark = writer.copy(), writer.mark()
    for seed in (1, 2, 3):
        teach(writer, seed, 170)
        delta = Delta.from_bytes(writer.delta_since(mark, values).to_bytes())
        reader.apply_delta(delta)
        mark = writer.mark()
        a, b = predicted(writer), predicted(reader)
        arms = len(writer.arms.arms) + 1
        close = {"rtol": 0, "atol": 0} if values else {"rtol": 1e-5, "atol": 1e-6}
        for name in ("logits", "variances"):
            np.testing.assert_allclose(a[name][:, :arms], b[name][:, :arms], **close)
        if not values:  # several blocks of the Hedge are learnt as if each had lost as much
            close = {"rtol": 0.0, "atol": 0.01}
        np.testing.assert_allclose(a["corrected"], b["corrected"], **close)
        assert writer.arms.tables.rows == reader.arms.tables.rows


def test_values_go_back_to_a_mark_and_absurd_ones_change_nothing():
    writer = started()
    reader, first = writer.copy(), writer.mark()
    mine = reader.mark()
    teach(writer, 1, 100)
    teach(reader, 2, 60)
    absurd = dataclasses.replace(
        writer.delta_since(first), dense=np.full_like(writer.delta_since(first).dense, 1e200)
    )
    state = reader.state()
    for wrong, match in (
        (absurd, "numbers of the rule up to 1e"),
        (dataclasses.replace(absurd, signature="[]"), "`delta.signature` must be"),
        (dataclasses.replace(absurd, signature="x"), "`delta.signature` must be"),
        (dataclasses.replace(absurd, signature=7), "`delta.signature` must be"),
    ):
        with pytest.raises(ValueError, match=match):
            reader.apply_delta(wrong, back_to=mine)
    for name, array in reader.state().items():
        np.testing.assert_array_equal(array, state[name])
    reader.apply_delta(writer.delta_since(first, values=True), back_to=mine)
    np.testing.assert_array_equal(*(predicted(one)["logits"] for one in (writer, reader)))


def test_workers_that_rewind_and_take_the_merged_delta_are_one():
    start = started()
    workers = [start.copy() for _ in range(3)]
    for slot in range(2):
        marks, deltas = [worker.mark() for worker in workers], []
        for n, worker in enumerate(workers):
            teach(worker, 10 * slot + n + 1, 200)
            deltas.append(worker.delta_since(marks[n]))
        nothing = start.copy()
        deltas.append(nothing.delta_since(nothing.mark()))
        merged, other = merge_deltas(deltas), merge_deltas(deltas[::-1])
        for worker, mark in zip(workers, marks, strict=True):
            worker.rewind(mark)
            worker.apply_delta(merged)
        start.apply_delta(other)
        for worker in workers:
            served = predicted(worker)
            np.testing.assert_array_equal(served["corrected"], predicted(workers[0])["corrected"])
            np.testing.assert_allclose(
                served["corrected"], predicted(start)["corrected"], rtol=1e-5, atol=1e-6
            )
        assert start.arms.tables.rows == 500 + 600 * (slot + 1)
    hashes, labels, base = some(50, 400)
    p = start.predict(hashes, base)["corrected"]
    assert p[labels == 1].mean() - p[labels == 0].mean() > 0.3  # and it has learnt


def test_what_does_not_fit_is_refused():
    online = started()
    mark = online.mark()
    teach(online, 1, 100)
    delta, other = online.delta_since(mark), Online(3, ["base"], crosses=[[0, 2]], bits=12)
    with pytest.raises(ValueError, match="same configuration.*crosses"):
        other.apply_delta(delta)
    with pytest.raises(ValueError, match="numbers of the rule"):
        online.apply_delta(dataclasses.replace(delta, dense=delta.dense[:-1]))
    values = online.delta_since(mark, values=True)
    with pytest.raises(ValueError, match="begin where this memory stands"):
        online.apply_delta(values)
    online.rewind(mark)
    wrong = values.dense.copy()
    wrong[-1] = -1.0
    with pytest.raises(ValueError, match="weights >= 0"):
        online.apply_delta(dataclasses.replace(values, dense=wrong))
    online.apply_delta(values)
    with pytest.raises(ValueError, match="`again=True` has no marks"):
        Online(3, again=True).mark()
    online.reset()
    with pytest.raises(ValueError, match="`mark` must be the last one"):
        online.delta_since(mark)
