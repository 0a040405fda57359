#!/usr/bin/env python3
"""Draws the sample pictures in this directory: handwritten-looking digits, always the same ones.

The pictures are committed; run this only to change them (needs numpy and Pillow). The last digit of a file's name is
what the picture shows. 0.png to 4.png are white on black as in MNIST, 5.png to 9.png dark ink on paper, photo_N.jpg look
like photos: uneven light, grain, a coloured pen, the digit small and off the centre.
"""
import pathlib
import zlib

import numpy as np
from PIL import Image, ImageFilter

HERE = pathlib.Path(__file__).parent

# Strokes as a hand makes them: control points (x to the right, y down, the digit fills about 0..1), joined by a smooth
# curve. A point given twice is a corner.
STROKES = {
    0: [[(.55, .02), (.28, .12), (.16, .45), (.24, .85), (.50, .98), (.76, .80), (.82, .45), (.70, .10), (.52, .02)]],
    1: [[(.60, .00), (.55, .33), (.49, .66), (.43, 1.0)]],
    2: [[(.16, .24), (.30, .06), (.55, .02), (.76, .16), (.72, .40), (.46, .68), (.14, .95), (.14, .95), (.45, .92),
         (.88, .94)]],
    3: [[(.20, .12), (.42, .01), (.68, .08), (.72, .28), (.56, .44), (.38, .47), (.38, .47), (.66, .52), (.82, .70),
         (.70, .92), (.44, 1.0), (.16, .90)]],
    4: [[(.28, .02), (.22, .28), (.18, .54), (.18, .54), (.48, .56), (.80, .50)], [(.74, .04), (.68, .50), (.62, 1.0)]],
    5: [[(.34, .05), (.30, .24), (.26, .43), (.26, .43), (.52, .38), (.76, .52), (.78, .76), (.58, .96), (.18, .94)],
        [(.33, .05), (.55, .04), (.82, .02)]],
    6: [[(.66, .01), (.40, .20), (.22, .52), (.22, .82), (.44, .99), (.70, .90), (.74, .68), (.54, .54), (.30, .64),
         (.23, .80)]],
    7: [[(.14, .10), (.48, .07), (.84, .05), (.84, .05), (.64, .38), (.50, .70), (.42, 1.0)]],
    8: [[(.72, .14), (.50, .02), (.28, .14), (.34, .36), (.58, .52), (.76, .74), (.58, .97), (.30, .92), (.26, .70),
         (.50, .50), (.70, .32), (.72, .14)]],
    9: [[(.74, .22), (.54, .03), (.28, .16), (.26, .40), (.46, .50), (.68, .36), (.74, .20), (.74, .20), (.70, .55),
         (.60, 1.0)]],
}


def smooth(points, steps=24):
    """A Catmull-Rom curve through the points."""
    p = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:]):
        parts.append(b + t * (c - a) / 2 + t ** 2 * (a - 2.5 * b + 2 * c - d / 2) + t ** 3 * (1.5 * (b - c) + (d - a) / 2))
    return np.vstack([*parts, p[-1:]])


def ink(digit, rng, width, height, size, centre, pen):
    """How much ink (0..1) each pixel gets from the digit, `size` pixels high, drawn around `centre` by a round pen."""
    angle, slant = rng.normal(0, .04), rng.normal(.08, .06)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    y, x = np.mgrid[0:height, 0:width]
    amount = np.zeros((height, width))
    for stroke in STROKES[digit]:
        # Equal control points stay equal, so corners stay corners.
        shaken = {p: np.array(p) + rng.normal(0, .015, 2) for p in dict.fromkeys(stroke)}
        path = smooth([shaken[p] for p in stroke]) - .5
        path[:, 0] = path[:, 0] * .85 - slant * path[:, 1]
        path = path @ turn.T * size + centre
        # The pressure of the hand changes slowly along the stroke.
        pressure = 1 + .12 * np.sin(np.linspace(0, rng.uniform(2, 5), len(path)) + rng.uniform(0, 6))
        for (ax, ay), (bx, by), thick in zip(path, path[1:], pen / 2 * pressure):
            length = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-9)
            along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1)
            distance = np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay))
            amount = np.maximum(amount, np.clip(thick - distance + .5, 0, 1))
    return amount


def clouds(rng, width, height, cells):
    """Smooth noise of unit deviation: stains, folds, the structure of paper."""
    coarse = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
    noise = np.asarray(coarse.resize((width, height), Image.BICUBIC))
    return noise / noise.std()


def generator(name):
    """Each picture has its own numbers, so changing one leaves the others as they are."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def to_image(pixels):
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def white_on_black(digit, side=112):
    name = f"{digit}.png"
    amount = ink(digit, generator(name), side, side, side * .68, (side / 2, side / 2), side * .085)
    to_image(255 * amount).save(HERE / name, optimize=True)


def ink_on_paper(digit, side=160, colour=(38, 36, 52)):
    name = f"{digit}.png"
    amount = ink(digit, generator(name), side, side, side * .62, (side * .48, side * .53), side * .07)[..., None]
    to_image((1 - amount) * 250 + amount * np.array(colour)).save(HERE / name, optimize=True)


def photo(digit, colour, centre, size, light, width=640, height=480):
    """`light` is the direction that the light comes from; the far corner gets about half of it."""
    name = f"photo_{digit}.jpg"
    rng = generator(name)
    y, x = np.mgrid[0:height, 0:width]
    towards = ((x / width - .5) * light[0] + (y / height - .5) * light[1]) / np.hypot(*light)
    brightness = .78 + .36 * towards + .012 * clouds(rng, width, height, 5) + .006 * clouds(rng, width, height, 90)
    amount = ink(digit, rng, width, height, size, centre, size * .1)
    # A pen covers paper unevenly.
    amount = (amount * np.clip(.9 + .05 * clouds(rng, width, height, 120), 0, 1))[..., None]
    pixels = ((1 - amount) * np.array([236, 230, 214]) + amount * np.array(colour)) * brightness[..., None]
    picture = to_image(pixels).filter(ImageFilter.GaussianBlur(.9))
    grain = rng.normal(0, 2.2, (height, width, 1))
    to_image(np.asarray(picture) + grain).save(HERE / name, quality=72, optimize=True)


def main():
    for digit in range(5):
        white_on_black(digit)
    for digit in range(5, 10):
        ink_on_paper(digit)
    photo(2, colour=(28, 52, 150), centre=(250, 210), size=190, light=(-1, -.6))
    photo(3, colour=(30, 30, 34), centre=(420, 290), size=160, light=(1, -.4))
    photo(5, colour=(170, 30, 36), centre=(220, 300), size=150, light=(.3, -1))
    photo(7, colour=(20, 98, 60), centre=(400, 180), size=170, light=(-.8, .8))


if __name__ == "__main__":
    main()
