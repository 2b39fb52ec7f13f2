from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
import toystages

from ncdcli.errors import MissingError, UsageError
from ncdcli.pipeline.plan import make_plan


def test_fresh_run_is_not_done_yet_and_planning_writes_nothing(toy, tmp_path):
    plan = toy.plan()
    assert [decision.stage for decision in plan.decisions] == ["split", "train", "embed", "score"]
    assert [decision.reason for decision in plan.decisions] == ["not done yet"] * 4
    assert toy.actions() == ["run"] * 4
    assert list(tmp_path.iterdir()) == []


def test_finished_run_has_nothing_to_do(toy):
    toy.execute()
    plan = toy.plan()
    assert plan.nothing_to_do
    assert plan.to_do == ()
    assert {decision.reason for decision in plan.decisions} == {"done"}


def test_changed_field_is_named_with_both_values(toy):
    toy.execute()
    plan = toy.plan(train={"epochs": 5})
    assert plan["train"].action == "run"
    assert plan["train"].reason == "`train.epochs` changed: 3 -> 5"
    assert plan["split"].action == "keep"
    assert plan["embed"].action == "depends"
    assert plan["embed"].reason == "depends on `train`: kept if its output is unchanged"
    assert plan["score"].reason == "depends on `embed`: kept if its output is unchanged"


def test_runtime_field_changes_nothing(toy):
    toy.execute()
    assert toy.plan(train={"workers": 4}).nothing_to_do


def test_own_change_is_told_although_an_earlier_stage_is_open(toy):
    toy.execute()
    plan = toy.plan(train={"epochs": 5}, score={"bound": 0.25})
    assert plan["score"].action == "run"
    assert plan["score"].reason == "`score.bound` changed: 0.5 -> 0.25"


def test_stage_that_waits_for_several_names_them(toy):
    toy.execute()
    plan = toy.plan(data={"rows": 5}, train={"epochs": 5})
    assert plan["embed"].reason == "depends on `split` and `train`: kept if their output is unchanged"


def test_changed_seed_concerns_every_stage(toy):
    toy.execute()
    plan = toy.plan(seed=1)
    assert [decision.action for decision in plan.decisions] == ["run"] * 4
    assert plan["embed"].reason == "`seed` changed: 0 -> 1"


def test_raised_code_version_is_told(toy):
    toy.execute()
    table = [dataclasses.replace(spec, version=2) if spec.name == "embed" else spec for spec in toystages.TABLE]
    assert toy.plan(table=table)["embed"].reason == "stage code version 1 -> 2"


def test_changed_data_are_told(toy, tmp_path):
    file = tmp_path / "data.txt"
    file.write_text("one")
    toy.execute(data={"root": str(file)})
    file.write_text("two")
    plan = toy.plan(data={"root": str(file)})
    assert plan["split"].action == "run"
    assert plan["split"].reason == "the data changed (`digest`)"
    assert plan["train"].action == "depends"


def test_deleted_stage_folder_means_do_it_again(toy):
    toy.execute()
    shutil.rmtree(toy.run.stage_dir("train"))
    plan = toy.plan()
    assert [decision.action for decision in plan.decisions] == ["keep", "run", "depends", "depends"]
    assert plan["train"].reason == "not done yet"


def test_damaged_manifest_counts_as_not_done_and_says_why(toy):
    toy.execute()
    (toy.run.stage_dir("train") / "manifest.json").write_text('{"stage": "train"')
    decision = toy.plan()["train"]
    assert decision.action == "run"
    assert decision.reason.startswith("its manifest is damaged (")


def test_missing_output_is_named(toy):
    toy.execute()
    (toy.run.stage_dir("embed") / "embeddings.npy").unlink()
    assert toy.plan()["embed"].reason == "an output is missing or was changed: embeddings.npy"


def test_changed_output_of_another_size_is_found(toy):
    toy.execute()
    (toy.run.stage_dir("split") / "numbers.csv").write_text("1\n2\n")
    assert toy.plan()["split"].reason == "an output is missing or was changed: numbers.csv"


def test_changed_output_of_the_same_size_is_found_by_its_time(toy):
    toy.execute()
    file = toy.run.stage_dir("score") / "score.json"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"value", b"VALUE"))
    assert toy.plan()["score"].action == "run"
    file.write_bytes(content)  # another time, the old content
    assert toy.plan()["score"].action == "keep"


def test_same_size_and_time_are_trusted_unless_verified(toy):
    toy.execute()
    file = toy.run.stage_dir("score") / "score.json"
    stat = file.stat()
    file.write_bytes(file.read_bytes().replace(b"value", b"VALUE"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert toy.plan()["score"].action == "keep"
    assert toy.plan(verify=True)["score"].reason == "an output is missing or was changed: score.json"


def test_planning_a_finished_run_reads_no_output(toy, monkeypatch):
    toy.execute()

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("ncdcli.run.manifest.digest_file", refuse)
    assert toy.plan().nothing_to_do


def test_new_optional_input_is_told(toy, hooks):
    toy.execute()
    hooks["split"] = lambda context: (context.output / "truth.csv").write_text("a\n")
    toy.execute(stages=["split"], force=["split"])
    assert toy.plan()["score"].reason == "input `split/truth.csv` is new"
    del hooks["split"]
    toy.execute()
    toy.execute(stages=["split"], force=["split"])
    assert toy.plan()["score"].action == "reuse"
    assert toy.plan()["score"].reason.startswith("input `split/truth.csv` is gone; same fingerprint in an earlier")


def test_until_ends_the_plan(toy):
    assert [decision.stage for decision in toy.plan(until="train").decisions] == ["split", "train"]


def test_only_tells_what_has_to_be_done_first(toy):
    plan = toy.plan(only=["score"])
    assert [decision.stage for decision in plan.decisions] == ["score"]
    assert [decision.stage for decision in plan.blockers] == ["split", "train", "embed"]
    toy.execute()
    plan = toy.plan(only=["score"], train={"epochs": 5})
    assert [(blocker.stage, blocker.reason) for blocker in plan.blockers] == [
        ("train", "`train.epochs` changed: 3 -> 5"),
        ("embed", "depends on `train`: kept if its output is unchanged"),
    ]


def test_only_links_earlier_stages_from_another_run(new_toy):
    new_toy("a").execute()
    plan = new_toy("b").plan(only=["score"], score={"digits": 1})
    assert plan.blockers == ()
    assert [(decision.stage, decision.action) for decision in plan.decisions] == [
        ("split", "reuse"),
        ("train", "reuse"),
        ("embed", "reuse"),
        ("score", "run"),
    ]


@pytest.mark.parametrize("options", [{"until": "fit"}, {"only": ["fit"]}, {"force": ["fit"]}])
def test_unknown_stage_names_are_refused_with_the_known_ones(toy, options):
    with pytest.raises(UsageError, match="no stage is named `fit`") as caught:
        toy.plan(**options)
    assert caught.value.hint == "stages: split, train, embed, score"


def test_force_asks_for_a_finished_stage(toy):
    toy.execute()
    plan = toy.plan(force=["train"])
    assert plan["train"].action == "run"
    assert plan["train"].reason == "asked for (`--force`)"
    assert plan["embed"].action == "depends"


def test_absent_data_do_not_undo_what_was_made_from_them(toy, tmp_path):
    toy.execute()

    def absent(data):
        raise MissingError("no data in `/data`", hint="bring them")

    recipe = toystages.resolved().recipe
    plan = make_plan(recipe, toy.run, table=toystages.TABLE, identity=absent)
    assert plan.nothing_to_do
    assert plan["split"].reason == "done; not compared with the data, which are not here: no data in `/data`"
    changed = toystages.resolved(data={"rows": 5}).recipe
    decision = make_plan(changed, toy.run, table=toystages.TABLE, identity=absent)["split"]
    assert decision.action == "run"
    assert isinstance(decision.problem, MissingError)


def test_folder_that_is_not_a_run_is_refused(toy):
    toy.run.path.mkdir(parents=True)
    (toy.run.path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="is not a run"):
        toy.plan()


def test_sections_of_a_later_version_do_not_undo_a_stage(toy):
    """An additional field in a manifest, written by a later version, is left alone."""
    toy.execute()
    path = toy.run.stage_dir("split") / "manifest.json"
    path.write_text(path.read_text().replace('"stage"', '"joules": 3,\n  "stage"', 1))
    assert toy.plan()["split"].action == "keep"
