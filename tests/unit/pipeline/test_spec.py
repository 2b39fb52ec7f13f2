from __future__ import annotations

from ncdcli.pipeline.fingerprint import stage_config
from ncdcli.pipeline.spec import STAGES, is_of_a_stage, name_of, stages_of
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.schema import Recipe


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


def test_a_stage_whose_section_is_not_there_leaves_no_trace():
    """Runs of recipes without it keep their fingerprints."""
    with_it, without = (load_recipe(name).recipe for name in ("digits-simgcd", "digits-gcd"))
    assert stages_of(with_it, STAGES) == STAGES
    present = stages_of(without, STAGES)
    assert [spec.name for spec in present] == [spec.name for spec in STAGES if spec.name != "joint_training"]
    assert all("joint_training" not in str(spec.inputs) for spec in present)
    assert "joint_training" not in stage_config(without, present[-1])
    assert "joint_training" in stage_config(with_it, STAGES[-1])
