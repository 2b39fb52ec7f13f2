"""What the page's map is drawn from: points, what colours them, and what the pointer shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.sources import TableInputs
from ncdcli.reports.features import Columns, distinguishing, short
from ncdcli.reports.projection import Map
from ncdcli.reports.results import Results
from ncdcli.reports.thumbnails import ACROSS, SHEET, Thumbnails

RANGE = 4095  # coordinates are whole numbers up to here: finer than any screen shows
KEY_LENGTH = 120
CELL_LENGTH = 28
TEXT_LENGTH = 160  # of a cell of free text
TEXT_LETTERS = 4_000_000  # of free text that the pointer shows
CELLS = 120_000  # of table rows that the pointer shows
SHOWN_COLUMNS = 10
MARGINS = (0.1, 0.25, 0.5, 0.75)  # edges of the groups by confidence
NOT_KNOWN = "not known"


def map_data(
    results: Results, maps: Sequence[Map], thumbnails: Thumbnails | None, rows: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON-able content of the map. `rows`: what `table_rows` gave, or nothing."""
    points = np.unique(np.concatenate([one.rows for one in maps]))
    samples = results.samples
    return {
        "maps": [_map(one, points) for one in maps],
        "keys": [shortened(samples.keys[row], KEY_LENGTH) for row in points.tolist()],
        "margins": np.round(results.margins[points] * 100).astype(int).tolist(),
        "groups": _groups(results, points),
        "images": None if thumbnails is None else _images(thumbnails, points),
        "rows": rows or None,
    }


def table_rows(
    inputs: TableInputs, table: Columns, groups: NDArray[np.int64], clusters: Sequence[int]
) -> dict[str, Any]:
    """Cells of the columns that set clusters apart most, for the rows of the map."""
    names = [str(name) for name in inputs.frame.columns]
    found = distinguishing(table, groups, clusters)
    weight = dict.fromkeys(names, 0.0)
    for features in found.values():
        for feature in features:
            weight[feature.column] += abs(feature.difference)
    most = max(1, min(SHOWN_COLUMNS, CELLS // max(len(inputs), 1)))
    chosen = sorted(names, key=lambda name: -weight[name])[:most]
    texts = table.texts if len(inputs) * TEXT_LENGTH <= TEXT_LETTERS else ()
    cells = [[cell(value, wide=name in texts) for value in inputs.frame[name].tolist()] for name in chosen]
    return {"columns": chosen, "cells": cells}


def cell(value: Any, *, wide: bool = False) -> str:
    """A table's cell in a few characters, in some more if `wide`."""
    if isinstance(value, (int, float)):
        return "–" if not np.isfinite(value) else f"{value:.0f}" if float(value).is_integer() else short(value)
    if value is None or value is np.nan or str(value) == "<NA>":
        return "–"
    return shortened(str(value), TEXT_LENGTH if wide else CELL_LENGTH)


def shortened(text: str, most: int) -> str:
    """The text, its middle left out where it is too long."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def hue(number: int) -> int:
    """Degrees of the colour wheel for a cluster or class: neighbours in number lie far apart in colour."""
    return round(number * 137.508 + 210) % 360


def _map(one: Map, points: NDArray[np.int64]) -> dict[str, Any]:
    at = np.searchsorted(points, one.rows)
    low, high = one.points.min(axis=0), one.points.max(axis=0)
    span = float((high - low).max()) or 1.0
    middle = (low + high) / 2
    placed = np.clip(np.round((one.points - middle) / span * RANGE + RANGE / 2), 0, RANGE).astype(int)
    return {
        "name": one.name,
        "note": one.note,
        "at": None if len(at) == len(points) else at.tolist(),
        "x": placed[:, 0].tolist(),
        "y": (RANGE - placed[:, 1]).tolist(),
    }


def _groups(results: Results, points: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Ways to colour and filter the points."""
    heads = sorted(set(results.names.into), key=lambda cluster: (not results.is_novel(cluster), cluster))
    clusters = _group("cluster", [results.cluster_name(c) for c in heads], results.groups[points], heads)
    for label, head in zip(clusters["labels"], heads, strict=True):
        label["novel"] = results.is_novel(head)
        label["hue"] = hue(head)
        label["card"] = head
    novel = np.array([results.is_novel(cluster) for cluster in range(results.k)])
    kinds = _group("known or novel", ["novel cluster", "known class"], (~novel[results.clusters[points]]).astype(int))
    kinds["labels"][0] |= {"hue": 28, "novel": True}
    kinds["labels"][1] |= {"hue": 215}
    return [clusters, _classes(results, points), kinds, _roles(results, points), _margins(results, points)]


def _classes(results: Results, points: NDArray[np.int64]) -> dict[str, Any]:
    names = [*results.truth.names, NOT_KNOWN]
    classes = results.truth.classes[points]
    name = "true class" if results.has_truth else "label"
    group = _group(name, names, np.where(classes < 0, len(names) - 1, classes))
    for number, label in enumerate(group["labels"]):
        label["novel"] = results.n_known <= number < len(names) - 1
        label["hue"] = hue(number) if number < len(names) - 1 else None
    return group


def _roles(results: Results, points: NDArray[np.int64]) -> dict[str, Any]:
    names = ["labelled", "validation", "unlabelled", "test"]
    of = np.array([names.index(role) for role in results.samples.roles[points].tolist()])
    return _group("role", names, of)


def _margins(results: Results, points: NDArray[np.int64]) -> dict[str, Any]:
    edges = [f"{edge:g}" for edge in MARGINS]
    names = [f"below {edges[0]}", *(f"{a} to {b}" for a, b in pairwise(edges)), f"from {edges[-1]}"]
    group = _group("margin", names, np.digitize(results.margins[points], MARGINS))
    for number, label in enumerate(group["labels"]):
        label["hue"] = 20 + 45 * number
    return group


def _group(
    name: str, labels: Sequence[str], of: NDArray[np.int64], numbers: Sequence[int] | None = None
) -> dict[str, Any]:
    """Labels with their counts and colours, and the label of each point. `numbers`: what stands in `of` for each."""
    if numbers is not None:
        order = np.argsort(numbers)
        of = order[np.searchsorted(np.asarray(numbers)[order], of)]
    counts = np.bincount(of, minlength=len(labels)).tolist()
    return {
        "name": name,
        "labels": [
            {"text": text, "count": count, "hue": hue(number)}
            for number, (text, count) in enumerate(zip(labels, counts, strict=True))
        ],
        "of": of.tolist(),
    }


def _images(thumbnails: Thumbnails, points: NDArray[np.int64]) -> dict[str, Any]:
    places = [thumbnails.places.get(row) for row in points.tolist()]
    return {
        "across": ACROSS,
        "sheet": SHEET,
        "sides": [sheet.side for sheet in thumbnails.sheets],
        "of": [-1 if place is None else place[0] * SHEET + place[1] for place in places],
    }
