"""The head of a report and the fold at its end: what came out, by which protocol, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ncdcli.reports.facts import Row
from ncdcli.reports.results import Results
from ncdcli.reports.scores import headline, protocols
from ncdcli.run.manifest import Manifest
from ncdcli.words import counted


@dataclass(frozen=True)
class Tile:
    """One number at the head of the page."""

    label: str
    value: str
    note: str = ""
    novel: bool = False  # what it is all about


@dataclass(frozen=True)
class Stage:
    """How one stage was made."""

    name: str
    seconds: float
    device: str
    memory: str
    started: str
    origin: str  # the run that it is linked from


PROTOCOLS = {
    "gcd_v2": "one optimal matching of clusters to classes over all samples of the split",
    "gcd_v1": "known and novel samples matched apart",
    "gcd_v2_balanced": "as gcd_v2, every class with the same weight",
    "balanced_accuracy": "mean recall of the classes under the matching",
    "ncd_task_aware": "samples of novel classes only, matched to novel clusters",
    "ncd_task_agnostic": "all clusters may be taken, known ones as well",
    "nmi": "normalised mutual information",
    "ari": "adjusted Rand index",
    "known_accuracy": "known classes taken by their labels, without a matching",
}
SPLITS = {
    "unlabelled": "the pool itself (transductive)",
    "test": "samples that nothing was trained or clustered on (inductive)",
    "validation": "held-out samples of known classes",
}
SUBSETS = {"all": "all samples", "known": "known classes", "novel": "novel classes"}


def tiles(results: Results) -> list[Tile]:
    """The numbers to look at first: scores where there is truth, and what can be known where there is none."""
    scores = headline(results.metrics)
    found = [_classes_tile(results)]
    if scores:
        named = [
            Tile(label, percent(scores[subset]), f"accuracy, {scores['name']}", novel=subset == "novel")
            for subset, label in SUBSETS.items()
            if scores.get(subset) is not None
        ]
        return [*sorted(named, key=lambda tile: not tile.novel), *found]
    pool = int((results.samples.roles == "unlabelled").sum())
    novel = sum(results.is_novel(cluster) for cluster in results.clusters[results.pool].tolist())
    found.insert(0, Tile("pool samples in novel clusters", f"{novel:,}", f"of {pool:,} unlabelled samples", novel=True))
    held_out = protocols(results.metrics).get("known_accuracy.validation", {}).get("all")
    if held_out is not None:
        found.append(Tile("held-out known samples right", percent(held_out), "known_accuracy.validation"))
    silhouette = (results.metrics.get("silhouette") or {}).get("value")
    if silhouette is not None:
        found.append(Tile("silhouette of the pool", f"{silhouette:.2f}", "1: clusters lie far apart; 0: they touch"))
    stability = results.metrics.get("stability") or {}
    if stability.get("ari") is not None:
        note = f"adjusted Rand index of {stability['seeds']} re-clusterings with other seeds"
        found.append(Tile("agreement of re-clusterings", f"{stability['ari']:.2f}", note))
    return found


def score_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """(protocol.split, what it is, percentages for all, known and novel), the headline first."""
    first = headline(metrics).get("name", "")
    rows = []
    for name, values in sorted(protocols(metrics).items(), key=lambda item: item[0] != first):
        protocol, _, split = name.partition(".")
        about = "; on ".join(filter(None, (PROTOCOLS.get(protocol, ""), SPLITS.get(split, split))))
        rows.append((name, about, [percent(values.get(subset)) for subset in SUBSETS]))
    return rows


def class_rows(per_class: Sequence[Row]) -> dict[str, list[Row]]:
    """Split -> the rows of `per_class.csv` that are about it, the lowest recall first within known and novel."""
    found: dict[str, list[Row]] = {}
    for row in per_class:
        found.setdefault(row["split"], []).append(row)
    return {
        split: sorted(rows, key=lambda row: (row["known"] == "yes", float(row["recall"] or 0)))
        for split, rows in found.items()
    }


def stages(manifests: Mapping[str, Manifest]) -> list[Stage]:
    """How the stages were made, in the order of the mapping."""
    return [
        Stage(
            name=name,
            seconds=manifest.seconds,
            device=_device(manifest),
            memory="–" if not manifest.peak_memory_bytes else f"{manifest.peak_memory_bytes / 1e6:,.0f} MB",
            started=minute(manifest.started),
            origin=manifest.reused_from or "",
        )
        for name, manifest in manifests.items()
    ]


def _device(manifest: Manifest) -> str:
    """ "cpu", "2 × cuda (NVIDIA …), deterministic"."""
    count = "" if manifest.processes == 1 else f"{manifest.processes} × "
    return f"{count}{manifest.device}{', deterministic' * manifest.deterministic}"


def provenance(results: Results, source: Mapping[str, Any], manifest: Manifest) -> list[tuple[str, str]]:
    """(what, which) of data, code and machine."""
    code = manifest.code
    commit = f", commit {code['commit'][:12]}" if code.get("commit") else ""
    changed = " with changes of its own" if code.get("dirty") else ""
    samples = ", ".join(f"{count:,} {role}" for role, count in source.get("samples", {}).items())
    packages = ", ".join(f"{name} {version}" for name, version in manifest.packages.items())
    return [
        ("samples", samples),
        ("known classes", ", ".join(results.samples.known)),
        ("source", ", ".join(f"{name}: {value}" for name, value in source.get("source", {}).items() if value)),
        ("digest of the data", str(source.get("digest", ""))),
        ("checksum of the split", str(source.get("split_checksum", ""))),
        ("code", f"ncd {code.get('version', '')}{commit}{changed}"),
        ("python", manifest.python),
        ("packages", packages),
        ("machine", f"{manifest.host}, {counted(manifest.threads, 'thread')}"),
    ]


def percent(fraction: float | None) -> str:
    """0.7314 -> "73.1 %"; an absent value -> "–"."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def minute(moment: str) -> str:
    """An ISO time to the minute."""
    try:
        return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return moment


def _classes_tile(results: Results) -> Tile:
    found = results.names.count
    novel = sum(results.is_novel(cluster) for cluster in set(results.names.into))
    true = (results.metrics.get("k") or {}).get("true")
    notes = [f"{counted(results.n_known, 'known class', 'known classes')}, {counted(novel, 'novel cluster')}"]
    if true is not None:
        notes.append(f"{true} true ones")
    if results.names.merged:
        notes.append(f"{counted(results.names.merged, 'cluster')} merged by name")
    return Tile("classes found", str(found), "; ".join(notes))
