"""The gates of the two stages and the hedge: against plain NumPy, and that nothing throws them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core import newton
from reloop2_keras.core.online import Hedge, LogisticGate
from reloop2_keras.core.online.hedge import shifted_losses, shifted_losses_numpy
from reloop2_keras.core.online.second_stage import SecondStage


def block(seed, rows=300, width=4):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, width))
    return x, (rng.random(rows) < 1 / (1 + np.exp(0.4 - x[:, 0] + 0.5 * x[:, -1]))).astype(float)


def plain(start, precision, blocks):
    """Newton steps to the end, with the prior that all blocks before have made."""
    w, hessian = np.array(start, float), np.diag(np.array(precision, float))
    for x, y in blocks:
        origin, prior = w.copy(), hessian.copy()
        for _ in range(30):
            q = 1 / (1 + np.exp(-x @ w))
            hessian = prior + x.T @ (x * (q * (1 - q))[:, None])
            w = w + np.linalg.solve(hessian, x.T @ (y - q) - prior @ (w - origin))
    return w, hessian


@pytest.mark.parametrize("width", [1, 4, 45])
def test_gate_equals_plain_newton(width):
    blocks = [block(seed, 600, width) for seed in range(4)]
    precision = np.linspace(1, 10, width)
    gate = LogisticGate(np.zeros(width), precision, iterations=30)
    for x, y in blocks:
        gate.update(x, y)
    want, hessian = plain(np.zeros(width), precision, blocks)
    np.testing.assert_allclose(gate.coefficients, want, atol=2e-3)
    np.testing.assert_allclose(gate.precision, hessian, rtol=2e-2, atol=1.0)
    x = blocks[0][0]
    np.testing.assert_allclose(gate(x), x @ gate.coefficients, atol=1e-12)


def test_a_hessian_made_once_leads_to_the_same_place():
    x, y = block(5, 900, 6)
    start, precision = np.array([0.3, 0.0, 0.0, 0.1, 0.0, -0.4]), np.linspace(1, 10, 6)
    gate = LogisticGate(start, precision, iterations=30, once=True)
    gate.update(x, y)
    np.testing.assert_allclose(gate.coefficients, plain(start, precision, [(x, y)])[0], atol=0.02)
    q = 1 / (1 + np.exp(-x @ start))  # what it believes is the Hessian where the block begins
    hessian = np.diag(precision) + x.T @ (x * (q * (1 - q))[:, None])
    np.testing.assert_allclose(gate.precision, hessian, rtol=1e-9)


def test_fast_and_plain_steps_agree():
    x, y = block(0, 500, 12)
    prior = np.eye(12) * 3
    slow = newton.newton_step(x, y, np.ones(12), np.zeros(12), prior)
    fast = newton.newton_step(x, y, np.ones(12), np.zeros(12), prior, fast=True)
    for a, b in zip(slow, fast, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert slow[2] > 0
    z = np.array([-800.0, -30.0, 0.0, 30.0, 800.0])
    for y in (np.zeros(5), np.ones(5)):
        for a, b in zip(newton.pointwise(z, y), newton.pointwise(z, y, fast=True), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    rows=st.sampled_from([0, 1, 2, 64]),
    labels=st.sampled_from(["zeros", "ones", "mixed"]),
    kind=st.sampled_from(["collinear", "constant", "zero", "huge", "as they come"]),
)
def test_no_block_throws_a_gate_off(seed, rows, labels, kind):
    x, y = block(seed, rows)
    y = {"zeros": np.zeros(rows), "ones": np.ones(rows), "mixed": y}[labels]
    x = {
        "collinear": np.repeat(x[:, :1], 4, axis=1) * [1, 2, -3, 1],
        "constant": np.full_like(x, 4.0),
        "zero": np.zeros_like(x),
        "huge": x * 1e4,
        "as they come": x,
    }[kind]
    gate = LogisticGate([0.5, 0, 0, 0], 1.0)
    for _ in range(3):
        gate.update(x, y)
    assert np.isfinite(gate.coefficients).all() and np.isfinite(gate.precision).all()
    z = x @ gate.coefficients
    before = newton.log_loss(x @ np.array([0.5, 0, 0, 0]), y)
    assert newton.log_loss(z, y) <= before + 1e-3 * (1 + before)


def test_gate_and_hedge_save_load_and_mend():
    x, y = block(1)
    gate, hedge, stage = LogisticGate(np.zeros(4)), Hedge(4), SecondStage([True] * 4)
    for _ in range(2):
        gate.update(x, y)
        hedge.update(x, y)
        _, logits = stage(x)
        stage.store(stage.solved(logits, y))
    for part, fresh in (
        (gate, LogisticGate(**gate.get_config())),
        (hedge, Hedge(**hedge.get_config())),
        (stage, SecondStage([True] * 4)),
    ):
        fresh.load_state(part.state())
        for name, array in fresh.state().items():
            np.testing.assert_allclose(array, part.state()[name], rtol=1e-15)
        part.reset()
        assert not np.allclose(
            np.concatenate([a.ravel() for a in part.state().values()]),
            np.concatenate([a.ravel() for a in fresh.state().values()]),
        )
    state = gate.state()
    gate.load_state({**state, "precision": -np.eye(4)})  # what float32 can make of 0
    assert np.linalg.eigvalsh(gate.precision).min() > 0.99
    for weights in (-np.ones(4), np.zeros(4), np.full(4, np.nan)):
        with pytest.raises(ValueError, match="weights"):
            hedge.load_state({"weights": weights})
    np.testing.assert_array_equal(hedge.weights, 0.25)
    stage_state = stage.state()
    with pytest.raises(ValueError, match="gate_1/precision"):
        stage.load_state({**stage_state, "gate_1/precision": np.eye(3)})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LogisticGate([]), "start"),
        (lambda: LogisticGate([np.nan]), "start"),
        (lambda: LogisticGate([0.0], 0.0), "precision"),
        (lambda: LogisticGate([0.0, 0.0], [1.0]), "precision"),
        (lambda: LogisticGate([0.0], iterations=0), "iterations"),
        (lambda: LogisticGate([0.0], forget=0), "forget"),
        (lambda: LogisticGate([0.0])(np.zeros((3, 2))), "shape"),
        (lambda: LogisticGate([0.0])(np.full((3, 1), np.inf)), "finite"),
        (lambda: LogisticGate([0.0]).update(np.zeros((3, 1)), [0, 1, 2]), "row 2"),
        (lambda: Hedge(0), "arms"),
        (lambda: Hedge(2, rate=0), "rate"),
        (lambda: Hedge(2, share=1), "share"),
        (lambda: Hedge(2, penalty=-1), "penalty"),
        (lambda: Hedge(2, prior=[1.0]), "prior"),
        (lambda: Hedge(2, prior=[1.0, 0.0]), "prior"),
        (lambda: Hedge(2)(np.zeros((3, 1))), "shape"),
        (lambda: Hedge(2).update(np.zeros((3, 2)), [0, 1]), "3 rows"),
        (lambda: Hedge(2).update(np.full((1, 2), np.nan), [0]), "finite"),
    ],
)
def test_hostile_inputs_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("penalty", [0.0, 11.0])
def test_hedge_equals_the_plainest_form(penalty):
    x, y = block(2)
    prior = np.array([0.1, 0.2, 0.3, 0.4])
    hedge, weights = Hedge(4, 0.1, 0.05, prior * 5, penalty), prior
    for _ in range(3):
        np.testing.assert_allclose(hedge(x), (1 / (1 + np.exp(-x))) @ weights)
        hedge.update(x, y)
        losses = []
        for z in x.T:
            shifts = np.linspace(-2, 2, 40001)
            cost = lambda s, z=z: newton.log_loss(z + s, y) + penalty * s**2 / 2  # noqa: E731
            mean = [cost(s) for s in shifts[::400]]
            near = shifts[::400][np.argmin(mean)] + np.linspace(-0.04, 0.04, 81)
            losses.append(min(cost(s) for s in near))
        weights = weights * np.exp(-0.1 * (np.array(losses) - min(losses)))
        weights = 0.95 * weights / weights.sum() + 0.05 * prior
        np.testing.assert_allclose(hedge.weights, weights, atol=1e-3)
    for z, labels in ((x * 30, y), (x, y * 0), (x, y * 0 + 1), (x[:0], y[:0])):
        np.testing.assert_allclose(
            shifted_losses(z, labels, penalty),
            shifted_losses_numpy(z, labels, penalty),
            rtol=1e-9,
        )


def test_a_gate_forgets_back_to_how_sure_it_was_at_first():
    x, y = block(3)
    gate = LogisticGate(np.zeros(4), [1.0, 2.0, 3.0, 4.0], forget=0.5)
    gate.update(x, y)
    held, left = gate.precision.copy(), 0.5 ** (len(y) / 1000)
    believed = left * held + (1 - left) * np.diag([1.0, 2.0, 3.0, 4.0])
    twin = LogisticGate(np.zeros(4))
    twin.store((gate.coefficients, believed))
    gate.update(x, y)
    twin.update(x, y)
    np.testing.assert_allclose(gate.coefficients, twin.coefficients, rtol=1e-12)
    np.testing.assert_allclose(gate.precision, twin.precision, rtol=1e-12)
    for _ in range(60):
        gate.update(x, y)
    share = np.linalg.eigvalsh(gate.precision).max() / np.linalg.eigvalsh(held).max()
    assert share < 1.2 / (1 - left)  # what it has learnt does not add up for ever


def test_hedge_follows_a_change_and_does_not_mind_a_late_day():
    rng, hedge = np.random.default_rng(0), Hedge(2)
    truth = rng.normal(size=(40, 500)) * 2
    for number, z in enumerate(truth):
        arms = np.stack([z, 0.3 * z] if number < 20 else [0.3 * z, z], axis=1)
        hedge.update(arms, rng.random(500) < 1 / (1 + np.exp(-z)))
        if number == 19:
            assert hedge.weights[0] > 0.9
    assert hedge.weights[1] > 0.9
    late, z = Hedge(2), truth[0]
    # all rows are late together: arm 0 knows their order, arm 1 happens to know their number
    labels = rng.random(500) < 1 / (1 + np.exp(-z - 3))
    late.update(np.stack([z, np.full(500, 2.0)], axis=1), labels)
    assert late.weights[0] > 0.6
