"""The clusters of a run as tables of `ncd show`: sizes and neighbours, and what sets each apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ncdcli.cli.output import percent

if TYPE_CHECKING:
    from ncdcli.run.folder import RunFolder

SHOWN_CLUSTERS = 40
SHOWN_FEATURES = 3


@dataclass(frozen=True)
class Table:
    """A table for people, in the terminal or in Markdown."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: tuple[str, ...] = ()


def clusters_table(folder: RunFolder) -> Table:
    """A row for each cluster: its size, how sure it is, and what it is like."""
    from ncdcli.reports.facts import feature_words, read_clusters

    clusters = read_clusters(folder.path)["clusters"]
    rows = []
    for cluster in clusters[:SHOWN_CLUSTERS]:
        near, purity, features = cluster.get("nearest_known"), cluster.get("purity"), cluster.get("features") or []
        confidence = cluster.get("confidence")
        rows.append(
            (
                str(cluster["cluster"]),
                str(cluster["name"]),
                "novel" if cluster["novel"] else "known",
                str(cluster["sizes"].get("unlabelled", 0)),
                "–" if confidence is None else f"{confidence:.2f}",
                str(near["name"]) if near else "–",
                f"{next(iter(purity['classes']))} {purity['value']:.0%}" if purity else "–",
                ", ".join(feature_words(feature) for feature in features[:2]),
            )
        )
    columns = ("cluster", "name", "kind", "pool", "confidence", "nearest known", "purity", "set apart by")
    more = f", the first {SHOWN_CLUSTERS} of {len(clusters)}" if len(clusters) > SHOWN_CLUSTERS else ""
    used = [position for position in range(len(columns)) if any(row[position] not in ("–", "") for row in rows)]
    return Table(
        f"Clusters{more}",
        tuple(columns[position] for position in used),
        [tuple(row[position] for position in used) for row in rows],
        ("cluster", "pool", "confidence"),
    )


def apart_table(folder: RunFolder) -> Table:
    """A row for each cluster of table rows or texts that something tells apart: the differences, and a rule.

    Empty where the samples have no columns, and before the report is made.
    """
    from ncdcli.reports.facts import read_clusters

    clusters = read_clusters(folder.path)["clusters"]
    rows = []
    for cluster in clusters[:SHOWN_CLUSTERS]:
        features, rule = cluster.get("features") or [], cluster.get("rule")
        if features or rule:
            conditions = "–" if rule is None else " and ".join(rule["conditions"])
            found = ("–", "–") if rule is None else (percent(rule["precision"]), percent(rule["recall"]))
            differences = ", ".join(map(_difference, features[:SHOWN_FEATURES])) or "–"
            rows.append((str(cluster["cluster"]), str(cluster["name"]), differences, conditions, *found))
    columns = ("cluster", "name", "differs by (sd)", "rule", "precision %", "recall %")
    return Table("What sets clusters apart", columns, rows, ("cluster", "precision %", "recall %"))


def _difference(feature: Mapping[str, Any]) -> str:
    """ "width +2.1", "colour red -1.3": in standard deviations of the column, from all other rows."""
    column, category = feature["column"], feature["category"]
    name = column if category is None else category if feature.get("term") else f"{column} {category}"
    return f"{name} {feature['difference']:+.1f}"
