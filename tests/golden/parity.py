"""Keras's half of `make parity`: parity.py FOLDER. Trains over what parity.lua wrote and compares the losses."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

STEPS, BATCH, WANTED = 100, 128, 1e-4
folder = sys.argv[1]


def load(name):
    return np.load(os.path.join(folder, name + ".npy"))


def losses(name, x, y, weights):
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(128, activation="relu"),
                              keras.layers.Dense(128, activation="relu"), keras.layers.Dense(10, activation="softmax")])
    model.set_weights(weights)
    model.compile(optimizer=getattr(keras.optimizers, name)(), loss="categorical_crossentropy")
    found = []
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        model.reset_metrics()  # train_on_batch reports means since the last reset
        result = model.train_on_batch(x[rows], y[rows])
        found.append(float(np.ravel(result)[0]))
    return np.array(found)


def main():
    x, y = load("x"), load("y")
    weights = [load(f"w{i}") for i in range(1, 7)]
    digits = "synthetic digits" if load("synthetic")[0] else "MNIST"
    print(f"MLP 784-128-128-10, {STEPS} steps of {BATCH} on {digits}, Keras {keras.__version__} "
          f"({keras.backend.backend()}), float32.\n")
    print("| optimizer | last loss, moth | last loss, Keras | largest relative difference | wanted | verdict |")
    print("|---|---|---|---|---|---|")
    good = True
    for name in ("SGD", "RMSprop", "Adam"):
        ours, theirs = load(name).astype("float64"), losses(name, x, y, weights)
        largest = float(np.max(np.abs(ours - theirs) / np.abs(theirs)))
        held = largest <= WANTED  # false for nan
        good = good and held
        print(f"| {name} | {ours[-1]:.6f} | {theirs[-1]:.6f} | {largest:.1e} | ≤ {WANTED:.0e} "
              f"| {'held' if held else 'FAILED'} |")
    return 0 if good else 1


sys.exit(main())
