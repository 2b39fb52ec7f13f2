"""Writes scikit-learn's digits as a user's own data: folders of images, a table, and embeddings.

usage: python scripts/smoke_data.py FOLDER

Known are 0 to 4; six in ten of their samples carry a label, and the true classes of the others go into separate files.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def main(folder: Path) -> None:
    digits = load_digits()
    pixels, classes = digits.images * (255 / 16), digits.target
    labelled = (classes < 5) & (np.random.default_rng(0).random(len(classes)) < 0.6)
    labels = [str(name) if seen else "" for name, seen in zip(classes, labelled, strict=True)]

    for row, image in enumerate(pixels.astype(np.uint8)):
        place = folder / "images" / ("labelled/" + labels[row] if labelled[row] else "unlabelled")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row:04d}.png")

    header = [*(f"pixel{number}" for number in range(64)), "label", "truth"]
    rows = [[*map(int, digits.data[row]), labels[row], str(classes[row])] for row in range(len(classes))]
    _write(folder / "table.csv", [header, *rows])

    np.save(folder / "embeddings.npy", digits.data.astype(np.float32))
    _write(folder / "labels.csv", [["label"], *([label] for label in labels)])


def _write(path: Path, rows: list[list[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
