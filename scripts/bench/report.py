"""Seconds, bytes and peak memory of the `report` stage on 10,000 samples.

    python scripts/bench/report.py [--rows N] [--classes K] [--data images|photos|table|embeddings] [--map tsne|pca]

Makes what the stages before it would have written, and runs the stage as the runner does. `images` are 32 × 32 pixels
in memory, `photos` JPEG files of 400 × 300 pixels that have to be decoded, `table` rows of 16 numbers and two columns
of text. Imports are counted: they are paid for in the middle of a run that has made them already.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from ncdcli.data.columns import write_columns
from ncdcli.data.kinds import DataConfig, Embeddings, ImageFolder, Table
from ncdcli.data.samples import Samples
from ncdcli.models.kinds import Identity
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.recipe.schema import Recipe, ReportConfig
from ncdcli.run import provenance
from ncdcli.stages import report

DIM = 256
LIMIT_SECONDS, LIMIT_BYTES = 20.0, 10_000_000


def make_data(kind: str, folder: Path, classes: np.ndarray) -> tuple[DataConfig, list[str]]:
    """The data section of a recipe, and the keys of the samples."""
    rng = np.random.default_rng(0)
    rows = len(classes)
    if kind in ("images", "photos"):
        return _make_images(folder, classes, rng, size=(32, 32) if kind == "images" else (400, 300))
    if kind == "table":
        centres = rng.normal(size=(classes.max() + 1, 16)) * 2
        values = np.round(centres[classes] + rng.normal(size=(rows, 16)), 4)
        with open(folder / "rows.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"column_{number}" for number in range(16)), "colour", "shape"])
            for row, one in enumerate(values.tolist()):
                writer.writerow([*one, f"colour {classes[row] % 7}", f"shape {rng.integers(5)}"])
        return DataConfig(source=Table(train=str(folder / "rows.csv"))), [f"train/{row}" for row in range(rows)]
    np.save(folder / "x.npy", np.zeros((rows, 2), np.float32))
    return DataConfig(source=Embeddings(train=str(folder / "x.npy"))), [f"train/{row}" for row in range(rows)]


def _make_images(
    folder: Path, classes: np.ndarray, rng: np.random.Generator, *, size: tuple[int, int]
) -> tuple[DataConfig, list[str]]:
    """Noise in the colour of the class: hard to compress, as photographs are."""
    width, height = size
    colours = rng.integers(40, 215, size=(int(classes.max()) + 1, 3))
    keys = []
    (folder / "pool").mkdir()
    for row, number in enumerate(classes.tolist()):
        coarse = np.clip(colours[number] + rng.normal(0, 45, size=(height // 4, width // 4, 3)), 0, 255)
        name = f"{row:06d}.{'png' if width <= 64 else 'jpg'}"
        image = Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / "pool" / name, quality=85)
        keys.append(f"unlabelled/{name}")
    source = ImageFolder(unlabelled=str(folder / "pool"))
    return DataConfig(source=source), keys


def make_run(folder: Path, keys: list[str], classes: np.ndarray, n_known: int) -> None:
    """What the stages before `report` write; clusters are right for about 80 % of the rows."""
    rng = np.random.default_rng(1)
    rows, k = len(classes), int(classes.max()) + 1
    centres = rng.normal(size=(k, DIM)).astype(np.float32)
    wrong = rng.random(rows) > 0.8
    clusters = np.where(wrong, rng.integers(k, size=rows), classes)
    labelled = (classes < n_known) & (rng.random(rows) < 0.4)
    clusters[labelled] = classes[labelled]
    names = [f"class {c}" for c in range(k)]
    for stage in ("split", "pretrain", "embed", "estimate_k", "cluster", "evaluate", "report"):
        (folder / stage).mkdir()
    roles = np.where(labelled, "labelled", "unlabelled")
    Samples(tuple(keys), roles, np.where(labelled, classes, -1), tuple(names[:n_known]), "gcd").write(folder / "split")
    truth = {"row": range(rows), "class": [names[c] for c in classes.tolist()]}
    write_columns(folder / "split" / "truth.csv", truth)
    (folder / "split" / "source.json").write_text(json.dumps({"source": {}, "samples": {}, "digest": ""}))
    (folder / "pretrain" / "model.json").write_text("{}")
    records = [{"epoch": epoch, "loss": 1 / epoch, "lr": 1e-3} for epoch in range(1, 101)]
    (folder / "pretrain" / "metrics.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    noise = rng.normal(scale=0.8, size=(rows, DIM)).astype(np.float32)
    np.save(folder / "embed" / "embeddings.npy", centres[clusters] + noise)
    (folder / "estimate_k" / "k.json").write_text(json.dumps({"k": k, "criterion": "fixed"}))
    write_columns(folder / "estimate_k" / "scores.csv", {"k": [], "score": []})
    match = [*names[:n_known], *["novel"] * (k - n_known)]
    columns = {
        "row": range(rows), "key": keys, "role": roles.tolist(), "cluster": clusters.tolist(),
        "match": [match[c] for c in clusters.tolist()], "margin": rng.random(rows).astype(np.float32),
    }  # fmt: skip
    write_columns(folder / "cluster" / "assignments.csv", columns)
    np.save(folder / "cluster" / "centroids.npy", centres)
    matched = [c if c < n_known else -1 for c in range(k)]
    sizes = np.bincount(clusters, minlength=k).tolist()
    (folder / "cluster" / "clustering.json").write_text(json.dumps({"k": k, "matched": matched, "sizes": sizes}))
    (folder / "evaluate" / "metrics.json").write_text(json.dumps({"selection": "last", "k": {"true": k}}))


def time_stage(folder: Path, data: DataConfig, kind: str) -> tuple[float, float]:
    """Seconds of the stage, and seconds of processors, which a busy machine does not lengthen."""
    inputs = {str(path.relative_to(folder)): path for path in folder.glob("*/*.*") if path.parent.name != "data"}
    context = StageContext(
        inputs, folder / "report", stage_stream(0, "report"), Resources(), SilentProgress(), data=data
    )  # fmt: skip
    recipe = Recipe(name="bench", data=data, backbone=Identity(), report=ReportConfig(map=kind))
    config = SimpleNamespace(**{name: getattr(recipe, name) for name in Recipe.model_fields if name != "version"})
    provenance.forget_peak_memory()
    start, worked = time.perf_counter(), time.process_time()
    report.run(context, config)
    return time.perf_counter() - start, time.process_time() - worked


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--data", choices=("images", "photos", "table", "embeddings"), default="images")
    parser.add_argument("--map", choices=("tsne", "pca"), default="tsne")
    options: Any = parser.parse_args()
    classes = np.random.default_rng(0).integers(options.classes, size=options.rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        data, keys = make_data(options.data, folder / "data", classes)
        make_run(folder, keys, classes, options.classes // 2)
        seconds, worked = time_stage(folder, data, options.map)
        size = (folder / "report" / "report.html").stat().st_size
    print(f"{options.data}: {options.rows:,} samples, {options.classes} clusters, {options.map}")
    print(f"  {seconds:.1f} s (limit {LIMIT_SECONDS:.0f} on two cores), {worked:.1f} s of processors")
    print(f"  {size / 1e6:.2f} MB (limit {LIMIT_BYTES / 1e6:.0f})")
    print(f"  {provenance.peak_memory_bytes() / 1e6:.0f} MB peak memory")


if __name__ == "__main__":
    main()
