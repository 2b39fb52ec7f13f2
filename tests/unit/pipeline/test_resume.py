"""Interrupted stages go on from what they saved; what has to be done again is."""

from __future__ import annotations

import json
import os
import signal

import pytest
import toystages

from ncdcli.errors import Interrupted
from ncdcli.pipeline import runner
from ncdcli.pipeline.context import SilentProgress
from ncdcli.pipeline.failure import resume_command
from ncdcli.pipeline.runner import execute


def interrupt(number):
    """A hook that sends this process a signal."""
    return lambda context: os.kill(os.getpid(), number)


@pytest.fixture
def hears_of_a_lost_terminal():
    """Also where these tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_state_and_the_same_command_goes_on(toy, new_toy, hooks, number, exit_code):
    hooks["epoch 1"] = interrupt(number)
    with pytest.raises(Interrupted) as caught:
        toy.execute(train={"epochs": 6})
    assert caught.value.exit_code == exit_code
    assert caught.value.message == "interrupted in `train`; state saved"
    assert caught.value.hint == ""
    assert caught.value.resume == "ncd run toy"
    assert toy.run.events.read()[-1]["event"] == "interrupted"
    hooks.clear()
    decision = toy.plan(train={"epochs": 6})["train"]
    assert decision.action == "resume"
    assert decision.reason.startswith("interrupted at ")
    assert decision.reason.endswith(": resumes")
    results = toy.execute(train={"epochs": 6})
    assert results[1].action == "resume"
    assert toy.run.manifest("train").resumed
    assert [event["event"] for event in toy.run.events.read() if event["stage"] == "train"] == [
        "started", "interrupted", "resumed", "finished",
    ]  # fmt: skip
    whole = new_toy("whole/runs")
    whole.execute(train={"epochs": 6})
    assert toy.files() == whole.files()


def test_resumed_training_does_not_repeat_epochs(toy, hooks):
    epochs = []
    for epoch in range(6):
        hooks[f"epoch {epoch}"] = lambda context, epoch=epoch: epochs.append(epoch)
    hooks["epoch 2"] = lambda context: (epochs.append(2), os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted):
        toy.execute(train={"epochs": 6})
    hooks["epoch 2"] = lambda context: epochs.append(2)
    toy.execute(train={"epochs": 6})
    assert epochs == [0, 1, 2, 3, 4, 5]


def test_another_fingerprint_does_not_take_the_checkpoint(toy, hooks):
    hooks["epoch 1"] = interrupt(signal.SIGINT)
    with pytest.raises(Interrupted):
        toy.execute(train={"epochs": 6})
    hooks.clear()
    assert toy.plan(train={"epochs": 7})["train"].action == "run"
    assert toy.execute(train={"epochs": 7})[1].action == "run"
    assert toy.plan(train={"epochs": 6})["train"].action == "resume"  # still there for its own


def test_restart_ignores_the_checkpoint(toy, hooks):
    hooks["epoch 1"] = interrupt(signal.SIGINT)
    with pytest.raises(Interrupted):
        toy.execute(train={"epochs": 6})
    epochs = []
    hooks["epoch 1"] = lambda context: None
    hooks["epoch 0"] = lambda context: epochs.append(0)
    decision = toy.plan(train={"epochs": 6}, restart=True)["train"]
    assert decision.action == "run"
    assert decision.reason.endswith("starts again, as asked")
    results = toy.execute(train={"epochs": 6}, restart=True)
    assert results[1].action == "run"
    assert epochs == [0]


def test_stage_without_checkpoint_starts_again_in_an_empty_folder(toy, hooks):
    def die(context):
        (context.output / "half").write_text("x")
        raise KeyboardInterrupt

    hooks["embed"] = die
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.message == "interrupted in `embed`; all before it is saved, `embed` itself will start again"
    assert caught.value.exit_code == 130
    hooks.clear()
    decision = toy.plan()["embed"]
    assert decision.action == "run"
    assert decision.reason.endswith("before any checkpoint: starts again")
    toy.execute()  # would fail on the undeclared file `half`
    assert toy.run.manifest("embed") is not None


@pytest.mark.usefixtures("hears_of_a_lost_terminal")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stage_that_asks_nobody_is_stopped_where_it_stands(toy, hooks, number, exit_code):
    went_on = []
    hooks["embed"] = lambda context: (os.kill(os.getpid(), number), went_on.append("after the signal"))
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.exit_code == exit_code
    assert caught.value.message == "interrupted in `embed`; all before it is saved, `embed` itself will start again"
    assert went_on == []
    assert [event["event"] for event in toy.run.events.read() if event["stage"] == "embed"] == [
        "started", "interrupted",
    ]  # fmt: skip
    hooks.clear()
    assert [result.action for result in toy.execute()] == ["keep", "keep", "run", "run"]


def test_signal_during_a_long_look_at_the_data_stops_before_the_stage(toy, monkeypatch):
    looks = []

    def long_look(data):
        looks.append(data)
        if len(looks) == 2:  # the first is before the run is locked
            os.kill(os.getpid(), signal.SIGTERM)
        return toystages.identity(data)

    with pytest.raises(Interrupted) as caught:
        execute(toystages.resolved(), toy.run, table=toystages.TABLE, identity=long_look, command="ncd run toy")
    assert caught.value.message == "stopped before `split`; all before it is saved"
    assert caught.value.exit_code == 143
    assert not toy.run.stage_dir("split").exists()


def test_signal_during_publishing_waits_until_the_stage_is_in_place(toy, monkeypatch):
    publish = runner.publish
    monkeypatch.setattr(
        runner, "publish", lambda run, manifest: (os.kill(os.getpid(), signal.SIGINT), publish(run, manifest))
    )
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.message == "stopped before `train`; all before it is saved"
    assert toy.run.manifest("split") is not None


def test_second_ctrl_c_stops_at_once(toy, hooks):
    went_on = []

    def impatient(context):
        os.kill(os.getpid(), signal.SIGINT)
        went_on.append("after the first signal")
        os.kill(os.getpid(), signal.SIGINT)
        went_on.append("after the second signal")

    hooks["epoch 1"] = impatient
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.exit_code == 130
    assert caught.value.message == "interrupted in `train`; state saved"  # by the checkpoint of the epoch before
    assert went_on == ["after the first signal"]


def test_second_sigterm_waits_for_the_checkpoint(toy, hooks):
    went_on = []
    hooks["epoch 1"] = lambda context: went_on.extend(os.kill(os.getpid(), signal.SIGTERM) for _ in range(2))
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.message == "interrupted in `train`; state saved"
    assert len(went_on) == 2


def test_stage_is_stopped_where_it_stands_until_it_first_asks(toy, hooks):
    """Imports, weights and data may take long before a training is under way."""
    went_on = []
    hooks["epoch 0"] = lambda context: (os.kill(os.getpid(), signal.SIGTERM), went_on.append("after the signal"))
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.exit_code == 143
    assert went_on == []


def test_announcement_that_cannot_be_printed_does_not_keep_a_stage_from_saving(toy, hooks):
    class Broken(SilentProgress):
        def note(self, message):
            if "stopping" in message:
                raise RuntimeError("reentrant call inside <_io.BufferedWriter>")

    hooks["epoch 1"] = interrupt(signal.SIGINT)
    with pytest.raises(Interrupted) as caught:
        execute(toystages.resolved(), toy.run, table=toystages.TABLE, identity=toystages.identity, progress=Broken())
    assert caught.value.message == "interrupted in `train`; state saved"


def test_half_of_a_checkpoint_is_nothing_to_go_on_from(toy, hooks):
    def die_while_writing(context):
        (context.output / "checkpoint.json").rename(context.output / "checkpoint.json.tmp")
        raise KeyboardInterrupt

    hooks["epoch 0"] = die_while_writing
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.message == "interrupted in `train`; all before it is saved, `train` itself will start again"
    assert toy.plan()["train"].action == "run"


@pytest.mark.parametrize(
    ("command", "resumes"),
    [
        ("ncd run toy --restart", "ncd run toy"),
        ("ncd run toy --force split --force train", "ncd run toy --force train"),
        ("ncd run toy --force=split --set 'a=b c' --force=estimate-k", "ncd run toy --set 'a=b c'"),
        ("ncd run split", "ncd run split"),
        ("it's no command", "it's no command"),
        ("", ""),
    ],
)
def test_command_that_goes_on_throws_nothing_away(command, resumes):
    assert resume_command(command, done=["split", "estimate_k"]) == resumes


def test_error_caused_by_the_signal_counts_as_interruption(toy, hooks):
    """Loader processes get Ctrl-C as well; their death is not a failure of the stage."""

    def worker_dies(context):
        os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("DataLoader worker exited unexpectedly")

    hooks["embed"] = worker_dies
    with pytest.raises(Interrupted):
        toy.execute()


def test_finished_work_is_only_put_in_place(toy, calls):
    """A crash between the manifest and the rename costs nothing but the rename."""
    toy.execute()
    manifest = toy.run.manifest("train")
    toy.run.stage_dir("train").rename(toy.run.work_dir("train", manifest.fingerprint))
    decision = toy.plan()["train"]
    assert decision.action == "resume"
    assert decision.reason.endswith("complete: put in place")
    calls.clear()
    toy.execute()
    assert calls == []
    assert toy.run.manifest("train") == manifest


def test_damaged_finished_work_is_not_put_in_place(toy, calls):
    toy.execute()
    work = toy.run.work_dir("train", toy.run.manifest("train").fingerprint)
    expected = (toy.run.path / "train/model.json").read_bytes()
    toy.run.stage_dir("train").rename(work)
    (work / "model.json").write_text(json.dumps({"weight": 0}))
    calls.clear()
    toy.execute()
    assert calls == ["train"]
    assert (toy.run.path / "train/model.json").read_bytes() == expected
