"""Comparing runs: which fields differ, and seeds as mean ± sd."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from ncdcli.reports.comparison import (
    Entry,
    compare,
    difference_table,
    flat_rows,
    flatten,
    read_entry,
    score_table,
)


def entry(run: str, *, seed: int = 0, novel: float | None = 0.5, selection: str = "last", **fields: Any) -> Entry:
    scores = {} if novel is None else {"gcd_v2.unlabelled.novel": novel, "k.estimated": 10.0}
    headline = "" if novel is None else "gcd_v2.unlabelled"
    return Entry(run, "digits", seed, {"pretrain.epochs": 30, **fields}, scores, headline, selection)


def test_runs_that_differ_in_seed_only_are_one_row() -> None:
    values = {0: 0.70, 1: 0.74, 2: 0.81}
    comparison = compare([entry(f"r{seed}", seed=seed, novel=values[seed]) for seed in (2, 0, 1)])
    (group,) = comparison.groups
    assert group.seeds == (0, 1, 2)
    spread = group.spread("gcd_v2.unlabelled.novel")
    assert spread is not None
    assert spread.mean == pytest.approx(0.75)
    assert spread.sd == pytest.approx(statistics.stdev(values.values()))
    columns, rows = score_table(comparison)
    assert columns == ["recipe", "seeds", "gcd_v2.unlabelled.novel", "k.estimated"]
    assert rows == [["digits", "0–2 (n = 3)", "75.0 ± 5.6", "10.0 ± 0.0"]]


def test_only_fields_that_differ_are_shown() -> None:
    comparison = compare([entry("a", **{"cluster.kind": "kmeans"}), entry("b", **{"cluster.kind": "semi_kmeans"})])
    assert comparison.differing == ("cluster.kind",)
    assert score_table(comparison)[1] == [["digits #1", "0", "50.0", "10"], ["digits #2", "0", "50.0", "10"]]
    assert difference_table(comparison) == (
        ["recipe field", "digits #1", "digits #2"],
        [["cluster.kind", "kmeans", "semi_kmeans"]],
    )


def test_fields_that_follow_from_another_kind_go_without_saying() -> None:
    first = entry("a", **{"cluster.kind": "kmeans", "cluster.spherical": True, "cluster.restarts": 5})
    second = entry("b", **{"cluster.kind": "semi_kmeans", "cluster.init": "gcd", "cluster.restarts": 10})
    comparison = compare([first, second])
    assert "cluster.init" in comparison.differing
    assert [row[0] for row in difference_table(comparison)[1]] == ["cluster.kind", "cluster.restarts"]


def test_a_selection_rule_other_than_the_last_epoch_is_stamped() -> None:
    columns, rows = score_table(
        compare([entry("a"), entry("b", selection="oracle", **{"pretrain.selection": "oracle"})])
    )
    assert columns[2] == "selection"
    assert [row[2] for row in rows] == ["last", "oracle"]


def test_a_field_that_one_run_lacks_differs_from_null() -> None:
    comparison = compare([entry("a", **{"embed.dim": None}), entry("b")])
    assert comparison.differing == ("embed.dim",)
    assert difference_table(comparison)[1] == [["embed.dim", "null", "–"]]


def test_a_run_without_scores_is_shown_and_counts_for_nothing() -> None:
    comparison = compare([entry("a", seed=0, novel=0.6), entry("b", seed=1, novel=None)])
    (group,) = comparison.groups
    assert score_table(comparison)[1] == [["digits", "0–1 (n = 2)", "60.0", "10"]]
    assert comparison.as_json()["groups"][0]["scores"]["gcd_v2.unlabelled.novel"] == {
        "mean": 0.6,
        "sd": None,
        "n": 1,
        "values": [0.6],
    }
    assert group.spread("unknown") is None


def test_csv_has_a_row_for_each_run_with_fractions() -> None:
    columns, rows = flat_rows(compare([entry("a", seed=0, novel=0.6), entry("b", seed=1, novel=0.7)]))
    assert columns == ["run", "recipe", "seed", "gcd_v2.unlabelled.novel", "k.estimated"]
    assert rows == [["a", "digits", 0, 0.6, 10.0], ["b", "digits", 1, 0.7, 10.0]]


def test_an_entry_is_read_from_the_run_folder(tmp_path: Path) -> None:
    (tmp_path / "evaluate").mkdir()
    metrics = {
        "headline": {"protocol": "gcd_v2", "split": "unlabelled", "all": 0.5, "known": 0.75, "novel": None},
        "selection": "known-val",
        "gcd_v2": {"unlabelled": {"all": 0.5, "known": 0.75, "novel": None}},
    }
    (tmp_path / "evaluate" / "metrics.json").write_text(json.dumps(metrics))
    recipe = {"name": "digits", "seed": 3, "version": 1, "description": "", "data": {"card": "digits", "source": None}}
    found = read_entry(tmp_path, recipe)
    assert (found.seed, found.headline, found.selection) == (3, "gcd_v2.unlabelled", "known-val")
    assert found.fields == {"data.card": "digits", "data.source": None}
    assert found.scores["gcd_v2.unlabelled.known"] == 0.75


def test_lists_and_empty_maps_are_leaves() -> None:
    assert flatten({"a": {"b": [1, 2], "c": {}}, "d": None}) == {"a.b": [1, 2], "a.c": {}, "d": None}
