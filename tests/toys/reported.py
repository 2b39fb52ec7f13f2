"""Finished runs of all modalities, with odd names, whose reports are looked at in a browser."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncdcli.cli.main import main

ODD = ("<script>alert(1)</script>", "😀 émoji & \"quotes\" 'too'", "שלום עולם", "n" * 200)


def ncd(folder: Path, *words: str) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.raises(SystemExit) as end:
            main(list(words))
    finally:
        os.chdir(before)
    assert end.value.code == 0, words


def write_recipe(folder: Path, source: str, *, backbone: str, k: int, more: str = "") -> None:
    (folder / "recipe.yaml").write_text(
        f"version: 1\nname: page\ndata: {{source: {source}}}\nbackbone: {{kind: {backbone}}}\n"
        f"pretrain: {{objective: {{kind: none}}}}\nestimate_k: {{kind: fixed, k: {k}}}\n"
        f"cluster: {{kind: semi_kmeans, restarts: 1}}\nevaluate: {{stability_seeds: 0}}\n{more}"
    )


def image_run(folder: Path) -> Path:
    """Coloured images in folders, the names odd ones: 2 known classes, 2 novel ones, with truth."""
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 215, size=(4, 3))
    names = [name.replace("/", "∕") for name in ODD]
    truth = []
    for number, name in enumerate(names):
        for sample in range(24):
            pixels = np.clip(colours[number] + rng.normal(0, 12, size=(20, 28, 3)), 0, 255).astype(np.uint8)
            labelled = number < 2 and sample % 2
            target = folder / ("labelled" if labelled else "pool") / (name if labelled else f"{sample % 3}")
            target.mkdir(parents=True, exist_ok=True)
            file = target / f"{number}<img src=x onerror=alert(2)>{sample:02d}.png"
            Image.fromarray(pixels).save(file)
            if not labelled:
                truth.append((file.relative_to(folder / "pool").as_posix(), name))
    with open(folder / "truth.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(truth)
    source = "{kind: image_folder, labelled: labelled, unlabelled: pool, truth: truth.csv}"
    write_recipe(folder, source, backbone="identity", k=4)
    return folder


def table_run(folder: Path) -> Path:
    """A table with odd ids, classes and categories: 2 known classes, 2 novel ones, no truth."""
    rng = np.random.default_rng(1)
    with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "width", "<b>height</b>", "kind", "label"])
        for row in range(160):
            number = row % 4
            label = ODD[number] if number < 2 and row % 8 < 4 else ""
            values = rng.normal([3.0 * (number % 2), 3.0 * (number // 2)])
            writer.writerow([f"{ODD[row % 4]} {row}", *np.round(values, 3), ODD[number], label])
    write_recipe(folder, "{kind: table, train: rows.csv, label: label, id: id}", backbone="identity", k=4)
    return folder


def embedding_run(folder: Path, *, rows: int, known: int, novel: int, k: int) -> Path:
    rng = np.random.default_rng(2)
    classes = np.arange(rows) % (known + novel)
    np.save(
        folder / "x.npy", (rng.normal(size=(known + novel, 16))[classes] * 3 + rng.normal(size=(rows, 16))).astype("f4")
    )
    labels = [
        f"class {c}" if c < known and row % (2 * (known + novel)) < known else "" for row, c in enumerate(classes)
    ]
    (folder / "y.csv").write_text("class\n" + "\n".join(labels) + "\n")
    source = "{kind: embeddings, train: x.npy, labels: y.csv}"
    write_recipe(folder, source, backbone="precomputed", k=k, more="embed: {normalize: false}\nreport: {map: pca}\n")
    return folder


def text_run(folder: Path) -> Path:
    """Embeddings of texts, which hold markup as well: 2 known classes, 2 novel ones."""
    rng = np.random.default_rng(3)
    topics = ("my card has not arrived", "what is the exchange rate", "please close my account", "<b>pay</b> the bill")
    classes = np.arange(120) % 4
    np.save(folder / "x.npy", (rng.normal(size=(4, 8))[classes] * 4 + rng.normal(size=(120, 8))).astype("f4"))
    labels = [f"class {c}" if c < 2 and row % 8 < 4 else "" for row, c in enumerate(classes)]
    (folder / "y.csv").write_text("class\n" + "\n".join(labels) + "\n")
    with open(folder / "texts.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([f"{topics[c]}, number {row}"] for row, c in enumerate(classes))])
    source = "{kind: embeddings, train: x.npy, labels: y.csv, texts: texts.csv}"
    write_recipe(folder, source, backbone="precomputed", k=4, more="report: {map: pca}\n")
    return folder
