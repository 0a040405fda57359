"""Writes Python and numpy values as Lua data that stock Lua loads with dofile."""

import re

import numpy as np

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
KEYWORDS = set(
    "and break do else elseif end false for function goto if in local nil not or "
    "repeat return then true until while".split()
)


def wave(shape, step=0.37, phase=0.1, scale=1.0):
    """The inputs of every case: scale * sin(i * step + phase), i = 0, 1, … in row-major order."""
    i = np.arange(np.prod(shape, dtype=int), dtype=np.float64)
    return (scale * np.sin(i * step + phase)).astype(np.float32).reshape(shape)


def number(x):
    if isinstance(x, (int, np.integer)):
        return str(int(x))
    if np.isnan(x) or np.isinf(x):
        raise ValueError("a reference value must be finite")
    # Nine digits name a float32 uniquely. The point keeps a whole float a float in Lua,
    # so that the type of a tensor made from it does not depend on its values. -0 is written as 0.
    text = "%.9g" % (x or 0.0)
    return text if re.search(r"[.e]", text) else text + ".0"


def key(k):
    if isinstance(k, int):
        return "[%d]" % k
    return k if IDENTIFIER.match(k) and k not in KEYWORDS else '["%s"]' % k


def flat(value):
    """The value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"%s"' % value
    if isinstance(value, (int, float, np.integer, np.floating)):
        return number(value)
    if isinstance(value, dict):
        return "{" + ", ".join("%s = %s" % (key(k), flat(v)) for k, v in value.items() if v is not None) + "}"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(flat(v) for v in value) + "}"
    array = np.asarray(value)
    return number(array[()]) if array.ndim == 0 else "{" + ",".join(flat(v) for v in array) + "}"


def lines(value, indent=""):
    """The value over several lines, each nested table that fits kept on one."""
    text = flat(value)
    if len(text) + len(indent) <= 160 or not isinstance(value, (dict, list, tuple)):
        return text
    inner = indent + " "
    if isinstance(value, dict):
        items = ["%s = %s" % (key(k), lines(v, inner)) for k, v in value.items() if v is not None]
    else:
        items = [lines(v, inner) for v in value]
    return "{\n" + "".join("%s%s,\n" % (inner, item) for item in items) + indent + "}"


def write(path, value, heading):
    with open(path, "w") as file:
        file.write("-- %s Written by generate.py; README.md describes it.\nreturn %s\n" % (heading, lines(value)))
