"""The space: which fields and values it may hold, and points of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ncdcli.errors import RecipeError
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.schema import Recipe
from ncdcli.run.folder import RunFolder
from ncdcli.sweep.load import load_sweep
from ncdcli.tune.load import Search, load_search
from ncdcli.tune.space import Parameter, draw, own_point


def write(folder: Path, space: str, more: str = "") -> str:
    path = folder / "recipe.yaml"
    path.write_text(f"extends: digits-gcd\nname: mine\n{more}tune:\n  space:\n{space}")
    return str(path)


def search_of(folder: Path, space: str, more: str = "") -> Search:
    return load_search(write(folder, space, more))


def lowest(parameter: Parameter) -> Any:
    return parameter.values[0] if parameter.values else parameter.low


def last(parameter: Parameter) -> Any:
    return parameter.values[-1] if parameter.values else parameter.high


def problems_of(reference: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(reference)
    return [f"{problem.place.partition('recipe.yaml:')[2]}: {problem.message}" for problem in caught.value.problems]


def test_every_faulty_field_and_value_is_told_once_with_its_line(tmp_path: Path) -> None:
    space = """\
    pretrain.optimizer.lr: {low: 0.1, high: 1e-2, log: true}
    pretrain.optimizer.lrr: {low: 0.001, high: 1e-2}
    pretrain.objective.supervised_weight: {low: -1, high: 0.9}
    cluster.restarts: {low: 5, high: 20, step: 2.5}
    cluster.kind: [semi_kmeans, kmean]
    backbone.widths: [[8], [16, x]]
    data.subset: [100, 200]
    cluster.init: [mixed]
    pretrain.epochs: {low: 0, high: 10, log: true}
    embed.normalize: [true, false, true]
    pretrain.batch_size: {low: 8, high: 64, log: true, step: 8}
"""
    assert problems_of(write(tmp_path, space)) == [
        "5:34: tune.space.pretrain.optimizer.lr.low: low = 0.1 is not below high = 0.01",
        "6:5: pretrain.optimizer.lrr: unknown key `lrr`",
        "7:49: pretrain.objective.supervised_weight: expected a number from 0 to 1, found -1",
        "8:48: cluster.restarts: expected a whole number of at least 1, found 7.5",
        "9:33: cluster.kind: unknown kind 'kmean'",
        "10:33: backbone.widths[1]: expected a whole number, found the text 'x'",
        "11:5: tune.space.data.subset: `data` says what the folds are made from: it cannot be tuned",
        "12:19: tune.space.cluster.init: a choice needs two values",
        "13:28: tune.space.pretrain.epochs.low: 0 has no logarithm",
        "14:36: tune.space.embed.normalize[2]: true is given twice",
        "15:62: tune.space.pretrain.batch_size.step: `step` and `log` exclude each other",
    ]


def test_a_field_may_belong_to_one_of_the_kinds_in_the_space(tmp_path: Path) -> None:
    space = "    cluster.kind: [kmeans, ward]\n    cluster.init: [gcd, matched]\n"
    assert "unknown key `init`" in problems_of(write(tmp_path, space))[0]
    load_recipe(write(tmp_path, space.replace("ward", "semi_kmeans")))


def test_a_value_may_need_one_of_another_field(tmp_path: Path) -> None:
    space = "    pretrain.epochs: [2, 50]\n    pretrain.schedule.warmup_epochs: {low: 0, high: 5}\n"
    assert load_recipe(write(tmp_path, space, "pretrain: {epochs: 2}\n")).recipe.tune is not None
    found = problems_of(write(tmp_path, space.replace("high: 5", "high: 60"), "pretrain: {epochs: 2}\n"))
    assert found == ["7:53: pretrain.schedule.warmup_epochs: warm-up of 60 epochs is longer than training, 2"]


def test_nothing_is_estimated_where_folds_are_told_k(tmp_path: Path) -> None:
    fixed = "estimate_k: {kind: fixed, k: 10}\n"
    assert "told their number of classes" in problems_of(write(tmp_path, "    estimate_k.k: [9, 10]\n", fixed))[0]
    assert load_recipe(write(tmp_path, "    estimate_k.restarts: [5, 10]\n")).recipe.tune is not None


def test_a_broken_recipe_is_told_beside_a_broken_space(tmp_path: Path) -> None:
    found = problems_of(write(tmp_path, "    cluster.restarts: {low: 0, high: 3}\n", "seed: -1\n"))
    assert [line.split(": ")[1] for line in found] == ["seed", "cluster.restarts"]


def test_kinds_are_drawn_before_their_fields_and_fields_of_other_kinds_are_left_out(tmp_path: Path) -> None:
    space = "    cluster.init: [gcd, matched]\n    cluster.kind: [semi_kmeans, kmeans]\n    cluster.restarts: [3, 4]\n"
    search = search_of(tmp_path, space)
    first = draw(search.tree(), search.tune.space, lowest, Recipe)
    other = draw(search.tree(), search.tune.space, last, Recipe)
    assert list(first) == ["cluster.kind", "cluster.init", "cluster.restarts"]
    assert other == {"cluster.kind": "kmeans", "cluster.restarts": 4}
    assert search.trial(other).recipe.cluster.model_dump()["restarts"] == 4


def test_a_range_is_of_whole_numbers_where_the_field_takes_no_others(tmp_path: Path) -> None:
    space = "    pretrain.optimizer.lr: {low: 1, high: 2}\n    cluster.restarts: {low: 1, high: 9}\n"
    search = search_of(tmp_path, space)
    whole: dict[str, bool] = {}

    def note(parameter: Parameter) -> Any:
        whole[parameter.field] = parameter.whole
        return parameter.low

    draw(search.tree(), search.tune.space, note, Recipe)
    assert whole == {"pretrain.optimizer.lr": False, "cluster.restarts": True}


def test_values_may_be_lists_maps_and_words_that_yaml_would_misread(tmp_path: Path) -> None:
    space = """\
    backbone.widths: [[8, 16], [4]]
    pretrain.optimizer: [{kind: sgd, lr: 0.1}, {kind: adamw}]
    embed.precision: [fp32, auto]
"""
    search = search_of(tmp_path, space)
    point = draw(search.tree(), search.tune.space, lowest, Recipe)
    recipe = search.trial(point).recipe
    assert recipe.backbone.model_dump()["widths"] == (8, 16)
    assert (recipe.pretrain.optimizer.kind, recipe.pretrain.optimizer.lr) == ("sgd", 0.1)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("    cluster.restarts: {low: 5, high: 20, step: 5}\n", {"cluster.restarts": 20}),
        ("    cluster.restarts: {low: 4, high: 22, step: 5}\n", None),
        ("    pretrain.optimizer.lr: {low: 2e-3, high: 1}\n", None),
        (
            "    cluster.kind: [kmeans, semi_kmeans]\n    cluster.init: [mixed, gcd]\n",
            {"cluster.kind": "semi_kmeans", "cluster.init": "mixed"},
        ),
    ],
)
def test_the_recipes_own_values_are_a_point_where_the_space_holds_them(
    tmp_path: Path, space: str, expected: dict[str, Any] | None
) -> None:
    search = search_of(tmp_path, space)
    assert own_point(search.tree(), search.tune.space, Recipe) == expected


def test_a_space_is_not_inherited(tmp_path: Path) -> None:
    write(tmp_path, "    cluster.restarts: [3, 4]\n")
    (tmp_path / "child.yaml").write_text("extends: recipe.yaml\nname: child\ncluster: {kind: ward}\n")
    assert load_recipe(str(tmp_path / "child.yaml")).recipe.tune is None
    with pytest.raises(RecipeError, match="cannot be tuned"):
        load_search(str(tmp_path / "child.yaml"))


def test_a_run_with_other_settings_need_not_go_with_the_space(tmp_path: Path) -> None:
    path = write(tmp_path, "    cluster.init: [gcd, matched]\n")
    assert load_recipe(path, ["cluster.kind=ward"]).recipe.cluster.kind == "ward"
    with pytest.raises(RecipeError, match="unknown key `init`"):
        load_search(path, ["cluster.kind=ward"])
    (tmp_path / "sweep.yaml").write_text("recipe: recipe.yaml\ngrid: {cluster.kind: [ward, kmeans]}\n")
    assert len(load_sweep(str(tmp_path / "sweep.yaml")).runs) == 2


def test_a_run_can_be_read_whatever_the_space(tmp_path: Path) -> None:
    path = write(tmp_path, "    cluster.init: [gcd, matched]\n")
    resolved = load_recipe(path, ["cluster.kind=ward"])
    run = RunFolder(tmp_path / "run")
    run.create(resolved, "ncd run")
    assert run.recipe() == resolved.recipe.model_copy(update={"tune": None})


def test_a_resolved_recipe_keeps_its_space(tmp_path: Path) -> None:
    resolved = load_recipe(write(tmp_path, "    cluster.restarts: {low: 5, high: 20, step: 5}\n"))
    (tmp_path / "resolved.yaml").write_text(resolved.to_yaml())
    assert load_recipe(str(tmp_path / "resolved.yaml")).recipe == resolved.recipe
