"""One ValueError for inputs that do not fit, whichever way they come, on every backend."""

import keras
import numpy as np
import pytest

from reloop2_keras import DeepFM, ExactErrorMemory, FactorizationMachine, FieldEmbedding, ReLoop2

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy
FIELDS = [{"cardinality": 20, "name": "user"}, {"cardinality": 10}, {"cardinality": 1}]
ROWS = 40


def batch(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.array([0, 20, 30]) + (rng.random((rows, 3)) * [20, 10, 1]).astype(int)
    x = {"feature_ids": ids.astype("int32"), "feature_values": rng.random((rows, 3), "float32")}
    return x, rng.integers(0, 2, (rows, 1)).astype("float32")


def damaged(kind):
    """A batch that does not fit, and what must be said of it."""
    x, y = batch()
    ids, values = x["feature_ids"], x["feature_values"]
    if kind == "minus one":
        ids[33, 0] = -1
        return (x, y), r"`feature_ids`, row 33, field 0 .user.: expected an id in \[0, 20\), .* -1"
    if kind == "beyond":
        ids[33, 2] = 31
        return (x, y), r"row 33, field 2: expected an id in \[30, 31\), found 31"
    if kind == "another field's":
        ids[33, 1] = 3
        return (x, y), r"row 33, field 1: expected an id in \[20, 30\), found 3"
    if kind == "one axis":
        return ({k: a[0] for k, a in x.items()}, y), r"`feature_ids` must have shape \(rows, 3\)"
    if kind == "no row":
        return ({k: a[:0] for k, a in x.items()}, y[:0]), "`feature_ids` must have at least one row"
    values[33, 1] = {"nan": np.nan, "inf": np.inf}[kind]
    return (x, y), "`feature_values`, row 33, field 1: expected a finite float32"


KINDS = ["minus one", "beyond", "another field's", "nan", "inf", "one axis", "no row"]


class Dataset(keras.utils.PyDataset):
    """Two batches: the second is the one in question."""

    def __init__(self, data):
        super().__init__(workers=1)
        self.data = [batch(seed=1), data]
        self.epochs = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.data[index]

    def on_epoch_begin(self):
        self.epochs += 1


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = DeepFM(FIELDS, 4, (8, 6), initializer_stddev=0.3)
    made.build()
    made.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    made.predict(batch()[0], verbose=0)
    return made


def ways(model):
    """Name -> function of (x, y): all ways in which rows come to a model."""
    quiet = {"verbose": 0}
    return {
        "predict": lambda x, y: model.predict(x, **quiet),
        "evaluate": lambda x, y: model.evaluate(x, y, **quiet),
        "fit": lambda x, y: model.fit(x, y, **quiet),
        "validation": lambda x, y: model.fit(*batch(), validation_data=(x, y), **quiet),
        "predict_on_batch": lambda x, y: model.predict_on_batch(x),
        "test_on_batch": lambda x, y: model.test_on_batch(x, y),
        "train_on_batch": lambda x, y: model.train_on_batch(x, y),
        "call": lambda x, y: model(x),
        "lists": lambda x, y: model({name: array.tolist() for name, array in x.items()}),
        "logits_and_keys": lambda x, y: model.logits_and_keys(x),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_in_names_row_field_and_value_and_changes_nothing(model, kind):
    (x, y), message = damaged(kind)
    before = [w.copy() for w in model.get_weights()]
    for name, run in ways(model).items():
        if name == "validation":
            continue
        # an empty list has one axis
        said = "`feature_ids` must have shape" if (name, kind) == ("lists", "no row") else message
        with pytest.raises(ValueError, match=said):
            run(x, y)
            pytest.fail(f"{name} took {kind}")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=damaged(kind)[1]):
        ways(model)["validation"](x, y)
    assert np.isfinite(model.predict(batch()[0], verbose=0)).all()  # and still answers


def test_batches_of_generators_and_datasets_are_checked_as_they_come(model):
    data, message = damaged("minus one")

    def generator():
        yield from [batch(seed=1), data]

    for x in (generator(), Dataset(data)):
        with pytest.raises(ValueError, match="batch 1: " + message):
            model.evaluate(x, verbose=0)
    first = Dataset(data)
    first.data.reverse()
    before = numpy(model.deep_logit.kernel).copy()
    for run, options in (
        (model.evaluate, {}),
        (model.predict, {}),
        (model.fit, {"shuffle": False}),
    ):
        with pytest.raises(ValueError, match="batch 0: " + message):
            run(first, verbose=0, **options)
        # Keras on JAX would have lost the weights
        np.testing.assert_array_equal(numpy(model.deep_logit.kernel), before)
    with pytest.raises(ValueError, match="batch 1: " + message):
        model.fit(Dataset(data), shuffle=False, verbose=0)
    # the step that was made is kept (TensorFlow, and JAX on a GPU, ask for the second batch before)
    moved = np.abs(numpy(model.deep_logit.kernel) - before).max()
    device = keras.distribution.list_devices()[0] if keras.backend.backend() == "jax" else "cpu"
    early = keras.backend.backend() == "tensorflow" or not device.startswith("cpu")
    assert moved < 0.1 and (moved > 0 or early)
    with pytest.raises(ValueError, match="batch 1: " + message):
        model.fit(*batch(), validation_data=Dataset(data), verbose=0)
    whole = Dataset(batch(seed=2))
    model.fit(whole, epochs=2, validation_data=Dataset(batch(seed=3)), verbose=0)
    assert whole.epochs == 2
    one = model.evaluate(whole, verbose=0)
    x = {k: np.concatenate([d[0][k] for d in whole.data]) for k in batch()[0]}
    y = np.concatenate([d[1] for d in whole.data])
    np.testing.assert_allclose(one, model.evaluate(x, y, batch_size=ROWS, verbose=0), rtol=1e-5)


def test_tensors_given_to_fit_are_checked_too(model):
    (x, y), message = damaged("minus one")
    tensors = {name: keras.ops.convert_to_tensor(array) for name, array in x.items()}
    with pytest.raises(ValueError, match=message):
        model.predict(tensors, verbose=0)


@pytest.mark.parametrize("value", [-1, 31])
def test_a_tensor_of_ids_never_gets_another_rows_answer(model, value):
    x, _ = batch(3)
    x["feature_ids"][1, 0] = value
    tensors = {name: keras.ops.convert_to_tensor(array) for name, array in x.items()}
    try:
        found = numpy(model(tensors))[:, 0]
    except Exception:  # each backend has an error of its own
        assert keras.backend.backend() != "jax"
        numpy(keras.ops.ones(1))  # the device is still of use
    else:
        assert np.isnan(found).tolist() == [False, True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_reloop2_serves_nothing_from_inputs_that_do_not_fit(model, kind):
    (x, y), message = damaged(kind)
    whole = ReLoop2(model, ExactErrorMemory(50, 5, key_normalization="none"))
    whole.observe(*batch())
    before = whole.memories[0].core.state()
    for run in (whole.serve, lambda x: whole.observe(x, y), lambda x: whole.predict(x, verbose=0)):
        with pytest.raises(ValueError, match=message):
            run(x)
    for name, array in whole.memories[0].core.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_dataset_of_more_ids_than_the_model_has_is_refused(model):
    class Prepared(Dataset):
        keeps_own_order, num_ids = True, 32

    with pytest.raises(ValueError, match=r"\[0, 31\).*Received a dataset of 32 ids"):
        model.fit(Prepared(batch()), verbose=0)


def test_layers_say_the_same_of_shapes():
    table, sums = FieldEmbedding(31, 4), FactorizationMachine()
    one, none = np.array([1, 2]), np.zeros((0, 2), "int32")
    for ids, values, message in (
        (one, one.astype("float32"), r"`feature_ids` must have shape \(rows, fields\)"),
        (none, none.astype("float32"), "at least one row"),
        (one[None], np.ones((1, 1), "float32"), r"`feature_values` must have shape \(rows, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            table(ids, values)
    for vectors in (np.ones(3, "float32"), np.ones((2, 3), "float32")):
        with pytest.raises(ValueError, match=r"`vectors` must have shape \(rows, fields, dim\)"):
            sums(vectors)
