"""Scores of a run, read from `evaluate/metrics.json`. Imports nothing heavy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ncdcli.pipeline.spec import ORACLE

NOT_PROTOCOLS = ("headline", "rows", "sizes")
SUBSETS = ("all", "known", "novel")


STAMP = "the epoch was chosen on the labels that are scored: these numbers compare with no others"


def rule_text(selection: str) -> str:
    """The selection rule; with its stamp, where it looked at novel labels."""
    return f"{selection} ({STAMP})" if ORACLE in selection.split(", ") else selection


def read_metrics(folder: Path) -> dict[str, Any]:
    """`evaluate/metrics.json` of a run folder, empty where the run is not scored."""
    path = folder / "evaluate" / "metrics.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def protocols(metrics: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """ "protocol.split" -> {subset: fraction} of every protocol that was computed, in the order of the file."""
    return {
        f"{protocol}.{split}": dict(values)
        for protocol, splits in metrics.items()
        if isinstance(splits, Mapping) and protocol not in NOT_PROTOCOLS
        for split, values in splits.items()
        if isinstance(values, Mapping) and "all" in values
    }


def headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The headline scores: {name: "protocol.split", selection, all, known, novel}; empty where there are none."""
    chosen = metrics.get("headline", {})
    name = f"{chosen.get('protocol')}.{chosen.get('split')}"
    if name not in protocols(metrics):
        return {}
    return {"name": name, "selection": metrics.get("selection"), **{subset: chosen.get(subset) for subset in SUBSETS}}


def numbers_by_path(tree: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every number of a nested map by its dotted path; undefined scores (null) are NaN."""
    found: dict[str, float] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= numbers_by_path(value, f"{path}.")
        elif value is None:
            found[path] = math.nan
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[path] = float(value)
    return found
