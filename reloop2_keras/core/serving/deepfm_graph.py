"""DeepFM as an ONNX graph, written from its weights: the same graph whatever trained them (ours).

Each framework has an exporter of its own that follows a model's code, with packages, limits and
graphs of its own. This model is eight kinds of nodes; written once, from the arrays of the neutral
file, it is the same to the byte from TensorFlow, JAX, PyTorch and MindSpore.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer
from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.input_checks import HASHES, IDS, VALUES
from reloop2_keras.core.optional import optional
from reloop2_keras.core.weight_shapes import check_shapes

OPSET, IR_VERSION = 18, 8  # of onnx 1.13, which onnxruntime reads from 1.14 on
PROBABILITY, LOGIT = "probability", "logit"
MOST_BYTES = (1 << 31) - (1 << 20)  # of weights: a protobuf message must stay below 2 GiB


def base_of(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> tuple[Mapping[str, Any], dict[str, np.ndarray]]:
    """Return description and arrays of the base alone, of a model in neutral form.

    Args:
        description, arrays: of a `DeepFM`, or of a `ReLoop2` around one; see `core.neutral`.

    Raises:
        ValueError: if the arrays are not those of the described model.
    """
    check_shapes(description, {name: np.shape(array) for name, array in arrays.items()})
    if description["class"] != "ReLoop2":
        return description, dict(arrays)
    own = {n.removeprefix("base/"): a for n, a in arrays.items() if n.startswith("base/")}
    return description["base"], own


def deepfm_graph(
    config: Mapping[str, Any], arrays: Mapping[str, np.ndarray], rows: int | None = None
) -> Any:
    """Return `onnx.ModelProto` of a DeepFM (docs/method.md, section 1), without dropout.

    Inputs: `feature_ids` int32 (batch, F), `feature_values` float32 (batch, F), and with hashed
    rows `feature_hashes` int32 (batch, F), see `core.hashed_rows`. Outputs, float32: `probability`
    and `logit` (batch, 1), and the keys `hidden` (batch, hidden_units[-1]) and `embedding`
    (batch, F * embedding_dim). Everything is computed in float32, whatever the dtype policy in
    training was. Opset 18.

    Args:
        config: arguments of the `DeepFM`.
        arrays: its weights by neutral name, of the shapes that `weight_shapes` says.
        rows: int, a fixed number of rows; None for any (the axis is called "batch").

    Raises:
        ImportError: if the package onnx is not installed.
        ValueError: if `rows` is no positive integer, a weight is not finite in float32, or the file
            would exceed 2 GiB.
    """
    rows = None if rows is None else integer("rows", rows, 1, MOST_ROWS)
    total = sum(4 * np.size(array) for array in arrays.values())
    if total > MOST_BYTES:
        raise ValueError(
            f"an ONNX file holds less than 2 GiB of weights, and these are {total} bytes: serve "
            "this base by its framework"
        )
    return _Graph(config, arrays).model(rows)


class _Graph:
    """The nodes and constants of one DeepFM as they are added."""

    def __init__(self, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        onnx = optional("onnx", "export to ONNX", "onnx")
        self._onnx, self._helper = onnx, onnx.helper
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._arrays = arrays
        self.fields, self.dim = len(config["fields"]), int(config["embedding_dim"])
        self.units = [int(units) for units in config["hidden_units"]]
        bits = checked_bits(config["fields"], config.get("hashed"))
        self.hashed = None if bits is None else HashedRows.of(config["fields"], bits)
        self._lay_out(IDS if self.hashed is None else self._rows(self.hashed))

    def _rows(self, hashed: HashedRows) -> str:
        """The row of each value, int32 (batch, F): that of its id, or of its hash."""
        masks, starts, unseen = (
            self._constant(name, getattr(hashed, name), "int32")
            for name in ("masks", "starts", "unseen")
        )
        low = self._node("BitwiseAnd", [HASHES, masks], "low_bits")
        new = self._node("Add", [low, starts], "new_rows")
        is_new = self._node("Equal", [IDS, unseen], "is_new")
        return self._node("Where", [is_new, new, IDS], "rows")

    def _lay_out(self, rows: str) -> None:
        fields_axis = self._constant("fields_axis", [1], "int64")
        last_axis = self._constant("last_axis", [-1], "int64")
        value = self._node("Unsqueeze", [VALUES, last_axis], "value")
        # (batch, F, D) and (batch, F, 1)
        vectors = self._scaled("field_embedding", rows, value)
        linear = self._scaled("linear_embedding", rows, value)
        linear = self._sum(linear, fields_axis, "linear_sum")
        # FM = 1/2 * sum_d((sum_f v_f)^2 - sum_f v_f^2), (batch, 1)
        total = self._sum(vectors, fields_axis, "sum")
        squares = self._sum(self._square(vectors, "squares"), fields_axis, "sum_of_squares")
        pairs = self._node("Sub", [self._square(total, "square_of_sum"), squares], "pairs")
        pairs = self._sum(pairs, last_axis, "twice_fm", keepdims=1)
        fm = self._node("Mul", [pairs, self._constant("half", 0.5)], "fm")
        shape = self._constant("flat_shape", [-1, self.fields * self.dim], "int64")
        x = self._node("Reshape", [vectors, shape], "embedding")
        last = len(self.units) - 1
        for number in range(len(self.units)):
            x = self._dense(x, f"hidden_{number}", f"hidden_{number}/output")
            x = self._node("Relu", [x], "hidden" if number == last else f"hidden_{number}/relu")
        deep = self._dense(x, "deep_logit", "deep_logit/output")
        wide = self._node("Add", [linear, fm], "linear_and_fm")
        self._node("Sigmoid", [self._node("Add", [wide, deep], LOGIT)], PROBABILITY)

    def _constant(self, name: str, value: Any, dtype: str = "float32") -> str:
        array = np.ascontiguousarray(value, dtype)
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
        array = array.reshape(np.shape(value))  # or a number would become a list of one
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def _node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        node = self._helper.make_node(operator, inputs, [output], name=output, **attributes)
        self._nodes.append(node)
        return output

    def _weight(self, name: str) -> str:
        return self._constant(name, self._arrays[name])

    def _scaled(self, layer: str, rows: str, value: str) -> str:
        table = self._weight(f"{layer}/embeddings")
        return self._node(
            "Mul", [self._node("Gather", [table, rows], f"{layer}/rows"), value], layer
        )

    def _dense(self, x: str, layer: str, output: str) -> str:
        inputs = [x, self._weight(f"{layer}/kernel"), self._weight(f"{layer}/bias")]
        return self._node("Gemm", inputs, output)

    def _square(self, x: str, output: str) -> str:
        return self._node("Mul", [x, x], output)

    def _sum(self, x: str, axis: str, output: str, keepdims: int = 0) -> str:
        return self._node("ReduceSum", [x, axis], output, keepdims=keepdims)

    def model(self, rows: int | None) -> Any:
        kinds = self._onnx.TensorProto

        def value(name: str, kind: Any, width: int) -> Any:
            return self._helper.make_tensor_value_info(name, kind, [rows or "batch", width])

        inputs = [
            value(IDS, kinds.INT32, self.fields),
            value(VALUES, kinds.FLOAT, self.fields),
        ]
        if self.hashed is not None:
            inputs.append(value(HASHES, kinds.INT32, self.fields))
        widths = {PROBABILITY: 1, LOGIT: 1, "hidden": self.units[-1]}
        widths["embedding"] = self.fields * self.dim
        outputs = [value(name, kinds.FLOAT, width) for name, width in widths.items()]
        graph = self._helper.make_graph(self._nodes, "deepfm", inputs, outputs, self._constants)
        made = self._helper.make_model(
            graph,
            opset_imports=[self._helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="reloop2",
        )
        self._onnx.checker.check_model(made)
        return made
