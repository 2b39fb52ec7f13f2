from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import warnings
from dataclasses import replace

import pytest
import toystages

from ncdcli.errors import MissingError, NcdError, RunBusyError, UsageError
from ncdcli.pipeline.context import SilentProgress
from ncdcli.pipeline.runner import execute
from ncdcli.run.manifest import FileRecord, Manifest

ALL = ["split", "train", "embed", "score"]


def actions(results):
    return [(result.stage, result.action) for result in results]


def events(toy):
    return [(event["event"], event["stage"]) for event in toy.run.events.read()]


def test_runs_every_stage_in_order_and_then_nothing(toy, calls):
    assert actions(toy.execute()) == [(stage, "run") for stage in ALL]
    assert calls == ALL
    before = toy.files()
    results = toy.execute()
    assert actions(results) == [(stage, "keep") for stage in ALL]
    assert {result.seconds for result in results} == {0.0}
    assert calls == ALL
    assert toy.files() == before


def test_stage_folder_holds_the_declared_files_and_a_manifest_only(toy):
    toy.execute()
    names = {path.name for path in toy.run.stage_dir("train").iterdir()}
    assert names == {"model.json", "metrics.jsonl", "manifest.json"}  # the checkpoint is gone
    assert list((toy.run.path / ".work").iterdir()) == []


def test_manifest_tells_what_went_in_and_out(toy):
    toy.execute(command="ncd run toy --set seed=0")
    manifest = toy.run.manifest("embed")
    assert manifest.inputs == {
        "split/numbers.csv": FileRecord.of(toy.run.path / "split/numbers.csv").sha256,
        "train/model.json": FileRecord.of(toy.run.path / "train/model.json").sha256,
    }
    assert manifest.outputs == {"embeddings.npy": FileRecord.of(toy.run.path / "embed/embeddings.npy")}
    assert toy.run.manifest("train").config == {"train": {"epochs": 3, "comment": ""}}
    assert toy.run.manifest("split").config == {"data": {"rows": 4}, "data_identity": {"digest": "none"}}
    assert manifest.command == "ncd run toy --set seed=0"
    assert manifest.peak_memory_bytes > 10_000_000
    assert manifest.packages["numpy"]
    assert manifest.host
    assert manifest.threads >= 1
    assert manifest.started.endswith("+00:00")


def test_journal_lists_what_happened(toy):
    toy.execute(stages=["split", "train"])
    assert events(toy) == [("started", "split"), ("finished", "split"), ("started", "train"), ("finished", "train")]
    toy.execute(stages=["split", "train"])
    assert len(events(toy)) == 4


def test_redone_stage_with_the_same_output_stops_the_cascade(toy, calls):
    toy.execute()
    calls.clear()
    results = toy.execute(train={"comment": "changes the fingerprint, not the files"})
    assert calls == ["train"]
    assert actions(results) == [("split", "keep"), ("train", "run"), ("embed", "keep"), ("score", "keep")]


def test_redone_stage_with_another_output_goes_on(toy, calls):
    toy.execute()
    calls.clear()
    toy.execute(train={"epochs": 4})
    assert calls == ["train", "embed", "score"]


def test_changed_stage_leaves_the_replaced_result_in_old(toy):
    toy.execute()
    model, fingerprint = (toy.run.path / "train/model.json").read_bytes(), toy.run.manifest("train").fingerprint
    toy.execute(train={"epochs": 4})
    assert (toy.run.old_dir("train", fingerprint) / "model.json").read_bytes() == model
    assert (toy.run.path / "train/model.json").read_bytes() != model


def test_going_back_takes_the_replaced_result_again(toy, calls):
    toy.execute()
    before = toy.files()
    toy.execute(train={"epochs": 4})
    calls.clear()
    results = toy.execute()
    assert calls == []
    assert actions(results) == [("split", "keep"), ("train", "reuse"), ("embed", "reuse"), ("score", "reuse")]
    assert toy.files() == before


def test_force_runs_a_finished_stage_and_keeps_what_follows(toy, calls):
    toy.execute()
    calls.clear()
    assert actions(toy.execute(force=["train"]))[1:3] == [("train", "run"), ("embed", "keep")]
    assert calls == ["train"]


def test_force_runs_the_code_although_another_run_has_the_result(new_toy, calls):
    new_toy("first").execute()
    calls.clear()
    assert actions(new_toy("second").execute(force=["train"]))[:2] == [("split", "reuse"), ("train", "run")]
    assert calls == ["train"]


def test_single_stage_needs_those_before_it(toy):
    with pytest.raises(MissingError, match=r"stage `split` of run .* has to be done first: not done yet") as caught:
        toy.execute(stages=["score"])
    assert caught.value.hint == "`ncd run RECIPE --until embed`"
    assert not toy.run.path.exists()
    toy.execute()
    with pytest.raises(MissingError, match=r"stage `train` .*`train.epochs` changed: 3 -> 5") as caught:
        toy.execute(stages=["score"], train={"epochs": 5})
    assert caught.value.hint == f"`ncd run {toy.run.path} --until embed`"
    assert toy.run.info().commands[-1]["command"] == "ncd run toy"
    assert len(toy.run.info().commands) == 1


def test_single_stage_runs_alone(toy, calls):
    toy.execute(stages=["split", "train", "embed"])
    calls.clear()
    assert actions(toy.execute(stages=["score"])) == [("score", "run")]
    assert calls == ["score"]


def test_absent_data_are_told_before_anything_is_written(toy):
    def absent(data):
        raise MissingError("no data in `/data`", hint="bring them")

    with pytest.raises(MissingError, match="no data"):
        execute(toystages.resolved(), toy.run, table=toystages.TABLE, identity=absent)
    assert not toy.run.path.exists()


# --- links from other runs ---


def test_same_fingerprint_in_another_run_is_linked_read_only(new_toy, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    calls.clear()
    results = second.execute(train={"epochs": 4})
    assert actions(results)[:2] == [("split", "reuse"), ("train", "run")]
    assert calls == ["train", "embed", "score"]
    linked = second.run.path / "split/numbers.csv"
    assert linked.samefile(first.run.path / "split/numbers.csv")
    assert linked.stat().st_mode & 0o222 == 0
    manifest = second.run.manifest("split")
    assert manifest.reused_from == "../first/split"
    assert manifest.fingerprint == first.run.manifest("split").fingerprint
    assert ("reused", "split") in events(second)
    assert results[0].reason == "same fingerprint in run `first`: reused"


def test_linked_stage_survives_its_origin(new_toy):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    second.execute()
    shutil.rmtree(first.run.path)
    assert second.plan().nothing_to_do


def test_redoing_the_origin_leaves_the_linked_files_alone(new_toy):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    second.execute()
    before = second.files()
    first.execute(seed=5, force=ALL)
    assert second.files() == before


def test_files_are_copied_where_links_cannot_be_made(new_toy, monkeypatch):
    first, second = new_toy("first"), new_toy("second")
    first.execute()

    def other_device(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_device)
    second.execute()
    copied = second.run.path / "split/numbers.csv"
    assert not copied.samefile(first.run.path / "split/numbers.csv")
    assert second.run.manifest("split").reused_from == "../first/split"
    assert second.files() == first.files()
    assert second.plan().nothing_to_do


def test_changed_files_of_another_run_are_not_taken(new_toy, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    (first.run.path / "train/model.json").write_text('{"weight": 1}')
    calls.clear()
    assert second.plan()["train"].action == "run"
    assert actions(second.execute())[:2] == [("split", "reuse"), ("train", "run")]


def test_files_of_another_user_that_can_be_neither_linked_nor_copied_are_made_again(new_toy, monkeypatch, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    calls.clear()

    def refuse(source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(source))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copy2", refuse)
    assert actions(second.execute()) == [(stage, "run") for stage in ALL]
    assert second.files() == first.files()
    assert list((second.run.path / ".work").iterdir()) == []


def test_runs_of_another_user_that_cannot_be_read_are_passed_over(new_toy, monkeypatch):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    exists = type(first.run).exists.fget

    def refuse(run):
        if run.path.name == "first":
            raise PermissionError(errno.EACCES, "Permission denied", str(run.path / "run.json"))
        return exists(run)

    monkeypatch.setattr(type(first.run), "exists", property(refuse))
    assert actions(second.execute()) == [(stage, "run") for stage in ALL]


def test_origin_that_changes_while_it_is_linked_is_not_taken(new_toy, monkeypatch, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    link = os.link

    def replaced_meanwhile(source, target):
        if str(source).endswith("model.json"):
            source.unlink()
            source.write_text('{"weight": 1}')
        link(source, target)

    monkeypatch.setattr(os, "link", replaced_meanwhile)
    calls.clear()
    results = second.execute()
    assert calls == ["train"]
    assert actions(results)[1] == ("train", "run")
    assert json.loads((second.run.path / "train/model.json").read_text()) != {"weight": 1}


def test_copied_run_with_new_times_is_read_once_and_then_trusted(toy, monkeypatch, tmp_path):
    toy.execute()
    for path in toy.run.path.rglob("*.*"):
        os.utime(path)  # as a copy without times leaves it
    assert toy.plan().nothing_to_do
    toy.execute()

    def refuse(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("ncdcli.run.manifest.digest_file", refuse)
    assert toy.plan().nothing_to_do


# --- a stage that goes wrong ---


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


# --- files of the run ---


def test_run_folder_holds_the_recipe_and_the_command_lines(toy):
    toy.execute(command=["ncd", "run", "toy", "--set", "a b"])
    assert (toy.run.path / "recipe.source.yaml").read_bytes() == b"name: toy  # as the user wrote it\n"
    assert (toy.run.path / "recipe.yaml").read_text() == toystages.resolved().to_run_yaml()
    toy.execute(train={"epochs": 4})
    assert "epochs: 4" in (toy.run.path / "recipe.yaml").read_text()
    info = toy.run.info()
    assert (info.name, info.format) == ("toy", 1)
    assert [entry["command"] for entry in info.commands] == ["ncd run toy --set 'a b'", "ncd run toy"]


def test_log_holds_what_libraries_say(toy, hooks):
    def talk(context):
        logging.getLogger("some.library").warning("a library speaks")
        warnings.warn("Python warns", stacklevel=1)

    hooks["train"] = talk
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        toy.execute()
    log = toy.run.log_path.read_text()
    assert "WARNING some.library: a library speaks" in log
    assert "Python warns" in log
    assert "train, action run: not done yet" in log
    assert "command: ncd run toy" in log


def test_foreign_folder_is_refused_and_left_alone(toy):
    toy.run.path.mkdir(parents=True)
    (toy.run.path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="is not a run"):
        toy.execute()
    assert [path.name for path in toy.run.path.iterdir()] == ["thesis.tex"]


def test_busy_run_is_refused(toy):
    toy.execute()
    with toy.run.lock("ncd cluster toy"), pytest.raises(RunBusyError, match="`ncd cluster toy`"):
        toy.execute()


# --- publishing ---


class Crash(BaseException):
    """The process ends here."""


STEPS = 19  # steps of such a run, and one more for the case without a crash


@pytest.mark.parametrize("crash_at", range(STEPS))
def test_crash_at_any_step_of_publishing_leaves_whole_stages_only(new_toy, monkeypatch, crash_at):
    """Every touch of the disk by publishing is counted, and the process ends just before the n-th one."""
    expected = new_toy("expected")
    expected.execute(train={"epochs": 4})
    expected_files = expected.files()
    shutil.rmtree(expected.run.path)
    toy = new_toy("toy")
    toy.execute(stages=["split", "train"])
    count = 0

    def counted(function):
        def step(*args, **kwargs):
            nonlocal count
            count += 1
            if count == crash_at + 1:
                raise Crash
            return function(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        for name in ("sync", "rename", "remove"):
            patch.setattr(f"ncdcli.run.files.{name}", counted(getattr(__import__("ncdcli.run.files").run.files, name)))
        patch.setattr(Manifest, "write", counted(Manifest.write))
        patch.setattr("os.replace", counted(os.replace))
        try:
            toy.execute(train={"epochs": 4}, stages=["split", "train"])
            crashed = False
        except Crash:
            crashed = True
    assert crashed == (crash_at < STEPS - 1)  # the last case goes through: all steps were tried
    manifest = toy.run.manifest("train")
    if manifest is not None:
        assert manifest.changed_outputs(toy.run.stage_dir("train"), verify=True) == []
    else:
        assert not toy.run.stage_dir("train").exists()
    toy.execute(train={"epochs": 4})
    assert toy.files() == expected_files
    assert {path.name for path in toy.run.stage_dir("train").iterdir()} == {
        "model.json", "metrics.jsonl", "manifest.json",
    }  # fmt: skip


def test_files_are_on_disk_before_the_manifest_and_the_manifest_before_the_rename(toy, monkeypatch):
    steps = []
    files = __import__("ncdcli.run.files").run.files
    sync, rename, write = files.sync, files.rename, Manifest.write
    monkeypatch.setattr(files, "sync", lambda path: (steps.append(f"sync {path.name}"), sync(path)))
    monkeypatch.setattr(files, "rename", lambda old, new: (steps.append(f"rename to {new.name}"), rename(old, new)))
    monkeypatch.setattr(Manifest, "write", lambda self, folder: (steps.append("manifest"), write(self, folder)))
    toy.execute(stages=["split"])
    work = toy.run.work_dir("split", toy.run.manifest("split").fingerprint).name
    assert steps == ["sync numbers.csv", "manifest", f"sync {work}", "rename to split", f"sync {toy.run.path.name}"]


def test_first_run_says_that_stages_run_and_later_ones_say_why(toy):
    notes = []

    class Notes(SilentProgress):
        def note(self, message):
            notes.append(message)

    def run(**recipe):
        notes.clear()
        execute(
            toystages.resolved(**recipe), toy.run, table=toystages.TABLE, identity=toystages.identity, progress=Notes()
        )
        return list(notes)

    assert run() == ["split: running", "train: running", "embed: running", "score: running"]
    assert run() == []
    assert run(score={"digits": 2}) == ["score: `score.digits` changed: 3 -> 2"]
