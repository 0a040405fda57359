"""Optimizers, learning-rate schedules and constraints."""

import keras
import numpy as np

from lua_data import wave

STEPS = 10

OPTIMIZERS = [
    ("SGD", {}), ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}), ("RMSprop", {"learning_rate": 0.05, "rho": 0.8}),
    ("RMSprop", {"learning_rate": 0.05, "momentum": 0.9}), ("RMSprop", {"learning_rate": 0.05, "centered": True}),
    ("RMSprop", {"learning_rate": 0.05, "centered": True, "momentum": 0.9}),
    ("RMSprop", {"learning_rate": 0.05, "epsilon": 0.01}),
    ("Adam", {}), ("Adam", {"learning_rate": 0.05}), ("Adam", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95}),
    ("Adam", {"learning_rate": 0.05, "amsgrad": True}), ("Adam", {"learning_rate": 0.05, "epsilon": 0.01}),
    ("AdamW", {}), ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.1}),
    ("Adagrad", {}), ("Adagrad", {"learning_rate": 0.1}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5}),
    ("Adadelta", {}), ("Adadelta", {"learning_rate": 1.0}), ("Adadelta", {"learning_rate": 1.0, "rho": 0.8}),
    ("Adamax", {}), ("Adamax", {"learning_rate": 0.05}),
    ("Nadam", {}), ("Nadam", {"learning_rate": 0.05}),
    ("Lion", {}), ("Lion", {"learning_rate": 0.05}),
    ("SGD", {"learning_rate": 0.1, "clipvalue": 0.3}), ("SGD", {"learning_rate": 0.1, "clipnorm": 1.0}),
    ("SGD", {"learning_rate": 0.1, "global_clipnorm": 1.0}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "clipnorm": 0.5, "weight_decay": 0.05}),
    ("Adam", {"learning_rate": 0.05, "clipvalue": 0.3}), ("Adam", {"learning_rate": 0.05, "clipnorm": 1.0}),
    ("Adam", {"learning_rate": 0.05, "global_clipnorm": 1.0, "weight_decay": 0.05}),
    ("RMSprop", {"learning_rate": 0.05, "weight_decay": 0.05}), ("Lion", {"learning_rate": 0.05, "weight_decay": 0.05}),
]

SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 8, "warmup_target": 0.1, "warmup_steps": 3}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 7], "values": [0.1, 0.05, 0.01]}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 6, "power": 2.0}),
]

CONSTRAINTS = [
    ("max_norm", keras.constraints.MaxNorm, {}), ("max_norm", keras.constraints.MaxNorm, {"max_value": 1.0}),
    ("non_neg", keras.constraints.NonNeg, {}), ("unit_norm", keras.constraints.UnitNorm, {}),
]


def gradients(step):
    # Large in some steps and small in others, so that clipping by norm both acts and does not.
    scale = 1.5 if step % 3 == 0 else 0.5
    return [wave((2, 3), 0.9, 0.3 + 0.7 * step, scale), wave((4,), 1.3, 1.1 + 0.4 * step, scale)]


def start():
    return [wave((2, 3)), wave((4,), 0.61, 0.3)]


def trace(name, options):
    if "learning_rate" in options and isinstance(options["learning_rate"], dict):
        schedule = options["learning_rate"]
        made = getattr(keras.optimizers.schedules, schedule["schedule"])(**schedule["options"])
        optimizer = getattr(keras.optimizers, name)(learning_rate=made)
    else:
        optimizer = getattr(keras.optimizers, name)(**options)
    variables = [keras.Variable(value) for value in start()]
    optimizer.build(variables)
    weights = []
    for step in range(1, STEPS + 1):
        optimizer.apply(gradients(step), variables)
        weights.append([np.asarray(v) for v in variables])
    return {"name": name, "options": options, "weights": weights}


def optimizers():
    scheduled = {"learning_rate": {"schedule": SCHEDULES[0][0], "options": SCHEDULES[0][1]}}
    cases = [trace(name, options) for name, options in OPTIMIZERS + [("SGD", scheduled), ("Adam", scheduled)]]
    schedules = []
    for name, options in SCHEDULES:
        schedule = getattr(keras.optimizers.schedules, name)(**options)
        schedules.append({"name": name, "options": options, "values": [np.asarray(schedule(step)) for step in range(13)]})
    weight = wave((3, 4), 0.61, 0.3, 2.0)
    constraints = [{"name": name, "options": options, "x": weight, "y": np.asarray(kind(**options)(weight))}
                   for name, kind, options in CONSTRAINTS]
    return {"initial": start(), "gradients": [gradients(step) for step in range(1, STEPS + 1)], "cases": cases,
            "schedules": schedules, "constraints": constraints}
