"""Small files of a run as rows and records. Imports nothing heavy."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ncdcli.naming import NOVEL, clusters_of, default_names

Row = Mapping[str, str]
BARS = "▁▂▃▄▅▆▇█"
NOT_CURVES = ("epoch", "samples")  # of a training's record


def read_rows(path: Path | None) -> list[Row]:
    """Rows of a small CSV; none where there is no file."""
    if path is None or not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_lines(path: Path | None) -> list[dict[str, Any]]:
    """Records of a file of JSON lines; none where there is no file."""
    if path is None or not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def training_series(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """What the trainings of a run have written, as `series` of both."""
    names = ("pretrain", "joint_training")
    return both_series(*(read_lines(folder / name / "metrics.jsonl") for name in names))


def read_counting(folder: Path) -> dict[str, Any]:
    """`k.json` of a run; empty where the classes have not been counted."""
    path = folder / "estimate_k" / "k.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def read_clusters(folder: Path) -> dict[str, Any]:
    """Clusters of a run with suggestions, as in `clusters.json`; their sizes alone where there is no report yet."""
    path = folder / "report" / "clusters.json"
    if path.is_file():
        return json.loads(path.read_text("utf-8"))
    if not (folder / "cluster" / "clustering.json").is_file():
        return {"named": False, "clusters": [], "merges": [], "splits": []}
    clusters = clusters_of(folder)
    rows: list[dict[str, Any]] = [
        {
            "cluster": one.number,
            "name": name,
            "novel": one.match == NOVEL,
            "match": None if one.match == NOVEL else one.match,
            "size": one.size,
            "sizes": {},
        }
        for one, name in zip(clusters, default_names(clusters).names, strict=True)
    ]
    return {"named": False, "clusters": rows, "merges": [], "splits": []}


def feature_words(feature: Mapping[str, Any]) -> str:
    """A feature of `clusters.json` in two words: `width high`, `colour red`, `colour not red`; a term alone."""
    more = feature["difference"] > 0
    if feature["category"] is None:
        return f"{feature['column']} {'high' if more else 'low'}"
    column = "" if feature.get("term") else f"{feature['column']} "
    return f"{column}{'' if more else 'not '}{feature['category']}"


def number(text: object) -> float | None:
    """What a cell holds as a finite number; None for an empty or other one."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def series(records: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Name -> (epoch, value) of each number that a training has written, in the order of first appearance."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for name, value in record.items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if name not in NOT_CURVES and is_number and math.isfinite(value):
                found.setdefault(name, []).append((float(record["epoch"]), float(value)))
    return found


def both_series(
    pretrain: Iterable[Mapping[str, Any]], joint: Iterable[Mapping[str, Any]]
) -> dict[str, list[tuple[float, float]]]:
    """`series` of pretraining, then of joint training, whose names begin with `joint_training/`."""
    return series(pretrain) | {f"joint_training/{name}": points for name, points in series(joint).items()}


def criteria(candidates: Sequence[Row]) -> dict[str, list[tuple[float, float]]]:
    """Criterion -> (k, value) of the candidates in `scores.csv`; `score` is what the estimate was chosen by."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in candidates:
        k = number(row.get("k"))
        for name, cell in row.items():
            value = number(cell)
            if name != "k" and value is not None and k is not None:
                found.setdefault(name, []).append((k, value))
    return found


def sparkline(values: Sequence[float], *, width: int = 40) -> str:
    """The course of some numbers in one line of bars, from the least (▁) to the greatest (█)."""
    if not values:
        return ""
    if len(values) > width:  # means of equal parts
        edges = [round(position * len(values) / width) for position in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    if high == low:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)
