"""Folds: which classes are hidden, and what a run of one is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ncdcli.errors import DataError, RecipeError
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.schema import Recipe
from ncdcli.tune.folds import Fold, fold_overrides, hidden_size, make_folds, score_path
from ncdcli.tune.load import load_search
from ncdcli.tune.section import TuneConfig

SPACE = {"cluster.restarts": (3, 4)}


def tune(**fields: Any) -> TuneConfig:
    return TuneConfig(space=SPACE, **fields)


def recipe(name: str = "digits-gcd", *sets: str) -> Recipe:
    return load_recipe(name, sets).recipe


@pytest.mark.parametrize(("known", "size", "folds"), [(5, 2, 5), (19, 7, 5), (12, 6, 5), (8, 2, 28)])
def test_folds_differ_and_hide_every_class_about_as_often(known: int, size: int, folds: int) -> None:
    names = tuple(f"c{number}" for number in range(known))
    made = make_folds(names, recipe(), tune(folds=folds, hidden=size), seed=0)
    hidden = [fold.hidden for fold in made]
    assert len(set(hidden)) == folds
    assert all(len(set(one)) == size for one in hidden)
    times = np.array([sum(name in one for one in hidden) for name in names])
    assert np.ptp(times) <= (1 if folds == 5 and known > 8 else 2)
    assert make_folds(names, recipe(), tune(folds=folds, hidden=size), seed=0) == made
    if folds < 28:
        assert make_folds(names, recipe(), tune(folds=folds, hidden=size), seed=1) != made


@pytest.mark.parametrize(
    ("known", "sets", "fields", "expected"),
    [
        (5, ["estimate_k={kind: fixed, k: 10}"], {}, 2),  # the PBN paper's Optdigits and Pendigits
        (12, ["estimate_k={kind: fixed, k: 18}"], {}, 4),
        (5, [], {}, 2),
        (50, [], {}, 20),  # nobody says how many there are
        (4, ["estimate_k={kind: fixed, k: 100}"], {}, 2),  # two stay
        (20, ["estimate_k={kind: fixed, k: 21}"], {}, 2),  # two are hidden
        (6, [], {"hidden": 4}, 4),
    ],
)
def test_how_many_classes_are_hidden(known: int, sets: list[str], fields: dict[str, Any], expected: int) -> None:
    assert hidden_size(known, recipe("digits-gcd", *sets), tune(**fields)) == expected


@pytest.mark.parametrize(
    ("known", "fields", "message"),
    [
        (3, {}, "3 known classes are too few to hide some of them"),
        (5, {"hidden": 4}, "4 of 5 known classes cannot be hidden"),
        (4, {"folds": 7}, "7 folds, and only 6 ways to hide 2 of 4 known classes"),
    ],
)
def test_too_few_known_classes(known: int, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        make_folds(tuple("abcdefg"[:known]), recipe(), tune(**fields), seed=0)
    assert [problem.message for problem in caught.value.problems] == [message]


@pytest.mark.parametrize(
    ("sets", "fields", "expected"),
    [
        ([], {}, {"kind": "max_acc", "low": 3, "high": 23}),  # 5 to 25, less the classes that are not there
        (["estimate_k.low=6"], {}, {"kind": "max_acc", "low": 4, "high": 23}),
        (["estimate_k={kind: silhouette}"], {}, {"kind": "silhouette", "low": None, "high": None}),
        ([], {"pool": "all"}, {"kind": "max_acc", "low": 5, "high": 25}),
        ([], {"k": "given"}, {"kind": "fixed", "k": 5}),
        (["estimate_k={kind: fixed, k: 9}"], {}, {"kind": "fixed", "k": 5}),
        (["estimate_k={kind: fixed, k: 9}"], {"pool": "all"}, {"kind": "fixed", "k": 9}),
        (["estimate_k={kind: none}", "cluster={kind: hdbscan}"], {"k": "given"}, {"kind": "none"}),
    ],
)
def test_a_fold_is_a_run_of_the_recipe_with_hidden_classes(
    sets: list[str], fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    trial = recipe("digits-gcd", *sets)
    words = fold_overrides(trial, Fold(1, ("4", "no")), tune(**fields), known=5)
    made = load_recipe("digits-gcd", [*sets, *words]).recipe
    assert made.data.hide is not None
    assert (made.data.hide.classes, made.data.hide.pool) == (("4", "no"), fields.get("pool", "known"))
    assert (made.tune, made.expected, made.evaluate.split, made.evaluate.stability_seeds) == (None, (), "unlabelled", 0)
    counting = made.estimate_k.model_dump()
    assert {name: counting[name] for name in expected} == expected
    assert (made.backbone, made.pretrain, made.cluster) == (trial.backbone, trial.pretrain, trial.cluster)


def test_scores_are_those_of_hidden_classes_alone() -> None:
    assert score_path(recipe(), tune()) == "ari.unlabelled.novel"
    assert score_path(recipe(), tune(score="accuracy")) == "gcd_v2.unlabelled.novel"
    assert score_path(recipe("digits-ncd"), tune(score="accuracy")) == "ncd_task_aware.unlabelled.novel"


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["estimate_k={kind: fixed, k: 10}", "tune={k: estimate, space: {embed.normalize: [true, false]}}"],
            "no estim",
        ),
        (
            ["tune={k: given, pool: all, space: {embed.normalize: [true, false]}}"],
            "how many classes the real pool holds",
        ),
    ],
)
def test_folds_find_k_as_the_recipe_can(sets: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_search("digits-gcd", sets)
    assert message in caught.value.problems[0].message
