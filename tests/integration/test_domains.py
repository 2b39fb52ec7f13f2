"""A run whose samples come from several domains, from a table to scores, on the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RECIPE = """\
version: 1
name: sites
data:
  root: .
  source: {{kind: table, train: t.csv, label: kind, {domain}}}
  known_classes: [a, b]
backbone: {{kind: identity}}
pretrain: {{objective: {{kind: none}}}}
embed: {{normalize: false}}
estimate_k: {{kind: fixed, k: 4}}
cluster: {{kind: ddfa, restarts: 3}}
evaluate: {{stability_seeds: 2}}
"""


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    """Four kinds in six sites, in other shares in each; two columns vary more than what tells the kinds apart."""
    rng = np.random.default_rng(0)
    shares = np.concatenate([0.85 * np.eye(4) + 0.0375, rng.dirichlet(np.ones(4), size=2)])
    site = rng.integers(6, size=1500)
    kinds = np.array([rng.choice(4, p=shares[each]) for each in site])
    rows = rng.normal(size=(1500, 6))
    rows[np.arange(1500), kinds] += 10
    rows[:, 4:] += 100 * rng.choice([-1, 1], size=(1500, 2))
    with open(tmp_path / "t.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["site", *"uvwxyz", "kind"])
        writer.writerows([f"site {s}", *row.round(3), "abcd"[k]] for s, row, k in zip(site, rows, kinds, strict=True))
    return tmp_path


def write_recipe(folder: Path, domain: str) -> None:
    (folder / "sites.yaml").write_text(RECIPE.format(domain=domain))


def test_domains_go_from_the_table_to_the_scores(sites: Path, run_ncd: Callable[..., Any]) -> None:
    write_recipe(sites, "domain: site")
    ended = run_ncd("run", "sites.yaml", "--run", "run", "--until", "evaluate")
    assert ended.code == 0, ended.err
    with open(sites / "run" / "split" / "samples.csv", newline="") as file:
        assert {row["domain"] for row in csv.DictReader(file)} == {f"site {s}" for s in range(6)}
    metrics = json.loads((sites / "run" / "evaluate" / "metrics.json").read_text())
    assert metrics["headline"]["all"] > 0.95
    assert metrics["stability"]["ari"] > 0.9
    statistics = json.loads((sites / "run" / "cluster" / "clustering.json").read_text())["statistics"]
    assert statistics["domains"] == 6


def test_a_recipe_without_the_column_is_refused_before_anything_runs(sites: Path, run_ncd: Callable[..., Any]) -> None:
    write_recipe(sites, "")
    ended = run_ncd("run", "sites.yaml", "--run", "run")
    assert ended.code == 3
    assert "clustering `ddfa` needs a domain for every sample" in ended.err
    assert "hint: say where samples come from: `domain` in `data.source`" in ended.err
    assert not (sites / "run").exists()


def test_more_classes_than_domains_are_told_with_what_to_do(sites: Path, run_ncd: Callable[..., Any]) -> None:
    write_recipe(sites, "domain: site")
    ended = run_ncd("run", "sites.yaml", "--run", "run", "--set", "estimate_k.k=7")
    assert ended.code == 3
    assert "6 domains for 7 clusters" in ended.err
