"""Training: losses of a hundred steps, and what fit and evaluate report with splits, weights and regularizers."""

import keras
import numpy as np

from lua_data import wave

CLASSES = 3
DENSE = [("Dense", {"units": 8, "activation": "tanh"}), ("Dense", {"units": CLASSES, "activation": "softmax"})]
L2 = [("Dense", {"units": 8, "activation": "relu", "kernel_regularizer": "l2", "bias_regularizer": "l1"}),
      ("Dense", {"units": CLASSES, "activation": "softmax", "activity_regularizer": "l2"})]
CONSTRAINTS = [("Dense", {"units": 8, "activation": "relu", "kernel_constraint": "unit_norm",
                          "bias_constraint": "non_neg"}),
               ("Dense", {"units": CLASSES, "activation": "softmax", "kernel_constraint": "non_neg"})]

# Samples, the batch size and what fit is told; "weights" says how samples are weighted.
FITS = [
    {"name": "plain", "fit": {"epochs": 3}},
    {"name": "split", "fit": {"epochs": 3, "validation_split": 0.3}},
    {"name": "split that is not exact in binary", "n": 40, "fit": {"epochs": 2, "validation_split": 0.1}},
    {"name": "sample weights", "weights": "sample", "fit": {"epochs": 3}},
    {"name": "sample weights and a split", "weights": "sample", "fit": {"epochs": 3, "validation_split": 0.3}},
    {"name": "class weights", "weights": "class", "fit": {"epochs": 3}},
    {"name": "class weights and a split", "weights": "class", "fit": {"epochs": 3, "validation_split": 0.3}},
    {"name": "class weights of class ids", "weights": "class", "loss": "sparse_categorical_crossentropy",
     "fit": {"epochs": 2}},
    {"name": "regularizers", "layers": L2, "fit": {"epochs": 3, "validation_split": 0.3}},
    {"name": "regularizers and sample weights", "layers": L2, "weights": "sample", "fit": {"epochs": 2}},
    {"name": "constraints", "layers": CONSTRAINTS, "fit": {"epochs": 3, "validation_split": 0.3}},
    {"name": "constraints and clipping", "layers": CONSTRAINTS,
     "optimizer": ("Adam", {"learning_rate": 0.05, "global_clipnorm": 0.5}), "fit": {"epochs": 2}},
    {"name": "validation every second epoch", "fit": {"epochs": 4, "validation_split": 0.3, "validation_freq": 2}},
    {"name": "mean squared error", "loss": "mse", "fit": {"epochs": 3, "validation_split": 0.3}},
    {"name": "momentum", "optimizer": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
     "fit": {"epochs": 3}},
]

STEPS = [
    ("SGD", {"learning_rate": 0.1}), ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("RMSprop", {"learning_rate": 0.003}), ("Adam", {"learning_rate": 0.003}),
]


def build(layers, features):
    model = keras.Sequential([keras.Input((features,))] + [getattr(keras.layers, kind)(**options)
                                                         for kind, options in layers])
    model.set_weights([wave(w.shape, 0.83 + 0.1 * i, 0.4 + i, 0.5) for i, w in enumerate(model.get_weights())])
    return model


def data(n, features, loss):
    ids = (np.arange(n) * 7 + np.arange(n) // 5) % CLASSES
    y = ids.astype("int32") if loss.startswith("sparse") else np.eye(CLASSES, dtype="float32")[ids]
    return wave((n, features), 0.71, 0.2), y


def flat(weights):
    return np.concatenate([np.asarray(w).ravel() for w in weights])


def fit(case):
    n, features, loss = case.get("n", 23), 5, case.get("loss", "categorical_crossentropy")
    layers, optimizer = case.get("layers", DENSE), case.get("optimizer", ("SGD", {"learning_rate": 0.1}))
    model = build(layers, features)
    model.compile(optimizer=getattr(keras.optimizers, optimizer[0])(**optimizer[1]), loss=loss, metrics=["accuracy"])
    x, y = data(n, features, loss)
    options, weighting = dict(case["fit"]), case.get("weights")
    sample = 1 + 0.9 * wave((n,), 1.3, 0.5)
    if weighting == "sample":
        options["sample_weight"] = sample
    elif weighting == "class":
        options["class_weight"] = {0: 0.5, 2: 3.0}
    history = model.fit(x, y, batch_size=4, shuffle=False, verbose=0, **options).history
    after = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True,
                           sample_weight=sample if weighting == "sample" else None)
    return {"name": case["name"], "n": n, "features": features, "loss": loss, "weights": weighting, "fit": case["fit"],
            "layers": [{"type": kind, "options": o} for kind, o in layers],
            "optimizer": {"name": optimizer[0], "options": optimizer[1]}, "history": history, "evaluate": after,
            "final": flat(model.get_weights())}


def steps(name, options):
    model = build(DENSE, 6)
    model.compile(optimizer=getattr(keras.optimizers, name)(**options), loss="categorical_crossentropy")
    x, y = data(40, 6, "categorical_crossentropy")
    losses = []
    for step in range(100):
        rows = np.arange(step * 8, step * 8 + 8) % 40
        losses.append(float(model.train_on_batch(x[rows], y[rows])))
        model.reset_metrics()
    return {"name": name, "options": options, "losses": losses, "final": flat(model.get_weights())}


def training():
    return {"fits": [fit(case) for case in FITS], "steps": [steps(*case) for case in STEPS]}
