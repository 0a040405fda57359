#!/usr/bin/env python3
"""Writes the reference values of this directory. Usage: generate.py [NAME …], e.g. generate.py layers."""

import os
import platform
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
HERE = os.path.dirname(os.path.abspath(__file__))

import jax
import keras
import numpy

import callbacks
import functions
import layers
import optimizers
import sequences
import tensors
import training
from lua_data import write

FILES = {
    "activations": (functions.activations, "Activations, their values and gradients."),
    "losses": (functions.losses, "Losses, per sample and reduced, and their gradients."),
    "metrics": (functions.metrics, "Metrics accumulated over batches of unequal size."),
    "initializers": (functions.initializers, "What the draws of each initializer must satisfy."),
    "optimizers": (optimizers.optimizers, "Optimizers step by step, schedules and constraints."),
    "layers": (layers.layers, "Layers, their outputs, gradients and state."),
    "attention": (layers.attention, "MultiHeadAttention, its outputs and gradients."),
    "sequences": (sequences.sequences, "Layers around layers, masks, training with steps that do not count."),
    "tensors": (tensors.tensors, "Operations on tensors and their gradients."),
    "training": (training.training, "Training: losses of many steps, what fit and evaluate report."),
    "callbacks": (callbacks.callbacks, "What callbacks do with given values of a metric."),
}


def main(names):
    for name in names or FILES:
        make, heading = FILES[name]
        write(os.path.join(HERE, name + ".lua"), make(), heading)
    with open(os.path.join(HERE, "VERSIONS"), "w") as file:
        file.write("python %s\nkeras %s\nbackend jax %s\nnumpy %s\n"
                   % (platform.python_version(), keras.__version__, jax.__version__, numpy.__version__))


main(sys.argv[1:])
