from __future__ import annotations

import pytest

from ncdcli.pipeline.fingerprint import stage_config
from ncdcli.pipeline.spec import ORACLE, STAGES, TRUTH, is_of_a_stage, name_of, stages_of
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.schema import Recipe
from ncdcli.shipped import shipped_recipes


def test_every_input_is_written_by_an_earlier_stage():
    """And a file that may be absent may be absent for those that read it as well."""
    written = {}
    for spec in STAGES:
        for name, optional in map(name_of, spec.inputs):
            if not is_of_a_stage(name):
                assert optional, f"{spec.name} needs {name}, which only a user can write"
                continue
            assert name in written, f"{spec.name} reads {name}"
            assert optional or not written[name], f"{spec.name} needs {name}, which may be absent"
        written |= {f"{spec.name}/{name}": optional for name, optional in map(name_of, spec.outputs)}


def test_sections_are_those_of_the_recipe_and_each_is_seen_by_one_stage_that_computes():
    *computing, report = STAGES
    seen = [section for spec in computing for section in spec.sections]
    labels = {"version", "name", "description", "seed"}
    assert sorted(seen) == sorted(set(Recipe.model_fields) - labels - {"report", "expected", "tune"})
    assert set(report.sections) == {*seen, "report", "expected", "name", "description"}


def test_only_evaluate_and_what_comes_after_it_is_given_the_truth():
    names = [spec.name for spec in STAGES]
    given = [spec.name for spec in STAGES if any("truth" in name for name in spec.inputs)]
    assert given == ["evaluate", "report"] == names[names.index("evaluate") :]


@pytest.mark.parametrize("section", ["pretrain", "joint_training"])
def test_a_training_is_given_the_truth_only_where_the_oracle_is_asked_for_by_name(section):
    def given(*overrides):
        stages = stages_of(load_recipe("digits-simgcd", overrides).recipe, STAGES)
        return [spec.name for spec in stages if TRUTH in spec.inputs]

    honest = ["evaluate", "report"]
    assert given() == given(f"{section}.selection=known-val", "data.validation_fraction=0.1") == honest
    assert given(f"{section}.selection=oracle") == [section, *honest]


def test_no_shipped_recipe_asks_for_the_oracle():
    for name in shipped_recipes():
        recipe = load_recipe(name).recipe
        assert recipe.pretrain.selection != ORACLE
        assert recipe.joint_training is None or recipe.joint_training.selection != ORACLE


def test_a_stage_whose_section_is_not_there_leaves_no_trace():
    """Runs of recipes without it keep their fingerprints."""
    with_it, without = (load_recipe(name).recipe for name in ("digits-simgcd", "digits-gcd"))
    assert stages_of(with_it, STAGES) == STAGES
    present = stages_of(without, STAGES)
    assert [spec.name for spec in present] == [spec.name for spec in STAGES if spec.name != "joint_training"]
    assert all("joint_training" not in str(spec.inputs) for spec in present)
    assert "joint_training" not in stage_config(without, present[-1])
    assert "joint_training" in stage_config(with_it, STAGES[-1])
