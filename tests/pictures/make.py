#!/usr/bin/env python3
"""Makes pictures of digits as people have them, to measure how many moth reads right (see README.md here).

    make.py OUT [--seed 1] [--each 14] [--mnist data/mnist]

writes OUT/KIND_NUMBER_DIGITS.EXT: what a picture shows stands at the end of its name. Shapes are MNIST test digits, drawn
strokes (data/digits/draw.py) and fonts; each kind of the list at the end spoils them in its own way. The same seed makes
the same pictures. Needs numpy, scipy and Pillow.
"""
import argparse
import importlib.util
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FONTS = sorted(pathlib.Path("/usr/share/fonts/truetype/dejavu").glob("*.ttf"))


def load_draw():
    spec = importlib.util.spec_from_file_location("draw", ROOT / "data/digits/draw.py")
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    return draw


DRAW = load_draw()


class Shapes:
    """Where ink goes: arrays of 0..1, cropped to the digit."""

    def __init__(self, rng, mnist):
        self.rng = rng
        images = np.frombuffer((mnist / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
        self.images = images.reshape(-1, 28, 28)
        self.labels = np.frombuffer((mnist / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)

    def handwritten(self, height, digit=None):
        """An MNIST digit with smooth edges, `height` pixels high."""
        while True:
            i = self.rng.integers(len(self.labels))
            if digit is None or self.labels[i] == digit:
                break
        image = self.images[i].astype(float) / 255
        rows, columns = np.where(image > .1)
        image = np.pad(image[rows.min():rows.max() + 1, columns.min():columns.max() + 1], 1)
        scale = height / (image.shape[0] - 2)
        big = ndimage.zoom(image, scale, order=3, mode="grid-constant", grid_mode=True)
        softness = max(.6, scale * .12)
        big = ndimage.gaussian_filter(big, scale * .25)
        amount = np.clip((big - .42) * scale / softness * .6 + .5, 0, 1)
        return int(self.labels[i]), crop(amount)

    def drawn(self, height, pen, digit=None):
        """A digit of draw.py with a round pen of `pen` pixels."""
        digit = int(self.rng.integers(10)) if digit is None else digit
        side = int(height * 1.6 + 2 * pen + 8)
        amount = DRAW.ink(digit, self.rng, side, side, height, (side / 2, side / 2), pen)
        return digit, crop(amount)

    def printed(self, height, digit=None):
        digit = int(self.rng.integers(10)) if digit is None else digit
        font = ImageFont.truetype(str(FONTS[self.rng.integers(len(FONTS))]), int(height * 1.35))
        image = Image.new("L", (int(height * 2), int(height * 2)))
        ImageDraw.Draw(image).text((height * .5, height * .2), str(digit), font=font, fill=255)
        return digit, crop(np.asarray(image) / 255)

    def any(self, height, digit=None):
        kind = self.rng.random()
        if kind < .78:
            return self.handwritten(height, digit)
        if kind < .93:
            return self.drawn(height, height * self.rng.uniform(.06, .14), digit)
        return self.printed(height, digit)

    def thin(self, height, pen, digit=None):
        """A handwritten digit as a fine pen writes it: its middle line, `pen` pixels wide."""
        digit, amount = self.handwritten(max(height, 90), digit)
        line = ndimage.zoom(thinned(amount > .5).astype(float), height / amount.shape[0], order=1)
        line = line > .25
        distance = ndimage.distance_transform_edt(~np.pad(line, int(pen) + 3))
        return digit, crop(np.clip(pen / 2 - distance + 1, 0, 1))


def crop(amount):
    rows, columns = np.where(amount > .05)
    return amount[rows.min():rows.max() + 1, columns.min():columns.max() + 1]


def thinned(mask):
    """Zhang and Suen's thinning."""
    image = np.pad(mask, 1).astype(np.uint8)
    while True:
        before = image.sum()
        for step in range(2):
            p = [np.roll(image, shift, (0, 1)) for shift in
                 ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))]
            total = sum(q.astype(int) for q in p)
            turns = sum(((a == 0) & (b == 1)).astype(int) for a, b in zip(p, p[1:] + p[:1]))
            if step == 0:
                rule = (p[0] * p[2] * p[4] == 0) & (p[2] * p[4] * p[6] == 0)
            else:
                rule = (p[0] * p[2] * p[6] == 0) & (p[0] * p[4] * p[6] == 0)
            image[(image == 1) & (total >= 2) & (total <= 6) & (turns == 1) & rule] = 0
        if image.sum() == before:
            return image[1:-1, 1:-1] > 0


# ---- paper, light, cameras ----

def place(rng, amount, width, height, off_centre=.5):
    """The shape on an empty sheet; off_centre 0 = in the middle, 1 = anywhere."""
    sheet = np.zeros((height, width))
    fit = min(.94 * height / amount.shape[0], .94 * width / amount.shape[1], 1)
    amount = amount if fit == 1 else np.clip(ndimage.zoom(amount, fit, order=1), 0, 1)
    h, w = amount.shape
    room_y, room_x = height - h, width - w
    y = int(room_y * (.5 + off_centre * rng.uniform(-.5, .5)))
    x = int(room_x * (.5 + off_centre * rng.uniform(-.5, .5)))
    sheet[y:y + h, x:x + w] = amount
    return sheet


def turn(rng, amount, degrees):
    return crop(np.clip(ndimage.rotate(amount, rng.uniform(-degrees, degrees), order=1), 0, 1))


def clouds(rng, width, height, cells):
    noise = ndimage.zoom(rng.normal(0, 1, (cells + 3, cells + 3)), (height / cells, width / cells), order=3)
    noise = noise[:height, :width]
    return noise / (noise.std() + 1e-9)


def blend(amount, paper, ink):
    """Ink on paper, both (h, w, 3) or one colour, values 0..255."""
    a = amount[..., None]
    return (1 - a) * np.asarray(paper, float) + a * np.asarray(ink, float)


def light(rng, width, height, strength, shadow=0):
    """Brightness over the picture: a slope, a vignette, and perhaps a shadow with a soft or hard edge."""
    y, x = np.mgrid[0:height, 0:width]
    angle = rng.uniform(0, 2 * np.pi)
    slope = ((x / width - .5) * np.cos(angle) + (y / height - .5) * np.sin(angle))
    centre = rng.uniform(.3, .7, 2)
    vignette = ((x / width - centre[0]) ** 2 + (y / height - centre[1]) ** 2)
    out = 1 + strength * slope - strength * .5 * vignette
    if shadow:
        angle, cut = rng.uniform(0, 2 * np.pi), rng.uniform(-.25, .25)
        edge = ((x / width - .5) * np.cos(angle) + (y / height - .5) * np.sin(angle)) - cut
        edge = edge + .03 * clouds(rng, width, height, 3)
        out = out * (1 - shadow / (1 + np.exp(-edge / rng.choice([.004, .02, .06]))))
    return np.clip(out, .12, 1.3)[..., None]


def camera(rng, pixels, noise=3, blur=.8):
    pixels = ndimage.gaussian_filter(pixels, (blur, blur, 0))
    h, w = pixels.shape[:2]
    grain = rng.normal(0, noise, (h, w, 1)) + rng.normal(0, noise * .6, pixels.shape)
    return np.clip(pixels + grain, 0, 255)


def paper_colour(rng):
    return np.array([rng.uniform(215, 255)] * 3) - rng.uniform(0, 1, 3) * np.array([6, 10, 32])


def ink_colour(rng):
    return np.array([[20, 20, 25], [25, 40, 120], [15, 60, 170], [60, 60, 70], [150, 25, 35], [20, 95, 60],
                     [90, 30, 110], [70, 45, 30]][rng.integers(8)], float) * rng.uniform(.8, 1.2)


def perspective(rng, pixels, amount):
    """A sheet seen from the side; what lies outside it repeats its edge."""
    h, w = pixels.shape[:2]
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], float)
    moved = corners + rng.uniform(-amount, amount, (4, 2)) * (w, h)
    rows = []
    for (x, y), (u, v) in zip(corners, moved):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    m = np.append(np.linalg.solve(np.array(rows), moved.ravel()), 1).reshape(3, 3)
    y, x = np.mgrid[0:h, 0:w]
    u, v, q = np.tensordot(m, np.stack([x, y, np.ones_like(x)]), 1)
    return np.stack([ndimage.map_coordinates(pixels[..., c], [v / q, u / q], order=1, mode="nearest")
                     for c in range(3)], -1)


def rules(rng, width, height, squared, spacing, colour, paper, degrees=2.5):
    """A sheet with printed lines."""
    y, x = np.mgrid[0:height, 0:width]
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    thick = spacing * rng.uniform(.025, .06)
    u, v = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)

    def lines(t):
        t = (t + rng.uniform(0, spacing)) % spacing
        return np.clip(max(thick, .8) / 2 - np.minimum(t, spacing - t) + .5, 0, 1) * min(1, thick / .8)

    amount = lines(v)
    if squared:
        amount = np.maximum(amount, lines(u))
    sheet = blend(amount, paper, colour)
    if not squared and rng.random() < .5:
        at = width * rng.uniform(.06, .2)
        sheet = blend(np.clip(max(thick, .8) / 2 - abs(u - at) + .5, 0, 1), sheet, (225, 110, 120))
    return sheet


# ---- files ----

def to_image(pixels):
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def save_png16(path, grey):
    """16-bit grey, which Pillow writes only in part."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in grey)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 16, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
                     chunk(b"IEND", b""))


class Maker:
    def __init__(self, out, seed, mnist):
        self.out = pathlib.Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.seed, self.mnist = seed, mnist

    def start(self, kind, i):
        self.rng = np.random.default_rng([self.seed, i, zlib.crc32(kind.encode())])
        self.shapes = Shapes(self.rng, self.mnist) if not hasattr(self, "shapes") else self.shapes
        self.shapes.rng = self.rng
        self.stem = f"{kind}_{i:02d}"

    def path(self, digits, extension):
        return self.out / f"{self.stem}_{digits}.{extension}"

    def save(self, digits, pixels, extension="png", **options):
        image = to_image(pixels) if isinstance(pixels, np.ndarray) else pixels
        image.save(self.path(digits, extension), **options)

    def jpeg(self, digits, pixels, quality=None, **options):
        quality = quality or int(self.rng.integers(40, 96))
        self.save(digits, pixels, "jpg", quality=quality, **options)

    def sheet(self, width=640, height=480, size=(.3, .6), **where):
        """Size, digit and its ink on a sheet, a little turned."""
        tall = int(height * self.rng.uniform(*size))
        digit, amount = self.shapes.any(tall)
        return digit, place(self.rng, turn(self.rng, amount, 8), width, height, **where)

    # ---- the kinds ----

    def plain(self):
        side = int(self.rng.integers(60, 400))
        digit, amount = self.shapes.any(int(side * self.rng.uniform(.45, .85)))
        self.save(digit, blend(place(self.rng, amount, side, side, .6), 255, self.rng.uniform(0, 60)))

    def negative(self):
        side = int(self.rng.integers(60, 400))
        digit, amount = self.shapes.any(int(side * self.rng.uniform(.45, .85)))
        self.save(digit, blend(place(self.rng, amount, side, side, .6), self.rng.uniform(0, 30), 255))

    def mnist_raw(self):
        i = self.rng.integers(len(self.shapes.labels))
        image = self.shapes.images[i]
        self.save(int(self.shapes.labels[i]), image if self.rng.random() < .5 else 255 - image)

    def phone(self):
        w, h = [(640, 480), (480, 640), (1200, 900), (900, 1200), (2016, 1512)][self.rng.integers(5)]
        digit, amount = self.sheet(w, h, (.2, .6), off_centre=.7)
        paper = paper_colour(self.rng) * (1 + .012 * clouds(self.rng, w, h, 40)[..., None])
        pixels = blend(amount, paper, ink_colour(self.rng)) * light(self.rng, w, h, self.rng.uniform(.2, .9))
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(1, 5), self.rng.uniform(.5, 1.6)))

    def shadow(self):
        w, h = [(640, 480), (480, 640), (1200, 900)][self.rng.integers(3)]
        digit, amount = self.sheet(w, h, (.25, .6), off_centre=.7)
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng))
        pixels = pixels * light(self.rng, w, h, self.rng.uniform(.1, .5), self.rng.uniform(.25, .6))
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(1, 4), self.rng.uniform(.5, 1.4)))

    def scan(self):
        w, h = int(self.rng.integers(400, 1000)), int(self.rng.integers(400, 1000))
        digit, amount = self.sheet(w, h, (.15, .6), off_centre=.8)
        amount = np.clip(amount * (.85 + .12 * clouds(self.rng, w, h, 60)), 0, 1)
        pixels = camera(self.rng, blend(amount, self.rng.uniform(225, 252), self.rng.uniform(20, 90)), 2, .6)
        for _ in range(self.rng.integers(0, 25)):
            y, x, r = self.rng.integers(0, h), self.rng.integers(0, w), self.rng.integers(1, 3)
            pixels[y:y + r, x:x + r] = self.rng.uniform(60, 180)
        grey = to_image(pixels).convert("L")
        if self.rng.random() < .5:
            self.save(digit, grey, "jpg", quality=int(self.rng.integers(60, 95)))
        else:
            self.save(digit, grey)

    def blackboard(self):
        w, h = 720, 540
        digit, amount = self.sheet(w, h, (.3, .7))
        board = np.array([[32, 48, 40], [25, 28, 34], [20, 40, 90], [70, 20, 30]][self.rng.integers(4)])
        board = board * (1 + .12 * clouds(self.rng, w, h, 30)[..., None])
        chalk = np.array([[235, 235, 225], [240, 220, 120], [240, 170, 170], [160, 220, 240]][self.rng.integers(4)])
        amount = amount * np.clip(.8 + .2 * self.rng.normal(0, 1, amount.shape), 0, 1)
        pixels = blend(amount, board, chalk) * light(self.rng, w, h, .5)
        self.jpeg(digit, camera(self.rng, pixels, 3, .9))

    def colours(self):
        """Any ink on any paper that people can tell apart, also of the same brightness."""
        w, h = 400, 360
        digit, amount = self.sheet(w, h, (.35, .75))
        while True:
            paper, ink = self.rng.uniform(20, 250, 3), self.rng.uniform(10, 250, 3)
            if np.linalg.norm(paper - ink) > 120:
                break
        pixels = blend(amount, paper, ink) * light(self.rng, w, h, self.rng.uniform(0, .3))
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(0, 3), .6), int(self.rng.integers(70, 96)))

    def coloured_ink(self):
        w, h = 640, 480
        digit, amount = self.sheet(w, h, (.3, .6))
        ink = [(230, 60, 60), (250, 140, 40), (40, 170, 70), (60, 120, 240), (220, 90, 190), (240, 210, 60),
               (90, 200, 220)][self.rng.integers(7)]
        pixels = blend(amount, paper_colour(self.rng), ink) * light(self.rng, w, h, self.rng.uniform(0, .5))
        self.jpeg(digit, camera(self.rng, pixels, 2, .8))

    def thin_pen(self):
        w, h = [(500, 400), (800, 600), (1400, 1000)][self.rng.integers(3)]
        tall = int(h * self.rng.uniform(.25, .65))
        digit, amount = self.shapes.thin(tall, max(1.3, tall * self.rng.uniform(.008, .03)))
        amount = place(self.rng, amount, w, h, .6)
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng))
        pixels = pixels * light(self.rng, w, h, self.rng.uniform(0, .6))
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(.5, 3), .7), int(self.rng.integers(60, 96)))

    def pencil(self):
        w, h = 800, 600
        tall = int(h * self.rng.uniform(.25, .6))
        if self.rng.random() < .5:
            digit, amount = self.shapes.thin(tall, tall * self.rng.uniform(.02, .05))
        else:
            digit, amount = self.shapes.any(tall)
        amount = place(self.rng, amount, w, h, .6)
        amount = np.clip(amount * (.8 + .25 * clouds(self.rng, w, h, 150)), 0, 1) * self.rng.uniform(.3, .7)
        pixels = blend(amount, paper_colour(self.rng), (70, 70, 75)) * light(self.rng, w, h, self.rng.uniform(0, .4))
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(.5, 2), .7), int(self.rng.integers(70, 96)))

    def on_lines(self, squared):
        w, h = [(640, 480), (900, 700), (1200, 900)][self.rng.integers(3)]
        tall = h * self.rng.uniform(.2, .6)
        spacing = tall * self.rng.uniform(.35, 1.1)
        colour = [(150, 180, 225), (170, 170, 180), (130, 200, 190), (190, 160, 200), (120, 130, 150)]
        sheet = rules(self.rng, w, h, squared, spacing, colour[self.rng.integers(5)], paper_colour(self.rng))
        if self.rng.random() < .6:
            digit, amount = self.shapes.any(int(tall))
        else:
            digit, amount = self.shapes.thin(int(tall), tall * self.rng.uniform(.02, .05))
        amount = place(self.rng, turn(self.rng, amount, 6), w, h, .6)
        pixels = blend(amount, sheet, ink_colour(self.rng)) * light(self.rng, w, h, self.rng.uniform(0, .6))
        if self.rng.random() < .3:
            pixels = perspective(self.rng, pixels, .04)
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(1, 3), .8))

    def ruled(self):
        self.on_lines(False)

    def squared(self):
        self.on_lines(True)

    def small(self):
        w, h = [(1600, 1200), (2400, 1800), (1000, 1400)][self.rng.integers(3)]
        tall = int(self.rng.uniform(.04, .1) * max(w, h))
        digit, amount = self.shapes.any(tall)
        amount = place(self.rng, amount, w, h, .95)
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng))
        pixels = pixels * light(self.rng, w, h, self.rng.uniform(0, .7))
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(1, 3), .8))

    def exif(self):
        orientation = 2 + int(self.rng.integers(7))
        digit, amount = self.sheet(480, 360, (.35, .7))
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng)) * light(self.rng, 480, 360, .4)
        upright = to_image(camera(self.rng, pixels, 2, .8))
        stored = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}[orientation]
        for step in stored:  # the transposition that undoes what a viewer will do
            upright = upright.transpose(step)
        exif = Image.Exif()
        exif[0x0112] = orientation
        if self.rng.random() < .75:
            self.save(digit, upright, "jpg", quality=85, exif=exif)
        else:
            self.save(digit, upright, "png", exif=exif)

    def alpha(self):
        side = int(self.rng.integers(100, 500))
        digit, amount = self.shapes.any(int(side * self.rng.uniform(.4, .8)))
        amount = place(self.rng, amount, side, side, .7)
        ink = [(0, 0, 0), (255, 255, 255), (200, 30, 30), (30, 60, 200), (250, 220, 60)][self.rng.integers(5)]
        rgba = np.zeros((side, side, 4))
        rgba[..., :3] = ink
        rgba[..., 3] = amount * 255
        hidden = self.rng.random()
        if hidden < .3:  # what nobody sees
            rgba[amount < .004, :3] = self.rng.uniform(0, 255, 3)
        image = to_image(rgba)
        self.save(digit, image.convert("LA") if hidden > .8 and ink[0] == ink[1] == ink[2] else image)

    def bits16(self):
        w, h = 360, 300
        digit, amount = self.sheet(w, h, (.35, .7))
        low, high = self.rng.uniform(2000, 12000), self.rng.uniform(30000, 65000)
        grey = (1 - amount) * high + amount * low if self.rng.random() < .6 else (1 - amount) * low + amount * high
        grey = grey * light(self.rng, w, h, .3)[..., 0] + self.rng.normal(0, 300, amount.shape)
        save_png16(self.path(digit, "png"), np.clip(grey, 0, 65535))

    def palette(self):
        w, h = 300, 260
        digit, amount = self.sheet(w, h, (.4, .75))
        image = to_image(blend(amount, paper_colour(self.rng), ink_colour(self.rng)))
        if self.rng.random() < .25:
            self.save(digit, image.convert("1", dither=Image.Dither.NONE))
        else:
            self.save(digit, image.quantize(int(self.rng.choice([2, 4, 8, 16, 64]))))

    def worn_jpeg(self):
        w, h = [(320, 240), (640, 480), (200, 200)][self.rng.integers(3)]
        digit, amount = self.sheet(w, h, (.35, .7))
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng)) * light(self.rng, w, h, .4)
        self.jpeg(digit, camera(self.rng, pixels, 2, .7), int(self.rng.integers(8, 35)))

    def noisy(self):
        w, h = 480, 400
        digit, amount = self.sheet(w, h, (.35, .7))
        pixels = blend(amount, self.rng.uniform(150, 220), self.rng.uniform(20, 70)) * light(self.rng, w, h, .4)
        self.jpeg(digit, camera(self.rng, pixels, self.rng.uniform(8, 22), .6))

    def tilted(self):
        w, h = 800, 600
        digit, amount = self.sheet(w, h, (.25, .5), off_centre=.4)
        pixels = perspective(self.rng, blend(amount, paper_colour(self.rng), ink_colour(self.rng)), .1)
        self.jpeg(digit, camera(self.rng, pixels * light(self.rng, w, h, .5), 2, .9))

    def marker(self):
        w, h = 640, 520
        tall = int(h * self.rng.uniform(.4, .75))
        digit, amount = self.shapes.drawn(tall, tall * self.rng.uniform(.14, .2))
        amount = place(self.rng, amount, w, h, .5)
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng)) * light(self.rng, w, h, .5)
        self.jpeg(digit, camera(self.rng, pixels, 2, .9))

    def tight(self):
        digit, amount = self.shapes.any(int(self.rng.integers(60, 300)))
        edge = int(self.rng.choice([0, 1, 2, 5]))
        pixels = blend(np.pad(amount, edge), 250, 30)
        self.save(digit, 255 - pixels if self.rng.random() < .4 else pixels)

    def parts(self):
        """A 5 whose bar does not touch, a 4 in two strokes that do not touch, a broken line."""
        w, h = 500, 420
        tall = int(h * self.rng.uniform(.4, .7))
        digit, amount = self.shapes.drawn(tall, tall * self.rng.uniform(.06, .11), int(self.rng.choice([5, 5, 4])))
        rows, columns = amount.shape
        if digit == 5:  # lifts the bar, and cuts where it joined
            top = int(rows * .13)
            gap = int(rows * self.rng.uniform(.03, .09))
            bar = amount[:top].copy()
            bar[:, :int(columns * .38)] = 0
            rest = amount.copy()
            rest[:top, int(columns * .34):] = 0
            amount = np.vstack([np.pad(bar, ((0, gap), (0, 0))), rest[gap:]])
        else:
            cut = int(rows * self.rng.uniform(.55, .62))
            amount[cut - max(2, rows // 60):cut + max(2, rows // 60)] *= .0
        amount = place(self.rng, crop(amount), w, h, .5)
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng)) * light(self.rng, w, h, .3)
        self.jpeg(digit, camera(self.rng, pixels, 2, .7))

    def texture(self):
        w, h = 700, 560
        digit, amount = self.sheet(w, h, (.35, .65))
        kraft = np.array([[190, 150, 105], [205, 195, 175], [170, 175, 160]][self.rng.integers(3)])
        grain = .035 * clouds(self.rng, w, h, 130) + .03 * clouds(self.rng, w, h, 12)
        if self.rng.random() < .5:  # wood or fibres: grain along one direction
            grain = grain + .03 * ndimage.gaussian_filter1d(self.rng.normal(0, 6, (h, w)), 25, axis=1)
        pixels = blend(amount, kraft * (1 + grain[..., None]), ink_colour(self.rng) * .8)
        self.jpeg(digit, camera(self.rng, pixels * light(self.rng, w, h, .4), 2, .8))

    def desk(self):
        """A sheet of paper on a table: its edge is in the picture."""
        w, h = 900, 700
        y, x = np.mgrid[0:h, 0:w]
        angle = np.deg2rad(self.rng.uniform(-12, 12))
        u = (x - w / 2) * np.cos(angle) + (y - h / 2) * np.sin(angle)
        v = -(x - w / 2) * np.sin(angle) + (y - h / 2) * np.cos(angle)
        half = w * self.rng.uniform(.36, .47), h * self.rng.uniform(.36, .47)
        paper = np.clip(np.minimum(half[0] - abs(u), half[1] - abs(v)), 0, 1)
        table = np.array([[90, 60, 40], [60, 60, 65], [120, 100, 80], [35, 30, 30]][self.rng.integers(4)])
        table = table * (1 + .1 * clouds(self.rng, w, h, 60)[..., None])
        tall = int(h * self.rng.uniform(.25, .45))
        digit, amount = self.shapes.any(tall)
        amount = place(self.rng, amount, w, h, .25)
        pixels = blend(amount, blend(paper, table, paper_colour(self.rng)), ink_colour(self.rng))
        self.jpeg(digit, camera(self.rng, pixels * light(self.rng, w, h, .4), 2, .8))

    def paint(self):
        """A mouse drawing in a paint program: one brush, few colours."""
        side = int(self.rng.choice([140, 200, 280, 400]))
        digit, amount = self.shapes.drawn(int(side * self.rng.uniform(.5, .8)), side * self.rng.uniform(.025, .12))
        amount = (place(self.rng, amount, side, side, .6) > .5).astype(float)
        pairs = [(255, 0), (0, 255), ((255, 255, 255), (255, 0, 0)), ((255, 255, 0), (0, 0, 255)),
                 ((0, 128, 0), (255, 255, 255)), ((192, 192, 192), (0, 0, 0))]
        paper, ink = pairs[self.rng.integers(len(pairs))]
        pixels = np.broadcast_to(blend(amount, paper, ink), (side, side, 3 if np.ndim(ink) else 1))
        if self.rng.random() < .3 and pixels.shape[2] == 3:
            self.save(digit, np.ascontiguousarray(pixels), "bmp")
        else:
            self.save(digit, np.ascontiguousarray(pixels.squeeze()))

    def bold_print(self):
        w, h = 400, 400
        digit, amount = self.shapes.printed(int(h * self.rng.uniform(.4, .8)))
        pixels = blend(place(self.rng, amount, w, h, .5), paper_colour(self.rng), ink_colour(self.rng))
        self.jpeg(digit, camera(self.rng, pixels, 2, .8))

    def mixed(self):
        """Anything with anything: paper, ink, pen, size, place, light, camera and file are drawn independently."""
        rng = self.rng
        w, h = [(640, 480), (480, 640), (1200, 900), (1500, 2000), (3000, 2250), (320, 240)][rng.integers(6)]
        tall = int(min(w, h) * np.exp(rng.uniform(np.log(.1), np.log(.75))))
        tall = max(tall, 36)
        dark = rng.random() < .2
        paper = rng.uniform(15, 70, 3) if dark else np.clip(paper_colour(rng) * rng.uniform(.75, 1), 0, 255)
        ink = rng.uniform(170, 255, 3) if dark else ink_colour(rng)
        sheet = paper
        if not dark and rng.random() < .45:
            lines = [(150, 180, 225), (170, 170, 180), (130, 200, 190), (235, 170, 170)][rng.integers(4)]
            sheet = rules(rng, w, h, rng.random() < .5, tall * rng.uniform(.3, 1.2), lines, paper, 4)
        if rng.random() < .4:
            digit, amount = self.shapes.thin(tall, max(1.4, tall * rng.uniform(.012, .05)))
        else:
            digit, amount = self.shapes.any(tall)
        amount = place(rng, turn(rng, amount, 10), w, h, .85)
        pixels = blend(amount, sheet, ink)
        if rng.random() < .3:
            pixels = perspective(rng, pixels, .05)
        pixels = pixels * light(rng, w, h, rng.uniform(0, .8), rng.choice([0, 0, 0, .35]))
        pixels = camera(rng, pixels, rng.uniform(0, 6), rng.uniform(.4, 1.6))
        kind = rng.random()
        if kind < .7:
            self.jpeg(digit, pixels, int(rng.integers(20, 96)))
        elif kind < .8:
            self.save(digit, to_image(pixels).quantize(64))
        elif kind < .9:
            self.save(digit, to_image(pixels).convert("L"))
        else:
            grey = np.asarray(to_image(pixels).convert("L"), float)
            save_png16(self.path(digit, "png"), np.clip(grey * 257 + rng.normal(0, 100, grey.shape), 0, 65535))

    # ---- several digits ----

    def row(self, count, tall, gap, thin):
        """Digits side by side: their text and their ink."""
        text, parts = "", []
        for _ in range(count):
            size = int(tall * self.rng.uniform(.88, 1.1))
            digit, amount = (self.shapes.thin(size, tall * .04) if thin else self.shapes.handwritten(size))
            text += str(digit)
            parts.append(turn(self.rng, amount, 5))
        high = max(p.shape[0] for p in parts) + int(tall * .15)
        gaps = [int(tall * self.rng.uniform(*gap)) for _ in parts]
        wide = sum(p.shape[1] for p in parts) + sum(gaps) + int(tall)
        sheet, x = np.zeros((high, wide)), int(tall * .4)
        for part, space in zip(parts, gaps):
            y = int(self.rng.uniform(0, high - part.shape[0]))
            sheet[y:y + part.shape[0], x:x + part.shape[1]] = np.maximum(
                sheet[y:y + part.shape[0], x:x + part.shape[1]], part)
            x += part.shape[1] + space
        return text, crop(sheet)

    def several(self):
        count = int(self.rng.integers(2, 7))
        w, h = 1200, 500
        tall = min(h * self.rng.uniform(.25, .6), w * .85 / count / 1.1)
        text, amount = self.row(count, tall, (.12, .5), self.rng.random() < .25)
        amount = place(self.rng, amount, max(w, amount.shape[1] + 40), max(h, amount.shape[0] + 40), .6)
        h, w = amount.shape
        if self.rng.random() < .3:
            paper = rules(self.rng, w, h, self.rng.random() < .5, tall * .8, (160, 185, 225), paper_colour(self.rng))
        else:
            paper = paper_colour(self.rng)
        pixels = blend(amount, paper, ink_colour(self.rng)) * light(self.rng, w, h, self.rng.uniform(0, .6))
        if self.rng.random() < .2:
            pixels = 255 - pixels
        self.jpeg(text, camera(self.rng, pixels, self.rng.uniform(1, 3), .8))

    def several_close(self):
        """Nearly touching, some touching."""
        count = int(self.rng.integers(2, 5))
        w, h = 900, 420
        text, amount = self.row(count, h * self.rng.uniform(.35, .5), (-.03, .12), False)
        amount = place(self.rng, amount, max(w, amount.shape[1] + 40), max(h, amount.shape[0] + 40), .5)
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng))
        pixels = pixels * light(self.rng, amount.shape[1], amount.shape[0], .3)
        self.jpeg(text, camera(self.rng, pixels, 2, .7))

    def several_lines(self):
        rows = [self.row(int(self.rng.integers(2, 5)), 130, (.15, .5), False) for _ in range(2)]
        w = max(a.shape[1] for _, a in rows) + 120
        amount = np.vstack([place(self.rng, a, w, a.shape[0] + 70, .6) for _, a in rows])
        pixels = blend(amount, paper_colour(self.rng), ink_colour(self.rng))
        pixels = pixels * light(self.rng, w, amount.shape[0], .4)
        self.jpeg("".join(t for t, _ in rows), camera(self.rng, pixels, 2, .8))

    # ---- nothing to find ----

    def blank(self):
        w, h = 640, 480
        kind = self.rng.integers(5)
        sheet = np.broadcast_to(paper_colour(self.rng), (h, w, 3))
        if kind == 1:
            sheet = rules(self.rng, w, h, self.rng.random() < .5, 60, (150, 180, 225), paper_colour(self.rng))
        elif kind == 2:
            sheet = np.broadcast_to(np.array([30., 30, 34]), (h, w, 3))
        elif kind == 3:
            self.save("", np.full((100, 120, 3), 255.))
            return
        shadow = .4 if kind == 4 else 0
        pixels = sheet * light(self.rng, w, h, self.rng.uniform(.1, .8), shadow)
        self.jpeg("", camera(self.rng, pixels, self.rng.uniform(1, 6), .8))


SINGLE = ("plain negative mnist_raw phone shadow scan blackboard colours coloured_ink thin_pen pencil ruled squared small "
          "exif alpha bits16 palette worn_jpeg noisy tilted marker tight parts texture desk paint bold_print mixed").split()
OTHERS = "several several_close several_lines blank".split()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=14)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--mnist", type=pathlib.Path, default=ROOT / "data/mnist")
    options = parser.parse_args()
    maker = Maker(options.out, options.seed, options.mnist)
    for kind in options.kinds.split(",") if options.kinds else SINGLE + OTHERS:
        for i in range(options.each):
            maker.start(kind, i)
            getattr(maker, kind)()


if __name__ == "__main__":
    main()
