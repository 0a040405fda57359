"""Layers: output, gradients and state."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from lua_data import wave

IMAGE, SEQUENCE = (2, 7, 6, 3), (3, 5, 4)

# (layer, options by Keras's names, shape of the input with its batch)
LAYERS = [
    ("Dense", {"units": 4}, (3, 5)),
    ("Dense", {"units": 4, "activation": "relu"}, (3, 5)),
    ("Dense", {"units": 4, "use_bias": False, "activation": "softmax"}, (3, 5)),
    ("Dense", {"units": 3, "activation": "tanh"}, (2, 4, 5)),
    ("Flatten", {}, (2, 3, 2, 2)),
    ("Reshape", {"target_shape": (3, 4)}, (2, 6, 2)),
    ("Permute", {"dims": (2, 1)}, (2, 3, 4)),
    ("RepeatVector", {"n": 3}, (2, 4)),
    ("Conv2D", {"filters": 4, "kernel_size": 3}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": (2, 3), "strides": (3, 2), "padding": "same"}, IMAGE),
    ("Conv2D", {"filters": 2, "kernel_size": 4, "padding": "same"}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "use_bias": False}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, IMAGE),
    ("Conv2D", {"filters": 5, "kernel_size": 1}, IMAGE),
    ("Conv2D", {"filters": 2, "kernel_size": 5, "strides": 3, "padding": "same"}, (1, 28, 28, 1)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}, (2, 5, 5, 6)),
    ("Conv1D", {"filters": 4, "kernel_size": 3}, SEQUENCE),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}, SEQUENCE),
    ("Conv1D", {"filters": 4, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}, SEQUENCE),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, IMAGE),
    ("DepthwiseConv2D", {"kernel_size": (2, 3), "strides": 2, "use_bias": False, "activation": "relu"}, IMAGE),
    ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2}, IMAGE),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3}, IMAGE),
    ("SeparableConv2D", {"filters": 2, "kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same",
                         "use_bias": False, "activation": "tanh"}, IMAGE),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}, (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3}, (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 1, "strides": 2, "padding": "same"}, (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": (4, 5), "strides": (2, 3), "padding": "same"}, (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
     (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": (0, 2)},
     (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 3, "output_padding": (2, 1)}, (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "use_bias": False, "activation": "relu"},
     (2, 3, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "padding": "same"}, (2, 3, 4, 3)),
    ("ZeroPadding2D", {}, (1, 2, 3, 2)), ("ZeroPadding2D", {"padding": 2}, (1, 2, 3, 2)),
    ("ZeroPadding2D", {"padding": (0, 2), "data_format": "channels_first"}, (1, 2, 3, 2)),
    ("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}, (1, 2, 3, 2)),
    ("UpSampling2D", {}, (1, 2, 3, 2)), ("UpSampling2D", {"size": (2, 3)}, (1, 2, 3, 2)),
    ("UpSampling2D", {"size": (2, 3), "data_format": "channels_first"}, (1, 2, 3, 2)),
    ("UpSampling2D", {"size": (3, 2), "interpolation": "bilinear"}, (2, 3, 2, 2)),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bicubic"}, (2, 4, 5, 1)),
    ("UpSampling2D", {"size": 2, "interpolation": "bilinear"}, (1, 3, 2, 2)),
    ("MaxPooling2D", {}, IMAGE),
    ("MaxPooling2D", {"pool_size": 2, "padding": "same"}, IMAGE),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2}, IMAGE),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    ("MaxPooling2D", {"pool_size": (3, 2), "strides": (1, 2)}, IMAGE),
    ("AveragePooling2D", {"pool_size": 2}, IMAGE),
    ("AveragePooling2D", {"pool_size": 2, "padding": "same"}, IMAGE),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    ("MaxPooling1D", {}, SEQUENCE),
    ("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, SEQUENCE),
    ("AveragePooling1D", {"pool_size": 2, "padding": "same"}, SEQUENCE),
    ("GlobalMaxPooling1D", {}, SEQUENCE), ("GlobalAveragePooling1D", {}, SEQUENCE),
    ("GlobalMaxPooling2D", {}, IMAGE), ("GlobalAveragePooling2D", {}, IMAGE),
    ("BatchNormalization", {}, (6, 5)),
    ("BatchNormalization", {"momentum": 0.8, "epsilon": 0.01}, (3, 2, 4, 3)),
    ("BatchNormalization", {"scale": False}, (6, 5)),
    ("BatchNormalization", {"center": False}, (6, 5)),
    ("BatchNormalization", {"axis": 1}, (3, 4, 2, 2)),
    ("LayerNormalization", {}, (3, 5)),
    ("LayerNormalization", {"epsilon": 0.01}, (2, 3, 4)),
    ("SimpleRNN", {"units": 3}, SEQUENCE),
    ("SimpleRNN", {"units": 3, "return_sequences": True, "activation": "relu"}, SEQUENCE),
    ("LSTM", {"units": 3}, SEQUENCE),
    ("LSTM", {"units": 3, "return_sequences": True}, SEQUENCE),
    ("LSTM", {"units": 3, "return_sequences": True, "go_backwards": True}, SEQUENCE),
    ("LSTM", {"units": 3, "use_bias": False, "activation": "relu", "recurrent_activation": "hard_sigmoid"}, SEQUENCE),
    ("GRU", {"units": 3}, SEQUENCE),
    ("GRU", {"units": 3, "return_sequences": True}, SEQUENCE),
    ("GRU", {"units": 3, "reset_after": False}, SEQUENCE),
    ("LeakyReLU", {}, (3, 5)), ("LeakyReLU", {"negative_slope": 0.1}, (3, 5)), ("ELU", {"alpha": 0.7}, (3, 5)),
    ("ELU", {}, (3, 5)),
    ("ReLU", {}, (3, 5)), ("ReLU", {"max_value": 0.8, "negative_slope": 0.1}, (3, 5)),
    ("ReLU", {"threshold": 0.3, "negative_slope": 0.2}, (3, 5)),
    ("Softmax", {}, (3, 5)), ("Softmax", {"axis": 1}, (2, 3, 4)), ("Softmax", {"axis": (1, 2)}, (2, 3, 2, 2)),
    ("Softmax", {"axis": (1, 3)}, (2, 3, 2, 2)),
    ("PReLU", {}, (3, 5)), ("PReLU", {"shared_axes": (1, 2)}, IMAGE), ("PReLU", {"shared_axes": (1,)}, (2, 3, 4)),
    ("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (3, 5)),
]


def fill(variables, scale=0.8):
    """Gives every variable values of its own; a moving variance and a gamma stay positive."""
    for k, variable in enumerate(variables):
        value = wave(variable.shape, 0.53, 0.2 + k, scale)
        if variable.name in ("gamma", "moving_variance"):
            value = np.abs(value) + np.float32(0.5)
        variable.assign(value)


def arrays(variables):
    return [np.asarray(v) for v in variables]


def measure(layer, x, training, gradient_of_input=True):
    """One forward and backward pass of a built layer, its variables left as they were."""
    state = arrays(layer.non_trainable_variables)

    def run(weights, value):
        y, moved = layer.stateless_call(weights, state, value, **({"training": True} if training else {}))
        return y, moved

    weights = [jnp.asarray(v) for v in arrays(layer.trainable_variables)]
    if gradient_of_input:
        y, pull, moved = jax.vjp(run, weights, jnp.asarray(x), has_aux=True)
    else:
        y, pull, moved = jax.vjp(lambda w: run(w, jnp.asarray(x)), weights, has_aux=True)
    r = wave(y.shape, 0.73, 0.5)
    pulled = pull(jnp.asarray(r))
    facts = {"training": training, "y": np.asarray(y), "r": r}
    if gradient_of_input:
        facts["dx"] = np.asarray(pulled[1])
    if weights:
        facts["gradients"] = arrays(pulled[0])
    if training and state:
        facts["state_after"] = arrays(moved)
    return facts


def describe(name, options, layer, x, **measured):
    case = {"name": name, "options": options, "x": x}
    if layer.trainable_variables:
        case["weight_names"] = [v.name for v in layer.trainable_variables]
        case["weights"] = arrays(layer.trainable_variables)
    if layer.non_trainable_variables:
        case["state_names"] = [v.name for v in layer.non_trainable_variables]
        case["state"] = arrays(layer.non_trainable_variables)
    case.update(measured)
    return case


def plain(name, options, shape):
    layer = getattr(keras.layers, name)(**options)
    x = wave(shape)
    layer.build(x.shape)
    fill(layer.variables)
    modes = (True, False) if name == "BatchNormalization" else (False,)
    return [describe(name, options, layer, x, **measure(layer, x, training)) for training in modes]


def embedding():
    ids = np.array([[0, 3, 2], [4, 3, 0]], dtype=np.int32)
    layer = keras.layers.Embedding(5, 4)
    layer.build(ids.shape)
    fill(layer.variables)
    return describe("Embedding", {"input_dim": 5, "output_dim": 4}, layer, ids,
                    **measure(layer, ids, False, gradient_of_input=False))


ATTENTION = [
    ({"num_heads": 2, "key_dim": 3}, {}),
    # with dropout, which does nothing here, Keras's jax backend takes values of another size
    ({"num_heads": 2, "key_dim": 3, "value_dim": 2, "output_shape": 5, "dropout": 0.1}, {}),
    ({"num_heads": 1, "key_dim": 2, "use_bias": False}, {"key": True}),
    ({"num_heads": 2, "key_dim": 2}, {"causal": True}), ({"num_heads": 2, "key_dim": 2}, {"masked": True}),
]


def attend(options, how):
    """Inputs are query, value and, where one is given, key; masked: steps of the value that are 0 do not count."""
    layer = keras.layers.MultiHeadAttention(**options)
    inputs = [wave((2, 3, 4)), wave((2, 5, 4), 0.61, 0.3)]
    if how.get("masked"):
        inputs[1][0, 3:] = 0
    if how.get("key"):
        inputs.append(wave((2, 5, 3), 0.47, 0.7))
    layer.build(*[x.shape for x in inputs])
    fill(layer.trainable_variables)
    extra = {"use_causal_mask": True} if how.get("causal") else {}
    if how.get("masked"):
        extra["value_mask"] = jnp.asarray((inputs[1] != 0).any(-1))
    weights, state = arrays(layer.trainable_variables), arrays(layer.non_trainable_variables)
    weights = [jnp.asarray(v) for v in weights]
    y, pull = jax.vjp(lambda w, values: layer.stateless_call(w, state, *values, **extra)[0], weights,
                      [jnp.asarray(x) for x in inputs])
    r = wave(y.shape, 0.73, 0.5)
    gradients, changes = pull(jnp.asarray(r))
    if how.get("causal"):
        options = dict(options, use_causal_mask=True)
    return {"options": options, "masked": how.get("masked"), "inputs": inputs, "y": np.asarray(y), "r": r,
            "weights": arrays(weights), "dx": arrays(changes), "gradients": arrays(gradients)}


def merges():
    """Layers of several inputs."""
    vectors, steps = [(3, 4)] * 2, (3, 2, 4)
    cases = []
    for name, options, shapes in [
        ("Add", {}, vectors), ("Add", {}, [(3, 4)] * 3), ("Add", {}, [(3, 4), steps]), ("Add", {}, [steps, (3, 1, 4)]),
        ("Subtract", {}, vectors), ("Subtract", {}, [(3, 4), steps]),
        ("Multiply", {}, vectors), ("Multiply", {}, [(3, 4)] * 3),
        ("Average", {}, vectors), ("Average", {}, [(3, 4)] * 3),
        ("Maximum", {}, vectors), ("Maximum", {}, [(3, 4)] * 3), ("Minimum", {}, vectors),
        ("Concatenate", {}, vectors), ("Concatenate", {}, [(3, 4), (3, 1), (3, 2)]),
        ("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 1, 4)]), ("Concatenate", {"axis": -2}, [(2, 3, 4), (2, 1, 4)]),
        ("Dot", {"axes": 1}, vectors), ("Dot", {"axes": 1, "normalize": True}, vectors), ("Dot", {"axes": -1}, vectors),
        ("Dot", {"axes": 2}, [steps, steps]), ("Dot", {"axes": 1, "normalize": True}, [steps, steps]),
        ("Dot", {"axes": (2, 1)}, [steps, (3, 4, 5)]), ("Dot", {"axes": (1, 2)}, [(3, 4), steps]),
        ("Dot", {"axes": (3, 1)}, [(2, 2, 3, 4), (2, 4, 2, 2)]),
    ]:
        layer = getattr(keras.layers, name)(**options)
        inputs = [wave(shape, 0.37 + 0.24 * k, 0.1 + 0.2 * k) for k, shape in enumerate(shapes)]
        y, pull = jax.vjp(lambda values: layer(values), [jnp.asarray(x) for x in inputs])
        r = wave(y.shape, 0.73, 0.5)
        gradients = arrays(pull(jnp.asarray(r))[0])
        cases.append({"name": name, "options": options, "inputs": inputs, "y": np.asarray(y), "r": r,
                      "gradients": gradients})
    return cases


def layers():
    single = [case for name, options, shape in LAYERS for case in plain(name, options, shape)]
    return {"single": single + [embedding()], "merge": merges()}


def attention():
    return [attend(*case) for case in ATTENTION]
