"""Comparing runs: which fields differ, and seeds as mean ± sd."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from ncdcli.reports.comparison import Entry, compare, flatten, read_entry
from ncdcli.reports.comparison_page import render_comparison
from ncdcli.reports.comparison_tables import difference_table, flat_rows, score_table
from ncdcli.reports.comparison_tables import test_table as paired_table


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


def grid() -> list[Entry]:
    """Two methods on two data sets, three seeds each; the second method is better by 1, 2 and 3 points."""
    found = []
    for data, base in (("digits", 0.5), ("letter", 0.7)):
        for kind, gain in (("kmeans", 0.0), ("semi_kmeans", 0.01)):
            for seed in range(3):
                fields = {"data.card": data, "cluster.kind": kind}
                novel = base + gain * (seed + 1)
                found.append(entry(f"{data}-{kind}-{seed}", seed=seed, novel=novel, **fields))
    return found


def test_methods_and_data_sets_are_told_apart() -> None:
    comparison = compare(grid())
    assert comparison.by_data() == {"digits": [0, 1], "letter": [2, 3]}
    assert comparison.methods() == ["kmeans", "semi_kmeans"] * 2


def test_settings_of_one_data_set_are_told_apart() -> None:
    entries = [entry(s, **{"data.card": "digits", "data.setting": s}) for s in ("gcd", "ncd")]
    assert list(compare(entries).by_data()) == ["digits (setting=gcd)", "digits (setting=ncd)"]


def test_each_method_is_tested_against_the_first_on_the_same_data() -> None:
    comparison = compare(grid())
    first, second = comparison.tests()
    assert [(test.base, test.other, test.path) for test in (first, second)] == [
        (0, 1, "gcd_v2.unlabelled.novel"),
        (2, 3, "gcd_v2.unlabelled.novel"),
    ]
    assert first.paired.mean == pytest.approx(0.02)
    assert first.paired.t_test == pytest.approx(0.0742, abs=1e-4)  # t = 2√3 with 2 degrees of freedom
    assert first.corrected == pytest.approx(2 * first.paired.t_test)
    _, rows = paired_table(comparison)
    assert rows[0][:5] == ["gcd_v2.unlabelled.novel", "digits #2", "digits #1", "3", "+2.0"]
    assert comparison.as_json()["tests"][0]["wilcoxon"] == 0.25


def test_one_seed_is_not_tested() -> None:
    assert compare([entry("a", **{"cluster.kind": "a"}), entry("b", **{"cluster.kind": "b"})]).tests() == []


def test_how_a_page_looks_makes_no_other_method(tmp_path: Path) -> None:
    recipe = {"name": "digits", "seed": 0, "report": {"map": "pca"}, "data": {"card": "digits"}}
    assert read_entry(tmp_path, recipe).fields == {"data.card": "digits"}
    assert not read_entry(tmp_path, recipe).scored


def test_the_page_holds_every_score_and_escapes_names() -> None:
    odd = "<script>alert(1)</script>"
    entries = [*grid(), entry("odd", **{"data.card": odd, "cluster.kind": odd})]
    page = render_comparison(compare(entries))
    assert "52.0 ± 1.0" in page
    assert "72.0 ± 1.0" in page
    assert odd not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "3 recipes" not in page
    assert "5 recipes on 3 data sets, 13 runs" in " ".join(page.split())
