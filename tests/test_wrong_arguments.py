"""Any type in the place of a number is one ValueError that names the argument: classes and calls.

The memories, `Gate` and `Online` are in `test_bad_input`; what a dataset or a service holds up to
here is made as little as can be, since arguments are looked at first.
"""

import functools

import numpy as np
import pytest

from reloop2_keras.core.arguments import columns, flag, integer, number, optional, sequence
from reloop2_keras.core.array_checks import FieldRanges
from reloop2_keras.core.base_arguments import checked_deepfm
from reloop2_keras.core.base_search import BaseSearch
from reloop2_keras.core.binned_metrics import BinnedMetrics
from reloop2_keras.core.bootstrap import interval_of_slots
from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.hashed_rows import checked_bits
from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.logistic import logistic_path
from reloop2_keras.core.normalization import Normalization
from reloop2_keras.core.online.coarser import with_coarser_bins
from reloop2_keras.core.online.crosses import choose_crosses
from reloop2_keras.core.online.hedge import Hedge
from reloop2_keras.core.online.waiting import Waiting
from reloop2_keras.core.order import EpochOrder
from reloop2_keras.core.retraction import Receipts
from reloop2_keras.core.serving.alarms import PageHinkley
from reloop2_keras.core.serving.batch_learn import learn_file
from reloop2_keras.core.serving.deepfm_graph import deepfm_graph
from reloop2_keras.core.serving.late_labels import Learner
from reloop2_keras.core.serving.onnx_base import OnnxBase
from reloop2_keras.core.serving.requests import Requests
from reloop2_keras.core.serving.seen_values import SeenValues
from reloop2_keras.core.serving.snapshots import Snapshots
from reloop2_keras.core.serving.trial import Trial
from reloop2_keras.rivals.adpredictor import AdPredictor
from reloop2_keras.rivals.served import checked_numeric
from reloop2_keras.rivals.vowpal import VowpalWabbit

NAN, INF = float("nan"), float("inf")
TYPES = ("3", b"3", None, [3], {}, 1 + 0j, True, np.bool_(True), NAN, INF, -INF, np.float32(NAN))
NO_NUMBER = (*TYPES, -(2**70), -1)
NO_WHOLE = (*NO_NUMBER, 1.5, np.float64(1.5), 2**70, 10**5000)
NO_SHARE = (*NO_NUMBER, 2**70, np.float32(1.5))
NOT_NONE = tuple(value for value in NO_WHOLE if value is not None)
HASHES = np.zeros((4, 2), "int32")
DEEPFM = dict(zip(("embedding_dim", "hidden_units", "dropout"), (4, [4], 0.1), strict=True))
DEEPFM |= {"embedding_l2": 0.0, "linear_l2": None, "initializer_stddev": None}


def penalties(penalty):
    return list(logistic_path(HASHES, HASHES.astype("float32"), np.r_[0, 1, 0, 1], 3, [penalty]))


crosses = functools.partial(choose_crosses, HASHES, np.r_[0, 1, 0, 1], np.full(4, 0.5))
coarser = functools.partial(with_coarser_bins, HASHES)
order = functools.partial(EpochOrder, (3, 2))
COLUMNS = ("3", 3, None, [None], [-1], [0.5], ["0"], [2**70], [True], [0, 0])
BINS, SLOTS = {"columns": [0], "bins": 8}, {"differences": [0.1, 0.2]}
LATE, ORDER = {"share": 0.5, "longest": 1}, {"shuffle": True, "seed": 1, "shuffle_rows": 9}
SEEN = {"fields": [], "raw": {"columns": {}}, "arms": 1}
# what is made, arguments that are right, argument -> what is no good
CASES = [
    (Hedge, {}, {"arms": (*NO_WHOLE, 0)}),
    (Hedge, {"arms": 2}, {"rate": (*NO_NUMBER, 0), "share": (*NO_SHARE, 1), "penalty": NO_NUMBER}),
    (Waiting, {"columns": {}}, {"rows": (*NO_WHOLE, 0, 2**31)}),
    (Receipts, {}, {"limit": (*NO_WHOLE, 0)}),
    (BinnedMetrics, {}, {"num_bins": (*NO_WHOLE, 1, 2**31), "epsilon": (*NO_SHARE, 0.5)}),
    (interval_of_slots, SLOTS, {"level": (*NO_SHARE, 0, 1), "draws": (*NO_WHOLE, 0, 10**9)}),
    (interval_of_slots, SLOTS, {"block": (*NOT_NONE, 0, 3)}),
    (LateClicks, LATE, {"share": (*NO_SHARE, 0), "seed": NO_WHOLE}),
    (Normalization, {}, {"ridge": NO_NUMBER}),
    (penalties, {}, {"penalty": (*NO_NUMBER, 0)}),
    (crosses, {}, {"max_crosses": NO_WHOLE, "fixed": ([["0", 1]], [[0, 2]], [[-1, 0]], [3])}),
    (coarser, {"columns": [0]}, {"bins": (*NO_WHOLE, 1, 4097)}),
    (coarser, BINS, {"columns": [*COLUMNS[:-1], [2]], "steps": ([1], [9], ["2"], [2.5], 2, "2")}),
    (order, ORDER, {"seed": NO_WHOLE, "shuffle_rows": (*NO_WHOLE, 0), "shuffle": (0, "no", None)}),
    (FieldRanges.of_ids, {}, {"num_ids": (*NO_WHOLE, 0, 2**31)}),
    (PageHinkley, {}, {"tolerated": (*NO_NUMBER, 0), "threshold": (*NO_NUMBER, 0)}),
    (PageHinkley, {}, {"warm_up": (*NO_WHOLE, 1)}),
    (learn_file, {"model": None, "store": None, "file": None}, {"delay": NO_WHOLE}),
    (deepfm_graph, {"config": {}, "arrays": {}}, {"rows": (*NOT_NONE, 0, 2**31)}),
    (Learner, {"online": None}, {"late_rows": NO_WHOLE}),
    (OnnxBase, {"model": b""}, {"threads": (*NO_WHOLE, 0, 10**6), "batch_size": (*NO_WHOLE, 0)}),
    (Requests, {}, {"limit": (*NO_WHOLE, 0)}),
    (SeenValues, SEEN, {"limit": (*NO_WHOLE, 0, 10**12), "marks": (*NO_WHOLE, 3)}),
    (Snapshots, {"folder": None, "name": ""}, {"keep": (*NO_WHOLE, 1), "older": NO_WHOLE}),
    (Trial, {"number": 1, "new": "n", "old": "o"}, {"limit": (*NO_WHOLE, 0)}),
    (AdPredictor, {}, {"beta": (*NO_NUMBER, 0), "epsilon": (*NO_SHARE, 1)}),
    (AdPredictor, {}, {"prior_probability": (*NO_SHARE, 0, 1), "bits": (*NO_WHOLE, 0, 25)}),
    (AdPredictor, {}, {"numeric": COLUMNS}),
    (checked_numeric, {}, {"numeric": COLUMNS}),
    (VowpalWabbit, {}, {"bits": (*NO_WHOLE, 7, 29), "numeric": COLUMNS, "options": ("-l", 3)}),
    (BaseSearch, {}, {"seconds": NO_NUMBER}),
    (checked_deepfm, DEEPFM, {"embedding_dim": (*NO_WHOLE, 0), "dropout": (*NO_SHARE, 1)}),
    (checked_deepfm, DEEPFM, {"embedding_l2": NO_NUMBER, "hidden_units": ("3", 3, [None])}),
    (checked_deepfm, DEEPFM, {"linear_l2": NO_NUMBER[:2], "initializer_stddev": NO_NUMBER[:2]}),
    (checked_bits, {"fields": [{"cardinality": 9}]}, {"hashed": ("3", -1, 31, 2.5, [True], {})}),
    (Delay, {}, {"amount": NO_WHOLE}),
    (functools.partial(Delay, unit="seconds"), {}, {"amount": NO_NUMBER}),
    (Candidates, {}, {"validation_slots": (*NO_WHOLE, 0), "max_crosses": NO_WHOLE}),
    (Candidates, {}, {"exact_capacity": (*NO_WHOLE, 0), "num_neighbors": (*NO_WHOLE, 0)}),
    (Candidates, {}, {"feature_bits": (*NO_WHOLE, 25), "feature_prior": (*NO_NUMBER, 0)}),
    (Candidates, {}, {"compensations": (3, "3", ["0"], [1.5], [NAN]), "label_weights": ([-1],)}),
    (Candidates, {}, {"learning_rates": (3, "3", ["0"], [0], [NAN], [INF]), "crosses": ("ab", 3)}),
    (Candidates, {}, {"sketch_sizes": (3, "3", [3], [(70,)], [("70", 12)], [(70, 99)])}),
]
SAID = {(SeenValues, "limit"): "values", (penalties, "penalty"): "penalties"}
SAID |= {(made, "amount"): "delay" for made, _, _ in CASES if "Delay" in repr(made)}
ROWS = [
    (made, right, name, value)
    for made, right, wrong in CASES
    for name, values in wrong.items()
    for value in values
]


def label(made, name, value):
    called = getattr(made, "__name__", None) or made.func.__name__
    text = type(value).__name__ if isinstance(value, int) and abs(value) > 10**9 else str(value)
    return f"{called}-{name}-{text[:12]}"


@pytest.mark.parametrize(
    ("made", "right", "name", "value"), ROWS, ids=[label(m, n, v) for m, _, n, v in ROWS]
)
def test_what_is_no_number_of_the_range_is_named(made, right, name, value):
    with pytest.raises(ValueError, match=" must | needs ") as caught:
        made(**{**right, name: value})
    message, said = str(caught.value), SAID.get((made, name), name)
    assert f"`{said}`" in message and "Received" in message, message
    assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize("kind", [int, float, np.int8, np.uint32, np.int64, np.float16, np.float64])
def test_whole_numbers_of_any_kind_are_taken_and_are_plain_afterwards(kind):
    assert (
        type(integer("x", kind(3), 1, 3)) is int and type(number("x", kind(3), "(0, 3]")) is float
    )
    hedge, window = Hedge(kind(2), rate=kind(1)), Receipts(kind(3))
    assert type(hedge.arms) is type(window.limit) is int and type(hedge.rate) is float
    assert checked_bits([{"cardinality": 9}], kind(3)) == [3]
    assert LateClicks(kind(1), 1, seed=kind(7)) == LateClicks(1.0, 1, seed=7)


def test_numbers_beyond_every_float_are_refused_in_one_line():
    for value in (10**400, -(10**400), 10**5000):
        with pytest.raises(ValueError, match="`x` must be > 0 and finite. Received: "):
            number("x", value, "(0, inf)")
        with pytest.raises(ValueError, match="`x` must be an integer >= 1. Received: "):
            integer("x", value, 1)


def test_what_holds_itself_is_shown_by_its_type():
    circle = []
    circle.append(circle)
    deep = [circle]
    for _ in range(100_000):
        deep = [deep]
    for check in (integer, number, columns, flag):
        limits = {integer: (1,), number: ("(0, 1)",)}.get(check, ())
        for value in (circle, deep):
            with pytest.raises(ValueError, match="`x` must be"):
                check("x", value, *limits)
    assert optional(integer, "x", None, 1) is None and sequence("x", (1, 2), "ints") == [1, 2]


def test_one_loader_of_yaml_refuses_a_key_given_twice():
    yaml = pytest.importorskip("yaml")
    from reloop2_keras.core.yaml_keys import once_each

    class Mine(ValueError):
        pass

    for base in (yaml.SafeLoader, yaml.BaseLoader):
        loader = once_each(base, "my.yaml", Mine)
        assert yaml.load("{a: 1, b: {a: 2}}", loader)
        for text in ("a: 1\na: 2", "b: {a: 1, a: 1}", "- {a: 1, b: 2, a: 3}"):
            with pytest.raises(Mine, match="^my.yaml: a is given twice$"):
                yaml.load(text, loader)


def test_as_many_cases_as_are_told():
    assert len(ROWS) >= 700
