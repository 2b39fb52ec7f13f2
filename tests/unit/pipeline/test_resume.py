from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from ncdcli.errors import Interrupted
from ncdcli.pipeline.signals import StopSignals


def interrupt(number):
    """A hook that sends this process a signal."""
    return lambda context: os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_state_and_the_same_command_goes_on(toy, new_toy, hooks, number, exit_code):
    hooks["epoch 1"] = interrupt(number)
    with pytest.raises(Interrupted) as caught:
        toy.execute(train={"epochs": 6})
    assert caught.value.exit_code == exit_code
    assert caught.value.message == "interrupted in `train`; state saved"
    assert caught.value.hint == "`ncd run toy` goes on from `train`"
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


def test_stage_that_asks_nobody_is_finished_and_the_next_one_not_begun(toy, hooks, calls):
    hooks["split"] = interrupt(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.message == "stopped before `train`; all before it is saved"
    assert caught.value.exit_code == 143
    assert calls == ["split"]
    assert toy.run.manifest("split") is not None


def test_second_ctrl_c_stops_at_once(toy, hooks):
    went_on = []

    def impatient(context):
        os.kill(os.getpid(), signal.SIGINT)
        went_on.append("after the first signal")
        os.kill(os.getpid(), signal.SIGINT)
        went_on.append("after the second signal")

    hooks["split"] = impatient
    with pytest.raises(Interrupted) as caught:
        toy.execute()
    assert caught.value.exit_code == 130
    assert went_on == ["after the first signal"]


def test_error_caused_by_the_signal_counts_as_interruption(toy, hooks):
    """Loader processes get Ctrl-C as well; their death is not a failure of the stage."""

    def worker_dies(context):
        os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("DataLoader worker exited unexpectedly")

    hooks["embed"] = worker_dies
    with pytest.raises(Interrupted):
        toy.execute()


def test_handlers_are_put_back(toy, hooks):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    inside = []
    hooks["split"] = lambda context: inside.append(signal.getsignal(signal.SIGINT))
    toy.execute()
    assert inside[0] is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_other_threads_leave_the_handlers_alone(toy):
    errors = []

    def work():
        try:
            toy.execute()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []
    assert toy.plan().nothing_to_do


def test_first_signal_is_announced_once():
    names = []
    with StopSignals(names.append) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested()
        assert stop.exit_code == 143
    assert names == ["SIGTERM"]


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
