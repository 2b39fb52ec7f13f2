"""A stage that goes wrong, or whose inputs or outputs are not as declared: what is told, and what is left behind."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
import toystages

from ncdcli.errors import MissingError, NcdError


def events(toy):
    return [(event["event"], event["stage"]) for event in toy.run.events.read()]


def test_failure_names_the_log_and_the_command_that_goes_on(toy, hooks):
    def fail(context):
        raise ZeroDivisionError("cannot divide")

    hooks["train"] = fail
    with pytest.raises(NcdError) as caught:
        toy.execute(command="ncd run toy --restart --set 'score.digits=3'")
    error = caught.value
    assert error.exit_code == 1
    assert error.message == "stage `train` failed: ZeroDivisionError: cannot divide"
    assert error.hint == ""
    assert error.log == toy.run.log_path
    assert error.resume == "ncd run toy --set score.digits=3"
    log = toy.run.log_path.read_text()
    assert "Traceback" in log
    assert "ZeroDivisionError: cannot divide" in log
    assert events(toy)[-1] == ("failed", "train")
    assert toy.run.manifest("train") is None
    assert toy.run.manifest("split") is not None


def test_error_raised_on_purpose_passes_through_with_the_command_added(toy, hooks):
    def fail(context):
        raise MissingError("no weights", hint="ncd data get")

    hooks["train"] = fail
    with pytest.raises(MissingError) as caught:
        toy.execute()
    assert caught.value.message == "no weights"
    assert caught.value.hint == "ncd data get"
    assert caught.value.resume == "ncd run toy"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_full_disk_is_told_as_such(toy, hooks, error):
    def fail(context):
        raise RuntimeError("cannot save") from error

    hooks["train"] = fail
    with pytest.raises(NcdError, match="the disk is full: stage `train` could not write") as caught:
        toy.execute()
    assert "ncd clean" in caught.value.hint
    assert toy.run.manifest("train") is None


def test_full_disk_outside_of_stages_is_told_as_well(toy, monkeypatch):
    def fail(self, resolved, command):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ncdcli.run.folder.RunFolder.create", fail)
    with pytest.raises(NcdError, match="the disk is full") as caught:
        toy.execute()
    assert caught.value.resume == "ncd run toy"


def test_missing_output_fails_the_stage(toy, hooks):
    hooks["train"] = lambda context: (context.output / "model.json").unlink()
    with pytest.raises(NcdError, match=r"stage `train` did not write `model.json`"):
        toy.execute()
    assert not toy.run.stage_dir("train").exists()


def test_undeclared_output_fails_the_stage(toy, hooks):
    hooks["train"] = lambda context: (context.output / "notes.txt").write_text("x")
    with pytest.raises(NcdError, match=r"stage `train` wrote `notes.txt`, which its row in the table does not declare"):
        toy.execute()
    assert not toy.run.stage_dir("train").exists()


def test_temporary_files_are_removed(toy, hooks):
    def leave(context):
        (context.output / "checkpoint-best").mkdir()
        (context.output / "checkpoint-best" / "weights").write_text("x")
        (context.output / "model.json.tmp").write_text("x")
        (context.output / ".model.json.123").write_text("x")

    hooks["train"] = leave
    toy.execute()
    names = {path.name for path in toy.run.stage_dir("train").iterdir()}
    assert names == {"model.json", "metrics.jsonl", "manifest.json"}


def test_input_that_changes_during_the_stage_fails_it(toy, hooks):
    hooks["embed"] = lambda context: context.inputs["train/model.json"].write_text('{"weight": 0}')
    with pytest.raises(NcdError, match=r"`train/model\.json` changed while `embed` was reading"):
        toy.execute()
    assert not toy.run.stage_dir("embed").exists()


def test_input_that_is_only_touched_does_not(toy, hooks):
    hooks["embed"] = lambda context: os.utime(context.inputs["train/model.json"])
    toy.execute()
    assert toy.run.manifest("embed") is not None


@pytest.mark.parametrize("stage", ["split", "train"])
def test_data_that_change_while_a_stage_may_read_them_fail_it(toy, hooks, tmp_path, stage):
    file = tmp_path / "data.txt"
    file.write_text("one")
    hooks[stage] = lambda context: file.write_text("two")
    table = [replace(spec, reads_data=spec.name in ("split", "train")) for spec in toystages.TABLE]
    with pytest.raises(NcdError, match=f"the data changed while `{stage}` was reading them"):
        toy.execute(table=table, data={"root": str(file)})
    assert not toy.run.stage_dir(stage).exists()
    assert list((toy.run.path / ".work").iterdir()) == []  # no checkpoint that has seen both


def test_data_that_change_after_the_stages_that_read_them_do_not(toy, hooks, tmp_path):
    file = tmp_path / "data.txt"
    file.write_text("one")
    hooks["embed"] = lambda context: file.write_text("two")
    toy.execute(data={"root": str(file)})
    assert toy.plan(data={"root": str(file)})["split"].reason == "the data changed (`digest`)"


def test_stage_is_given_its_declared_inputs_and_nothing_else(toy, hooks):
    seen = {}
    hooks["score"] = lambda context: seen.update(context.inputs, data=context.data)
    toy.execute()
    assert set(seen) == {"embed/embeddings.npy", "data"}  # split/truth.csv is optional and absent
    assert seen["data"] is None
