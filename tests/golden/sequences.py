"""Sequences: layers around layers, masks, and training with steps that do not count."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from layers import arrays, describe, fill, measure
from lua_data import wave
from training import flat

SEQUENCE = (3, 5, 4)
RETURNS = {"units": 2, "return_sequences": True}

# Wrapper, its options, the layer inside and its options, input shape; are steps masked?
WRAPPED = [
    ("Bidirectional", {}, "LSTM", {"units": 2}, SEQUENCE, False),
    ("Bidirectional", {}, "LSTM", RETURNS, SEQUENCE, False),
    ("Bidirectional", {"merge_mode": "sum"}, "GRU", RETURNS, SEQUENCE, False),
    ("Bidirectional", {"merge_mode": "mul"}, "SimpleRNN", {"units": 2}, SEQUENCE, False),
    ("Bidirectional", {"merge_mode": "ave"}, "GRU", {"units": 2, "reset_after": False}, SEQUENCE, False),
    ("Bidirectional", {}, "LSTM", {"units": 2}, SEQUENCE, True),
    ("Bidirectional", {}, "GRU", RETURNS, SEQUENCE, True),
    ("TimeDistributed", {}, "Dense", {"units": 3, "activation": "tanh"}, SEQUENCE, False),
    ("TimeDistributed", {}, "Conv2D", {"filters": 2, "kernel_size": 2}, (2, 3, 4, 3, 2), False),
    ("TimeDistributed", {}, "LSTM", {"units": 2}, (2, 3, 4, 2), False),
    ("TimeDistributed", {}, "Flatten", {}, (2, 3, 2, 2), False),
    ("TimeDistributed", {}, "Dense", {"units": 3}, SEQUENCE, True),
]

# Layers behind Masking.
MASKED = [
    ("LSTM", {"units": 3}), ("LSTM", {"units": 3, "return_sequences": True}), ("GRU", {"units": 3}),
    ("GRU", {"units": 3, "reset_after": False, "return_sequences": True}), ("SimpleRNN", {"units": 3}),
    ("LSTM", {"units": 3, "go_backwards": True}), ("LSTM", {"units": 3, "go_backwards": True, "return_sequences": True}),
    ("GlobalAveragePooling1D", {}), ("GlobalAveragePooling1D", {"keepdims": True}), ("Dense", {"units": 2}),
]

IDS = {"vocabulary": 7, "steps": 5, "n": 11}


def holed(shape):
    """A wave whose samples end early, or have a hole."""
    x = wave(shape)
    x[0, 3:] = 0
    x[1, 1] = 0
    return x


def one(name, options, x, inner=None, masking=False):
    kind = getattr(keras.layers, name)
    layer = kind(getattr(keras.layers, inner[0])(**inner[1]), **options) if inner else kind(**options)
    whole = keras.Sequential([keras.layers.Masking(), layer]) if masking else layer
    whole.build(x.shape)
    fill(whole.variables)
    case = describe(name, options, whole, x, **measure(whole, x, False))
    case["masking"] = masking or None
    if inner:
        case["inner"] = {"name": inner[0], "options": inner[1]}
    return case


def ids():
    n, steps, vocabulary = IDS["n"], IDS["steps"], IDS["vocabulary"]
    table = (np.arange(n * steps) * 5 + np.arange(n * steps) // 3).reshape(n, steps) % (vocabulary - 1) + 1
    for i in range(n):
        table[i, 1 + i % steps:] = 0
    return table.astype("int32")


# What stands behind Embedding(7, 4, mask_zero=True), the loss, metrics, the shape of targets.
FITS = [
    {"name": "labels of steps", "layers": [("LSTM", {"units": 3, "return_sequences": True}),
                                           ("Dense", {"units": 3, "activation": "softmax"})],
     "loss": "sparse_categorical_crossentropy", "targets": "step ids", "metrics": ["accuracy"]},
    {"name": "labels of steps, by a GRU", "layers": [("GRU", {"units": 3, "return_sequences": True}),
                                                     ("Dense", {"units": 3, "activation": "softmax"})],
     "loss": "sparse_categorical_crossentropy", "targets": "step ids", "metrics": ["accuracy"]},
    {"name": "numbers of steps", "layers": [("Dropout", {"rate": 0.0}), ("SimpleRNN", {"units": 3, "return_sequences": True}),
                                            ("Dense", {"units": 2})],
     "loss": "mse", "targets": "step numbers", "metrics": ["mae"]},
    {"name": "a number of each sequence", "layers": [("LSTM", {"units": 3}), ("Dense", {"units": 1})],
     "loss": "mse", "targets": "numbers", "metrics": ["mae"]},
    {"name": "both directions", "layers": [("Bidirectional", {"layer": ("LSTM", {"units": 2, "return_sequences": True})}),
                                           ("TimeDistributed", {"layer": ("Dense", {"units": 2})})],
     "loss": "mse", "targets": "step numbers", "metrics": ["mae"]},
    {"name": "an average over steps", "layers": [("GlobalAveragePooling1D", {}), ("Dense", {"units": 1})],
     "loss": "mse", "targets": "numbers", "metrics": []},
    {"name": "statistics of the steps that count", "layers": [("BatchNormalization", {"momentum": 0.6}),
                                                              ("LSTM", {"units": 3, "return_sequences": True}), ("Dense", {"units": 2})],
     "loss": "mse", "targets": "step numbers", "metrics": ["mae"]},
    {"name": "statistics of each step", "layers": [("BatchNormalization", {"axis": 1, "momentum": 0.6}), ("Dense", {"units": 2})],
     "loss": "mse", "targets": "step numbers", "metrics": []},
    {"name": "metrics that see no masks", "layers": [("GRU", {"units": 3, "return_sequences": True}),
                                                     ("Dense", {"units": 1, "activation": "sigmoid"})],
     "loss": "binary_crossentropy", "targets": "step signs", "metrics": ["precision", "recall", "auc", "binary_accuracy"]},
]

# Names of moth's for what Keras knows as a class only.
METRICS = {"precision": keras.metrics.Precision, "recall": keras.metrics.Recall, "auc": keras.metrics.AUC}


def layer_of(kind, options):
    options = {k: layer_of(*v) if isinstance(v, tuple) else v for k, v in options.items()}
    return getattr(keras.layers, kind)(**options)


def targets(kind):
    n, steps = IDS["n"], IDS["steps"]
    if kind == "step ids":
        return ((np.arange(n * steps) * 7 + np.arange(n * steps) // 4) % 3).reshape(n, steps).astype("int32")
    if kind == "step signs":
        return (wave((n, steps, 1), 0.61, 0.3) > 0.2).astype("int32")
    return wave((n, steps, 2) if kind == "step numbers" else (n, 1), 0.61, 0.3)


def masked_fit(case):
    """Metrics are compared after training: in fit, Keras's jax backend loses the masks before metrics see them."""
    n, steps, vocabulary = IDS["n"], IDS["steps"], IDS["vocabulary"]
    model = keras.Sequential([keras.Input((steps,), dtype="int32"), keras.layers.Embedding(vocabulary, 4, mask_zero=True)]
                             + [layer_of(*entry) for entry in case["layers"]])
    values = [wave(w.shape, 0.83 + 0.1 * i, 0.4 + i, 0.5) for i, w in enumerate(model.get_weights())]
    variances = [i for i, w in enumerate(model.weights) if w.name == "moving_variance"]
    model.set_weights([abs(v) if i in variances else v for i, v in enumerate(values)])
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.2), loss=case["loss"],
                  metrics=[METRICS[m](name=m) if m in METRICS else m for m in case["metrics"]])
    y = targets(case["targets"])
    history = model.fit(ids(), y, batch_size=4, epochs=3, shuffle=False, verbose=0).history
    after = model.evaluate(ids(), y, batch_size=4, verbose=0, return_dict=True)
    described = [{"type": kind, "options": {k: {"type": v[0], "options": v[1]} if isinstance(v, tuple) else v
                                            for k, v in options.items()}} for kind, options in case["layers"]]
    return {"name": case["name"], "layers": described, "loss": case["loss"], "metrics": case["metrics"],
            "y": y, "variances": [i + 1 for i in variances] or None, "losses": history["loss"], "evaluate": after,
            "final": flat(model.get_weights())}


def sequences():
    wrapped = [one(name, options, holed(shape) if masking else wave(shape), (inner, inner_options), masking)
               for name, options, inner, inner_options, shape, masking in WRAPPED]
    masked = [one(name, options, holed(SEQUENCE), masking=True) for name, options in MASKED]
    return {"wrapped": wrapped, "masked": masked, "ids": ids(), "fits": [masked_fit(case) for case in FITS]}
