"""Callbacks that watch a metric, run by Keras on given metric values with a model that only keeps a record."""

import os
import tempfile

import keras


class Optimizer:
    learning_rate = 0.1


class Metric:
    """What mode = "auto" looks at."""

    def __init__(self, name, direction):
        self.name, self._direction = name, direction


class Model:
    def __init__(self):
        self.optimizer, self.stop_training, self.weights, self.saved = Optimizer(), False, 0, []

        class Holder(keras.src.trainers.compile_utils.MetricsList):
            metrics = [Metric("accuracy", "up"), Metric("mse", "down")]

            def __init__(self):
                pass

        self.metrics = [Holder()]

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite):
        self.saved.append(os.path.basename(path))


SERIES = {
    "falling": [1.0, 0.8, 0.65, 0.55, 0.5, 0.47, 0.46, 0.455, 0.453, 0.452],
    "plateau": [1.0, 0.8, 0.7, 0.7, 0.7, 0.69, 0.72, 0.71, 0.68, 0.7, 0.7, 0.7, 0.7, 0.7],
    "rising": [0.5, 0.6, 0.55, 0.7, 0.7, 0.65, 0.75, 0.74, 0.73, 0.72, 0.71, 0.8],
    "worse": [0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    "noisy": [0.9, 0.5, 0.95, 0.4, 0.85, 0.45, 0.8, 0.39, 0.75, 0.41, 0.7, 0.42],
    "broken": [0.9, float("nan"), 0.8, float("nan"), float("inf"), 0.85, 0.9],
}


def fit(callback, monitor, values):
    """What fit does with one callback; gives the epochs run (from 1), the weights (an epoch) and the rates."""
    model, rates, logs_rates = Model(), [], []
    callback.set_model(model)
    callback.on_train_begin({})
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch, {})
        model.weights = epoch + 1
        logs = {monitor: value}
        callback.on_epoch_end(epoch, logs)
        rates.append(float(model.optimizer.learning_rate))
        logs_rates.append(float(logs.get("learning_rate", 0)))
        if model.stop_training:
            break
    callback.on_train_end({})
    return {"epochs": len(rates), "weights": model.weights, "rates": rates, "logged": logs_rates, "saved": model.saved}


def cases(make, results, choices, fixed=None):
    out = []
    for series, monitor, options in choices:
        options = dict(options, monitor=monitor, **(fixed or {}))
        got = fit(make(options), monitor, SERIES[series])
        out.append({"series": series, "options": options, **{key: got[key] for key in results}})
    return out


STOPPING = [
    ("falling", "val_loss", {}),
    ("plateau", "val_loss", {}),
    ("plateau", "val_loss", {"patience": 1}),
    ("plateau", "val_loss", {"patience": 3}),
    ("plateau", "val_loss", {"patience": 3, "restore_best_weights": True}),
    ("plateau", "val_loss", {"patience": 5, "min_delta": 0.05, "restore_best_weights": True}),
    ("plateau", "val_loss", {"patience": 5, "min_delta": -0.05}),
    ("falling", "val_loss", {"patience": 2, "min_delta": 0.02}),
    ("falling", "val_loss", {"patience": 3, "restore_best_weights": True}),
    ("rising", "val_accuracy", {"patience": 2}),
    ("rising", "val_accuracy", {"patience": 3, "restore_best_weights": True}),
    ("rising", "val_accuracy", {"patience": 2, "mode": "min", "restore_best_weights": True}),
    ("rising", "accuracy", {"patience": 2, "baseline": 0.72}),
    ("rising", "accuracy", {"patience": 4, "baseline": 0.72, "restore_best_weights": True}),
    ("worse", "val_loss", {}),
    ("worse", "val_loss", {"restore_best_weights": True}),
    ("worse", "val_loss", {"patience": 2, "start_from_epoch": 2, "restore_best_weights": True}),
    ("worse", "val_loss", {"patience": 1, "start_from_epoch": 3}),
    ("worse", "val_loss", {"patience": 1, "baseline": 0.1, "restore_best_weights": True}),
    ("noisy", "val_mse", {"patience": 2, "restore_best_weights": True}),
    ("noisy", "val_loss", {"patience": 4}),
    ("broken", "loss", {"patience": 2}),
    ("broken", "loss", {"patience": 3, "restore_best_weights": True}),
]

PLATEAU = [
    ("plateau", "val_loss", {"patience": 2}),
    ("plateau", "val_loss", {"patience": 1, "factor": 0.5}),
    ("plateau", "val_loss", {"patience": 1, "factor": 0.5, "cooldown": 2}),
    ("plateau", "val_loss", {"patience": 2, "factor": 0.5, "cooldown": 1, "min_lr": 0.03}),
    ("plateau", "val_loss", {"patience": 0, "factor": 0.25}),
    ("plateau", "val_loss", {"patience": 2, "min_delta": 0.05}),
    ("rising", "val_accuracy", {"patience": 1}),
    ("rising", "val_accuracy", {"patience": 1, "factor": 0.2, "min_lr": 0.001}),
    ("worse", "val_loss", {"patience": 1, "factor": 0.1, "min_lr": 0.05}),
    ("noisy", "val_loss", {"patience": 1, "factor": 0.5, "cooldown": 1}),
    ("broken", "loss", {"patience": 1, "factor": 0.5}),
]

CHECKPOINT = [
    ("plateau", "val_loss", {"filepath": "all.keras"}),
    ("plateau", "val_loss", {"filepath": "{epoch:02d}-{val_loss:.3f}.keras"}),
    ("plateau", "val_loss", {"filepath": "{epoch:03d}.keras", "save_best_only": True}),
    ("rising", "val_accuracy", {"filepath": "best-{epoch}-{val_accuracy:.2f}.keras", "save_best_only": True}),
    ("rising", "val_accuracy", {"filepath": "{epoch}.keras", "save_best_only": True, "mode": "min"}),
    ("rising", "accuracy", {"filepath": "{epoch}.keras", "save_best_only": True, "initial_value_threshold": 0.68}),
    ("worse", "val_loss", {"filepath": "{epoch:5d}{{x}}.keras", "save_best_only": True}),
    ("noisy", "val_mse", {"filepath": "{val_mse:08.4f}-{val_mse:.2e}.keras", "save_best_only": True}),
    ("broken", "loss", {"filepath": "{epoch}.keras", "save_best_only": True}),
]


def batch_saves(frequency, epochs):
    """(epoch, batch) from 1 at which ModelCheckpoint(save_freq=frequency) saves, for epochs of the given lengths."""
    model = Model()
    callback = keras.callbacks.ModelCheckpoint("{epoch} {batch}.keras", save_freq=frequency)
    callback.set_model(model)
    callback.on_train_begin({})
    for epoch, steps in enumerate(epochs):
        callback.on_epoch_begin(epoch, {})
        for batch in range(steps):
            callback.on_train_batch_end(batch, {"loss": 1.0})
        callback.on_epoch_end(epoch, {"loss": 1.0})
    return [[int(n) for n in path.removesuffix(".keras").split()] for path in model.saved]


def csv_text(logs, **options):
    """The lines of the file of CSVLogger without the first column, which counts epochs from 0."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "log.csv")
        callback = keras.callbacks.CSVLogger(path, **options)
        callback.on_train_begin({})
        for epoch, log in enumerate(logs):
            callback.on_epoch_end(epoch, dict(log))
        callback.on_train_end({})
        with open(path, newline="") as file:
            rows = file.read().split("\r\n")[:-1]
    return [row.split(options.get("separator", ","), 1)[1] for row in rows]


CSV = [
    ([{"loss": 0.5, "accuracy": 0.25}, {"loss": 1e-05, "accuracy": 0.3125}], {}),
    ([{"loss": 0.5, "val_loss": 2.0}, {"loss": 0.25}], {"separator": ";"}),
    ([{"loss": 1.5, "learning_rate": 0.001, "val_loss": 1e20}], {}),
    ([{"loss": 0.5}, {"loss": 0.25, "val_loss": 0.75}], {}),
]


def callbacks():
    series = {name: ["nan" if v != v else "inf" if v == float("inf") else v for v in values]
              for name, values in SERIES.items()}
    return {
        "series": series,
        "early_stopping": cases(lambda o: keras.callbacks.EarlyStopping(**o), ["epochs", "weights"], STOPPING),
        "reduce_lr": cases(lambda o: keras.callbacks.ReduceLROnPlateau(**o), ["rates", "logged"], PLATEAU),
        "checkpoint": cases(lambda o: keras.callbacks.ModelCheckpoint(**o), ["saved"], CHECKPOINT),
        "batch_saves": [{"frequency": f, "steps": e, "saves": batch_saves(f, e)}
                        for f, e in [(3, [5, 5, 5]), (1, [2, 2]), (7, [3, 4, 5, 2]), (4, [4, 4])]],
        "csv": [{"logs": logs, "options": options, "rows": csv_text(logs, **options)} for logs, options in CSV],
    }
