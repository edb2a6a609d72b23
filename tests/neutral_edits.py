"""Edits of a neutral file: each changes description and arrays, and says what must be told."""

import hashlib

import numpy as np


def doubled(described, arrays):
    arrays["base/hidden_0/kernel"] = 2 * arrays["base/hidden_0/kernel"]
    return "base/hidden_0/kernel: expected sha256"


def sums_of_zeros(described, arrays):
    described["sha256"] = dict.fromkeys(described["sha256"], "00" * 32)
    return "expected sha256 0000"


def no_sums(described, arrays):
    del described["sha256"]
    return "expected `model` and `sha256`"


def not_a_number(described, arrays):
    array = arrays["memories/0/sums"]
    array[3, 1] = np.nan
    described["sha256"]["memories/0/sums"] = hashlib.sha256(array).hexdigest()
    return "memories/0/sums: expected finite numbers"


def imaginary(described, arrays):
    arrays["base/deep_logit/bias"] = arrays["base/deep_logit/bias"].astype("complex64")
    return "base/deep_logit/bias: expected floats or integers, found complex64"


def missing(described, arrays):
    del arrays["gate/precision"]
    return "gate/precision: expected the weights of the model, found no such array"


def left_over(described, arrays):
    arrays["base/hidden_2/bias"] = np.zeros(3, "float32")
    return "base/hidden_2/bias: expected the weights of the model, found an array of that name"


def huge_table(described, arrays):
    described["model"]["base"]["config"]["fields"][0]["cardinality"] = 2**38
    return r"field_embedding/embeddings: expected shape \(274877906964, 4\), found \(30, 4\)"


def huge_sketch(described, arrays):
    described["model"]["memory"][1]["config"]["num_bits"] = 38
    return "memories/1/.*: expected shape"


def huge_power(described, arrays):
    described["model"]["memory"][0]["config"]["num_bits"] = 10**9
    return "num_bits: expected"


def huge_buffer(described, arrays):
    described["model"]["memory"][2]["config"]["capacity"] = 2**39
    return "memories/2/keys: expected shape"


def fraction(described, arrays):
    described["model"]["base"]["config"]["embedding_dim"] = 4.5
    return "embedding_dim: expected an integer"


def unknown(described, arrays):
    described["model"]["memory"][0]["class"] = "compensate"
    return "expected a class of this package"


def no_model(described, arrays):
    described["model"] = ["DeepFM"]
    return "expected the description of a model"


def bad_argument(described, arrays):
    described["model"]["base"]["config"]["dropout"] = 7
    return "expected a model of this package: `dropout`"


EDITS = [
    doubled,
    sums_of_zeros,
    no_sums,
    not_a_number,
    imaginary,
    missing,
    left_over,
    huge_table,
    huge_sketch,
    huge_power,
    huge_buffer,
    fraction,
    unknown,
    no_model,
    bad_argument,
]
