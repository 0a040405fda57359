"""Activations, losses, metrics and initializers."""

import math

import jax
import jax.numpy as jnp
import keras
import numpy as np

from lua_data import wave


def vjp(f, x, r=None):
    """f(x), the weights r and the gradient of dot(f(x), r) with respect to x."""
    y, pull = jax.vjp(f, x)
    r = wave(y.shape, 0.73, 0.5) if r is None else r
    return np.asarray(y), r, np.asarray(pull(jnp.asarray(r))[0])


ACTIVATIONS = [
    ("linear", {}), ("relu", {}), ("relu", {"max_value": 3.0}),
    ("relu", {"negative_slope": 0.1, "threshold": 0.5}), ("leaky_relu", {}), ("leaky_relu", {"negative_slope": 0.3}),
    ("sigmoid", {}), ("tanh", {}), ("softmax", {}), ("log_softmax", {}), ("softplus", {}), ("softsign", {}),
    ("elu", {}), ("elu", {"alpha": 0.5}), ("selu", {}), ("gelu", {}), ("gelu", {"approximate": True}),
    ("swish", {}), ("silu", {}), ("hard_sigmoid", {}), ("exponential", {}),
]


def activations():
    # The second input is where a careless formula overflows or cancels. A kink (relu at 0) is in neither.
    inputs = {"moderate": wave((4, 6), scale=4.0), "extreme": np.float32([[-40, -12, -1e-4], [1e-4, 12, 40]])}
    cases = []
    for name, options in ACTIVATIONS:
        function = keras.activations.get(name)
        for kind, x in inputs.items():
            y, r, dx = vjp(lambda v: function(v, **options), jnp.asarray(x))
            cases.append({"name": name, "options": options, "kind": kind, "x": x, "y": y, "r": r, "dx": dx})
    return cases


def probabilities(shape, **formula):
    e = np.exp(wave(shape, **formula).astype(np.float64))
    return (e / e.sum(-1, keepdims=True)).astype(np.float32)


def one_hot(ids, n):
    return np.eye(n, dtype=np.float32)[np.asarray(ids)]


def loss_cases():
    """(moth's name, Keras class, options, y_true, y_pred, remark)"""
    real_true, real_pred = wave((5, 4), 0.61, 0.3, 2.0), wave((5, 4), scale=2.0)
    positive_true, positive_pred = np.abs(real_true) + np.float32(0.1), np.abs(real_pred) + np.float32(0.1)
    ids = np.array([2, 0, 3, 1, 2], dtype=np.int32)
    true, pred, logits = one_hot(ids, 4), probabilities((5, 4), scale=2.0), wave((5, 4), scale=3.0)
    bits = (wave((5, 4), 0.61, 0.3) > 0).astype(np.float32)
    unit = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
    K = keras.losses
    yield "mse", K.MeanSquaredError, {}, real_true, real_pred, None
    yield "mse", K.MeanSquaredError, {}, wave((2, 3, 4), 0.61, 0.3), wave((2, 3, 4)), "sequence"
    yield "mae", K.MeanAbsoluteError, {}, real_true, real_pred, None
    yield "mape", K.MeanAbsolutePercentageError, {}, positive_true, real_pred, None
    yield "msle", K.MeanSquaredLogarithmicError, {}, positive_true, positive_pred, None
    yield "huber", K.Huber, {}, real_true, real_pred, None
    yield "huber", K.Huber, {"delta": 0.5}, real_true, real_pred, None
    yield "log_cosh", K.LogCosh, {}, real_true, real_pred, None
    yield "binary_crossentropy", K.BinaryCrossentropy, {}, bits, unit, None
    yield "binary_crossentropy", K.BinaryCrossentropy, {}, bits[:, :1], unit[:, :1], "one output"
    yield "binary_crossentropy", K.BinaryCrossentropy, {"from_logits": True}, bits, logits, None
    yield "binary_crossentropy", K.BinaryCrossentropy, {"label_smoothing": 0.1}, bits, unit, None
    yield "binary_crossentropy", K.BinaryCrossentropy, {"from_logits": True, "label_smoothing": 0.1}, bits, logits, None
    yield "binary_crossentropy", K.BinaryCrossentropy, {}, bits, (unit > 0.5).astype(np.float32), "clipped"
    yield "binary_crossentropy", K.BinaryCrossentropy, {"from_logits": True}, bits, logits * np.float32(30), "extreme"
    yield "categorical_crossentropy", K.CategoricalCrossentropy, {}, true, pred, None
    yield "categorical_crossentropy", K.CategoricalCrossentropy, {}, true, pred * np.float32(1.5), "not normalised"
    yield "categorical_crossentropy", K.CategoricalCrossentropy, {"from_logits": True}, true, logits, None
    yield "categorical_crossentropy", K.CategoricalCrossentropy, {"label_smoothing": 0.1}, true, pred, None
    yield ("categorical_crossentropy", K.CategoricalCrossentropy, {"from_logits": True, "label_smoothing": 0.1},
           true, logits, None)
    yield "categorical_crossentropy", K.CategoricalCrossentropy, {}, true, one_hot([2, 1, 3, 0, 2], 4), "clipped"
    yield ("categorical_crossentropy", K.CategoricalCrossentropy, {"from_logits": True},
           true, logits * np.float32(30), "extreme")
    yield ("categorical_crossentropy", K.CategoricalCrossentropy, {},
           one_hot([[2, 0, 1], [3, 3, 1]], 4), probabilities((2, 3, 4)), "sequence")
    yield "sparse_categorical_crossentropy", K.SparseCategoricalCrossentropy, {}, ids, pred, None
    yield "sparse_categorical_crossentropy", K.SparseCategoricalCrossentropy, {}, ids[:, None], pred, "ids in a column"
    yield "sparse_categorical_crossentropy", K.SparseCategoricalCrossentropy, {"from_logits": True}, ids, logits, None
    yield ("sparse_categorical_crossentropy", K.SparseCategoricalCrossentropy, {},
           np.array([[2, 0, 1], [3, 3, 1]], dtype=np.int32), probabilities((2, 3, 4)), "sequence")
    yield "kl_divergence", K.KLDivergence, {}, probabilities((5, 4), step=0.61, phase=0.3), pred, None
    yield "hinge", K.Hinge, {}, bits, real_pred, "0 and 1 become -1 and 1"
    yield "hinge", K.Hinge, {}, bits * 2 - 1, real_pred, None
    yield "categorical_hinge", K.CategoricalHinge, {}, true, real_pred, None
    yield "poisson", K.Poisson, {}, positive_true, positive_pred, None
    yield "cosine_similarity", K.CosineSimilarity, {}, real_true, real_pred, None


def losses():
    cases = []
    for name, kind, options, y_true, y_pred, remark in loss_cases():
        values = kind(reduction="none", **options)
        loss = kind(**options)
        per_sample = np.asarray(values(y_true, y_pred))
        weight = np.abs(wave(y_pred.shape[:1], 1.1, 0.4)) * np.float32(2)
        case = {"name": name, "options": options, "remark": remark, "y_true": y_true, "y_pred": y_pred, "values": per_sample}
        pred = jnp.asarray(y_pred)
        case["mean"], case["dy"] = map(np.asarray, jax.value_and_grad(lambda p: loss(y_true, p))(pred))
        if per_sample.ndim == 1:
            weighted = jax.value_and_grad(lambda p: loss(y_true, p, sample_weight=weight))
            case["sample_weight"] = weight
            case["weighted_mean"], case["weighted_dy"] = map(np.asarray, weighted(pred))
        cases.append(case)
    return cases


def metric_cases():
    """(moth's name, options, Keras metric, kind of target)"""
    K = keras.metrics
    for kind in ("binary", "categorical", "sparse"):
        resolved = {"binary": K.BinaryAccuracy, "categorical": K.CategoricalAccuracy, "sparse": K.SparseCategoricalAccuracy}
        yield "accuracy", {}, resolved[kind](), kind
        resolved = {"binary": K.BinaryCrossentropy, "categorical": K.CategoricalCrossentropy,
                    "sparse": K.SparseCategoricalCrossentropy}
        yield "crossentropy", {}, resolved[kind](), kind
    yield "binary_accuracy", {}, K.BinaryAccuracy(), "binary"
    yield "binary_accuracy", {"threshold": 0.3}, K.BinaryAccuracy(threshold=0.3), "binary"
    yield "binary_accuracy", {}, K.BinaryAccuracy(), "categorical"
    yield "categorical_accuracy", {}, K.CategoricalAccuracy(), "categorical"
    yield "sparse_categorical_accuracy", {}, K.SparseCategoricalAccuracy(), "sparse"
    for k in (1, 2, 3):
        yield "top_k", {"k": k}, K.TopKCategoricalAccuracy(k=k), "categorical"
        yield "top_k", {"k": k}, K.SparseTopKCategoricalAccuracy(k=k), "sparse"
    for name, metric in (("precision", K.Precision), ("recall", K.Recall)):
        for options, kind in [({}, "binary"), ({"thresholds": 0.3}, "binary"), ({}, "categorical"),
                              ({"class_id": 1}, "categorical"), ({"top_k": 2}, "categorical")]:
            # A class is an id, so it counts from 0 in both.
            yield name, options, metric(**options), kind
    for average in ("micro", "macro", "weighted"):
        yield "f1", {"average": average}, K.F1Score(average=average), "categorical"
    yield "f1", {"threshold": 0.5, "average": "micro"}, K.F1Score(threshold=0.5, average="micro"), "binary"
    yield "auc", {}, K.AUC(), "binary"
    yield "cosine_similarity", {}, K.CosineSimilarity(), "categorical"
    yield "mse", {}, K.MeanSquaredError(), "binary"
    yield "mae", {}, K.MeanAbsoluteError(), "binary"
    yield "binary_crossentropy", {}, K.BinaryCrossentropy(), "binary"
    yield "categorical_crossentropy", {}, K.CategoricalCrossentropy(), "categorical"
    yield "sparse_categorical_crossentropy", {}, K.SparseCategoricalCrossentropy(), "sparse"


def metrics():
    sizes, classes = [7, 4, 6], 4
    ids = np.array([2, 0, 3, 1, 2, 2, 0, 1, 3, 3, 0, 1, 2, 0, 2, 1, 3], dtype=np.int32)
    spread = probabilities((17, classes), step=1.7, phase=0.1, scale=2.5)
    spread[3] = [0.25, 0.25, 0.25, 0.25]  # a tie: the first wins, so this row counts as class 0
    unit = ((wave((17, 1), 1.7) + 1) / 2).astype(np.float32)
    data = {
        "binary": ((wave((17, 1), 0.9, 0.2) > 0).astype(np.float32), unit),
        "categorical": (one_hot(ids, classes), spread),
        "sparse": (ids, spread),
    }
    weight = np.abs(wave((17,), 1.1, 0.4)) * np.float32(2)
    ends = np.cumsum(sizes)
    cuts = [slice(end - size, end) for size, end in zip(sizes, ends)]
    cases = []
    for name, options, metric, kind in metric_cases():
        y_true, y_pred = data[kind]
        case = {"name": name, "options": options, "data": kind}
        for field, weights in (("after", None), ("weighted_after", weight)):
            metric.reset_state()
            case[field] = []
            for cut in cuts:
                metric.update_state(y_true[cut], y_pred[cut], sample_weight=None if weights is None else weights[cut])
                case[field].append(np.asarray(metric.result()))
        cases.append(case)
    counts = np.zeros((classes, classes), dtype=np.int64)
    matrix = []
    for cut in cuts:
        np.add.at(counts, (ids[cut], spread[cut].argmax(-1)), 1)
        matrix.append(counts.copy())
    cases.append({"name": "confusion_matrix", "options": {}, "data": "sparse", "after": matrix})
    return {
        "batch_sizes": sizes,
        "sample_weight": weight,
        "data": {kind: {"y_true": t, "y_pred": p} for kind, (t, p) in data.items()},
        "cases": cases,
    }


def fans(shape):
    if len(shape) == 1:
        return shape[0], shape[0]
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


# Standard deviation of a unit normal cut at two of its standard deviations.
CUT = 0.87962566103423978


def variance_scaling(shape, scale, mode, distribution):
    fan_in, fan_out = fans(shape)
    n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    s = scale / max(1.0, n)
    if distribution == "uniform":
        return {"distribution": "uniform", "limit": math.sqrt(3 * s), "std": math.sqrt(s), "mean": 0.0}
    if distribution == "truncated_normal":
        return {"distribution": "truncated_normal", "limit": 2 * math.sqrt(s) / CUT, "std": math.sqrt(s), "mean": 0.0}
    return {"distribution": "normal", "std": math.sqrt(s), "mean": 0.0}


SCALED = {
    "glorot_uniform": (1.0, "fan_avg", "uniform"), "glorot_normal": (1.0, "fan_avg", "truncated_normal"),
    "he_uniform": (2.0, "fan_in", "uniform"), "he_normal": (2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"), "lecun_normal": (1.0, "fan_in", "truncated_normal"),
    "variance_scaling": (1.0, "fan_in", "truncated_normal"),
}
FIXED = {
    "random_uniform": {"distribution": "uniform", "limit": 0.05, "std": 0.05 / math.sqrt(3), "mean": 0.0},
    "random_normal": {"distribution": "normal", "std": 0.05, "mean": 0.0},
    "truncated_normal": {"distribution": "truncated_normal", "limit": 0.1, "std": 0.05 * CUT, "mean": 0.0},
    "zeros": {"distribution": "constant", "value": 0.0},
    "ones": {"distribution": "constant", "value": 1.0},
    "constant": {"distribution": "constant", "value": 0.0},
}


def initializers():
    shapes = [(784, 128), (3, 3, 16, 32), (64,)]
    cases = []
    for shape in shapes:
        for name, arguments in SCALED.items():
            cases.append({"name": name, "options": {}, "shape": shape, **variance_scaling(shape, *arguments)})
        for mode in ("fan_in", "fan_out", "fan_avg"):
            for distribution in ("uniform", "truncated_normal", "untruncated_normal"):
                options = {"scale": 3.0, "mode": mode, "distribution": distribution}
                cases.append({"name": "variance_scaling", "options": options, "shape": shape,
                              **variance_scaling(shape, 3.0, mode, distribution)})
        for name, facts in FIXED.items():
            cases.append({"name": name, "options": {}, "shape": shape, **facts})
    for case in cases:
        check_against_keras(case)
    orthogonal = [
        {"name": "orthogonal", "options": {"gain": gain}, "shape": shape, "rows": math.prod(shape[:-1]), "columns": shape[-1],
         "orthonormal": "columns" if math.prod(shape[:-1]) >= shape[-1] else "rows", "square": gain * gain}
        for shape in [(784, 128), (3, 3, 16, 32), (32, 128), (16, 16)] for gain in (1.0, 1.5)
    ]
    for case in orthogonal:
        q = np.asarray(keras.initializers.Orthogonal(seed=1, **case["options"])(case["shape"]))
        q = q.reshape(case["rows"], case["columns"])
        product = q.T @ q if case["orthonormal"] == "columns" else q @ q.T
        assert np.abs(product - case["square"] * np.eye(len(product))).max() < 1e-5, case
    return {"random": cases, "orthogonal": orthogonal,
            "identity": [{"options": {"gain": 2.0}, "shape": (3, 3), "value": keras.initializers.Identity(2.0)((3, 3))},
                         {"options": {}, "shape": (2, 3), "value": keras.initializers.Identity()((2, 3))}]}


def check_against_keras(case):
    """The closed forms are written here from the definitions; Keras's own draws have to agree with them."""
    seed = {} if case["distribution"] == "constant" else {"seed": 3}
    kind = getattr(keras.initializers, "".join(part.capitalize() for part in case["name"].split("_")))
    draw = np.asarray(kind(**case["options"], **seed)(case["shape"]), dtype=np.float64)
    if case["distribution"] == "constant":
        assert (draw == case["value"]).all(), case
        return
    # Four standard errors of the standard deviation; a small shape tells little but the limit.
    assert abs(draw.std() / case["std"] - 1) < 4 / math.sqrt(2 * draw.size), case
    if "limit" in case:
        assert np.abs(draw).max() <= case["limit"] * (1 + 1e-6), case
