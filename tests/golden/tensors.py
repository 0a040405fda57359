"""Tensor operations: values by numpy, gradients by jax.

A case is Lua code on the inputs a, b, c and the same in Python. `dx` are the gradients of sum(y * weights), weights =
wave(shape of y, 0.61, 0.3); cases of integers have none."""

import jax
import jax.numpy as jnp
import numpy as np

from lua_data import wave


def real(*shape, low=-2.0, high=2.0, phase=0.1):
    """Distinct values between low and high."""
    return ((wave(shape, 0.83, phase).astype(np.float64) + 1) / 2 * (high - low) + low).astype(np.float32)


def ints(*shape, low=-9, high=9, step=7):
    n = int(np.prod(shape, dtype=int))
    return (low + np.arange(n, dtype=np.int32) * step % (high - low + 1)).astype(np.int32).reshape(shape)


def ubytes(*shape, step=37):
    n = int(np.prod(shape, dtype=int))
    return (np.arange(n) * step % 256).astype(np.uint8).reshape(shape)


UNARY = [
    ("abs", jnp.abs, -2, 2), ("cos", jnp.cos, -3, 3), ("erf", jax.scipy.special.erf, -2, 2),
    ("exp", jnp.exp, -3, 3), ("log", jnp.log, 0.1, 4), ("log1p", jnp.log1p, -0.9, 4), ("neg", jnp.negative, -2, 2),
    ("reciprocal", lambda x: 1 / x, 0.2, 3), ("sin", jnp.sin, -3, 3), ("sqrt", jnp.sqrt, 0.1, 5),
    ("square", jnp.square, -3, 3), ("tanh", jnp.tanh, -3, 3), ("sigmoid", jax.nn.sigmoid, -5, 5),
    ("relu", jax.nn.relu, -2, 2), ("elu", jax.nn.elu, -2, 2), ("selu", jax.nn.selu, -2, 2),
    ("gelu", lambda x: jax.nn.gelu(x, approximate=False), -3, 3), ("silu", jax.nn.silu, -3, 3),
    ("softplus", jax.nn.softplus, -4, 4), ("softsign", jax.nn.soft_sign, -3, 3),
    ("leaky_relu", lambda x: jax.nn.leaky_relu(x, 0.2), -2, 2),
    ("hard_sigmoid", lambda x: jnp.clip(x / 6 + 0.5, 0, 1), -4, 4),
]
ROUND = [("floor", np.floor), ("ceil", np.ceil), ("round", np.round), ("sign", np.sign)]


def cases():
    for name, f, low, high in UNARY:
        yield "a:%s()" % name, f, [real(3, 5, low=low, high=high)]
    x = real(3, 4)
    yield "a:clamp(-0.5, 1)", lambda a: jnp.clip(a, -0.5, 1), [x]
    yield "-a", lambda a: -a, [x]
    # arithmetic, broadcasting
    y, row, col, one = real(3, 4, phase=0.7), real(4, phase=1.1), real(3, 1, phase=2.0), real(phase=0.4)
    for other in (y, row, col, one):
        yield "a + b", lambda a, b: a + b, [x, other]
        yield "a - b", lambda a, b: a - b, [x, other]
        yield "a * b", lambda a, b: a * b, [x, other]
        yield "a / b", lambda a, b: a / b, [x, other + 3]
        yield "a:maximum(b)", jnp.maximum, [x, other]
        yield "a:minimum(b)", jnp.minimum, [x, other]
    yield "b - a", lambda a, b: b - a, [x, row]
    yield "a ^ b", jnp.power, [real(3, 4, low=0.3, high=2), row]
    yield "a + 1.5", lambda a: a + 1.5, [x]
    yield "1.5 - a", lambda a: 1.5 - a, [x]
    yield "2 * a", lambda a: 2 * a, [x]
    yield "a / 3", lambda a: a / 3, [x]
    yield "3 / a", lambda a: 3 / a, [real(3, 4, low=0.5, high=2)]
    yield "a ^ 2", lambda a: a ** 2, [x]
    yield "a ^ 3", lambda a: a ** 3, [x]
    yield "2 ^ a", lambda a: 2 ** a, [x]
    yield "a ^ 0.5", lambda a: a ** 0.5, [real(3, 4, low=0.3, high=2)]
    # reductions
    z = real(2, 3, 4)
    for name, f in (("sum", jnp.sum), ("mean", jnp.mean), ("prod", jnp.prod), ("var", jnp.var), ("std", jnp.std),
                    ("max", jnp.max), ("min", jnp.min), ("norm", lambda a, axis=None, keepdims=False:
                     jnp.sqrt(jnp.sum(a * a, axis=axis, keepdims=keepdims)))):
        yield "a:%s()" % name, f, [z]
        for dim in (1, 2, 3, -1):
            axis = dim - 1 if dim > 0 else dim
            yield "(a:%s(%d))" % (name, dim), lambda a, f=f, axis=axis: f(a, axis=axis), [z]
        yield "(a:%s(2, true))" % name, lambda a, f=f: f(a, axis=1, keepdims=True), [z]
        yield "(a:%s({1, 3}))" % name, lambda a, f=f: f(a, axis=(0, 2)), [z]
        yield "a:T():%s()" % name, lambda a, f=f: f(a.T), [x]
    yield "a:cumsum(1)", lambda a: jnp.cumsum(a, 0), [z]
    yield "a:cumsum(-1)", lambda a: jnp.cumsum(a, -1), [z]
    yield "a:softmax(2)", lambda a: jax.nn.softmax(a, 1), [x]
    yield "a:softmax(1)", lambda a: jax.nn.softmax(a, 0), [x]
    yield "a:log_softmax(-1)", lambda a: jax.nn.log_softmax(a, -1), [x]
    # products
    yield "a:matmul(b)", jnp.matmul, [real(3, 4), real(4, 5, phase=0.9)]
    yield "a:matmul(b)", jnp.matmul, [real(4), real(4, 5, phase=0.9)]
    yield "a:matmul(b)", jnp.matmul, [real(3, 4), real(4, phase=0.9)]
    yield "a:matmul(b)", jnp.matmul, [real(4), real(4, phase=0.9)]
    yield "a:matmul(b)", jnp.matmul, [real(2, 3, 4), real(2, 4, 5, phase=0.9)]
    yield "a:matmul(b)", jnp.matmul, [real(2, 3, 4), real(4, 5, phase=0.9)]
    yield "a:T():matmul(b:T())", lambda a, b: a.T @ b.T, [real(4, 3), real(5, 4, phase=0.9)]
    # shapes
    yield "a:T()", jnp.transpose, [x]
    yield "a:transpose(1, 3)", lambda a: jnp.swapaxes(a, 0, 2), [z]
    yield "a:permute{3, 1, 2}", lambda a: jnp.transpose(a, (2, 0, 1)), [z]
    yield "a:permute(2, 3, 1)", lambda a: jnp.transpose(a, (1, 2, 0)), [z]
    yield "a:reshape(4, 6)", lambda a: a.reshape(4, 6), [z]
    yield "a:reshape{-1, 8}", lambda a: a.reshape(-1, 8), [z]
    yield "a:T():reshape(-1)", lambda a: a.T.reshape(-1), [x]
    yield "a:flatten()", jnp.ravel, [z]
    yield "a:squeeze()", jnp.squeeze, [real(1, 3, 1, 2)]
    yield "a:squeeze(3)", lambda a: jnp.squeeze(a, 2), [real(1, 3, 1, 2)]
    yield "a:unsqueeze(1)", lambda a: a[None], [x]
    yield "a:unsqueeze(-1)", lambda a: a[..., None], [x]
    yield "a:expand(3, 4)", lambda a: jnp.broadcast_to(a, (3, 4)), [real(3, 1)]
    yield "a:expand(2, -1, 5)", lambda a: jnp.broadcast_to(a, (2, 3, 5)), [real(3, 1)]
    yield "a:T():contiguous()", jnp.transpose, [x]
    yield "a:clone()", lambda a: a, [x]
    yield "a:flip(2)", lambda a: jnp.flip(a, 1), [x]
    # parts
    yield "a[2]", lambda a: a[1], [z]
    yield "a[2][3]", lambda a: a[1][2], [z]
    yield "a[{2, 3}]", lambda a: a[1, 2], [z]
    yield "a[{{}, 2}]", lambda a: a[:, 1], [z]
    yield "a[{{}, {2, 3}, 4}]", lambda a: a[:, 1:3, 3], [z]
    yield "a[{{2, 2}, {}, {1, 3}}]", lambda a: a[1:2, :, 0:3], [z]
    yield "a:T()[{{2, 3}}]", lambda a: a.T[1:3], [x]
    yield "a:slice(3, 2, 3)", lambda a: a[:, :, 1:3], [z]
    yield "a:slice(2, 2)", lambda a: a[:, 1:], [z]
    yield "a:index(1, {3, 1, 3})", lambda a: a[jnp.array([2, 0, 2])], [x]
    yield "a:index(-1, {4, 1})", lambda a: a[:, jnp.array([3, 0])], [x]
    yield "a:index(2, moth.tensor({{1, 2}, {2, 3}}))", lambda a: a[:, jnp.array([[0, 1], [1, 2]])], [z]
    yield "moth.cat({a, b}, 1)", lambda a, b: jnp.concatenate([a, b], 0), [x, real(2, 4, phase=0.5)]
    yield "moth.cat({a, b, a}, -1)", lambda a, b: jnp.concatenate([a, b, a], 1), [x, real(3, 2, phase=0.5)]
    yield "moth.stack({a, b})", lambda a, b: jnp.stack([a, b]), [x, y]
    yield "moth.stack({a, b}, 3)", lambda a, b: jnp.stack([a, b], 2), [x, y]
    yield "a:split(2, 2)[2]", lambda a: a[:, 2:], [x]
    yield "a:split({1, 2})[2]", lambda a: a[1:], [x]
    yield "moth.where(a:gt(b), a, b * 2)", lambda a, b: jnp.where(a > b, a, b * 2), [x, row]
    yield "moth.where(a:gt(0), a, 0)", lambda a: jnp.where(a > 0, a, 0), [x]


def plain_cases():
    """Integers, types, comparisons: no gradients."""
    x, i, u = real(3, 4), ints(3, 4), ubytes(3, 4)
    for name, f in ROUND:
        yield "a:%s()" % name, f, [real(4, 5)]
    for name, f in (("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal),
                    ("gt", np.greater), ("ge", np.greater_equal)):
        yield "a:%s(b)" % name, lambda a, b, f=f: f(a, b).astype(np.uint8), [ints(3, 4), ints(4, step=5)]
        yield "a:%s(2)" % name, lambda a, f=f: f(a, 2).astype(np.uint8), [ints(3, 4)]
        yield "a:%s(b)" % name, lambda a, b, f=f: f(a, b).astype(np.uint8), [x, real(3, 1, phase=2.0)]
    # types: uint8 -> int32 -> float32, a number beside integers is one where it is integral
    yield "a + b", lambda a, b: a + b, [i, u]
    yield "a + b", lambda a, b: (a + b).astype(np.float32), [i, x]
    yield "a * b", lambda a, b: (a * b).astype(np.float32), [u, x]
    yield "a + 1", lambda a: a + np.int32(1), [i]
    yield "a + 1", lambda a: a + np.uint8(1), [u]
    yield "a - 300", lambda a: a.astype(np.int32) - 300, [u]
    yield "a * -1", lambda a: a.astype(np.int32) * -1, [u]
    yield "a * 0.5", lambda a: (a * 0.5).astype(np.float32), [i]
    yield "a / 2", lambda a: (a / 2).astype(np.float32), [i]
    yield "a / b", lambda a, b: (a / b).astype(np.float32), [i, ints(3, 4, low=1)]
    yield "a ^ 2", lambda a: a ** 2, [i]
    yield "a ^ 9", lambda a: a ** 9, [u]
    yield "a ^ b", lambda a, b: a ** b, [i, ints(3, 1, low=0, high=12)]
    yield "(-3) ^ a", lambda a: np.int32(-3) ** a, [ints(3, 4, low=0, high=19)]
    yield "a ^ -1", lambda a: (1 / a).astype(np.float32), [ints(3, 4, low=1)]
    yield "a ^ 0.5", lambda a: (a ** 0.5).astype(np.float32), [u]
    yield "-a", lambda a: -a, [i]
    yield "-a", lambda a: -a.astype(np.int32), [u]
    yield "a:exp()", lambda a: np.exp(a.astype(np.float64)).astype(np.float32), [ints(3, 4, low=-3, high=3)]
    yield "a:maximum(b)", np.maximum, [i, ints(4, step=5)]
    yield "a:sum()", lambda a: np.sum(a, dtype=np.int32), [i]
    yield "a:sum(1)", lambda a: np.sum(a, axis=0, dtype=np.int32), [u]
    yield "a:mean()", lambda a: np.mean(a).astype(np.float32), [u]
    yield "a:var(2)", lambda a: np.var(a, axis=1).astype(np.float32), [i]
    yield "a:cumsum(2)", lambda a: np.cumsum(a, axis=1, dtype=np.int32), [u]
    yield "a:argmax()", lambda a: (np.argmax(a) + 1).astype(np.int32), [x]
    yield "a:argmin(1)", lambda a: (np.argmin(a, 0) + 1).astype(np.int32), [x]
    yield "a:argmax(2, true)", lambda a: (np.argmax(a, 1, keepdims=True) + 1).astype(np.int32), [x]
    yield "select(2, a:max(2))", lambda a: (np.argmax(a, 1) + 1).astype(np.int32), [x]
    yield "select(2, a:min(-1))", lambda a: (np.argmin(a, 1) + 1).astype(np.int32), [i]
    yield "a:max()", np.max, [u]
    yield "a:argmax(2)", lambda a: (np.argmax(a, 1) + 1).astype(np.int32), [np.array([[1, 3, 3], [2, 2, 1]], np.int32)]
    yield "a:all()", lambda a: np.all(a).astype(np.uint8), [i]
    yield "a:any(1)", lambda a: np.any(a, 0).astype(np.uint8), [np.array([[0, 1, 0], [0, 2, 0]], np.int32)]
    yield "a:all(2)", lambda a: np.all(a, 1).astype(np.uint8), [np.array([[1, 1], [0, 2]], np.uint8)]
    yield "a:to('int32')", lambda a: a.astype(np.int32), [real(3, 4, low=-9, high=9)]
    yield "a:to('float32')", lambda a: a.astype(np.float32), [u]
    yield "a:to('uint8')", lambda a: a.astype(np.uint8), [ints(3, 4, low=0, high=255)]
    yield "moth.cat({a, b})", lambda a, b: np.concatenate([a, b]), [i, u]
    yield "moth.one_hot(a, 7)", lambda a: np.eye(7, dtype=np.float32)[a], [ints(2, 3, low=0, high=6)]
    yield "moth.where(a:lt(3), a, 0)", lambda a: np.where(a < 3, a, 0).astype(np.int32), [i]
    yield "a:T():reshape(2, -1)", lambda a: a.T.reshape(2, -1), [u]
    yield "a:index(1, {2, 2})", lambda a: a[[1, 1]], [u]


def with_gradients(code, f, inputs):
    y = np.asarray(f(*inputs))
    weights = wave(y.shape, 0.61, 0.3)
    loss = lambda *arguments: jnp.sum(f(*arguments) * weights)
    dx = jax.grad(loss, argnums=tuple(range(len(inputs))))(*inputs)
    return {"code": code, "inputs": inputs, "y": y, "shape": list(y.shape), "dx": list(dx)}


def plain(code, f, inputs):
    y = np.asarray(f(*inputs))
    return {"code": code, "inputs": inputs, "types": [str(x.dtype) for x in inputs], "y": y, "shape": list(y.shape),
            "dtype": str(y.dtype)}


def tensors():
    return {"differentiable": [with_gradients(*case) for case in cases()],
            "plain": [plain(*case) for case in plain_cases()]}
