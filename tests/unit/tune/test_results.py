"""What a search leaves behind: a table, a recipe that can be run, a plot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from toytuning import RECORD

from ncdcli.recipe.resolve import load_recipe
from ncdcli.tune.load import Search
from ncdcli.tune.results import counts, trials_csv, write_results
from ncdcli.tune.trials import FoldScore, Trial

SPACE = "cluster.kind: [semi_kmeans, kmeans], cluster.tolerance: {low: 1e-6, high: 1, log: true}"
FOLDS = (FoldScore(0.5, 6, 6, 1.0), FoldScore(0.75, 7, 6, 2.0))
TRIALS = [
    Trial(0, "done", {"cluster.kind": "semi_kmeans", "cluster.tolerance": 1e-4}, FOLDS[:1] * 2, origin="recipe"),
    Trial(1, "pruned", {"cluster.kind": "semi_kmeans", "cluster.tolerance": 0.25}, FOLDS[:1]),
    Trial(2, "failed", {"cluster.kind": "kmeans"}, (), "fold 1: <ended> & gone"),
    Trial(3, "done", {"cluster.kind": "kmeans"}, FOLDS),
    Trial(4, "running", {"cluster.kind": "kmeans"}, ()),
]


@pytest.fixture
def search(make_search: Callable[..., Search]) -> Search:
    return make_search(space=SPACE)


def test_the_table_has_a_row_for_each_trial(search: Search) -> None:
    rows = list(csv.DictReader(io.StringIO(trials_csv(search, RECORD, TRIALS))))
    assert [row["state"] for row in rows] == ["done", "pruned", "failed", "done", "running"]
    assert [row["score"] for row in rows] == ["0.5", "0.5", "", "0.625", ""]
    assert (rows[3]["fold_1"], rows[3]["fold_2"], rows[3]["k_2"]) == ("0.5", "0.75", "7")
    assert (rows[1]["fold_2"], rows[1]["cluster.tolerance"], rows[3]["cluster.tolerance"]) == ("", "0.25", "")
    assert rows[2]["message"] == "fold 1: <ended> & gone"


def test_the_best_recipe_is_complete_and_says_how_it_was_chosen(search: Search) -> None:
    write_results(search, RECORD, TRIALS)
    path = search.root / "best.yaml"
    recipe = load_recipe(str(path)).recipe
    assert (recipe.name, recipe.cluster.kind, recipe.tune) == ("tiny-tuned", "kmeans", None)
    assert recipe.data == search.recipe.data
    assert "trial 3 of 5 (2 done, 1 pruned, 1 failed, 1 running)" in recipe.description
    comment = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert "ari 0.625 ± 0.177 over 2 folds; the recipe's own values: 0.500 ± 0.000" in comment
    assert "Hidden were: 0, 1 | 2, 3" in comment
    assert f"ncd run {path}" in comment


def test_without_a_trial_that_is_done_there_is_no_best_recipe(search: Search) -> None:
    write_results(search, RECORD, TRIALS[1:3])
    assert not (search.root / "best.yaml").exists()
    assert json.loads((search.root / "trials.json").read_text())["best"] is None


def test_class_names_cannot_break_the_recipe(search: Search) -> None:
    from ncdcli.tune.folds import Fold
    from ncdcli.tune.record import Record

    odd = Record(("a\nb: 1", "c"), (Fold(1, ("a\nb: 1",)), Fold(2, ("c",))))
    write_results(search, odd, TRIALS)
    assert load_recipe(str(search.root / "best.yaml")).recipe.name == "tiny-tuned"


@pytest.mark.parametrize("trials", [TRIALS, TRIALS[:1], TRIALS[2:3], []])
def test_the_plot_shows_every_trial_and_a_panel_for_each_field(search: Search, trials: list[Trial]) -> None:
    write_results(search, RECORD, trials)
    root = ElementTree.fromstring((search.root / "trials.svg").read_bytes())
    svg = "{http://www.w3.org/2000/svg}"
    titles = [element.text for element in root.iter(f"{svg}text") if element.get("class") == "title"]
    assert titles == ["ari of hidden classes, trial by trial", "cluster.kind", "cluster.tolerance"]
    dots = [element.get("class") for element in root.iter(f"{svg}circle")]
    scored = [trial for trial in trials if trial.state in ("done", "pruned")]
    assert len(dots) == 2 * len(scored) + sum("cluster.tolerance" in trial.point for trial in scored)
    strokes = [element for element in root.iter(f"{svg}line") if element.get("class") == "failed"]
    assert len(strokes) == sum(trial.state == "failed" for trial in trials)
    places = [float(dot.get(name, "nan")) for dot in root.iter(f"{svg}circle") for name in ("cx", "cy")]
    assert all(0 <= place <= 960 for place in places)


def test_how_trials_ended() -> None:
    assert counts(TRIALS) == "5 (2 done, 1 pruned, 1 failed, 1 running)"
    assert counts([]) == "0"
