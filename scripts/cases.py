"""Real data for scripts that compare methods: which samples, which of them labelled, and the figures of each case."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ncdcli.data.columns import read_columns
from ncdcli.data.samples import Samples
from ncdcli.run.folder import RunFolder

TABLES = {"optdigits": ("optdigits.dat", 5), "pendigits": ("penbased.dat", 5), "letter": ("letter.dat", 19)}


@dataclass(frozen=True)
class Case:
    """Embeddings, the true classes (known ones first), and which rows are labelled."""

    embeddings: np.ndarray
    classes: np.ndarray
    n_known: int
    labelled: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return np.where(self.labelled, self.classes, -1)


# name of the data, seed, case, and figures of it that are done -> the others
Measure = Callable[[str, int, Case, list[dict[str, Any]]], list[dict[str, Any]]]


def drawn(embeddings: np.ndarray, classes: np.ndarray, n_known: int, *, seed: int, most: int) -> Case:
    """At most `most` of the rows, and half of those of known classes labelled."""
    rng = np.random.default_rng([1, seed])
    rows = chosen_rows(len(classes), rng, most)
    classes = classes[rows]
    return Case(embeddings[rows], classes, n_known, (classes < n_known) & (rng.random(len(classes)) < 0.5))


def chosen_rows(n: int, rng: np.random.Generator, most: int) -> np.ndarray:
    """All rows, or `most` of them, ascending."""
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def standardised(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1; constant ones left out."""
    varies = values.std(axis=0) > 0
    return ((values - values.mean(axis=0))[:, varies] / values.std(axis=0)[varies]).astype(np.float32)


def tables(folder: Path | None) -> Iterator[tuple[str, np.ndarray, np.ndarray, int]]:
    """Name, values, classes and number of known classes of every table."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    yield "digits", standardised(digits.data), digits.target, 5
    for name, (file, known) in TABLES.items() if folder is not None else ():
        cells = [line.replace(" ", "").split(",") for line in (folder / file).read_text().splitlines() if "," in line]
        cells = [row for row in cells if not row[0].startswith("@")]
        _, classes = np.unique([row[-1].rjust(2) for row in cells], return_inverse=True)
        yield name, standardised(np.array([row[:-1] for row in cells], float)), classes, known


def cases(folder: Path | None, runs: list[Path], *, seeds: int, most: int) -> Iterator[tuple[str, int, Case]]:
    """Every data set at every seed."""
    for name, values, classes, known in tables(folder):
        for seed in range(seeds):
            yield f"{name} (raw)", seed, drawn(values, classes, known, seed=seed, most=most)
    for run in runs:
        samples = Samples.read(run / "split/samples.csv", run / "split/classes.json")
        truth = read_columns(run / "split/truth.csv", texts=("class",))["class"].tolist()
        names = [*samples.known, *sorted(set(truth) - set(samples.known))]
        classes = np.array([names.index(name) for name in truth])
        rows = samples.rows("labelled", "validation", "unlabelled")
        embeddings = np.load(run / "embed/embeddings.npy")[rows]
        model = json.loads((run / "pretrain/model.json").read_text("utf-8"))
        recipe = json.loads((run / "run.json").read_text("utf-8"))
        name = str(recipe.get("name", run.name)).rsplit("-seed", 1)[0]
        if (model.get("training") or {}).get("objective", "none") != "none":
            seed = RunFolder(run).recipe().seed
            some = chosen_rows(len(rows), np.random.default_rng([1, seed]), most)
            labelled = samples.roles[rows][some] == "labelled"
            case = Case(embeddings[some], classes[rows][some], len(samples.known), labelled)
            yield f"{name} (trained)", seed, case
        else:
            for seed in range(seeds):
                yield (
                    f"{name} (frozen)",
                    seed,
                    drawn(embeddings, classes[rows], len(samples.known), seed=seed, most=most),
                )


def add_data_options(parser: argparse.ArgumentParser, *, seeds: int, rows: int) -> None:
    """The options that say what is measured."""
    parser.add_argument("--tables", type=Path, help="folder with optdigits.dat, penbased.dat, letter.dat")
    parser.add_argument("--run", type=Path, nargs="*", default=[], help="finished runs whose embeddings are used")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--rows", type=int, default=rows, help=f"of each data set, at most; default: {rows:,}")
    parser.add_argument("--kinds", help="only these kinds of clustering, comma-separated")
    parser.add_argument("--json", type=Path, help="file for all single figures; those in it are not done again")


def collect(options: argparse.Namespace, measure: Measure) -> list[dict[str, Any]]:
    """The figures of every case, those of earlier calls in `--json` among them."""
    had = options.json and options.json.exists()
    figures: list[dict[str, Any]] = json.loads(options.json.read_text()) if had else []
    for data, seed, case in cases(options.tables, options.run, seeds=options.seeds, most=options.rows):
        done = [figure for figure in figures if (figure["data"], figure["seed"]) == (data, seed)]
        figures += measure(data, seed, case, done)
        print(f"{data}, seed {seed}: done", file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps(figures))
    return figures
