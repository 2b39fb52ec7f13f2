"""Stages are run in order, once, and again only where something that matters has changed."""

from __future__ import annotations

import logging
import warnings

import pytest
import toystages

from ncdcli.errors import MissingError, RunBusyError, UsageError
from ncdcli.pipeline.context import SilentProgress
from ncdcli.pipeline.runner import execute
from ncdcli.run.manifest import FileRecord

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
