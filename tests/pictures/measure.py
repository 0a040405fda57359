#!/usr/bin/env python3
"""Counts how many pictures of make.py `moth predict` reads right, by kind.

    measure.py PICTURES [--moth build/moth] [--model FILE] [--list]

A picture of one digit is right when exactly this digit is printed; one of several, when all are, in order; an empty one,
when moth says that there is no digit. Exit status 1 below the project's aims: 96 % of single digits, 18 of 20 pictures of
several digits cut into the right number.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

AT_ONCE = 50


def read_pictures(options, paths):
    """What moth prints for each picture, None where it found no digit."""
    found = {}
    for start in range(0, len(paths), AT_ONCE):
        some = paths[start:start + AT_ONCE]
        model = ["--model", options.model] if options.model else []
        run = subprocess.run([options.moth, "predict", "--json", *model, *map(str, some)], capture_output=True, text=True)
        for line in run.stdout.splitlines():
            record = json.loads(line)
            found[record["path"]] = record["text"]
        for path in some:
            if str(path) not in found and f"{path}: digit: no digit found" not in run.stderr:
                sys.exit(f"measure: {path} was not read:\n{run.stderr}")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--moth", default="build/moth")
    parser.add_argument("--model")
    parser.add_argument("--list", action="store_true", help="name the pictures that are read wrong")
    options = parser.parse_args()
    paths = sorted(p for p in options.pictures.iterdir() if re.fullmatch(r".*_\d+_\d*\.\w+", p.name))
    if not paths:
        sys.exit(f"measure: no pictures in {options.pictures}")
    found = read_pictures(options, paths)
    kinds = collections.defaultdict(lambda: [0, 0, 0])  # pictures, read right, of the right number
    for path in paths:
        kind, truth = re.fullmatch(r"(.*)_\d+_(\d*)\.\w+", path.name).groups()
        text = found.get(str(path), "")
        counts = kinds[kind]
        counts[0] += 1
        counts[1] += text == truth
        counts[2] += len(text) == len(truth)
        if options.list and text != truth:
            print(f"{path.name}: {text or 'nothing'}")
    print(f"{'kind':16} {'right':>9} {'number':>9}")
    for kind, (all_, right, number) in sorted(kinds.items()):
        print(f"{kind:16} {right:4}/{all_:<4} {number:4}/{all_:<4}")
    single = [c for k, c in kinds.items() if not k.startswith("several") and k != "blank"]
    several = [c for k, c in kinds.items() if k.startswith("several")]
    total, right = sum(c[0] for c in single), sum(c[1] for c in single)
    cuts, cut = sum(c[0] for c in several), sum(c[2] for c in several)
    print(f"one digit: {right} of {total} right" + (f", {100 * right / total:.1f} %" if total else ""))
    print(f"several digits: {cut} of {cuts} cut right, {sum(c[1] for c in several)} read right")
    return 0 if right >= .96 * total and cut >= .9 * cuts else 1


if __name__ == "__main__":
    sys.exit(main())
