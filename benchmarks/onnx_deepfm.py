"""DeepFM as an ONNX graph, for V1's peer onnxruntime: written by hand, as exporters need more."""

import os

import numpy as np


def session(model):
    """An onnxruntime session of a float32 DeepFM without dropout; takes ids and values."""
    import onnxruntime
    from onnx import TensorProto, checker, helper, numpy_helper

    fields, dim = len(model.fields), model.embedding_dim
    weights, nodes = {}, []

    def constant(name, value, dtype="float32"):
        weights[name] = numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    def add(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    axes = constant("fields_axis", [1], "int64")
    last = constant("last_axis", [-1], "int64")
    value = add("Unsqueeze", ["values", last], "value")

    def scaled(name, layer):
        table = constant(name, layer.embeddings)
        return add("Mul", [add("Gather", [table, "ids"], f"{name}_rows"), value], f"{name}_scaled")

    vectors = scaled("vectors", model.field_embedding)
    linear = scaled("linear", model.linear_embedding)
    linear = add("ReduceSum", [linear, axes], "linear_sum", keepdims=0)
    total = add("ReduceSum", [vectors, axes], "total", keepdims=0)
    squares = add(
        "ReduceSum", [add("Mul", [vectors, vectors], "square"), axes], "squares", keepdims=0
    )
    pairs = add("Sub", [add("Mul", [total, total], "total_square"), squares], "pairs")
    pairs = add("ReduceSum", [pairs, last], "pairs_sum", keepdims=1)
    fm = add("Mul", [pairs, constant("half", 0.5)], "fm")
    x = add("Reshape", [vectors, constant("flat_shape", [-1, fields * dim], "int64")], "flat")
    for i, layer in enumerate(model.hidden_layers):
        kernel, bias = constant(f"k{i}", layer.kernel), constant(f"b{i}", layer.bias)
        x = add("Relu", [add("Gemm", [x, kernel, bias], f"gemm{i}")], f"hidden{i}")
    layer = model.deep_logit
    kernel, bias = constant("k", layer.kernel), constant("b", layer.bias)
    logit = add("Sum", [add("Gemm", [x, kernel, bias], "deep"), linear, fm], "logit")
    add("Sigmoid", [logit], "probability")

    def tensor(name, kind, width):
        return helper.make_tensor_value_info(name, kind, ["batch", width])

    graph = helper.make_graph(
        nodes,
        "deepfm",
        [tensor("ids", TensorProto.INT32, fields), tensor("values", TensorProto.FLOAT, fields)],
        [tensor("probability", TensorProto.FLOAT, 1)],
        list(weights.values()),
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    checker.check_model(made)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", 0))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
